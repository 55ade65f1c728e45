"""Limits how many documents one task may touch, checked before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyGuardError, DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.text.counts import if_one, number_of, part_of

#: Stands for the usual share. It is text because Airflow cannot store a custom type with a DAG.
AUTO = "auto"
#: Describes what filters select.
SELECTED = "selected"
#: Filters that select more than this share of a knowledge base are considered a mistake by default.
_SHARE_OF_SELECTED = 0.5


def usual_share(max_share: object, *, selected: bool) -> object:
    """Return the share to use: ``auto`` limits what filters select, but not documents that are listed one by one."""
    if isinstance(max_share, str) and max_share.strip().lower() == AUTO:
        return _SHARE_OF_SELECTED if selected else None
    return max_share


@dataclass(frozen=True)
class Guard:
    """How many documents of a knowledge base may be touched.

    :param max_documents: Maximum number; ``None``: no limit.
    :param max_share: Maximum share of all documents of the knowledge base, above 0 and up to 1; ``None``: no limit.
    :raises DifyInputError: A limit is invalid.
    """

    max_documents: int | None = None
    max_share: float | None = None

    def __post_init__(self) -> None:
        inputs.settle(self, max_documents=inputs.or_none(inputs.whole_number), max_share=inputs.or_none(inputs.number))
        if self.max_share is not None and self.max_share > 1:
            raise DifyInputError(f"max_share must be a share of all documents, at most 1, not {self.max_share:g}.")

    def check(self, number: int, total: int | None = None, *, what: str = SELECTED) -> None:
        """Raise an error if there are too many documents.

        :param number: How many are selected.
        :param total: How many there are; ``None`` if that was not read.
        :param what: The participle that describes them in the error.
        :raises DifyGuardError: They are more than a limit allows.
        """
        check_limit(number, self.max_documents, "max_documents", total=total, what=what)
        if self.max_share is not None and total is not None and number > self.max_share * total:
            share = f" ({_percent(number / total)})" if total else ""
            are = f"{part_of(number, total)}{share} {if_one(number, 'is', 'are')}"
            raise _too_many(are, what, "max_share", _percent(self.max_share))


def check_limit(number: int, limit: int | None, name: str, *, total: int | None = None, what: str = SELECTED) -> None:
    """Raise an error if there are more documents than a parameter allows.

    :param number: How many there are.
    :param limit: The value of the parameter; ``None``: no limit.
    :param name: The name of the parameter.
    :param total: Of how many; ``None`` if that was not read.
    :param what: The participle that describes them in the error, such as ``to be retired``.
    :raises DifyGuardError: There are more.
    """
    if limit is not None and number > limit:
        documents = number_of(number) if total is None else part_of(number, total)
        raise _too_many(f"{documents} {if_one(number, 'is', 'are')}", what, name, f"{limit:,}")


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _too_many(documents_are: str, what: str, name: str, allowed: str) -> DifyGuardError:
    where = "DifyListDocumentsOperator" if what == SELECTED else "the plan in the log"
    return DifyGuardError(
        f"{documents_are} {what}, and {name} allows {allowed}. Nothing was changed. Check what is {what} "
        f"({where}): narrow it, or if it is intended, raise {name} or set it to None."
    )
