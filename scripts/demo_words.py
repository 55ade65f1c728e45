"""What the demo says: at the beginning of each scene, and at its end."""

from __future__ import annotations

SWITCH = """\
A handbook has come out in version two. A DAG enables its new pages, and archives the old ones. Four things are in its
way: a new page is still being indexed, Dify holds a lock on an old page for ten minutes more, another one is archived
already, and one of the given ids is of no document.

Look at the last column: a search finds version one before, and version two alone after. The log says what the tasks
waited for. Its times are those of Dify's clock, which begins at midnight and jumps wherever a task waits."""

SWITCH_IN_A_REAL_DIFY = """\
A handbook has come out in version two. A DAG enables its new pages, one of which is there already, and archives the
old ones, of which one id is of no document.

Look at the last column: search has segments of both versions before, and of version two alone after. The log says what
the tasks waited for; its times are UTC."""

FOLDER = """\
A folder has three files, and the knowledge base older versions of two of them. A DAG brings each file there as a new
version, asks questions that only the new ones answer, and then archives the old ones.

Look at the last column: a search for each subject finds the old version before, and the new one alone after. The names
of new versions have a part of their own, which comes from their content."""

RELEASE = """\
A new price list takes the place of the old one, all of it or nothing; then it is taken back. One more page, plane.md,
was archived long ago.

Look at what a search for 'price' finds: the old list, the new one, the old one again. And look at plane.md: a rollback
brings back what was in use before the release, and nothing else."""

_SHOWN = """\
A task ended only when Dify showed what the DAG had asked for, and search had followed.
It left alone what was as it should be, and its report says of each document what became of it."""
_SHOWN_TOO = """\
It waited for what was busy or still being indexed.
Old versions left only when search had found the new ones, and a release could be taken back."""
_NEXT = {
    "Your first DAG": "README.md, 'The first DAG'",
    "The DAGs of this demo": "example_dags/",
    "What each operator does": "docs/operators/index.md",
    "Going live, step by step": "docs/quick-start.md",
}
_ON_YOURS = "DIFY_BASE_URL=https://dify.example.com DIFY_API_KEY=dataset-... DIFY_DATASET_ID=... make demo"


def conclusion(*, real: bool) -> str:
    """Return what was shown, and where to go from here.

    :param real: Whether it was shown in a Dify that was given.
    """
    shown = _SHOWN if real else f"{_SHOWN}\n{_SHOWN_TOO}"
    steps = _NEXT if real else {**_NEXT, "The first scene in your Dify": _ON_YOURS}
    width = max(map(len, steps))
    lines = [f"{what.ljust(width)}  {where}" for what, where in steps.items()]
    return "\n".join([heading("What this has shown"), shown, "", heading("Where to go from here"), *lines])


def heading(text: str) -> str:
    """Return a line that stands out, with one below it."""
    return f"{text}\n{'=' * len(text)}"
