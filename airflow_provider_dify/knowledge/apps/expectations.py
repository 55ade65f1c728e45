"""Golden questions, and whether an answer is as expected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.apps.report import ChatReport
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.text.hints import did_you_mean, why
from airflow_provider_dify.knowledge.text.schemas import check_schema, misfit, name_of, objection

_TEXTS = ("contains", "contains_not", "matches", "cites", "cites_not")
_NAMES = ("query", "inputs", *_TEXTS, "schema", "check")


@dataclass(frozen=True)
class GoldenQuestion:
    """A question, and its expected answer.

    :param query: The question.
    :param inputs: The inputs of the app, by name.
    :param contains: Texts that the answer has to contain, case-insensitively.
    :param contains_not: Texts that it must not contain.
    :param matches: Regular expressions that it has to match.
    :param cites: Documents that it has to cite: ids, or patterns for names such as ``handbook*``.
    :param cites_not: Documents that it must not cite.
    :param schema: A JSON schema: the answer has to be JSON that fits it.
    :param check: A function that gets the report of the answer as a mapping, and returns ``False`` or raises if it is
        wrong.
    """

    query: str
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    contains: tuple[str, ...] = ()
    contains_not: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()
    cites_not: tuple[str, ...] = ()
    schema: Mapping[str, JSON] | None = None
    check: Callable[[Mapping[str, Any]], object] | None = field(default=None, compare=False)

    @property
    def expected(self) -> str:
        """The expected answer, for the log."""
        parts = [f"contains {inputs.show(one)}" for one in self.contains]
        parts += [f"does not contain {inputs.show(one)}" for one in self.contains_not]
        parts += [f"matches {one}" for one in self.matches]
        parts += [f"cites {one}" for one in self.cites]
        parts += [f"does not cite {one}" for one in self.cites_not]
        parts += ["is JSON that fits the schema"] if self.schema is not None else []
        parts += [f"passes {name_of(self.check)}"] if self.check else []
        return "; ".join(parts) or "any answer"

    def problems(self, answer: ChatReport) -> tuple[str, ...]:
        """Return everything that is wrong with an answer."""
        if not answer.outcome.good:
            return (f"no answer ({answer.outcome.value}{f': {answer.error}' if answer.error else ''})",)
        text = answer.answer.casefold()
        found = [f"does not contain {inputs.show(one)}" for one in self.contains if one.casefold() not in text]
        found += [f"contains {inputs.show(one)}" for one in self.contains_not if one.casefold() in text]
        found += [f"does not match {one}" for one in self.matches if not re.search(one, answer.answer)]
        found += [f"does not cite {one}" for one in self.cites if not _cites(answer, one)]
        found += [f"cites {one}" for one in self.cites_not if _cites(answer, one)]
        by_function = objection(self.check, answer.to_json()) if self.check else ""
        return (*found, *self._by_schema(answer.answer), *filter(None, [by_function]))

    def _by_schema(self, text: str) -> tuple[str, ...]:
        if self.schema is None:
            return ()
        try:
            problem = misfit(json.loads(text), self.schema)
        except (ValueError, RecursionError):
            return ("is not JSON",)
        return (f"does not fit the schema: {problem}",) if problem else ()


def read_questions(given: object, parameter: str = "questions") -> tuple[GoldenQuestion, ...]:
    """Return golden questions from a list of texts and mappings, or a text that renders to one.

    :param parameter: Their name in errors.
    :raises DifyInputError: They are invalid.
    """
    found = inputs.literal(given)
    if isinstance(found, (str, bytes, Mapping)) or not isinstance(found, Iterable):
        raise DifyInputError(f"{parameter} must be a list of texts or mappings, not {inputs.show(given)}.{why(given)}")
    questions = tuple(_question(one, f"{parameter}[{number}]") for number, one in enumerate(found))
    if not questions:
        raise DifyInputError(f"{parameter} is empty: there is nothing to check.")
    return questions


def _question(given: object, where: str) -> GoldenQuestion:
    if isinstance(given, GoldenQuestion):
        return given
    parts = {"query": given} if isinstance(given, str) else given
    if not isinstance(parts, Mapping):
        raise DifyInputError(f"{where} must be text or a mapping, not {inputs.show(given)}.")
    if unknown := [name for name in parts if name not in _NAMES]:
        raise DifyInputError(f"{where} has an unknown key {inputs.show(unknown[0])}.{did_you_mean(unknown[0], _NAMES)}")
    check = parts.get("check")
    if check is not None and not callable(check):
        raise DifyInputError(f"{where}['check'] must be a function, not {inputs.show(check)}.")
    texts = {name: _texts(parts.get(name), f"{where}['{name}']") for name in _TEXTS}
    _require_patterns(texts["matches"], where)
    schema = parts.get("schema")
    if schema is not None and not isinstance(schema, Mapping):
        raise DifyInputError(f"{where}['schema'] must be a JSON schema, not {inputs.show(schema)}.")
    if schema is not None:
        check_schema(schema, f"{where}['schema']")
    values = parts.get("inputs") or {}
    if not isinstance(values, Mapping):
        raise DifyInputError(f"{where}['inputs'] must be a mapping of names to values, not {inputs.show(values)}.")
    query = inputs.text(parts.get("query"), f"{where}['query']")
    return GoldenQuestion(query, values, schema=schema, check=check, **texts)


def _texts(value: object, parameter: str) -> tuple[str, ...]:
    if value is None:
        return ()
    items = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    return tuple(inputs.text(one, parameter) for one in items)


def _require_patterns(patterns: Iterable[str], where: str) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise DifyInputError(
                f"{where}['matches'] is not a valid regular expression: {inputs.show(pattern)} ({error})."
            ) from None


def _cites(answer: ChatReport, wanted: str) -> bool:
    return any(
        wanted == one.get("document_id") or fnmatchcase(str(one.get("document_name") or ""), wanted)
        for one in answer.citations
    )
