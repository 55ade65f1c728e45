# [START whole_dag]
from airflow.models import DagBag


def test_first_steps(dify):
    handbook = dify.add_dataset("handbook")
    draft = handbook.add_document("draft 7", text="Visitors may park anywhere.")

    dag = DagBag().get_dag("dify_first_steps")
    run = dag.test(run_conf={"dataset_id": handbook.id, "dry_run": False})

    assert run.state == "success"
    assert dify.search(handbook, "visitors") == ["parking.md"]
    assert draft.archived
    # [END whole_dag]
