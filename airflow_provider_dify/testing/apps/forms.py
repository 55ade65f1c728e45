"""Forms that a paused run waits for (1.16.0, file 41)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_dify.testing.api.replies import ApiError, Json
from airflow_provider_dify.testing.apps.plan import Node, Paused
from airflow_provider_dify.testing.model.site import Site


class HumanForm:
    """A form that a human has to fill in.

    :param node: The node that asks.
    """

    def __init__(self, world: Site, plan: Paused, node: Node, at: float) -> None:
        self.id = world.new_id()
        self.token = world.new_id().replace("-", "")
        self.plan = plan
        self.node = node
        self.expires_at = int(at + plan.expires_after)
        self.submitted = False

    def _fields(self) -> Json:
        default = {"type": "constant", "selector": [], "value": ""}
        return {
            "form_content": self.plan.content,
            "inputs": [
                {"output_variable_name": name, "type": "paragraph", "default": default} for name in self.plan.inputs
            ],
            "resolved_default_values": {},
        }

    def _buttons(self) -> list[Json]:
        styles = ["primary"] + ["default"] * len(self.plan.actions)
        named = zip(self.plan.actions, styles, strict=False)
        return [{"id": name, "title": name.title(), "button_style": style} for name, style in named]

    def reason(self) -> Json:
        """Why the run is paused, as its stream says."""
        return {
            "TYPE": "human_input_required",
            "form_id": self.id,
            **self._fields(),
            "actions": self._buttons(),
            "node_id": self.node.name,
            "node_title": self.node.name.title(),
            "form_token": self.token,
            "approval_channels": ["console"],
            "expiration_time": self.expires_at,
        }

    def shown(self) -> Json:
        """The response to ``GET /form/human_input/{form_token}``."""
        return {**self._fields(), "user_actions": self._buttons(), "expiration_time": self.expires_at}

    def check(self, action: str, fields: Mapping[str, Any]) -> None:
        """Raise an error if the values do not fit.

        :raises ApiError: with the message of Dify.
        """
        if self.submitted:
            text = f"This form has already been submitted by another user, form_id={self.id}"
            raise ApiError(412, "human_input_form_submitted", text)
        if action not in self.plan.actions:
            raise ApiError(400, "invalid_form_data", f"Invalid action: {action}")
        absent = [name for name in self.plan.inputs if name not in fields]
        if absent:
            raise ApiError(400, "invalid_form_data", f"Missing required inputs: {', '.join(absent)}")
