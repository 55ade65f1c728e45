"""Run the provider in a real Airflow, the one of the interpreter that runs this.

It starts `airflow standalone` in a throw-away home, with a Dify in this process, and takes a few minutes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from airflow_provider_dify.testing import App, Dataset, FakeDify
from tests.system import program
from tests.system.standalone import DAGS, VERSION, Airflow
from tests.system.stories import WAITS, WATCHES, Stories
from tests.system.taking_back import TakingBack
from tests.system.tally import Tally
from tests.system.traces import NOT_BLOCKED, check_traces

EXAMPLES = Path(__file__).parents[2] / "example_dags"
#: What an example says of its looks, and what it says here, where nobody waits for a minute.
INTERVAL, SHORT_INTERVALS = "poll_interval=60", "poll_interval=1, full_look_interval=8"


def main() -> int:
    """Tell all stories; return 0 if every assertion held."""
    return program.run("tests.system", __doc__, 700, _run, once_more=NOT_BLOCKED)


def _run(tally: Tally, dify: FakeDify, home: Path) -> None:
    watched, changed = _watched(dify), dify.add_dataset("changed")
    workflow = dify.add_workflow("echo", run=dict, inputs=["text"])
    environment = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(_dags(home)),
        "AIRFLOW_CONN_DIFY_APP": dify.airflow_connection(app=workflow),
        "DIFY_DATASET_ID": watched.id,
        **TakingBack.environment(dify, changed),
    }
    with Airflow(home, environment) as airflow:
        program.tell_to_the_end(
            tally,
            airflow,
            lambda: _tell(tally, airflow, dify, workflow, (watched, changed)),
            lambda: check_traces(tally, airflow, dify.api_key, WAITS),
        )


def _dags(home: Path) -> Path:
    """Make a folder of the DAGs of the stories; the one that is triggered by documents is the example."""
    folder = home / "dags"
    shutil.copytree(DAGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    example = (EXAMPLES / f"{WATCHES}.py").read_text()
    if example.count(INTERVAL) != 1:
        raise ValueError(f"the example {WATCHES} does not say {INTERVAL} once")
    (folder / f"{WATCHES}.py").write_text(example.replace(INTERVAL, SHORT_INTERVALS))
    return folder


def _watched(dify: FakeDify) -> Dataset:
    """Make a knowledge base with documents that are available, and others that are not yet."""
    dataset = dify.add_dataset("watched")
    dataset.add_documents(3, "there before ")
    for number in range(3):
        dataset.add_document(f"disabled {number}", enabled=False)
        if number < 2:
            dataset.add_document(f"archived {number}", archived=True)
    return dataset


def _tell(tally: Tally, airflow: Airflow, dify: FakeDify, workflow: App, datasets: tuple[Dataset, Dataset]) -> None:
    airflow.start()
    tally.tell("Airflow is up")
    airflow.command(
        *("connections", "add", "dify_default", "--conn-type", "dify"),
        # Not as --conn-json: Airflow writes the command into its audit log, and masks the password only in this form.
        *("--conn-host", dify.base_url, "--conn-password", dify.api_key),
    )
    tally.tell("The connection is in its database")
    watched, changed = datasets
    stories = Stories(tally, airflow, dify, workflow, watched)
    told: list[Callable[[], None]] = [stories.waits, stories.restart, TakingBack(tally, airflow, dify, changed)]
    if VERSION >= (3,):
        told.append(stories.watch)
    for story in told:
        story()


if __name__ == "__main__":
    sys.exit(main())
