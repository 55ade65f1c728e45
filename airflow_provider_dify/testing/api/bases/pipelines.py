"""The endpoints of knowledge pipelines: there are none here."""

from __future__ import annotations

from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import InvalidParamError, Reply


def plugins(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/pipeline/datasource-plugins``, of a knowledge base without one (1.16.0, file 28)."""
    del call
    raise InvalidParamError("Pipeline not found")


ROUTES = [route("/datasets/{dataset}/pipeline/datasource-plugins", get=plugins)]
