"""Conversations and messages of chat apps (1.16.0, file 43)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.model.documents import Document
from airflow_provider_dify.testing.model.site import Site

#: The id that Dify shows as the message before one that came through the API.
_NO_PARENT = "00000000-0000-0000-0000-000000000000"


class ChatApp(Protocol):
    """What conversations and messages need from their app."""

    opening_statement: str

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def world(self) -> Site: ...

    @property
    def has_runs(self) -> bool:
        """Whether it runs a workflow."""


class MessageRun(Protocol):
    """What a message shows about its run."""

    @property
    def id(self) -> str: ...

    @property
    def files(self) -> Sequence[Json]: ...

    def stop(self) -> None:
        """Stop it."""

    def finish(self) -> None:
        """End the current node now."""

    def orphan(self) -> None:
        """Let its worker or process die."""


class Conversation:
    """One conversation of one user."""

    def __init__(self, app: ChatApp, *, user: str, inputs: Mapping[str, Any], name: str) -> None:
        self.app = app
        self.id = app.world.new_id()
        self.user = user
        self.inputs = dict(inputs)
        self.name = name
        self.created_at = self.updated_at = app.world.clock.time()
        self.messages: list[Message] = []

    def __repr__(self) -> str:
        return f"<Conversation {self.id} {self.name!r} of {self.user!r}>"

    def described(self) -> Json:
        """The conversation as in the list."""
        return {
            "id": self.id,
            "name": self.name,
            "inputs": self.inputs,
            "status": "normal",
            "introduction": self.app.opening_statement,
            "created_at": int(self.created_at),
            "updated_at": int(self.updated_at),
        }


class Message:
    """A question and its answer.

    :param conversation: ``None`` in a completion app.
    """

    def __init__(
        self, app: ChatApp, *, user: str, query: str, inputs: Mapping[str, Any], conversation: Conversation | None
    ) -> None:
        self.app = app
        self.id = app.world.new_id()
        self.user = user
        self.query = query
        self.inputs = dict(inputs)
        self.conversation = conversation
        self.position = 1 if conversation is None else len(conversation.messages) + 1
        #: Empty until it is complete or stopped.
        self.answer = ""
        self.sources: list[Document] = []
        self.tokens = (0, 0)
        self.status = "normal"
        self.error: str | None = None
        self.created_at = app.world.clock.time()
        self.latency = 0.0
        self.feedback: str | None = None
        #: The run that answers it.
        self.run: MessageRun | None = None

    def __repr__(self) -> str:
        return f"<Message {self.query!r}: {self.answer!r}>"

    @property
    def conversation_id(self) -> str:
        """Id of its conversation; empty in a completion app."""
        return "" if self.conversation is None else self.conversation.id

    def ids(self) -> Json:
        """The ids in every event of its stream; completion apps have no conversations."""
        about: Json = {"message_id": self.id, "created_at": int(self.created_at)}
        return about if self.conversation is None else {"conversation_id": self.conversation.id, **about}

    def described(self) -> Json:
        """The message as in the list."""
        prompt, answer = self.tokens
        return {
            "id": self.id,
            "conversation_id": self.conversation_id,
            "parent_message_id": _NO_PARENT,
            "inputs": self.inputs,
            "query": self.query,
            "answer": self.answer,
            "feedback": None if self.feedback is None else {"rating": self.feedback},
            "retriever_resources": self.resources(),
            "created_at": int(self.created_at),
            "agent_thoughts": [],
            "message_files": [],
            "message_tokens": prompt,
            "answer_tokens": answer,
            "provider_response_latency": self.latency,
            "total_price": "0E-7",
            "currency": "USD",
            "status": self.status,
            "error": self.error,
            "extra_contents": [],
            "total_tokens": prompt + answer,
        }

    def metadata(self, *, streamed: bool) -> Json:
        """The ``metadata`` of an answer, with its usage and cited documents."""
        zero = "0.0" if self.app.has_runs else "0"
        prompt, answer = self.tokens
        usage: Json = {
            "prompt_tokens": prompt,
            "prompt_unit_price": zero,
            "prompt_price_unit": zero,
            "prompt_price": zero,
            "completion_tokens": answer,
            "completion_unit_price": zero,
            "completion_price_unit": zero,
            "completion_price": zero,
            "total_tokens": prompt + answer,
            "total_price": zero,
            "currency": "USD",
            "latency": self.latency,
        }
        about: Json = {"retriever_resources": self.resources()}
        # The stream of an app without a workflow contains less.
        if self.app.has_runs or not streamed:
            timed = {"time_to_first_token": 0.1, "time_to_generate": 0.0}
            usage |= timed if self.app.has_runs else dict.fromkeys(timed)
            about = {"annotation_reply": None, **about}
        return {**about, "usage": usage, "reasoning": {}}

    def resources(self) -> list[Json]:
        """The cited documents, as in https://docs.dify.ai/api-reference (not recorded)."""
        return [_resource(document, number) for number, document in enumerate(self.sources, start=1)]


def _resource(document: Document, position: int) -> Json:
    chunk = document.chunks[0] if document.chunks else None
    return {
        "position": position,
        "dataset_id": document.dataset.id,
        "dataset_name": document.dataset.name,
        "document_id": document.id,
        "document_name": document.name,
        "data_source_type": "upload_file",
        "segment_id": None if chunk is None else chunk.id,
        "retriever_from": "api",
        "score": 0.9,
        "content": "" if chunk is None else chunk.text,
    }
