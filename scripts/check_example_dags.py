"""Import every file of example_dags/ as Airflow's DAG processor would; fail on errors and on warnings of this package.

A warning counts if it was raised in this package or an example, or mentions one: every user would see it at every
parse.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "example_dags"
PACKAGE = "airflow_provider_dify"


def is_ours(warning: warnings.WarningMessage) -> bool:
    """Whether a warning was raised in this package or an example, or mentions one."""
    package = importlib.util.find_spec(PACKAGE)
    places = [EXAMPLES, *(Path(place) for place in (package and package.submodule_search_locations) or ())]
    in_ours = any(Path(warning.filename).is_relative_to(place) for place in places)
    return in_ours or any(name in str(warning.message) for name in (PACKAGE, EXAMPLES.name))


def problems(path: Path) -> list[str]:
    """Import one file; return what is wrong with it."""
    spec = importlib.util.spec_from_file_location(f"example_dag_{path.stem}", path)
    if spec is None or spec.loader is None:
        return ["not a Python module"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except Exception:  # noqa: BLE001 - any error is the result
            return [traceback.format_exc()]
    return [
        f"{warning.category.__name__}: {warning.message} ({warning.filename}:{warning.lineno})"
        for warning in caught
        if is_ours(warning)
    ]


def main() -> int:
    """Check all of them; return 1 if something is wrong, or if there is nothing to check."""
    files = sorted(path for path in EXAMPLES.rglob("*.py") if path.name != "__init__.py")
    failed = not files
    for path in files:
        found = problems(path)
        failed = failed or bool(found)
        print(path.relative_to(EXAMPLES.parent), "ok" if not found else "\n  ".join(["", *found]))
    print(f"{len(files)} example DAGs")
    return int(failed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        # Before the first import of Airflow, which reads it once and writes a configuration there.
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        sys.exit(main())
