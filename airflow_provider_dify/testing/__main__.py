"""``python -m airflow_provider_dify.testing``: see :mod:`airflow_provider_dify.testing.program`."""

from __future__ import annotations

import sys

from airflow_provider_dify.testing.program import main

if __name__ == "__main__":
    sys.exit(main())
