"""Two tasks that need the same knowledge base at the same time, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from airflow_provider_dify.testing import FakeDify, SystemClock

#: Waits for a line, so that both are ready before one starts.
ENSURE = """
import sys
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
with DifyHook() as hook:
    hook.get_conn()
    print("ready", flush=True)
    sys.stdin.readline()
    report = hook.ensure_dataset("handbook", KnowledgeBaseOptions(indexing_technique="economy"))
print(report.dataset_id, report.outcome)
"""


@pytest.mark.program
def test_make_one_knowledge_base() -> None:
    with FakeDify(clock=SystemClock()) as dify:
        environment = {**os.environ, "AIRFLOW_CONN_DIFY_DEFAULT": dify.airflow_connection()}
        command = [sys.executable, "-c", ENSURE]
        both = [
            subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for one in both:
            assert one.stdout
            while one.stdout.readline() != "ready\n":
                assert one.poll() is None
        said = [one.communicate("go\n", timeout=300)[0].split() for one in both]
        assert [kb.name for kb in dify.world.datasets.values()] == ["handbook"]
        (kb,) = dify.world.datasets.values()
    assert {words[-2] for words in said} == {kb.id}
    assert sorted(words[-1] for words in said) == ["created", "unchanged"]
