"""Makes sure that a knowledge base exists with given settings: find or create it, compare, change, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases import api
from airflow_provider_dify.knowledge.bases.api import BaseState
from airflow_provider_dify.knowledge.bases.creation import Creation
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.knowledge.bases.report import BaseOutcome, KnowledgeBaseReport, SettingOutcome
from airflow_provider_dify.knowledge.bases.settings import Setting, new_name
from airflow_provider_dify.knowledge.bases.setup import Setup
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note
from airflow_provider_dify.knowledge.report import NO_NAMES, by_name
from airflow_provider_dify.knowledge.retries import Retries

#: How often settings are sent if they do not read back.
_MOST_TRIES = 2


class Provision:
    """Makes sure that a knowledge base exists with given settings.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment.

    :param name: Its name. It is created if it is missing.
    :param options: Its settings; ``None``: any.
    :param dataset_id: Its UUID, instead of finding it by name. The name, if there is one, becomes its name.
    :param may_exist: Whether it may exist already.
    :raises DifyInputError: An argument is invalid.
    """

    names: Mapping[str, str] = NO_NAMES

    def __init__(
        self,
        name: object,
        options: KnowledgeBaseOptions | None = None,
        *,
        dataset_id: object = None,
        may_exist: bool = True,
    ) -> None:
        options = inputs.given(options, KnowledgeBaseOptions, "options")
        self.dataset_id = "" if dataset_id is None else inputs.canonical_id(dataset_id, "dataset_id")
        self.name = "" if self.dataset_id and name is None else new_name(name, "name" if dataset_id else "dataset_name")
        self._tolerate = frozenset(options.tolerate)
        self._setup = Setup(options, self.name if self.dataset_id and self.name else None)
        self._may_exist = may_exist
        self._creation: Creation | None = None
        self._outcomes: dict[Setting, SettingOutcome] = {}
        self._read_back = False

    def report(self) -> KnowledgeBaseReport:
        """Return the outcome for it and each setting so far."""
        outcomes = {one: self._outcomes.get(one, SettingOutcome.NOT_ATTEMPTED) for one in self._setup.wanted}
        lists: dict[str, Any] = {**by_name({setting.value: outcome for setting, outcome in outcomes.items()})}
        errors = {setting.value: text for setting, text in self._setup.errors.items()}
        return KnowledgeBaseReport(self.dataset_id, self.name, self._outcome.value, **lists, errors=errors)

    @property
    def _outcome(self) -> BaseOutcome:
        if self._creation and self._creation.created and self.dataset_id:
            return BaseOutcome.CREATED
        if SettingOutcome.CHANGED in self._outcomes.values():
            return BaseOutcome.UPDATED
        if SettingOutcome.REFUSED in self._outcomes.values():
            return BaseOutcome.UNCHANGED if self.dataset_id else BaseOutcome.ABSENT
        return BaseOutcome.UNCHANGED if self._read_back else BaseOutcome.UNKNOWN

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[KnowledgeBaseReport]:
        """Set up the knowledge base.

        :param deadline: How long to retry if Dify fails.
        :param retries: How failed requests are retried.
        :return: The report.
        :raises DifyInputError: Several knowledge bases have the name, or one has it that should not.
        :raises DifySetupFailed: Dify cannot change some of the settings (then nothing was changed), or ignored some.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        try:
            base = yield from self._find(deadline, retries)
            yield from self._set_up(base)
        except DifyError as error:
            error.report = error.report or self.report()
            raise
        report = self.report()
        report.raise_for_outcomes()
        return report

    def _find(self, deadline: Deadline, retries: Retries) -> Flow[BaseState]:
        if self.dataset_id:
            base = yield from api.read_base(self.dataset_id)
            self.name = self.name or base.name
            return base
        self._creation = Creation(self.name, self._settings_of_new)
        try:
            base = yield from self._creation.flow(deadline, retries)
        finally:
            self.dataset_id = self._creation.own
        self.dataset_id = base.id
        if not (self._may_exist or self._creation.created):
            raise DifyInputError(
                f"A knowledge base with the name {inputs.show(self.name)} exists already: {base.id}. Use another name, "
                "or ensure_dataset."
            )
        what = "was created" if self._creation.created else "exists"
        yield Note(f"Knowledge base {inputs.show(self.name)} ({base.id}) {what}.")
        return base

    def _settings_of_new(self) -> Flow[dict[str, JSON]]:
        """Return the settings to create it with, if they can work."""
        yield from self._check_model(None)
        if why := self._setup.against_search(None):
            self._refuse({Setting.RETRIEVAL_MODEL: why})
        return self._setup.for_new()

    def _check_model(self, base: BaseState | None) -> Flow[None]:
        wrong = yield from self._setup.find_model(base)
        if wrong:
            self._refuse({Setting.EMBEDDING_MODEL: wrong})

    def _refuse(self, reasons: Mapping[Setting, str]) -> None:
        self._setup.errors.update(reasons)
        self._outcomes.update(dict.fromkeys(reasons, SettingOutcome.REFUSED))
        self.report().raise_for_outcomes()

    def _set_up(self, base: BaseState) -> Flow[None]:
        different = self._setup.differences(base)
        if reasons := self._setup.refusals(base):
            self._refuse(reasons)
        if not (self._creation and self._creation.created):
            yield from self._check_model(base)
        sent: dict[Setting, None] = {}
        for _ in range(_MOST_TRIES):
            if not different:
                break
            yield Note(f"Setting {', '.join(setting.value for setting in different)}.")
            yield from self._setup.apply(base, different)
            sent.update(dict.fromkeys(different))
            base = yield from api.read_base(base.id)
            different = self._setup.differences(base)
        self._judge(different, sent)

    def _judge(self, different: list[Setting], sent: Mapping[Setting, None]) -> None:
        self._read_back = True
        by_creation = bool(self._creation and self._creation.created)
        for setting in self._setup.wanted:
            if setting in different:
                tolerated = setting.value in self._tolerate
                outcome = SettingOutcome.UNSUPPORTED if tolerated else SettingOutcome.IGNORED
            else:
                changed = setting in sent or by_creation
                outcome = SettingOutcome.CHANGED if changed else SettingOutcome.UNCHANGED
            self._outcomes[setting] = outcome
