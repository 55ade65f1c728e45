"""The last scene: a release is kept only if the app that uses the knowledge base answers right."""

from __future__ import annotations

import os
from typing import Any

from airflow_provider_dify.testing import FakeDify, VirtualClock
from scripts.demo.show import Show
from scripts.demo.throwaway import Run

DAG = "dify_release_gated_by_answers"
_ASKED = "Where do visitors park?"
_EXPECTED = "deck 2"


def gated_release(show: Show) -> bool:
    """Show the scene; return whether it ended as it should."""
    from airflow_provider_dify.transport.clock import using

    show.scene(
        "Keep a release only if the app gives the right answers",
        DAG,
        f"A help desk app answers from the knowledge base. It is asked '{_ASKED}', and should say '{_EXPECTED}'.",
    )
    with FakeDify(clock=VirtualClock()) as dify, using(dify.clock):
        kb = dify.add_dataset("Handbook")
        old = kb.add_document("parking 2025", text="Visitors park on deck 1.")
        draft = kb.add_document("parking draft", text="Visitors park nowhere.", enabled=False)
        final = kb.add_document("parking 2026", text="Visitors park on deck 2.", enabled=False)

        def answer(_: Any = None) -> str:
            found = dify.search(kb, "visitors park")
            return " ".join(document.text for document in kb.documents if document.name in found)

        def release(new: str) -> tuple[Run, list[str]]:
            conf = {
                "dataset_id": kb.id,
                "new_document_ids": [new],
                "old_document_ids": [old.id],
                "questions": [{"query": _ASKED, "contains": _EXPECTED}],
            }
            run = show.run(DAG, dify.airflow_connection(), conf)
            (checked,) = run.reports["check_answers"]["answers"]
            return run, [checked["answer"], "right" if checked["passed"] else "wrong"]

        os.environ["AIRFLOW_CONN_HELPDESK"] = dify.airflow_connection(app=dify.add_chat_app("helpdesk", answer=answer))
        rows = [["before", answer(), "-"]]
        runs = []
        for name, new in (("the draft is released", draft), ("the final page is released", final)):
            run, checked = release(new.id)
            runs.append(run)
            rows.append([name, *checked])
            if run.state != "success":
                rows.append(["the release is rolled back", answer(), "-"])
        show.table(["", "the app's answer", "check"], rows)
        return show.verdict(
            "The DAG run with the draft failed and took it back. The run with the final page succeeded.",
            *runs,
            good=[run.state for run in runs] == ["failed", "success"]
            and dify.search(kb, "visitors park") == [final.name],
        )
