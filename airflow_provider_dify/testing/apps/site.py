"""The apps of a workspace, and the routes that their keys open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_dify.testing.api.call import Call, Route, route
from airflow_provider_dify.testing.api.replies import ApiError, Outcome
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.endpoints import about, chats, logs, workflows
from airflow_provider_dify.testing.apps.endpoints.asking import AppHandler, Asked
from airflow_provider_dify.testing.apps.engine import Engine
from airflow_provider_dify.testing.apps.files import Files
from airflow_provider_dify.testing.apps.inputs import Input
from airflow_provider_dify.testing.apps.plan import AnswerFunction, Mode, Node, Seconds
from airflow_provider_dify.testing.apps.run import Inputs, Run, RunFunction
from airflow_provider_dify.testing.work.world import World


def _echo(inputs: Inputs) -> Mapping[str, Any]:
    """The default function of a workflow."""
    return dict(inputs)


class Apps:
    """The apps of a Dify.

    :param world: Everything behind its API.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.engine = Engine(world, world.worker)
        self.files = Files(world)
        #: By their keys.
        self.by_key: dict[str, App] = {}

    @property
    def all(self) -> list[App]:
        """All apps, in the order of creation."""
        return list(self.by_key.values())

    def add_workflow(
        self,
        name: str,
        *,
        run: RunFunction = _echo,
        inputs: Sequence[Input | str] = (),
        nodes: Sequence[Node | str] = (),
        seconds: Seconds = 0.1,
        published: bool = True,
        max_active_requests: int | None = None,
    ) -> App:
        """Create a workflow.

        :param run: Computes the outputs from the inputs when the last node ends; by default they are the same. It is
            called by whoever moves the clock. Its error becomes the error of the run; it may also return a
            :class:`~.plan.Partial` or a :class:`~.plan.Paused`. ``inputs.run`` is the run.
        :param inputs: Its input form; a bare name is an optional text.
        :param nodes: The nodes between the first and the last one; a bare name takes 0.1 s.
        :param seconds: How long a run takes if there are no such nodes; a number, or a function of the inputs.
        :param published: ``False``: it only exists in the editor.
        :param max_active_requests: Maximum number of simultaneous requests; ``None``: no limit.
        """
        app = self._add(name, "workflow", run, inputs, nodes, seconds)
        app.published = published
        app.max_active_requests = max_active_requests
        return app

    def add_chat_app(
        self,
        name: str,
        *,
        answer: AnswerFunction,
        mode: Mode = "advanced-chat",
        inputs: Sequence[Input | str] = (),
        nodes: Sequence[Node | str] = (),
        seconds: Seconds = 0.1,
        opening_statement: str = "",
        suggested_questions: Sequence[str] = (),
    ) -> App:
        """Create a chat app.

        :param answer: Answers a :class:`~.plan.Question` with a text, or with an :class:`~.plan.Answer` that cites
            documents. It is called when the last node starts; its answer comes in pieces over the duration of that
            node.
        :param mode: ``advanced-chat`` (a chatflow), ``chat``, ``agent-chat`` or ``completion``.
        :param inputs: Its input form; a bare name is an optional text.
        :param nodes: The nodes of a chatflow between the first and the last one.
        :param seconds: How long an answer takes if there are no such nodes.
        """
        app = self._add(name, mode, answer, inputs, nodes, seconds)
        app.opening_statement = opening_statement
        app.suggested_questions = list(suggested_questions)
        return app

    def _add(
        self,
        name: str,
        mode: Mode,
        function: Callable[[Any], Any],
        inputs: Sequence[Input | str],
        nodes: Sequence[Node | str],
        seconds: Seconds,
    ) -> App:
        with self._world.guard:
            app = App(
                self._world,
                self.engine,
                name,
                mode=mode,
                function=function,
                inputs=inputs,
                nodes=nodes,
                seconds=seconds,
            )
            self.by_key[app.api_key] = app
            return app

    def run(self, run_id: str) -> Run:
        """The run with that id.

        :raises KeyError: if it does not exist.
        """
        for app in self.all:
            found = app.run_of(run_id)
            if found is not None:
                return found
        raise KeyError(run_id)

    def routes(self) -> list[Route]:
        """All endpoints for app keys."""
        app = self._route
        return [
            app("/workflows/run", post=workflows.run_workflow),
            app("/workflows/{workflow}/run", post=workflows.run_workflow),
            app("/workflows/run/{run}", get=workflows.get_run),
            app("/workflows/tasks/{task}/stop", post=workflows.stop_run),
            app("/workflows/logs", get=logs.list_logs),
            app("/workflow/{run}/events", get=workflows.follow_run),
            app("/chat-messages", post=chats.ask),
            app("/chat-messages/{task}/stop", post=chats.stop_message),
            app("/completion-messages", post=chats.complete),
            app("/completion-messages/{task}/stop", post=chats.stop_completion),
            app("/messages", get=chats.list_messages),
            app("/messages/{message}/feedbacks", post=chats.rate_message),
            app("/messages/{message}/suggested", get=chats.suggest_questions),
            app("/conversations", get=chats.list_conversations),
            app("/conversations/{conversation}", delete=chats.delete_conversation),
            app("/conversations/{conversation}/name", post=chats.rename_conversation),
            app("/conversations/{conversation}/variables", get=chats.list_variables),
            app("/info", get=about.info),
            app("/parameters", get=about.parameters),
            app("/meta", get=about.meta),
            app("/site", get=about.site),
            app("/files/upload", post=about.upload_file),
            app("/files/{file}/preview", get=about.preview_file),
            app("/form/human_input/{form}", get=about.show_form, post=about.submit_form),
        ]

    def _route(self, path: str, **handlers: AppHandler) -> Route:
        return route(path, self._authorise, **{method: self._bound(one) for method, one in handlers.items()})

    def _bound(self, handler: AppHandler) -> Callable[[Call], Outcome]:
        return lambda call: handler(Asked(call, self.by_key[call.key], self.files))

    def _authorise(self, call: Call, key: str) -> None:
        """Check the key: a Knowledge API key is treated like an unknown one."""
        del call
        app = self.by_key.get(key)
        if app is None:
            raise ApiError(401, "unauthorized", "Access token is invalid")
        if not app.api_enabled:
            raise ApiError(403, "forbidden", "The app's API service has been disabled.")
