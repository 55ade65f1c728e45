"""Limits how many documents one task may touch, checked before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyGuardError, DifyInputError
from airflow_provider_dify.knowledge import inputs

#: Stands for the usual share. It is text because Airflow cannot store a custom type with a DAG.
AUTO = "auto"
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
        if self.max_documents is not None:
            object.__setattr__(self, "max_documents", inputs.whole_number(self.max_documents, "max_documents"))
        if self.max_share is not None:
            object.__setattr__(self, "max_share", inputs.number(self.max_share, "max_share"))
        if self.max_share is not None and self.max_share > 1:
            raise DifyInputError(f"max_share must be a share of all documents, at most 1, not {self.max_share:g}.")

    def check(self, number: int, total: int | None = None, *, what: str = "selected") -> None:
        """Raise an error if there are too many documents.

        :param number: How many are selected.
        :param total: How many there are; ``None`` if that was not read.
        :param what: The participle that describes them in the error.
        :raises DifyGuardError: They are more than a limit allows.
        """
        of_all = f"{number:,}" if total is None else f"{number:,} of {total:,}"
        if self.max_documents is not None and number > self.max_documents:
            raise DifyGuardError(_text(of_all, what, "max_documents", f"{self.max_documents:,}"))
        if self.max_share is not None and total is not None and number > self.max_share * total:
            share = f" ({number / total:.1%})" if total else ""
            raise DifyGuardError(_text(of_all + share, what, "max_share", f"{self.max_share:g} of all"))


def _text(of_all: str, what: str, guard: str, allowed: str) -> str:
    return (
        f"{of_all} documents are {what}, and {guard} allows {allowed}. Nothing was changed. Look at what is "
        f"{what} (DifyListDocumentsOperator); narrow it, or raise {guard}, or set it to None, if so many are meant."
    )
