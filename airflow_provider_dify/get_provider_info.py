"""What Airflow wants to know of this provider, and the form of its connection.

Airflow imports this module while its own configuration is still being loaded, so it imports nothing.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_dify import __version__

#: Fields of the form that go into the extras of the connection: label, help, JSON type, and HTML widget's type.
CONN_FIELDS: dict[str, dict[str, Any]] = {
    "verify": {
        "label": "TLS verification",
        "description": "true, false, or the path of a CA bundle on the workers. Default: true.",
        "schema": {"type": ["string", "null"]},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "Seconds to wait for a complete response. Default: 60.",
        "schema": {"type": ["number", "null"]},
    },
    "max_retries": {
        "label": "Retries",
        "description": "Retries if Dify does not respond or returns an error. Default: 4.",
        "schema": {"type": ["integer", "null"]},
    },
    "cert": {
        "label": "Client certificate",
        "description": "Path on the workers of a PEM file with certificate and key, if a gateway requires it (mTLS).",
        "schema": {"type": ["string", "null"]},
    },
    "console_url": {
        "label": "Console URL",
        "description": "URL of the Dify web console, used for links. Default: derived from the base URL.",
        "schema": {"type": ["string", "null"]},
    },
}

#: How the standard fields of the form are shown. The port is shown although the base URL may contain it: without this
#: field, the button that tests a connection gets "Bad Request" from Airflow 3.3.1 and 3.3.2, for every type.
UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["login", "schema"],
    "relabeling": {"host": "Base URL", "password": "API key"},
    "placeholders": {"host": "https://api.dify.ai/v1", "password": "dataset-... or app-...", "port": "443"},
}

#: Knowledge bases and apps as assets: ``dify://<host>/datasets/<id>`` and ``dify://<host>/apps/<id>``.
ASSET_URIS: dict[str, Any] = {
    "schemes": ["dify"],
    "handler": "airflow_provider_dify.assets.normalized",
    "factory": "airflow_provider_dify.assets.knowledge_base",
    "to_openlineage_converter": "airflow_provider_dify.assets.lineage_dataset",
}


#: Pages of the documentation, by their path in the repository.
HOW_TO_GUIDES: list[str] = [
    "/docs/quick-start.md",
    "/docs/examples.md",
    "/docs/operators/index.md",
    "/docs/how-to/archive-after-ingestion.md",
    "/docs/how-to/exactly-once.md",
    "/docs/how-to/golden-questions.md",
    "/docs/how-to/large-knowledge-bases.md",
    "/docs/how-to/nightly-archive.md",
    "/docs/how-to/production.md",
    "/docs/how-to/roll-back.md",
]


def get_provider_info() -> dict[str, Any]:
    """Return the metadata of this provider, as Airflow's ``provider_info.schema.json`` wants it."""
    return {
        "package-name": "airflow-provider-dify",
        "name": "Dify",
        "description": "Apache Airflow provider for Dify knowledge bases and apps.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Dify",
                "external-doc-url": "https://docs.dify.ai/",
                "how-to-guide": HOW_TO_GUIDES,
                "tags": ["service", "ai", "llm"],
            }
        ],
        "hooks": [{"integration-name": "Dify", "python-modules": ["airflow_provider_dify.hooks.dify"]}],
        "operators": [
            {
                "integration-name": "Dify",
                "python-modules": [
                    "airflow_provider_dify.operators.apps",
                    "airflow_provider_dify.operators.bases",
                    "airflow_provider_dify.operators.deleting",
                    "airflow_provider_dify.operators.documents",
                    "airflow_provider_dify.operators.export",
                    "airflow_provider_dify.operators.ingest",
                    "airflow_provider_dify.operators.listing",
                    "airflow_provider_dify.operators.metadata",
                    "airflow_provider_dify.operators.release",
                    "airflow_provider_dify.operators.retrieval",
                    "airflow_provider_dify.operators.rollback",
                    "airflow_provider_dify.operators.sync",
                ],
            }
        ],
        "sensors": [{"integration-name": "Dify", "python-modules": ["airflow_provider_dify.sensors.documents"]}],
        "triggers": [
            {
                "integration-name": "Dify",
                "python-modules": [
                    "airflow_provider_dify.triggers.available",
                    "airflow_provider_dify.triggers.conversation",
                ],
            }
        ],
        "retry-policies": [{"integration-name": "Dify", "python-modules": ["airflow_provider_dify.policies"]}],
        "extra-links": [
            "airflow_provider_dify.links.console.DifyKnowledgeBaseLink",
            "airflow_provider_dify.links.console.DifyDocumentLink",
            "airflow_provider_dify.links.console.DifyAppLink",
        ],
        "asset-uris": [ASSET_URIS],
        "dataset-uris": [ASSET_URIS],  # the same for Airflow 2
        "connection-types": [
            {
                "connection-type": "dify",
                "hook-class-name": "airflow_provider_dify.hooks.dify.DifyHook",
                "hook-name": "Dify",
                "conn-fields": CONN_FIELDS,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
            }
        ],
    }
