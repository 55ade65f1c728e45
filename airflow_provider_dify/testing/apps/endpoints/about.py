"""Endpoints about an app, its files, and the forms of its paused runs (1.16.0, files 41 and 44)."""

from __future__ import annotations

import json

from airflow_provider_dify.testing.api.replies import ApiError, InvalidParamError, NotFoundError, Outcome, Reply
from airflow_provider_dify.testing.apps.endpoints.asking import NOBODY, Asked, checked_user
from airflow_provider_dify.testing.apps.files import is_too_large
from airflow_provider_dify.testing.apps.forms import HumanForm
from airflow_provider_dify.testing.apps.run import Run

_SITE = {
    "chat_color_theme": None,
    "chat_color_theme_inverted": False,
    "icon_type": "emoji",
    "icon": "\N{ROBOT FACE}",
    "icon_background": "#FFEAD5",
    "description": None,
    "copyright": None,
    "privacy_policy": None,
    "input_placeholder": None,
    "custom_disclaimer": "",
    "default_language": "en-US",
    "show_workflow_steps": True,
    "use_icon_as_answer_icon": False,
    "icon_url": None,
}


def info(asked: Asked) -> Outcome:
    """``GET /info``."""
    app = asked.app
    about = {"name": app.name, "description": app.description, "tags": [], "mode": app.mode, "author_name": "admin"}
    return Reply(200, about)


def parameters(asked: Asked) -> Outcome:
    """``GET /parameters``: mainly the input form."""
    if not asked.app.published:
        raise ApiError(400, "app_unavailable", "App unavailable, please check your app configurations.")
    return Reply(200, asked.app.parameters())


def meta(asked: Asked) -> Outcome:
    """``GET /meta``."""
    del asked
    return Reply(200, {"tool_icons": {}})


def site(asked: Asked) -> Outcome:
    """``GET /site``."""
    return Reply(200, {"title": asked.app.name, **_SITE})


def upload_file(asked: Asked) -> Outcome:
    """``POST /files/upload``: any kind of file, for the user who uploads it."""
    form = asked.call.form
    file = next((one for one in form.files if one.field == "file"), None)
    if file is None:
        raise ApiError(400, "no_file_uploaded", "Please upload your file.")
    if file.forbidden_name:
        raise InvalidParamError("Filename contains invalid characters")
    if is_too_large(file):
        raise ApiError(413, "file_too_large", "")
    owner = asked.app.end_user(checked_user(form.fields.get("user") or NOBODY))
    return Reply(201, asked.files.store(file, owner).described(asked.call.world))


def preview_file(asked: Asked) -> Outcome:
    """``GET /files/{file_id}/preview``: only for files in a message, of which there are none here."""
    del asked
    raise ApiError(404, "file_not_found", "File not found in message context")


def show_form(asked: Asked) -> Outcome:
    """``GET /form/human_input/{form_token}``."""
    _, form = _paused(asked)
    return Reply(200, json.dumps(form.shown()))


def submit_form(asked: Asked) -> Outcome:
    """``POST /form/human_input/{form_token}``: the run continues."""
    (run, form), body = _paused(asked), asked.body
    fields = body.get("inputs") or {}
    form.check(str(body.get("action", "")), fields)
    run.resume(fields)
    return Reply(200, {})


def _paused(asked: Asked) -> tuple[Run, HumanForm]:
    """The form with that token, and the run that waits or waited for it."""
    token = asked.call.parts["form"]
    for run in asked.app.runs:
        if run.form is not None and run.form.token == token:
            return run, run.form
    likely = "<string:form_token>"
    paths = (f"/v1/form/human_input/{likely}", f"/api/form/human_input/{likely}")
    text = f"{paths[0]} or {paths[1]} or {paths[1]}/upload-token"
    raise NotFoundError(f"Form not found. You have requested this URI [{asked.call.path}] but did you mean {text} ?")
