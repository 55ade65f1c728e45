"""The parameters of an app, and whether inputs fit them; checked before anything is started.

Dify itself silently drops unknown inputs, and rejects others only after it has answered 200 (1.16.0, file 42).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, a_list_or_nothing
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.text.counts import if_one
from airflow_provider_dify.knowledge.text.hints import did_you_mean, why

_TEXTS = frozenset({"text-input", "paragraph"})
FILE, FILES = "file", "file-list"


@dataclass(frozen=True)
class Field:
    """One input of an app.

    :param name: Its name in ``inputs``.
    :param kind: Its type in Dify: ``text-input``, ``paragraph``, ``number``, ``select``, ``checkbox``, ``file``,
        ``file-list``, or a type of a later Dify.
    :param required: Whether it is required.
    :param options: The values of a ``select``.
    :param max_length: Maximum number of characters of a text, or of files in a list; ``None``: no limit.
    """

    name: str
    kind: str
    required: bool = False
    options: tuple[str, ...] = ()
    max_length: int | None = None


class InputForm:
    """The inputs of an app.

    :param fields: The inputs that it has.
    """

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self.fields = {field.name: field for field in fields}

    @classmethod
    def read(cls, parameters: Fields) -> InputForm:
        """Read the parameters of an app.

        :raises ValueError: They have another form.
        """
        items = parameters.items("user_input_form")
        return cls(tuple(_field(kind, item.object(kind)) for item in items for kind in item.values))

    def check(self, given: Mapping[str, JSON], files: Mapping[str, object]) -> dict[str, JSON]:
        """Return inputs in the types that the app needs.

        :param given: The inputs by name.
        :param files: The inputs that are files to be uploaded, by name.
        :raises DifyInputError: An input is unknown, missing, or of a wrong type.
        """
        for name in (*given, *files):
            self._require_known(name)
        if both := sorted(given.keys() & files.keys()):
            raise DifyInputError(f"'{both[0]}' is in both inputs and files: give it in only one of them.")
        for name in files:
            if self.fields[name].kind not in (FILE, FILES):
                raise DifyInputError(f"Input '{name}' of the app is not a file but a {self.fields[name].kind}.")
        for field in self.fields.values():
            if field.required and field.name not in files and given.get(field.name) is None:
                raise DifyInputError(f"Input '{field.name}' is missing: the app requires it.{_known(self.fields)}")
        return {name: None if value is None else _checked(self.fields[name], value) for name, value in given.items()}

    def _require_known(self, name: str) -> None:
        if name not in self.fields:
            raise DifyInputError(
                f"The app has no input {inputs.show(name)}; Dify would drop it silently."
                f"{did_you_mean(name, self.fields)}{_known(self.fields)}"
            )


def _known(names: Mapping[str, Field]) -> str:
    shown = ", ".join(f"'{name}'" for name in names)
    return f" It has the {if_one(len(names), 'input', 'inputs')} {shown}." if names else " It has no inputs."


def _field(kind: str, item: Fields) -> Field:
    longest = item.get("max_length")
    has_default = item.get("default") not in (None, "")
    return Field(
        name=item.text("variable"),
        kind=kind,
        required=item.get("required") is True and not has_default,
        options=tuple(map(str, item.read("options", a_list_or_nothing) or ())),
        max_length=longest if isinstance(longest, int) and longest > 0 else None,
    )


def _checked(field: Field, value: JSON) -> JSON:
    if not inputs.is_json(value):
        raise DifyInputError(f"Input '{field.name}' is not JSON: {inputs.show(value)}.")
    read = _READERS.get(field.kind)
    return value if read is None else read(field, value)


def _text(field: Field, value: JSON) -> str:
    found = inputs.as_text(value)
    if not isinstance(found, str):
        raise DifyInputError(f"Input '{field.name}' must be text, not {inputs.show(value)}.{why(value)}")
    if field.max_length is not None and len(found) > field.max_length:
        raise DifyInputError(
            f"Input '{field.name}' has {len(found):,} characters; the app accepts at most {field.max_length:,}."
        )
    return found


def _number(field: Field, value: JSON) -> JSON:
    found = value
    if isinstance(value, str):
        try:
            found = float(value) if any(sign in value for sign in ".eE") else int(value)
        except ValueError:
            found = None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not inputs.is_finite(found):
        raise DifyInputError(f"Input '{field.name}' must be a number, not {inputs.show(value)}.{why(value)}")
    return found


def _option(field: Field, value: JSON) -> str:
    found = inputs.as_text(value)
    if found not in field.options:
        raise DifyInputError(
            f"Input '{field.name}' must be one of {', '.join(field.options)}, not {inputs.show(value)}."
            f"{did_you_mean(found, field.options)}"
        )
    return str(found)


def _flag(field: Field, value: JSON) -> bool:
    return inputs.flag(value, f"Input '{field.name}'")


def _file(field: Field, value: JSON) -> JSON:
    if not isinstance(value, Mapping) or "type" not in value or "transfer_method" not in value:
        raise DifyInputError(
            f"Input '{field.name}' must be a file, not {inputs.show(value)}: give a path or URL in files, or what "
            'Dify itself accepts: {"type": "document", "transfer_method": "local_file", "upload_file_id": ...}.'
        )
    return value


def _files(field: Field, value: JSON) -> JSON:
    if not isinstance(value, list):
        raise DifyInputError(f"Input '{field.name}' must be a list of files, not {inputs.show(value)}.")
    require_few(field, len(value))
    return [_file(field, one) for one in value]


def require_few(field: Field, count: int) -> None:
    """Check the number of files of an input.

    :raises DifyInputError: The app does not accept this many.
    """
    most = 1 if field.kind == FILE else field.max_length
    if most is not None and count > most:
        raise DifyInputError(f"Input '{field.name}' has {count} files; the app accepts at most {most}.")


_READERS: Mapping[str, Callable[[Field, JSON], JSON]] = {
    **dict.fromkeys(_TEXTS, _text),
    "number": _number,
    "select": _option,
    "checkbox": _flag,
    FILE: _file,
    FILES: _files,
}
