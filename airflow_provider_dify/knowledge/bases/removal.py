"""Deletes a knowledge base, if it has no more documents than allowed, and confirms that it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyGuardError,
    DifyInputError,
    DifyNotFoundError,
    DifySetupError,
)
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases import api
from airflow_provider_dify.knowledge.bases.api import BaseState
from airflow_provider_dify.knowledge.bases.lookup import check_name, has_name, list_all, some_ids
from airflow_provider_dify.knowledge.bases.report import BaseOutcome, KnowledgeBaseReport
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note
from airflow_provider_dify.knowledge.report import NO_NAMES
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.text.counts import number_of


class Removal:
    """The deletion of a knowledge base.

    :param name: Its name.
    :param dataset_id: Its UUID, instead of its name.
    :param max_documents: Delete nothing if it has more documents than this; ``None``: no limit.
    :raises DifyInputError: An argument is invalid.
    """

    names: Mapping[str, str] = NO_NAMES

    def __init__(self, name: object = None, *, dataset_id: object = None, max_documents: object = 0) -> None:
        self.dataset_id = "" if dataset_id is None else inputs.canonical_id(dataset_id, "dataset_id")
        self.name = "" if self.dataset_id else check_name(name)
        self._most = None if max_documents is None else inputs.whole_number(max_documents, "max_documents", minimum=0)
        self._outcome = BaseOutcome.UNKNOWN
        self._documents = 0

    def report(self) -> KnowledgeBaseReport:
        """Return the outcome so far."""
        return KnowledgeBaseReport(self.dataset_id, self.name, self._outcome.value, deleted_documents=self._documents)

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[KnowledgeBaseReport]:  # noqa: ARG002 - as all do
        """Delete the knowledge base.

        :return: The report.
        :raises DifyInputError: Several knowledge bases have the name.
        :raises DifyGuardError: It has more documents than allowed, or apps use it; nothing was changed.
        :raises DifySetupError: It still exists.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        try:
            base = yield from self._find()
            if base is None:
                self._outcome = BaseOutcome.ABSENT
                yield Note("The knowledge base does not exist; nothing was changed.")
            else:
                self._check(base)
                yield from self._delete(base)
        except DifyError as error:
            error.report = error.report or self.report()
            raise
        return self.report()

    def _find(self) -> Flow[BaseState | None]:
        if not self.dataset_id:
            found = [one for one in (yield from list_all(hidden=True)) if has_name(one, self.name)]
            if not found:
                return None
            if len(found) > 1:
                raise DifyInputError(
                    f"{inputs.show(self.name)} is the name of {len(found)} knowledge bases. Delete the right one by "
                    f"its id, with delete_dataset: {some_ids(found)}."
                )
            self.dataset_id = found[0].id
        base: BaseState | None = None
        with suppress(DifyNotFoundError):
            base = yield from api.read_base(self.dataset_id)
            self.name = base.name
        return base

    def _check(self, base: BaseState) -> None:
        if self._most is not None and base.document_count > self._most:
            raise DifyGuardError(
                f"Knowledge base {inputs.show(base.name)} has {number_of(base.document_count)}, and "
                f"max_documents allows {self._most:,}. Nothing was changed. Raise max_documents, or set it to "
                "None, to delete its documents, too."
            )
        if base.app_count:
            apps = "1 app uses" if base.app_count == 1 else f"{base.app_count} apps use"
            raise DifyGuardError(
                f"{apps} knowledge base {inputs.show(base.name)}, and Dify would delete it all the same. "
                "Nothing was changed. Remove it from the apps first."
            )

    def _delete(self, base: BaseState) -> Flow[None]:
        documents = number_of(base.document_count)
        yield Note(f"Deleting knowledge base {inputs.show(base.name)} ({base.id}) with {documents}.")
        with suppress(DifyNotFoundError):  # somebody else was faster, or the response to this run was lost
            yield from api.delete_base(base.id)
        try:
            yield from api.read_base(base.id)
        except DifyNotFoundError:
            self._outcome, self._documents = BaseOutcome.DELETED, base.document_count
            return
        raise DifySetupError(
            f"Dify answered that knowledge base {inputs.show(base.name)} ({base.id}) was deleted, but it still exists. "
            "Check the log of its API server, and retry.",
            self.report(),
        )
