"""What the endpoints share: the app of a key, the user of a request, and the checks of bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_dify.testing.api.call import Call
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InternalError,
    InvalidParamError,
    Json,
    Outcome,
    invalid,
    missing,
)
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.files import Files

#: Maximum length of an end user's name.
LONGEST_USER = 255
#: The user of a request that names none, if none is required.
NOBODY = "DEFAULT-USER"

_WRONG_MODE = "Please check if your app mode matches the right API route."
_RESPONSE_MODES = "Input should be 'blocking' or 'streaming'"


@dataclass(frozen=True)
class Asked:
    """A request, and the app of its key."""

    call: Call
    app: App
    files: Files

    @property
    def body(self) -> Json:
        """The JSON of the body."""
        return self.call.json_object()

    @property
    def user(self) -> str:
        """The user in the body."""
        return checked_user(self.body.get("user"))

    @property
    def query(self) -> dict[str, str]:
        """The query."""
        return self.call.query()

    @property
    def user_of_query(self) -> str:
        """The user in the query."""
        return self.query.get("user") or NOBODY

    def complain(self, model: str, *complaints: Complaint) -> None:
        """Raise an error if there are complaints.

        :param model: Dify's name for the expected model.
        :raises InvalidParamError: with the message of pydantic.
        """
        if complaints:
            raise invalid(self.call.world.version, model, *complaints)


AppHandler = Callable[[Asked], Outcome]


def checked_user(user: Any) -> str:
    """Return the name of an end user.

    :raises ApiError: with the message of Dify.
    """
    if not user:
        raise InvalidParamError("Arg user must be provided.")
    if len(str(user)) > LONGEST_USER:
        raise InternalError
    return str(user)


def only_for(app: App, *modes: str, code: str) -> None:
    """Raise an error if the app has another mode.

    :raises ApiError: with this code.
    """
    if app.mode not in modes:
        raise ApiError(400, code, _WRONG_MODE)


def payload_complaints(body: Mapping[str, Any], *, needs: tuple[str, ...]) -> list[Complaint]:
    """Check the fields that all requests for a run share.

    :param needs: Required fields, in Dify's order.
    """
    found = []
    for name in needs:
        if name not in body:
            found.append(missing(name, dict(body)))
        elif name == "inputs" and not isinstance(body[name], dict):
            found.append(Complaint(name, "Input should be a valid dictionary", "dict_type", body[name]))
        elif name == "query" and not isinstance(body[name], str):
            found.append(Complaint(name, "Input should be a valid string", "string_type", body[name]))
    mode = body.get("response_mode")
    if mode not in (None, "blocking", "streaming"):
        found.append(Complaint("response_mode", _RESPONSE_MODES, "literal_error", mode))
    return found


def check_limit(app: App, *, blocking: bool) -> None:
    """Raise an error above the limit of simultaneous requests (1.16.0, file 42).

    A blocking request counts until it ends. A streaming one counts twice while it starts, and then no more, so there is
    no streaming with a limit of 1.
    """
    limit = app.max_active_requests
    if limit is not None and app.active + (1 if blocking else 2) > limit:
        raise InvalidParamError(too_many_requests(app.id, limit))


def too_many_requests(app_id: str, limit: int) -> str:
    """Dify's text for a request above the limit; it is a 400."""
    return (
        f"Too many requests. Please try again later. The current maximum concurrent requests allowed for {app_id} is "
        f"{limit}."
    )
