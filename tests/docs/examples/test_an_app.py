# [START an_app]
from airflow_provider_dify.operators.apps import DifyChatMessageOperator, DifyWorkflowRunOperator
from airflow_provider_dify.testing import Answer, Fault, Input


class FakeTaskInstance:
    dag_id, task_id, run_id, try_number = "support", "ask", "monday", 1

    def xcom_push(self, key, value):
        pass


class FakeStore:
    def __init__(self):
        self.values = {}

    def get(self, key):
        return self.values.get(key)

    def set(self, key, value):
        self.values[key] = value


def run(task):
    return task.execute({"ti": FakeTaskInstance(), "task_state_store": FakeStore()})


def test_apps(dify, monkeypatch):
    kb = dify.add_dataset("handbook")
    kb.add_document("parking.md", text="Parking is free on Sundays.")

    def answer(question):
        found = dify.find(kb, question.query)
        return Answer(found[0].chunks[0].text, sources=found) if found else "I do not know."

    chat = dify.add_chat_app("helpdesk", answer=answer, seconds=3)
    monkeypatch.setenv("AIRFLOW_CONN_HELPDESK", dify.airflow_connection(app=chat))
    said = run(DifyChatMessageOperator(task_id="ask", query="Is Parking free?", dify_conn_id="helpdesk"))
    assert said["answer"] == "Parking is free on Sundays."
    assert said["citations"][0]["document_name"] == "parking.md"

    workflow = dify.add_workflow(
        "count", run=lambda inputs: {"letters": len(inputs["text"])}, inputs=[Input("text", required=True)], seconds=600
    )
    monkeypatch.setenv("AIRFLOW_CONN_COUNT", dify.airflow_connection(app=workflow))
    dify.faults.add(Fault("page_after", path="/workflows/run", answer_after=60))  # a proxy loses its patience
    counted = run(DifyWorkflowRunOperator(task_id="count", inputs={"text": "hello"}, dify_conn_id="count"))
    assert counted["outputs"] == {"letters": 5}
    assert len(workflow.runs) == 1  # it was not started a second time
    # [END an_app]
