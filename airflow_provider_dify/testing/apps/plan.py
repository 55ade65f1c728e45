"""What the author of an app declares: its nodes, and what its function may return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_dify.testing.model.documents import Document

Mode = Literal["workflow", "advanced-chat", "chat", "agent-chat", "completion"]
#: Modes of apps that run a workflow, and so have runs with ids.
WITH_RUNS = ("workflow", "advanced-chat")

#: Seconds, or a function that computes them from the inputs of a run.
Seconds = float | Callable[[Mapping[str, Any]], float]


@dataclass(frozen=True)
class Node:
    """A node between the first and the last one of a workflow.

    :param name: Its id and title.
    :param seconds: How long it takes; ``math.inf``: until :meth:`~.run.Run.finish` or a stop.
    :param kind: Its type in Dify.
    :param outputs: Its outputs in the stream.
    :param retries: How often Dify retries it, if it is the last node and the function of the app fails.
    """

    name: str
    seconds: Seconds = 0.1
    kind: str = "http-request"
    outputs: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0

    def takes(self, inputs: Mapping[str, Any]) -> float:
        """How many seconds it takes with these inputs."""
        return float(self.seconds(inputs) if callable(self.seconds) else self.seconds)


@dataclass(frozen=True)
class Partial:
    """Returned by a function if a node failed and Dify continued with a default value.

    The run ends as ``partial-succeeded``.
    """

    outputs: Mapping[str, Any]
    error: str = "[Errno 111] Connection refused"


@dataclass(frozen=True)
class Paused:
    """Returned by a function if the run waits for a human.

    :param content: Text of the form.
    :param inputs: Names of the fields to fill in.
    :param actions: Ids of its buttons.
    :param then: Makes the outputs from the fields of the form.
    :param expires_after: Seconds until the form expires.
    """

    content: str = "Is it all right?"
    inputs: Sequence[str] = ()
    actions: Sequence[str] = ("approve", "reject")
    then: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    expires_after: float = 3600.0


@dataclass(frozen=True)
class Question:
    """The question to the function of a chat app.

    :param history: Questions and answers of the conversation so far.
    """

    query: str
    inputs: Mapping[str, Any]
    user: str
    conversation_id: str
    history: tuple[tuple[str, str], ...] = ()
    files: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What the function of a chat app returns, if it is more than a text.

    :param sources: Documents that it cites.
    :param tokens: Number of tokens in the prompt and the answer.
    """

    text: str
    sources: Sequence[Document] = ()
    tokens: tuple[int, int] = (0, 0)


AnswerFunction = Callable[[Question], "str | Answer"]
