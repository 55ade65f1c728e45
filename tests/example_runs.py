"""Runs example DAGs in a throw-away Airflow against the built-in Dify, and writes the results to a JSON file.

A program of its own, as Airflow is set up once in a process.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.demo.throwaway import load_dag, prepare_airflow, run_dag

DAY = 86400
#: Precedes what a story prints.
HEADING = "=== {}"


def nightly_archive(add: Callable[[], Any]) -> dict[str, Any]:
    """Ten documents of which two are old; then so many old ones that the guard stops it."""
    dify, kb = add()
    now = dify.clock.time()
    for number in range(10):
        kb.add_document(f"page {number}", created_at=now - (100 if number < 2 else 10) * DAY)
    first, _ = run_dag("dify_nightly_archive", dify.airflow_connection(), {"dataset_id": kb.id})
    archived = [document.name for document in kb.documents if document.archived]
    for number in range(5):
        kb.add_document(f"late {number}", created_at=now - 95 * DAY)
    changes = sum(request.method == "PATCH" for request in dify.requests)
    second, _ = run_dag("dify_nightly_archive", dify.airflow_connection(), {"dataset_id": kb.id})
    return {
        "first": first,
        "archived": archived,
        "second": second,
        "archived after": sum(document.archived for document in kb.documents),
        "changes of the second": sum(request.method == "PATCH" for request in dify.requests) - changes,
    }


def knowledge_base(add: Callable[[], Any]) -> dict[str, Any]:
    """A knowledge base that is missing; then somebody changes a setting of it."""
    dify, _ = add()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "parking.md").write_text("Visitors park on deck 2.")
        conf = {"name": "manual", "folder": folder}
        states = [run_dag("dify_knowledge_base", dify.airflow_connection(), conf)[0]]
        (kb,) = (one for one in dify.world.datasets.values() if one.name == "manual")
        kb.description = "changed by hand"
        state, reports = run_dag("dify_knowledge_base", dify.airflow_connection(), conf)
    return {
        "states": [*states, state],
        "changed": reports["handbook"]["changed"],
        "tags": kb.tags,
        "found": dify.search(kb, "visitors"),
    }


def archive_at_scale(add: Callable[[], Any]) -> dict[str, Any]:
    """Documents that are old enough, in a batch of their own; the task waits in the triggerer."""
    dify, kb = add()
    now = dify.clock.time()
    for number in range(12):
        kb.add_document(f"page {number}", created_at=now - (100 if number < 9 else 10) * DAY)
    state, reports = run_dag("dify_archive_at_scale", dify.airflow_connection(), {"dataset_id": kb.id})
    return {
        "state": state,
        "reports": sorted(reports),
        "archived": [document.name for document in kb.documents if document.archived],
        "found": len(dify.search(kb, "fox")),
    }


def quarantine(add: Callable[[], Any]) -> dict[str, Any]:
    """One document answers what only another one may; then nothing does."""
    dify, kb = add()
    kb.add_document("prices 2026", text="The price is ten.")
    kb.add_document("draft", text="The price may be twelve.")
    queries = [{"query": "price", "expect": {"name": "prices*"}, "expect_not": {"name": "draft"}}]
    conf = {"dataset_id": kb.id, "queries": queries}
    states = [run_dag("dify_quarantine", dify.airflow_connection(), conf)[0] for _ in range(2)]
    enabled = {document.name: document.enabled for document in kb.documents}
    return {"states": states, "enabled": enabled, "found": dify.search(kb, "price")}


def ingest_and_switch(_: Callable[[], Any]) -> dict[str, Any]:
    """A folder that is newer, and the same folder once more."""
    from scripts.demo.folder import newer_folder

    with newer_folder() as folder:
        states = [run_dag("dify_ingest_and_switch", folder.connection, folder.conf)[0]]
        before = len(folder.dify.requests)
        states.append(run_dag("dify_ingest_and_switch", folder.connection, folder.conf)[0])
        second = folder.dify.requests[before:]
        sent = sum(request.method != "GET" and not request.path.endswith("/retrieve") for request in second)
        return {"states": states, "documents": folder.states, "sent by the second": sent}


def roll_back_on_event(add: Callable[[], Any]) -> dict[str, Any]:
    """A change after which search fails, taken back by its event; then the same event, with nothing wrong."""
    from airflow_provider_dify.events import event_extra
    from airflow_provider_dify.hooks.dify import DifyHook

    dify, kb = add()
    leave = kb.add_document("leave.md", text="Everybody has thirty days of leave.")
    os.environ["AIRFLOW_CONN_DIFY_DEFAULT"] = dify.airflow_connection()
    with DifyHook() as hook:
        event = event_extra(hook.change_document_status(kb.id, [leave.id], "archive").to_json())
    queries = [{"query": "leave", "expect": {"name": "leave*"}}]
    conf = {"dataset_id": kb.id, "queries": queries, "event": event}
    runs = [run_dag("dify_roll_back_on_event", dify.airflow_connection(), conf)[0] for _ in range(2)]
    changes = [request.path.rpartition("/")[2] for request in dify.requests if request.method == "PATCH"]
    return {"states": runs, "found": dify.search(kb, "leave"), "changes": sorted(set(changes), key=changes.index)}


def taskflow(add: Callable[[], Any]) -> dict[str, Any]:
    """Documents of which some cannot be found, each for its own reason."""
    dify, kb = add()
    kb.add_document("found")
    kb.add_document("archived", archived=True)
    kb.add_document("off", enabled=False)
    os.environ["AIRFLOW_CONN_DIFY_DEFAULT"] = dify.airflow_connection()
    run = load_dag("dify_taskflow").test(run_conf={"dataset_id": kb.id})
    counts: dict[str, Any] = run.get_task_instance("summary").xcom_pull("summary")
    return counts


def first_steps(add: Callable[[], Any]) -> str:
    """The test that the documentation shows: it asserts by itself."""
    dify, _ = add()
    os.environ["AIRFLOW_CONN_DIFY_DEFAULT"] = dify.airflow_connection()
    load_dag("dify_first_steps")
    from tests.docs.examples.whole_dag import test_first_steps

    test_first_steps(dify)  # type: ignore[no-untyped-call]  # as a user writes it
    return "held"


def release(_: Callable[[], Any]) -> dict[str, Any]:
    """A release that does not pass, and so is rolled back; then one that does, of the same files."""
    from scripts.demo.folder import newer_folder

    with newer_folder() as folder:

        def run(queries: list[Any]) -> dict[str, Any]:
            state, reports = run_dag("dify_release", folder.connection, {**folder.conf, "queries": queries})
            found = folder.dify.search(folder.kb, "travel parking canteen")
            return {"run": state, "release": reports["release"]["state"], "found": sorted(found)}

        wrong = [{"query": "travel", "expect": {"name": "nothing"}}]
        return {"wrong": run(wrong), "right": run(folder.conf["queries"])}


def release_steps(add: Callable[[], Any]) -> dict[str, Any]:
    """Three releases in steps, of which the second does not pass."""
    dify, kb = add()
    found = []
    for number, expected in enumerate(["v0*", "nothing", "v2*"]):
        document = kb.add_document(f"v{number} page", text="rules", enabled=False)
        queries = [{"query": "rules", "expect": {"name": expected}}]
        conf = {"dataset_id": kb.id, "new_document_ids": [document.id], "queries": queries}
        state, _ = run_dag("dify_release_steps", dify.airflow_connection(), conf)
        found.append([state, *dify.search(kb, "rules")])
    return {"found": found}


def promote(add: Callable[[], Any]) -> dict[str, Any]:
    """Staging is promoted twice, then with a change, then with one that makes the answers wrong."""
    from airflow_provider_dify.testing import FakeDify

    dify, staging = add()
    visitors = staging.add_document("visitors.md", text="Visitors park at the gate.", file_name="visitors.md")
    staging.add_document("visitors.md", text="Visitors parked at the mill.", file_name="visitors.md", archived=True)
    staging.add_document("Holidays", text="Thirty days of holidays.", enabled=False)
    found = []
    with FakeDify(clock=dify.clock) as other, tempfile.TemporaryDirectory(prefix="dify-export-") as folder:
        os.environ["AIRFLOW_CONN_DIFY_STAGING"] = dify.airflow_connection()
        os.environ["AIRFLOW_CONN_DIFY_PRODUCTION"] = other.airflow_connection()
        queries = [{"query": "visitors park", "expect": {"name": "visitors.md"}}]
        conf = {"staging": staging.id, "name": "manual", "folder": folder, "queries": queries}
        for number in range(4):
            if number == 2:
                staging.add_document("new.md", text="Everybody brings a passport.")
            elif number == 3:
                visitors.set(enabled=False, in_search=False)
            before = len(other.requests)
            state, _ = run_dag("dify_promote", dify.airflow_connection(), conf)
            sent = sum("/document/create-by-" in request.path for request in other.requests[before:])
            (live,) = (one for one in other.world.datasets.values() if one.name == "manual")
            flags = sorted([one.name, one.enabled, one.archived] for one in live.documents)
            found.append({"state": state, "flags": flags, "sent": sent})
    return {"runs": found}


def reindex(add: Callable[[], Any]) -> dict[str, Any]:
    """Two documents have failed; then one of them fails again and again."""
    from airflow_provider_dify.testing import FakeDify

    dify, _ = add()
    with FakeDify(clock=dify.clock, version="1.18.0") as newer:
        kb = newer.add_dataset("handbook")
        kb.add_documents(3)
        pages = [kb.add_document(name, text=f"About {name}.", indexing_status="error") for name in ("seals", "crabs")]
        found = []
        for _ in range(2):
            state, reports = run_dag("dify_reindex", newer.airflow_connection(), {"dataset_id": kb.id})
            found.append([state, len(reports["reindex"]["reindexed"]), len(reports["reindex"]["failed"])])
            pages[0].set(indexing_status="error", in_search=False)
            newer.worker.failing.add(pages[0].id)
        return {"runs": found, "found": newer.search(kb, "About seals and crabs")}


def sync(add: Callable[[], Any]) -> dict[str, Any]:
    """A folder beside a document of somebody else; then some of it is other; then most of it is gone."""
    dify, kb = add()
    kb.add_document("by hand")
    files = {f"page{number}.md": f"Page {number}." for number in range(8)}
    versions = [
        {**files, "guide/setup.md": "Setup.", "picture.png": "no text"},
        {**files, "page0.md": "Changed.", "guide/install.md": "Setup.", "new.md": "New."} | {"page7.md": ""},
        {"page0.md": "Changed."},
    ]
    found = []
    for version in versions:
        with tempfile.TemporaryDirectory(prefix="dify-folder-") as folder:
            for name, text in version.items():
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                if text:
                    path.write_text(text)
            conf = {"dataset_id": kb.id, "source": folder}
            before = len(dify.requests)
            state, _ = run_dag("dify_sync", dify.airflow_connection(), conf)
        sent = sum(request.method != "GET" for request in dify.requests[before:])
        live = {document.name: document.text for document in kb.documents if document.in_search}
        found.append({"state": state, "live": sorted(live), "page0": live["page0.md"], "sent": sent > 0})
    archived = [document.name for document in kb.documents if document.archived]
    return {"runs": found, "archived": archived}


def run_workflow(add: Callable[[], Any]) -> dict[str, Any]:
    """Three texts, of which the second one's answer is lost."""
    from airflow_provider_dify.testing import Fault, Input

    dify, _ = add()
    app = dify.add_workflow(
        "summary", run=lambda inputs: {"text": inputs["text"][:5]}, inputs=[Input("text", required=True)], seconds=30
    )
    dify.faults.add(Fault("drop_stream", path="/workflows/run$"))
    os.environ["AIRFLOW_CONN_DIFY_APP"] = dify.airflow_connection(app=app)
    conf = {"texts": ["First text", "Other text", "Third text"]}
    state, _ = run_dag("dify_run_workflow", dify.airflow_connection(), conf)
    return {"state": state, "outputs": sorted(run.outputs["text"] for run in app.runs)}


def release_gated_by_answers(add: Callable[[], Any]) -> dict[str, Any]:
    """A release with which the app answers wrong, which is rolled back; then one with which it answers right."""
    dify, kb = add()
    old = kb.add_document("parking 2025", text="Visitors park on deck 1.")
    texts = {"parking 2026": "Visitors park on deck 2.", "wrong": "Visitors park nowhere."}
    new = {name: kb.add_document(name, text=text, enabled=False) for name, text in texts.items()}

    def answer(question: Any) -> str:
        found = dify.search(kb, question.query)
        return " ".join(document.text for document in kb.documents if document.name in found)

    helpdesk = dify.add_chat_app("helpdesk", answer=answer)
    os.environ["AIRFLOW_CONN_HELPDESK"] = dify.airflow_connection(app=helpdesk)
    questions = [{"query": "visitors park", "contains": "deck 2", "contains_not": "nowhere"}]
    found = []
    for name in ("wrong", "parking 2026"):
        conf = {
            "dataset_id": kb.id,
            "new_document_ids": [new[name].id],
            "old_document_ids": [old.id],
            "questions": questions,
        }
        state, _ = run_dag("dify_release_gated_by_answers", dify.airflow_connection(), conf)
        found.append([state, *dify.search(kb, "visitors park")])
    return {"found": found}


STORIES = (
    archive_at_scale,
    first_steps,
    ingest_and_switch,
    knowledge_base,
    nightly_archive,
    promote,
    quarantine,
    reindex,
    release,
    release_gated_by_answers,
    release_steps,
    roll_back_on_event,
    run_workflow,
    sync,
    taskflow,
)


def main(results: Path) -> None:
    """Run all of them, and write their results by name."""
    with tempfile.TemporaryDirectory(prefix="dify-examples-") as home:
        prepare_airflow(Path(home))
        from airflow_provider_dify.testing import FakeDify, VirtualClock
        from airflow_provider_dify.transport.clock import using

        found = {}
        for story in STORIES:
            for stream in (sys.stdout, sys.stderr):
                print(HEADING.format(story.__name__), file=stream, flush=True)
            with FakeDify(clock=VirtualClock()) as dify, using(dify.clock):
                found[story.__name__] = story(lambda dify=dify: (dify, dify.add_dataset("handbook")))  # type: ignore[misc]
        results.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
