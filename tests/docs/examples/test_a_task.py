# [START a_task]
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.testing import Fault


class FakeTaskInstance:
    def xcom_push(self, key, value):
        pass


def test_old_pages_leave_search(dify):
    handbook = dify.add_dataset("handbook")
    page = handbook.add_document("page 1", text="parking rules")
    page.lock(600)  # as Dify leaves it behind at times
    dify.faults.add(Fault("status", method="PATCH", status=502))

    task = DifyDocumentStatusOperator(
        task_id="archive",
        dataset_id=handbook.id,
        document_ids=[page.id],
        action="archive",
    )
    task.execute({"ti": FakeTaskInstance()})

    assert dify.search(handbook, "parking") == []
    # [END a_task]
