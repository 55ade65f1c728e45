"""The events of a chat's stream, and the response of a blocking one (1.16.0, file 43)."""

from __future__ import annotations

import re

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.apps.chat import Message
from airflow_provider_dify.testing.apps.run import Run


def pieces(text: str) -> list[str]:
    """A text as a model writes it: word by word, in at most 20 pieces."""
    words = re.findall(r"\s*\S+\s*", text) or ([text] if text else [])
    size = max(1, -(-len(words) // 20))
    return ["".join(words[at : at + size]) for at in range(0, len(words), size)]


def message_piece(run: Run, message: Message, text: str) -> Json:
    """A piece of an answer."""
    about = {"task_id": run.task_id, "id": message.id, "answer": text}
    if run.app.mode == "agent-chat":
        return {"event": "agent_message", **message.ids(), **about}
    selector = ["answer", "answer"] if run.app.has_runs else []
    return {"event": "message", **message.ids(), **about, "from_variable_selector": selector}


def agent_thought(run: Run, message: Message) -> Json:
    """The thoughts of an agent, as in https://docs.dify.ai/api-reference (not recorded)."""
    thought = {"position": 1, "thought": message.answer, "observation": "", "tool": "", "tool_input": ""}
    more: Json = {"tool_labels": {}, "message_files": []}
    return {"event": "agent_thought", **message.ids(), "task_id": run.task_id, "id": run.id, **thought, **more}


def message_end(run: Run, message: Message) -> Json:
    """``message_end``."""
    about = {"task_id": run.task_id, "id": message.id, "metadata": message.metadata(streamed=True), "files": []}
    return {"event": "message_end", **message.ids(), **about}


def stream_error(run: Run, message: Message, text: str) -> Json:
    """``error``: how the stream of an app without a workflow ends (https://docs.dify.ai/api-reference)."""
    about = {"status": 400, "code": "completion_request_error", "message": text}
    return {"event": "error", **message.ids(), "task_id": run.task_id, **about}


def blocking_answer(run: Run, message: Message) -> Json:
    """The response to a blocking request."""
    conversation = {} if message.conversation is None else {"conversation_id": message.conversation.id}
    return {
        "event": "message",
        "task_id": run.task_id,
        "id": message.id,
        "message_id": message.id,
        **conversation,
        "mode": run.app.mode,
        "answer": message.answer,
        "metadata": message.metadata(streamed=False),
        "created_at": int(message.created_at),
    }
