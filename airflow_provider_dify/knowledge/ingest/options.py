"""How contents become documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.indexing.wait import STALL_TIMEOUT
from airflow_provider_dify.knowledge.ingest.contents import DocumentOptions
from airflow_provider_dify.knowledge.ingest.delivery import HASH_FIELD
from airflow_provider_dify.knowledge.ingest.namesakes import IfExists
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.status.options import ProofOptions
from airflow_provider_dify.knowledge.status.proof import ProvenBy


@dataclass(frozen=True)
class DeliveryOptions(DocumentOptions, ProofOptions):
    """How contents are sent to Dify, and followed until search returns them.

    :param metadata: Values for the metadata of each document. Missing fields are created.
    :param max_active: How many documents may be in indexing at a time before another one is sent.
    :param poll_interval: Seconds between two checks while waiting; the first checks come sooner.
    :param stall_timeout: Seconds without any progress after which the wait for indexing ends; ``None``: never.
    :param timeout: Seconds for all of it, waiting included. Dify's lock on a document can last 600 s.
    """

    metadata: Mapping[str, Any] | None = None
    max_active: int = 20
    poll_interval: float = 10.0
    stall_timeout: float | None = STALL_TIMEOUT
    timeout: float = 3600.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "process_rule", inputs.literal(self.process_rule))  # a template renders it to a text
        super().__post_init__()
        inputs.settle(
            self,
            max_active=inputs.whole_number,
            poll_interval=inputs.number,
            stall_timeout=inputs.or_none(inputs.number),
            prove_by=inputs.one_of(ProvenBy),
            timeout=inputs.number,
        )


@dataclass(frozen=True)
class IngestOptions(DeliveryOptions):
    """How an ingestion is done.

    :param if_exists: What to do if a document of the same name exists. ``update``: replace the content of the one
        in use, if it differs. ``skip``: leave it, whatever it holds (but one that a killed try left without its
        metadata gets it). ``fail``: refuse the input. ``new_version``: make another document, called like ``report
        (3f2a91c0).md`` by its content, beside the old one. ``for_release``: the same, and if that document exists and
        is out of use, as after a release that was rolled back, it is taken as it is; ``new_version`` refuses that.
    :param hash_field: Name of the metadata that keeps a content's SHA-256; ``None``: keep none, and send always.
    :param tolerate: Outcomes that should not fail the task, such as ``("invalid",)``.
    """

    if_exists: str = IfExists.UPDATE.value
    hash_field: str | None = HASH_FIELD
    tolerate: Iterable[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        inputs.settle(self, if_exists=inputs.one_of(IfExists), tolerate=inputs.some_of(IngestOutcome))
