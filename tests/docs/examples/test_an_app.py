# [START an_app]
import requests

from airflow_provider_dify.testing import Answer, Fault, Input


def test_apps(dify):
    kb = dify.add_dataset("handbook")
    kb.add_document("parking.md", text="Parking is free on Sundays.")

    def answer(question):
        found = dify.find(kb, question.query)
        return Answer(found[0].chunks[0].text, sources=found) if found else "I do not know."

    chat = dify.add_chat_app("helpdesk", answer=answer, seconds=3)
    workflow = dify.add_workflow(
        "count", run=lambda inputs: {"letters": len(inputs["text"])}, inputs=[Input("text", required=True)], seconds=600
    )

    def post(app, path, **fields):
        headers = {"Authorization": f"Bearer {app.api_key}"}
        return requests.post(f"{dify.base_url}{path}", json={"user": "ann", **fields}, headers=headers, timeout=10)

    said = post(chat, "/chat-messages", query="Is Parking free?", inputs={}).json()
    assert said["answer"] == "Parking is free on Sundays."
    assert said["metadata"]["retriever_resources"][0]["document_name"] == "parking.md"

    dify.faults.add(Fault("page_after", path="/workflows/run", answer_after=60))
    lost = post(workflow, "/workflows/run", inputs={"text": "hello"})
    assert lost.status_code == 504  # a proxy has lost its patience

    dify.clock.advance(600)
    [run] = workflow.runs
    assert (run.status, run.outputs) == ("succeeded", {"letters": 5})
    # [END an_app]
