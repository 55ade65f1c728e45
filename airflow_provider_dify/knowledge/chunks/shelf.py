"""What chunks and child chunks have in common: how they are listed, deleted and read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from airflow_provider_dify.exceptions import DifyChunkError, DifyListChangedError, DifyNotFoundError
from airflow_provider_dify.knowledge.api import Page
from airflow_provider_dify.knowledge.flow import Flow, Request
from airflow_provider_dify.knowledge.reading import HasId

T = TypeVar("T", bound=HasId)

#: How often a list is read that changes meanwhile.
_READINGS = 3


class Shelf(ABC, Generic[T]):
    """All chunks of a document, or all child chunks of a chunk.

    :param path: Their URL. The URL of each begins with it.
    :param what: What they are, for errors, such as ``chunks of document 5cd7dc6a-e446-4696-ad00-30036e58194e``.
    """

    def __init__(self, path: str, what: str) -> None:
        self.path = path
        self.what = what

    @abstractmethod
    def page(self, number: int) -> Flow[Page[T]]:
        """Read one page of them."""

    def all(self) -> Flow[tuple[T, ...]]:
        """Read all of them, in the order of Dify's list.

        :raises DifyListChangedError: They kept changing meanwhile.
        """
        for _ in range(_READINGS):
            found: dict[str, T] = {}
            number, page = 0, None
            while page is None or (page.full and len(found) < page.total):
                number += 1
                page = yield from self.page(number)
                found |= {one.id: one for one in page.items}
            if len(found) == page.total:
                return tuple(found.values())
        raise DifyListChangedError(f"The {self.what} kept changing while they were read. Try again later.")

    def delete(self, ids: Sequence[str]) -> Flow[None]:
        """Delete some of them, and check that they are gone. Missing ones are no failure.

        https://docs.dify.ai/api-reference/chunks/delete-chunk
        https://docs.dify.ai/api-reference/chunks/delete-child-chunk

        :raises DifyChunkError: Some still exist.
        """
        present = {one.id for one in (yield from self.all())}
        for one_id in ids:
            if one_id in present:
                with suppress(DifyNotFoundError):  # somebody else was faster, or it was us and the answer was lost
                    yield Request("DELETE", f"{self.path}/{one_id}")
        left = {one.id for one in (yield from self.all())}
        if still := [one_id for one_id in ids if one_id in left]:
            raise self.error(still, "remained, although Dify answered that the deletion succeeded")

    def read_back(self, ids: Sequence[str], good: Callable[[T], bool]) -> Flow[tuple[T, ...]]:
        """Read some of them after a change, in the order in which they are named.

        :param good: Whether one is as requested.
        :raises DifyChunkError: Some are not.
        """
        found = {one.id: one for one in (yield from self.all())}
        if bad := [one_id for one_id in ids if one_id not in found or not good(found[one_id])]:
            raise self.error(bad, "did not get the requested state, although Dify accepted the change")
        return tuple(found[one_id] for one_id in ids)

    def error(self, ids: Sequence[str], problem: str) -> DifyChunkError:
        """Return the error for some of them."""
        return DifyChunkError(
            f"Of the {self.what}, {len(ids)} {problem}: {', '.join(ids[:3])}. Check whether somebody else changes the "
            "document, and retry."
        )
