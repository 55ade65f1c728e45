"""An app: a function behind an API key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.apps.chat import Conversation, Message
from airflow_provider_dify.testing.apps.engine import Engine
from airflow_provider_dify.testing.apps.inputs import Form, Input
from airflow_provider_dify.testing.apps.plan import WITH_RUNS, Answer, Mode, Node, Question, Seconds
from airflow_provider_dify.testing.apps.run import Run
from airflow_provider_dify.testing.model.site import Site


class App:
    """An app. Its settings may be changed at any time; current runs continue with the old ones.

    :param function: The function of a workflow or of a chat app; see :meth:`.Apps.add_workflow` and
        :meth:`.Apps.add_chat_app`.
    """

    description = ""
    #: ``False``: it only exists in the editor, and every run is refused.
    published = True
    #: ``False``: its API service is disabled.
    api_enabled = True
    #: Maximum number of simultaneous requests; ``None``: no limit.
    max_active_requests: int | None = None
    opening_statement = ""
    #: Number of blocking requests in progress.
    active = 0

    def __init__(
        self,
        world: Site,
        engine: Engine,
        name: str,
        *,
        mode: Mode,
        function: Callable[[Any], Any],
        inputs: Sequence[Input | str] = (),
        nodes: Sequence[Node | str] = (),
        seconds: Seconds = 0.1,
    ) -> None:
        self.world = world
        self.engine = engine
        self.id = world.new_id()
        self.name = name
        self.mode: Mode = mode
        self.api_key = "app-" + world.new_id().replace("-", "")[:24]
        self.workflow_id = world.new_id()
        self.function = function
        self.form = Form(inputs)
        self.nodes = tuple(Node(one) if isinstance(one, str) else one for one in nodes)
        #: How long a run takes if the app has no nodes except the first and the last one.
        self.seconds = seconds
        self.suggested_questions: list[str] = []
        #: Runs that were accepted but have not started: they wait in the queue of the worker.
        self.queued: list[Run] = []
        self._runs: list[Run] = []
        self.conversations: list[Conversation] = []
        self.messages: list[Message] = []
        self._users: dict[str, str] = {}
        whole, part = divmod(world.clock.time(), 1)
        self.version = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(whole)) + f".{int(part * 1e6):06}"

    def __repr__(self) -> str:
        return f"<App {self.name!r} ({self.mode})>"

    @property
    def has_runs(self) -> bool:
        """Whether it runs a workflow; basic chats, agents and completion apps do not."""
        return self.mode in WITH_RUNS

    @property
    def runs(self) -> list[Run]:
        """Its started runs, in order. Only workflows and chatflows have any."""
        with self.world.guard:
            self.world.tick()
            return list(self._runs) if self.has_runs else []

    def run_of(self, run_id: str) -> Run | None:
        """The run with that id, if it has started."""
        return next((one for one in self.runs if one.id == run_id), None)

    def started(self, run: Run) -> None:
        """Record that a run has left the queue."""
        self.queued.remove(run)
        self._runs.append(run)

    def end_user(self, user: str) -> str:
        """Id of the end user with that name; each app has its own end users."""
        if user not in self._users:
            self._users[user] = self.world.new_id()
        return self._users[user]

    def steps_of(self, inputs: Mapping[str, Any]) -> list[tuple[Node | None, float]]:
        """Its nodes and how long each takes; ``None`` instead of a node: there are only the first and the last one."""
        if self.nodes:
            return [(node, node.takes(inputs)) for node in self.nodes]
        return [(None, Node("", seconds=self.seconds).takes(inputs))]

    def answer(self, message: Message) -> Answer:
        """The answer of a chat app's function to a message."""
        conversation = message.conversation
        before = [] if conversation is None else [one for one in conversation.messages if one is not message]
        run = message.run
        given = self.function(
            Question(
                message.query,
                dict(message.inputs),
                message.user,
                message.conversation_id,
                tuple((one.query, one.answer) for one in before),
                tuple(run.files if run else ()),
            )
        )
        return given if isinstance(given, Answer) else Answer(str(given))

    def parameters(self) -> Json:
        """The response to ``GET /parameters``."""
        off = {"enabled": False}
        avoidance: Json = dict(off) if self.has_runs else {"configs": [], "enabled": False, "type": ""}
        return {
            "opening_statement": self.opening_statement,
            "suggested_questions": list(self.suggested_questions),
            "suggested_questions_after_answer": off,
            "speech_to_text": off,
            "text_to_speech": {"enabled": False, "language": "", "voice": ""},
            "retriever_resource": off,
            "annotation_reply": off,
            "more_like_this": off,
            "user_input_form": [one.described(with_workflow=self.has_runs) for one in self.form.inputs],
            "sensitive_word_avoidance": avoidance,
            "file_upload": off,
            "system_parameters": {
                "image_file_size_limit": 10,
                "video_file_size_limit": 100,
                "audio_file_size_limit": 50,
                "file_size_limit": 15,
                "workflow_file_upload_limit": 10,
            },
        }
