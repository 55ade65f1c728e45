"""Chat and completion apps: ask, stop, and list (1.16.0, file 43)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from airflow_provider_dify.testing.api.call import UUID
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InvalidParamError,
    Json,
    NotFoundError,
    Outcome,
    Reply,
    missing,
)
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.chat import Conversation, Message
from airflow_provider_dify.testing.apps.endpoints.asking import Asked, check_limit, only_for, payload_complaints
from airflow_provider_dify.testing.apps.endpoints.workflows import JSON_TYPE, SUCCESS, accepted, check_published
from airflow_provider_dify.testing.apps.messages import blocking_answer
from airflow_provider_dify.testing.apps.run import Run
from airflow_provider_dify.testing.apps.streams import RunReply, RunStream

CHATS = ("chat", "agent-chat", "advanced-chat")
_NOT_CHAT = "not_chat_app"
_UNAVAILABLE = "App unavailable, please check your app configurations."
_NO_CONVERSATION = "Conversation Not Exists."
#: What Dify's framework appends to a 404 if the path is similar to other routes.
_SUGGESTED = {
    "/v1/chat-messages": "/v1/chat-messages or /api/chat-messages or /v1/chat-messages/<string:task_id>/stop",
    "/v1/messages": "/v1/messages or /v1/chat-messages or /api/messages",
}


def ask(asked: Asked) -> Outcome:
    """``POST /chat-messages``."""
    app, body, user = asked.app, asked.body, asked.user
    only_for(app, *CHATS, code=_NOT_CHAT)
    complaints = payload_complaints(body, needs=("inputs", "query"))
    asked.complain("ChatRequestPayload", *complaints, *_id_complaints(body))
    blocking = body.get("response_mode") != "streaming"
    check_published(app)
    check_limit(app, blocking=blocking)
    if not body["query"]:
        raise InvalidParamError("query is required")
    if blocking and app.mode == "agent-chat":
        # Read in Dify's source.
        raise InvalidParamError("Agent Chat App does not support blocking mode")
    conversation_id = body.get("conversation_id")
    conversation = _conversation(asked, conversation_id, user) if conversation_id else None
    return _answered(asked, body, user, conversation, blocking=blocking)


def _id_complaints(body: Json) -> list[Complaint]:
    given = body.get("conversation_id")
    if not given or re.fullmatch(UUID, str(given)):
        return []
    text = "Value error, conversation_id must be a valid UUID"
    return [Complaint("conversation_id", text, "value_error", given)]


def complete(asked: Asked) -> Outcome:
    """``POST /completion-messages``."""
    app, body, user = asked.app, asked.body, asked.user
    if app.mode != "completion":
        raise ApiError(400, "app_unavailable", _UNAVAILABLE)
    asked.complain("CompletionRequestPayload", *payload_complaints(body, needs=("inputs",)))
    blocking = body.get("response_mode") != "streaming"
    check_limit(app, blocking=blocking)
    return _answered(asked, {"query": "", **body}, user, None, blocking=blocking)


def _answered(asked: Asked, body: Json, user: str, conversation: Conversation | None, *, blocking: bool) -> Outcome:
    app, query = asked.app, str(body["query"]).replace("\x00", "")
    # The API process itself always runs apps without a workflow.
    run = accepted(asked, body, user, blocking=blocking, refuses_at_once=blocking or not app.has_runs)
    if run.refusal is None:
        inputs = run.inputs if conversation is None or app.has_runs else conversation.inputs
        if conversation is None and app.mode != "completion":
            conversation = Conversation(app, user=user, inputs=inputs, name=query[:20])
            app.conversations.append(conversation)
        message = Message(app, user=user, query=query, inputs=inputs, conversation=conversation)
        message.run, run.message = run, message
        app.messages.append(message)
        if conversation is not None:
            conversation.messages.append(message)
    app.engine.submit(run)
    return RunReply(run, _blocking_reply) if blocking else RunStream(run)


def _blocking_reply(run: Run) -> Reply:
    message = run.message
    if message is None:
        raise InvalidParamError(run.refusal or "")
    if message.status == "error":
        # The same text, whether the run failed or the request was refused.
        return InvalidParamError(message.error or "").reply()
    return Reply(200, json.dumps(blocking_answer(run, message)), content_type=JSON_TYPE)


def stop_message(asked: Asked) -> Outcome:
    """``POST /chat-messages/{task_id}/stop``: success, whatever the id."""
    user = asked.user
    only_for(asked.app, *CHATS, code=_NOT_CHAT)
    asked.app.engine.stop(asked.call.parts["task"], user)
    return Reply(200, SUCCESS)


def stop_completion(asked: Asked) -> Outcome:
    """``POST /completion-messages/{task_id}/stop``."""
    user = asked.user
    if asked.app.mode != "completion":
        raise ApiError(400, "app_unavailable", _UNAVAILABLE)
    asked.app.engine.stop(asked.call.parts["task"], user)
    return Reply(200, SUCCESS)


def _conversation(asked: Asked, conversation_id: str, user: str) -> Conversation:
    """A conversation of this user.

    :raises NotFoundError: if it does not exist, or belongs to somebody else.
    """
    for one in asked.app.conversations:
        if one.id == str(conversation_id).lower() and one.user == user:
            return one
    likely = _SUGGESTED.get(asked.call.path)
    hint = f" You have requested this URI [{asked.call.path}] but did you mean {likely} ?" if likely else ""
    raise NotFoundError(_NO_CONVERSATION + hint)


def list_messages(asked: Asked) -> Outcome:
    """``GET /messages``: one page of a conversation with the latest messages, oldest first."""
    only_for(asked.app, *CHATS, code=_NOT_CHAT)
    query = asked.query
    if "conversation_id" not in query:
        asked.complain("MessageListQuery", missing("conversation_id", dict(query)))
    conversation = _conversation(asked, query["conversation_id"], asked.user_of_query)
    limit = int(query.get("limit") or 20)
    messages = conversation.messages
    if query.get("first_id"):
        messages = messages[: _index(messages, query["first_id"], "First Message Not Exists.")]
    shown = messages[-limit:]
    data = [one.described() for one in shown]
    return Reply(200, {"limit": limit, "has_more": len(messages) > len(shown), "data": data})


def list_conversations(asked: Asked) -> Outcome:
    """``GET /conversations``: those of a user, latest change first."""
    only_for(asked.app, *CHATS, code=_NOT_CHAT)
    query, user = asked.query, asked.user_of_query
    limit = int(query.get("limit") or 20)
    own = [one for one in asked.app.conversations if one.user == user]
    own.sort(key=lambda one: -one.updated_at)
    if query.get("last_id"):
        own = own[_index(own, query["last_id"], "Last Conversation Not Exists.") + 1 :]
    data = [one.described() for one in own[:limit]]
    return Reply(200, {"limit": limit, "has_more": len(own) > limit, "data": data})


def _index(rows: Sequence[Conversation | Message], row_id: str, error: str) -> int:
    for index, one in enumerate(rows):
        if one.id == row_id.lower():
            return index
    raise NotFoundError(error)


def list_variables(asked: Asked) -> Outcome:
    """``GET /conversations/{conversation_id}/variables``: there are none here."""
    only_for(asked.app, *CHATS, code=_NOT_CHAT)
    _conversation(asked, asked.call.parts["conversation"], asked.user_of_query)
    return Reply(200, {"limit": 20, "has_more": False, "data": []})


def rename_conversation(asked: Asked) -> Outcome:
    """``POST /conversations/{conversation_id}/name``."""
    user = asked.user
    only_for(asked.app, *CHATS, code=_NOT_CHAT)
    conversation = _conversation(asked, asked.call.parts["conversation"], user)
    conversation.name = str(asked.body.get("name") or conversation.name)
    return Reply(200, conversation.described())


def delete_conversation(asked: Asked) -> Outcome:
    """``DELETE /conversations/{conversation_id}``."""
    user = asked.user
    only_for(asked.app, *CHATS, code=_NOT_CHAT)
    conversation = _conversation(asked, asked.call.parts["conversation"], user)
    asked.app.conversations.remove(conversation)
    return Reply(204)


def rate_message(asked: Asked) -> Outcome:
    """``POST /messages/{message_id}/feedbacks``."""
    user = asked.user
    _message(asked.app, asked.call.parts["message"], user).feedback = asked.body.get("rating")
    return Reply(200, SUCCESS)


def suggest_questions(asked: Asked) -> Outcome:
    """``GET /messages/{message_id}/suggested``: disabled here."""
    only_for(asked.app, *CHATS, code=_NOT_CHAT)
    _message(asked.app, asked.call.parts["message"], asked.user_of_query)
    raise ApiError(400, "bad_request", "Suggested Questions Is Disabled.")


def _message(app: App, message_id: str, user: str) -> Message:
    for one in app.messages:
        if one.id == message_id.lower() and one.user == user:
            return one
    raise NotFoundError("Message Not Exists.")
