"""Runs `airflow connections test` of this interpreter's Airflow against the built-in Dify; fails where it fails."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_provider_dify.testing import FakeDify, SystemClock


def main() -> int:
    """Test a connection that works and one whose key is wrong; 1 if either is not told."""
    with FakeDify(clock=SystemClock()) as dify, tempfile.TemporaryDirectory() as home:
        good = _test(home, dify.airflow_connection())
        bad = _test(home, dify.airflow_connection().replace(dify.api_key, dify.app_key))
    print(f"{good}\n{bad}")
    told = "Connection success" in good and "Connection failed" in bad and "app key" in bad
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
