"""Declares and describes each parameter of an operator in one place: the options that contain it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from textwrap import fill
from typing import Any, TypeVar

O = TypeVar("O")  # noqa: E741 - options

_FIELD = re.compile(r"^:(\w+)(?: (\w+))?:", re.MULTILINE)
#: Every operator already has an attribute with the name of this parameter.
_RENAMED = {"dry_run": "_dry_run"}
_NOT_PARAMETERS = ("self", "kwargs", "__class__")
_WIDTH = 116


class Parameters:
    """A mixin for operators: parameters become attributes, attributes become options, and options describe both."""

    #: The options with the parameters that the operator does not describe itself.
    described_by: tuple[type, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__init__ is not object.__init__ and cls.__doc__ and hasattr(cls, "template_fields"):
            cls.__doc__ = _completed(cls.__doc__, cls)

    def take(self, given: Mapping[str, Any]) -> None:
        """Keep the parameters of a constructor as attributes.

        :param given: What ``locals()`` returns there.
        """
        for name, value in given.items():
            if name not in _NOT_PARAMETERS:
                setattr(self, _RENAMED.get(name, name), value)

    def options(self, kind: type[O]) -> O:
        """Return options with the attributes of the same names.

        :raises DifyInputError: A value is invalid.
        """
        given = vars(self)
        names = {field.name: _RENAMED.get(field.name, field.name) for field in fields(kind)}  # type: ignore[arg-type]
        return kind(**{name: given[attribute] for name, attribute in names.items() if attribute in given})


def _completed(text: str, cls: type[Parameters]) -> str:
    """Return the docstring of an operator with all of its parameters, in the order of its constructor."""
    own, (body, rest) = _described(text), _around(text)
    kinds = [*cls.described_by, *(base for base in cls.__mro__[1:] if issubclass(base, Parameters))]
    known = {name: about for kind in reversed(kinds) for name, about in _of(kind).items()}
    templated = set(getattr(cls, "template_fields", ()))
    lines = []
    for name in inspect.signature(cls.__init__).parameters:
        if about := own.get(name) or known.get(name):
            end = " (templated)" if _RENAMED.get(name, name) in templated else ""
            lines.append(fill(f":param {name}: {about}{end}", _WIDTH, subsequent_indent="    ", break_on_hyphens=False))
    return "\n".join([body, *lines, rest])


def _of(kind: type) -> dict[str, str]:
    """Return how a class and its bases describe parameters."""
    return {name: about for one in reversed(kind.__mro__) for name, about in _described(one.__doc__ or "").items()}


def _described(text: str) -> dict[str, str]:
    return {name: about for what, name, about in _parts(text) if what == "param"}


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Split the fields of a docstring: kind, name, and text in one line."""
    plain = inspect.cleandoc(text)
    marks = list(_FIELD.finditer(plain))
    for mark, end in zip(marks, [*(one.start() for one in marks[1:]), len(plain)], strict=False):
        yield mark[1], mark[2] or "", " ".join(plain[mark.end() : end].split())


def _around(text: str) -> tuple[str, str]:
    """Return the parts before and after the parameters of a docstring."""
    plain = inspect.cleandoc(text)
    marks = list(_FIELD.finditer(plain))
    first = marks[0].start() if marks else len(plain)
    after = next((mark.start() for mark in marks if mark[1] != "param"), len(plain))
    return plain[:first].rstrip() + "\n", plain[after:]
