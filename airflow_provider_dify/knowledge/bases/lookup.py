"""Finds a knowledge base by name."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_dify.exceptions import DifyAccessError, DifyInputError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.documents import Dataset
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.text.hints import did_you_mean
from airflow_provider_dify.knowledge.text.names import canonical

#: Maximum number of knowledge bases that an error names.
_MOST_NAMED = 5


def check_name(value: object, parameter: str = "dataset_name") -> str:
    """Return the name of a knowledge base.

    :raises DifyInputError: It is invalid.
    """
    return canonical(inputs.name(value, parameter, "the name of a knowledge base"))


def list_all(*, hidden: bool = False) -> Flow[list[Dataset]]:
    """List all knowledge bases that the key can access.

    :param hidden: Whether to include those that only other members see in Dify: their names are taken, too.
    :raises DifyAccessError: The key may not list knowledge bases.
    """
    pager: Pager[Dataset] = Pager()
    listed: list[Dataset] = []
    while not pager.done:
        try:
            listed += pager.take((yield from api.dataset_page(pager.page, limit=pager.limit, hidden=hidden)))
        except DifyAccessError as error:
            error.add("A key that is limited to some knowledge bases may not list them. Use dataset_id instead.")
            raise
    return listed


def has_name(one: Dataset, name: str) -> bool:
    """Whether a knowledge base has a name, which is in canonical form."""
    return canonical(one.name).strip() == name


def find(name: object) -> Flow[Dataset]:
    """Find the knowledge base with a name, in the list of those that the key can access.

    :raises DifyInputError: None has it, or several have.
    :raises DifyAccessError: The key may not list knowledge bases.
    """
    wanted = check_name(name)
    listed = yield from list_all()
    found = [one for one in listed if has_name(one, wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DifyInputError(
            f"dataset_name {inputs.show(wanted)} is the name of {len(found)} knowledge bases. Use one of their ids as "
            f"dataset_id: {some_ids(found)}."
        )
    names = [one.name for one in listed]
    near = did_you_mean(wanted, names)
    some = ", ".join(inputs.show(one) for one in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    raise DifyInputError(
        f"dataset_name: the key can access no knowledge base with the name {inputs.show(wanted)}.{near} "
        f"{f'There are {some}{more}.' if some else 'The key can access none.'}"
    )


def some_ids(found: Sequence[Dataset]) -> str:
    """Return the ids of knowledge bases, for an error."""
    return ", ".join(one.id for one in found[:_MOST_NAMED]) + (" and more" if len(found) > _MOST_NAMED else "")
