"""The methods of the hook that create, change and delete knowledge bases."""

from __future__ import annotations

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.knowledge.bases.provision import Provision
from airflow_provider_dify.knowledge.bases.removal import Removal
from airflow_provider_dify.knowledge.bases.report import KnowledgeBaseReport

#: Seconds that a change of a knowledge base may take.
TIMEOUT = 300.0


class DatasetVerbs(FlowHook):
    """Creates, changes and deletes knowledge bases."""

    def ensure_dataset(
        self, name: str, options: KnowledgeBaseOptions | None = None, *, timeout: float = TIMEOUT
    ) -> KnowledgeBaseReport:
        """Make sure that a knowledge base exists and has the given settings; every setting is read back.

        Simultaneous calls, even from other processes, create one knowledge base.

        https://docs.dify.ai/api-reference/knowledge-bases/create-an-empty-knowledge-base

        :param name: Its name, at most 40 characters.
        :param options: Its settings.
        :param timeout: Seconds to retry if Dify fails.
        :return: Its id, whether it was created or updated, and the outcome of each setting.
        :raises DifyInputError: The arguments are invalid (then nothing was sent), or several knowledge bases have the
            name.
        :raises DifySetupFailed: Dify cannot change a setting (then nothing was changed), or ignored one.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        return self._ensure(Provision(name, options), timeout)

    def create_dataset(
        self, name: str, options: KnowledgeBaseOptions | None = None, *, timeout: float = TIMEOUT
    ) -> KnowledgeBaseReport:
        """Create a knowledge base that must not exist yet; every setting is read back.

        https://docs.dify.ai/api-reference/knowledge-bases/create-an-empty-knowledge-base

        :param name: Its name, at most 40 characters.
        :param options: Its settings.
        :param timeout: Seconds to retry if Dify fails.
        :return: Its id, and the outcome of each setting.
        :raises DifyInputError: The arguments are invalid, or the name is taken; nothing was changed.
        :raises DifySetupFailed: Dify ignored a setting.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        return self._ensure(Provision(name, options, may_exist=False), timeout)

    def update_dataset(
        self,
        dataset_id: str,
        options: KnowledgeBaseOptions | None = None,
        *,
        name: str | None = None,
        timeout: float = TIMEOUT,
    ) -> KnowledgeBaseReport:
        """Change settings of a knowledge base; each of them is read back.

        https://docs.dify.ai/api-reference/knowledge-bases/update-knowledge-base

        :param dataset_id: UUID of the knowledge base.
        :param options: Its settings.
        :param name: Its new name, if it should change.
        :param timeout: Seconds to retry if Dify fails.
        :return: Whether it was updated, and the outcome of each setting.
        :raises DifyInputError: The arguments are invalid; nothing was sent.
        :raises DifySetupFailed: Dify cannot change a setting (then nothing was changed), or ignored one.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        return self._ensure(Provision(name, options, dataset_id=dataset_id), timeout)

    def delete_dataset(
        self, dataset_id: str, *, max_documents: int | None = 0, timeout: float = TIMEOUT
    ) -> KnowledgeBaseReport:
        """Delete a knowledge base with its documents, and confirm that it is gone. A missing one is not a failure.

        https://docs.dify.ai/api-reference/knowledge-bases/delete-knowledge-base

        :param dataset_id: UUID of the knowledge base.
        :param max_documents: Delete nothing if it has more documents than this; ``None``: no limit.
        :param timeout: Seconds to retry if Dify fails.
        :return: Whether it was deleted, and with how many documents.
        :raises DifyInputError: The arguments are invalid; nothing was sent.
        :raises DifyGuardError: It has more documents, or apps use it; nothing was changed.
        :raises DifyError: A request to Dify failed, or the knowledge base still exists.
        """
        dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        removal = Removal(dataset_id=dataset_id, max_documents=max_documents)
        return self.run(*self._within(removal, inputs.number(timeout, "timeout")))

    def _ensure(self, ensuring: Provision, timeout: float) -> KnowledgeBaseReport:
        return self.run(*self._within(ensuring, inputs.number(timeout, "timeout")))
