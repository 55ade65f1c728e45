"""What to run: inputs and files, checked and uploaded before anything is started."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.api import read_answer
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.api import AppInfo
from airflow_provider_dify.knowledge.apps.form import FILES, InputForm, require_few
from airflow_provider_dify.knowledge.flow import JSON, Content, Flow, Request, Upload

#: Dify's type for a file, by its extension. It rejects a file with another type.
_TYPES = {
    "image": ("jpg", "jpeg", "png", "webp", "gif", "svg"),
    "audio": ("mp3", "m4a", "wav", "amr", "mpga"),
    "video": ("mp4", "mov", "mpeg", "webm"),
    "document": (
        "txt", "markdown", "md", "mdx", "pdf", "html", "htm", "xlsx", "xls", "vtt", "properties", "doc", "docx", "csv",
        "eml", "msg", "ppt", "pptx", "xml", "epub",
    ),
}  # fmt: skip
_TYPE_OF = {end: kind for kind, ends in _TYPES.items() for end in ends}
_CHATFLOW = "advanced-chat"
#: The modes that ``/chat-messages`` accepts.
CHAT_MODES = ("chat", "agent-chat", _CHATFLOW, "")
#: The modes that ``/workflows/run`` accepts. A Dify that does not return the mode raises an error at the start.
WORKFLOW_MODES = ("workflow", "")


@dataclass(frozen=True)
class LocalFile:
    """A file to upload.

    :param name: Its name.
    :param content: Its content.
    """

    name: str
    content: Content


@dataclass(frozen=True)
class RemoteFile:
    """A file that Dify fetches itself.

    :param url: Its URL.
    """

    url: str


AppFile = LocalFile | RemoteFile


@dataclass(frozen=True)
class RunRequest:
    """What to run.

    :param inputs: The inputs of the app, by name.
    :param files: Those that are files, by name.
    :param workflow_id: Which published version to run; ``None``: the latest.
    """

    inputs: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    files: Mapping[str, Sequence[AppFile]] = field(default_factory=dict, repr=False)
    workflow_id: str | None = None

    def prepared(self, user: str) -> Flow[dict[str, JSON]]:
        """Check the inputs, upload the files, and return what to send as inputs.

        :param user: The name of the run in Dify: files belong to it.
        :raises DifyInputError: The app is not a workflow, or the inputs do not fit.
        """
        yield from _require_app(
            WORKFLOW_MODES, "a workflow", "DifyChatMessageOperator for it, or the key of a workflow"
        )
        form = yield from read_form()
        inputs = form.check(self.inputs, self.files)
        return {**inputs, **(yield from uploaded(form, self.files, user))}


@dataclass(frozen=True)
class ChatRequest:
    """What to ask a chat app.

    :param query: The question.
    :param inputs: The inputs of the app, by name.
    :param conversation_id: The conversation to continue; ``None``: a new one.
    :param is_checked: Whether the app and the inputs were checked before.
    """

    query: str
    inputs: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    conversation_id: str | None = None
    is_checked: bool = False

    def prepared(self, user: str) -> Flow[dict[str, JSON]]:
        """Check the inputs, and return what to send.

        :param user: Who asks: a conversation belongs to its user.
        :raises DifyInputError: The app is not a chat app, or the inputs do not fit.
        """
        inputs = self.inputs if self.is_checked else (yield from self.checked_inputs())
        return {
            "query": self.query,
            "inputs": dict(inputs),
            "user": user,
            "conversation_id": self.conversation_id or "",
            "auto_generate_name": False,
        }

    def checked_inputs(self) -> Flow[dict[str, JSON]]:
        """Check the app and the inputs, and return the inputs in the types that the app needs.

        :raises DifyInputError: The app is not a chat app, or the inputs do not fit.
        """
        app = yield from require_chat_app()
        form = yield from read_form()
        # Other apps keep those of the first question.
        needs_inputs = not self.conversation_id or app.mode == _CHATFLOW
        return form.check(self.inputs, {}) if needs_inputs or self.inputs else {}


def require_chat_app() -> Flow[AppInfo]:
    """Check that the key is for an app that answers questions, and return the app.

    :raises DifyInputError: It is for another app.
    """
    other = "DifyWorkflowRunOperator for a workflow, or the key of a chat app"
    return (yield from _require_app(CHAT_MODES, "a chat app", other))


def _require_app(modes: Collection[str], kind: str, other: str) -> Flow[AppInfo]:
    info = yield from api.get_info()
    if info.mode not in modes:
        raise DifyInputError(
            f"The key of the connection is for the app '{info.name}', which is not {kind}: its mode is '{info.mode}'. "
            f"Use {other}."
        )
    return info


def read_form() -> Flow[InputForm]:
    """Read the parameters of the app."""
    response = yield Request("GET", "/parameters")
    return read_answer(response, InputForm.read)


def uploaded(form: InputForm, files: Mapping[str, Sequence[AppFile]], user: str) -> Flow[dict[str, JSON]]:
    """Upload files, and return the values for the inputs of an app."""
    inputs: dict[str, JSON] = {}
    for name, chosen in files.items():
        require_few(form.fields[name], len(chosen))
        sent: list[JSON] = []
        for file in chosen:
            sent += [(yield from _uploaded(file, user))]
        inputs[name] = sent if form.fields[name].kind == FILES else sent[0]
    return inputs


def type_of(name: str) -> str:
    """Return Dify's type for a file."""
    return _TYPE_OF.get(PurePosixPath(name).suffix.lstrip(".").lower(), "custom")


def upload_of(file: LocalFile, user: str) -> Upload:
    """Return how a file is uploaded for a user."""
    return Upload(file.name, file.content, fields=(("user", user),))


def _uploaded(file: AppFile, user: str) -> Flow[dict[str, JSON]]:
    if isinstance(file, RemoteFile):
        kind = type_of(file.url.partition("?")[0])
        return {"type": kind, "transfer_method": "remote_url", "url": file.url}
    answer = yield from api.upload_file(upload_of(file, user))
    return {"type": type_of(file.name), "transfer_method": "local_file", "upload_file_id": answer["id"]}
