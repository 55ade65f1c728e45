"""See the provider at work: example DAGs run in a real Airflow, and a Dify shows what happened to its documents.

Without settings the Dify is the built-in one, in which ten minutes of waiting take no time. With DIFY_BASE_URL,
DIFY_API_KEY and DIFY_DATASET_ID it is that Dify; documents are created there for the demo and deleted at its end, and
no other document is touched. With only some of these it ends with 2.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from scripts.demo.answers import gated_release
from scripts.demo.folder import ingest_folder
from scripts.demo.real import SETTINGS, DifyRefused, missing_settings, switch_in
from scripts.demo.release import release_and_roll_back
from scripts.demo.show import Show
from scripts.demo.switch import switch
from scripts.demo.throwaway import prepare_airflow

_NEXT = {
    "Your first DAG": "README.md",
    "The DAGs of this demo": "example_dags/",
    "What each operator does": "docs/operators/index.md",
    "What the tasks logged": "make demo ARGS=--verbose",
}
_ON_YOURS = "DIFY_BASE_URL=https://dify.example.com DIFY_API_KEY=dataset-... DIFY_DATASET_ID=... make demo"


def main() -> int:
    """Run the demo; return 0 if all scenes ended as they should, 1 if not, and 2 if settings are missing."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="show the log of the tasks, too")
    verbose = parser.parse_args().verbose
    if missing := missing_settings(os.environ):
        print(f"Missing: {', '.join(missing)}. Set them all for a Dify of yours, or none of them.", file=sys.stderr)
        return 2
    given = [os.environ[name] for name in SETTINGS if os.environ.get(name)]
    scenes: list[Callable[[Show], bool]] = [switch, ingest_folder, release_and_roll_back, gated_release]
    if given:
        base_url, key, dataset_id = given
        scenes = [partial(switch_in, base_url, key, dataset_id)]
    started = time.monotonic()
    show = Show(sys.stdout, scenes=len(scenes), verbose=verbose)
    sys.stdout = show.log  # before Airflow's logging takes hold of it
    airflow, dify = f"Airflow {version('apache-airflow')}", given[0] if given else "the built-in Dify"
    show.say(f"Less than a minute. Example DAGs run in {airflow} (in a temporary folder) with {dify}.")
    with tempfile.TemporaryDirectory(prefix="dify-demo-") as home:
        with show.working("Setting up Airflow"):
            prepare_airflow(Path(home))
        try:
            good = [scene(show) for scene in scenes]
        except KeyboardInterrupt:
            show.say("\nStopped.")
            return 130
        except DifyRefused as error:
            show.say(f"\nFAILED: {error} Check {', '.join(SETTINGS)}.", "red")
            return 1
        except Exception:
            show.explain()
            raise
    took = f"{time.monotonic() - started:.0f} s"
    if not all(good):
        show.say(f"\n{good.count(False)} of {len(good)} scenes did not end as they should ({took}). See the log above.")
        return 1
    show.say(f"\nAll scenes ended as they should ({took}). Where to go from here:", "bold")
    show.table([], list((_NEXT if given else {**_NEXT, "The first scene in your Dify": _ON_YOURS}).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
