"""What a stand-alone Dify contains at the beginning. Ids are the same at every start."""

from __future__ import annotations

from airflow_provider_dify.testing.apps.inputs import Input
from airflow_provider_dify.testing.apps.plan import Answer, Node, Question
from airflow_provider_dify.testing.apps.run import Inputs
from airflow_provider_dify.testing.fake import FakeDify
from airflow_provider_dify.testing.model.documents import Dataset

_DAY = 86_400


def seed_demo(dify: FakeDify) -> None:
    """Create knowledge bases and apps.

    There is a knowledge base for each way of indexing, with documents in many states, and an empty one; a workflow that
    counts words, and a chatflow that answers from the first of them.
    """
    handbook = _handbook(dify)
    _products(dify)
    dify.add_dataset("Empty")
    _apps(dify, handbook)


def _apps(dify: FakeDify, handbook: Dataset) -> None:
    def count(inputs: Inputs) -> dict[str, object]:
        words = str(inputs["text"]).split()
        return {"words": len(words), "longest": max(words, key=len, default="")}

    def answer(question: Question) -> Answer:
        found = dify.find(handbook, question.query, top_k=1)
        return Answer(found[0].chunks[0].text if found else "I do not know.", sources=found)

    dify.add_workflow(
        "Word count",
        run=count,
        inputs=[Input("text", "paragraph", required=True), Input("seconds", "number", default=5)],
        nodes=[Node("Split", 1, kind="code"), Node("Count", lambda inputs: inputs["seconds"] or 0, kind="code")],
    )
    dify.add_chat_app("Helpdesk", answer=answer, nodes=[Node("Answer", 2, kind="llm")])


def _handbook(dify: FakeDify) -> Dataset:
    kb, now = dify.add_dataset("Handbook"), dify.clock.time()
    kb.add_document(
        "travel 2025.md",
        text="Travel in 2025: every journey by train is paid, first class included.",
        archived=True,
        created_at=now - 400 * _DAY,
    )
    kb.add_document(
        "travel 2026.md",
        text="Travel in 2026: journeys by train are paid, first class from four hours on.",
        created_at=now - 30 * _DAY,
    )
    kb.add_document(
        "sick leave.md",
        segments=(
            "Sick leave: tell your team before nine in the morning.",
            "A doctor's note is needed from the fourth day of sick leave on.",
        ),
        created_at=now - 120 * _DAY,
    )
    kb.add_document("parking.md", text="Parking spaces are for bicycles first.", created_at=now - 90 * _DAY)
    kb.add_document(
        "canteen.md", text="The canteen opens at noon and serves two meals.", enabled=False, created_at=now - 10 * _DAY
    )
    kb.add_document("scan.pdf", text="", file_name="scan.pdf", created_at=now - 5 * _DAY)
    kb.add_document(
        "broken.pdf",
        text="",
        indexing_status="error",
        error="Failed to load document (PDFium: Data format error).",
        created_at=now - 5 * _DAY,
    )
    return kb


def _products(dify: FakeDify) -> None:
    kb, now = dify.add_dataset("Products", indexing_technique="high_quality"), dify.clock.time()
    for number, (name, category, price, chunks) in enumerate(_PRODUCTS):
        kb.add_document(
            name, segments=chunks, metadata={"category": category, "price": price}, created_at=now - number * _DAY
        )


_PRODUCTS = (
    (
        "Bicycle lamp",
        "bicycle",
        29,
        (
            "The bicycle lamp shines for twelve hours and charges in two.",
            "The lamp fits handlebars from 22 to 35 millimetres. Do not look into the light.",
        ),
    ),
    (
        "Rain jacket",
        "clothing",
        119,
        (
            "The rain jacket keeps dry in heavy rain and packs into its own pocket.",
            "Wash the jacket at 30 degrees, without softener.",
        ),
    ),
    ("Water bottle", "kitchen", 17, ("The bottle holds 750 millilitres and keeps tea warm for six hours.",)),
)
