"""The input form of an app: its inputs, and Dify's errors about invalid values (1.16.0, file 42)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_dify.testing.api.replies import InternalError, InvalidParamError, Json

InputType = Literal["text-input", "paragraph", "select", "number", "checkbox", "file", "file-list"]
#: Finds the file of an input, or raises an error. It gets the value, and the allowed kinds of files.
FileReader = Callable[[Json, Sequence[str]], Json]

_TEXTS = ("text-input", "paragraph", "select")
_FILES = ("file", "file-list")
_YES, _NO = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


@dataclass(frozen=True)
class Input:
    """One input of an app.

    :param max_length: Characters of a text, or number of files.
    :param options: What a ``select`` offers.
    :param file_types: What a ``file`` may be: ``document``, ``image``, ``audio``, ``video``, ``custom``.
    """

    name: str
    type: InputType = "text-input"
    required: bool = field(default=False, kw_only=True)
    max_length: int | None = field(default=None, kw_only=True)
    options: Sequence[str] = field(default=(), kw_only=True)
    file_types: Sequence[str] = field(default=("document",), kw_only=True)
    default: Any = field(default=None, kw_only=True)

    def described(self, *, with_workflow: bool) -> Json:
        """The input as in ``GET /parameters``.

        :param with_workflow: Whether it belongs to an app with a workflow; others say less.
        """
        about: Json = {"label": self.name, "required": self.required, "variable": self.name}
        if not with_workflow:
            return {self.type: {"default": self.default or "", **about}}
        about |= {"type": self.type, "max_length": self.max_length, "options": list(self.options)}
        if self.type in _FILES:
            about["allowed_file_types"] = list(self.file_types)
            about["allowed_file_extensions"] = []
            about["allowed_file_upload_methods"] = ["local_file", "remote_url"]
        return {self.type: about}

    def checked(self, value: Any, read_file: FileReader) -> Any:
        """The value as the run gets it.

        :raises InvalidParamError: if Dify rejects it.
        """
        if value is None:
            if self.required:
                raise InvalidParamError(f"{self.name} is required in input form")
            return self.default
        if self.type in _TEXTS:
            return self._text(value)
        if self.type == "number":
            return self._number(value)
        if self.type == "checkbox":
            return self._checkbox(value)
        return self._files(value, read_file)

    def _text(self, value: Any) -> str:
        where = f"{self.name} in input form"
        if not isinstance(value, str):
            raise InvalidParamError(f"(type '{self.type}') {where} must be a string")
        if self.type == "select" and value not in self.options:
            raise InvalidParamError(f"{where} must be one of the following: {list(self.options)}")
        if self.max_length and len(value) > self.max_length:
            raise InvalidParamError(f"{where} must be less than {self.max_length} characters")
        return value.replace("\x00", "")

    def _number(self, value: Any) -> float | None:
        if isinstance(value, (int, float)):
            return value
        if not isinstance(value, str):
            raise InternalError
        if not value.strip():
            return None
        try:
            return float(value) if "." in value else int(value)
        except ValueError:
            raise InvalidParamError(f"{self.name} in input form must be a valid number") from None

    def _checkbox(self, value: Any) -> Any:
        word = str(value).strip().lower()
        return True if word in _YES else False if word in _NO else value

    def _files(self, value: Any, read_file: FileReader) -> Any:
        where = f"{self.name} in input form"
        if self.type == "file":
            if not isinstance(value, dict):
                raise InvalidParamError(f"{where} must be a file")
            return read_file(value, self.file_types)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise InvalidParamError(f"{where} must be a list of files")
        if self.max_length and len(value) > self.max_length:
            raise InvalidParamError(f"{where} must be less than {self.max_length} files")
        return [read_file(one, self.file_types) for one in value]


class Form:
    """The inputs of an app.

    :param inputs: A bare name is an optional text.
    """

    def __init__(self, inputs: Sequence[Input | str]) -> None:
        self.inputs = tuple(Input(one) if isinstance(one, str) else one for one in inputs)

    def checked(self, given: Mapping[str, Any], read_file: FileReader) -> Json:
        """The inputs of a run: those of the form, and no others.

        :raises InvalidParamError: if Dify rejects one.
        """
        return {one.name: one.checked(given.get(one.name), read_file) for one in self.inputs}
