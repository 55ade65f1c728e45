"""Run `airflow connections test` of this interpreter's Airflow against the built-in Dify, and fail if it fails."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_provider_dify.testing import FakeDify, SystemClock


def main() -> int:
    """Test a good connection and two with wrong keys; return 1 if a result does not help the user."""
    with FakeDify(clock=SystemClock()) as dify, tempfile.TemporaryDirectory() as home:
        good = _test(home, dify.airflow_connection())
        unknown = _test(home, dify.airflow_connection().replace(dify.api_key, "dataset-unknown"))
        unknown_app = _test(home, dify.airflow_connection().replace(dify.api_key, "app-unknown"))
    print(good, unknown, unknown_app, sep="\n")
    told = (
        "Connection success" in good
        and "Connection failed" in unknown
        and "Knowledge API key" in unknown
        and "Connection failed" in unknown_app
        and "API key of the app" in unknown_app
    )
    return 0 if told else 1


def _test(home: str, connection: str) -> str:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW_CONN_DIFY_DEFAULT": connection,
        "COLUMNS": "400",
        "NO_COLOR": "1",
    }
    program = Path(sys.executable).with_name("airflow")
    done = subprocess.run(
        [str(program), "connections", "test", "dify_default"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return "\n".join(line for line in done.stdout.splitlines() if "onnection" in line or "Dify" in line)


if __name__ == "__main__":
    sys.exit(main())
