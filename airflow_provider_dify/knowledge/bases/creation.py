"""Finds a knowledge base by its name, or creates it: exactly one, even if several tasks do so at the same time.

Dify checks a name first and then writes, without a constraint in its database. So two simultaneous creations can both
succeed. Each task checks again a little later, when all of them see the same list: all keep the oldest, and each
deletes its own one if it is another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from airflow_provider_dify.exceptions import DifyError, DifyInputError, DifyNotFoundError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases import api
from airflow_provider_dify.knowledge.bases.api import BaseState
from airflow_provider_dify.knowledge.bases.lookup import has_name, list_all, some_ids
from airflow_provider_dify.knowledge.documents import Dataset
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.progress import seconds_of
from airflow_provider_dify.knowledge.retries import Retries

#: Seconds after which a creation that began before another one ended is visible.
SETTLED = 3.0
#: How often to check whether another task has deleted its own.
_MOST_CHECKS = 4
#: How often Dify may say that a name is taken that is in no list.
_MOST_REFUSALS = 3
_TAKEN = "dataset_name_duplicate"


class Creation:
    """Finds the knowledge base with a name, or creates it.

    :param name: The name, in canonical form.
    :param settings: Called to get the settings of a new one.
    """

    def __init__(self, name: str, settings: Callable[[], Flow[dict[str, JSON]]]) -> None:
        self._name = name
        self._settings = settings
        #: Whether this has created it.
        self.created = False
        #: Id of the one that this has certainly created.
        self.own = ""
        self._failures = self._looks = self._refusals = 0
        self._waited: set[str] = set()

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[BaseState]:
        """Find or create it.

        :raises DifyInputError: Several knowledge bases have the name.
        """
        while True:
            found = [one for one in (yield from list_all(hidden=True)) if has_name(one, self._name)]
            if not found:
                yield from self._create(deadline, retries)
            elif len(found) > 1:
                yield from self._keep_one(found)
            elif base := (yield from self._settled(found[0].id)):
                return base

    def _create(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        settings = {"name": self._name, **(yield from self._settings())}
        self.own, self.created = "", True
        try:
            self.own = (yield from api.create_base(settings)).id
        except DifyError as error:
            if error.code == _TAKEN:
                yield from self._look_for_namesake(error)
                return
            self._failures += 1
            wait = retries.wait_after(self._failures, error, deadline)
            yield Pause(wait, f"Checking in {seconds_of(wait)} whether it was created: {error.message}")

    def _look_for_namesake(self, error: DifyError) -> Flow[None]:
        self.created = False
        self._refusals += 1
        if self._refusals > _MOST_REFUSALS:
            error.add(
                "The key cannot see the knowledge base that has this name: only its creator can, in Dify. Share it "
                "there with the team, or use another name."
            )
            raise error
        yield Pause(1.0, f"Another task has just created knowledge base {inputs.show(self._name)}; reading it in 1 s")

    def _settled(self, dataset_id: str) -> Flow[BaseState | None]:
        """Read the only one; ``None``: check again, because it is gone, or so new that another one may not be visible
        yet.
        """
        try:
            base = yield from api.read_base(dataset_id)
        except DifyNotFoundError:
            return None
        if dataset_id in self._waited or not (dataset_id == self.own or abs(base.age) < SETTLED):
            return base
        self._waited.add(dataset_id)
        yield Pause(SETTLED, f"Checking in {seconds_of(SETTLED)} that no other task created it at the same time")
        return None

    def _keep_one(self, found: Sequence[Dataset]) -> Flow[None]:
        oldest = min(found, key=lambda one: (one.created_at, one.id))
        if self.own in {one.id for one in found} - {oldest.id}:
            yield from self._give_way(oldest.id)
            return
        self._looks += 1
        if self._looks > _MOST_CHECKS or not (yield from self._may_change(found)):
            raise DifyInputError(
                f"{inputs.show(self._name)} is the name of {len(found)} knowledge bases. Delete or rename all but one "
                f"in Dify: {some_ids(found)}."
            )
        yield Pause(
            SETTLED,
            f"{len(found)} knowledge bases have the name {inputs.show(self._name)}. Checking again in "
            f"{seconds_of(SETTLED)} whether another task deletes one.",
        )

    def _may_change(self, found: Sequence[Dataset]) -> Flow[bool]:
        """Whether other tasks may still be deleting their own."""
        if self.own:
            return True
        newest = max(found, key=lambda one: (one.created_at, one.id))
        with suppress(DifyNotFoundError):
            base = yield from api.read_base(newest.id)
            return abs(base.age) < _MOST_CHECKS * SETTLED
        return True

    def _give_way(self, oldest: str) -> Flow[None]:
        """Delete the one that this has created, because another task created one before: nobody uses it yet."""
        with suppress(DifyNotFoundError):
            base = yield from api.read_base(self.own)
            if base.document_count:
                raise DifyInputError(
                    f"{inputs.show(self._name)} is the name of two knowledge bases, and the newer one has documents "
                    f"already. Delete or rename one of them in Dify: {oldest}, {self.own}."
                )
            yield from api.delete_base(self.own)
        yield Note(f"Another task created knowledge base {oldest} first. Deleted {self.own}, which was empty.")
        self.own, self.created = "", False
