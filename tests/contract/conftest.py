from __future__ import annotations

import pytest

from tests.contract.coverage import summary


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group]
    if any("tests/contract/" in getattr(report, "nodeid", "") for report in reports):
        terminalreporter.section("contract with Dify")
        for line in summary():
            terminalreporter.write_line(line)
