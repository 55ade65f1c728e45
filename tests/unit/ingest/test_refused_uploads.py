"""Files that are refused on their way: the error says by whom and why, and temporary errors are retried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyIngestFailed, DifyTransportError
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import Change, Ingest, names
from tests.unit.sync.syncing import run_sync, write

BY_DIFY = "Raise client_max_body_size there (nginx), and UPLOAD_FILE_SIZE_LIMIT in Dify (15 MB by default)."


def refuse(dify: FakeDify, status: int, **kwargs: Any) -> None:
    kind = "page" if isinstance(kwargs.get("body"), str) else "status"
    dify.faults.add(Fault(kind, method="POST", path="create-by-file", status=status, times=None, **kwargs))  # type: ignore[arg-type]


REFUSALS: dict[str, tuple[int, Any, list[str]]] = {
    "nginx": (413, "<title>413 Request Entity Too Large</title>", ["413 and the page '413 Request", BY_DIFY]),
    "a firewall, by type": (415, "<title>Blocked</title>", ["415 and the page 'Blocked'", "A proxy or firewall"]),
    "a firewall, by content": (422, "<title>Blocked</title>", ["422 and the page 'Blocked'", "A proxy or firewall"]),
    "a gateway": (413, {"message": "Request Too Long"}, ['413 without a code, "Request Too Long"', BY_DIFY]),
    "Dify, by size": (413, {"code": "file_too_large", "message": "File size exceeded.", "status": 413}, [BY_DIFY]),
    "Dify, without a word": (
        413,
        {"code": "file_too_large", "message": "", "status": 413},
        ["file_too_large", BY_DIFY],
    ),
    "Dify, by type": (
        415,
        {"code": "unsupported_file_type", "message": "no", "status": 415},
        ["by the extension"],
    ),
}


@pytest.mark.parametrize("by", REFUSALS)
def test_a_refusal_keeps_its_cause(dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, by: str) -> None:
    status, body, says = REFUSALS[by]
    refuse(dify, status, body=body)
    write(tmp_path, {"big.md": "x" * 100_000})
    result = ingest(tmp_path)
    assert isinstance(result.error, DifyIngestFailed)
    assert result.outcomes == {"big.md": "invalid"}
    error = result.entry("big.md")["error"]
    assert all(part in error for part in says)
    assert error.startswith(f"POST /datasets/{kb.id}/document/create-by-file was answered with {status}")
    cause, _, advice = error.partition(". ")
    assert len(cause) < 200
    assert len(advice) < 200
    assert run_sync(kb, tmp_path).error_of("big.md") == error


def test_a_connection_that_is_reset_while_a_file_is_sent_names_the_limit(
    dify: FakeDify, ingest: Ingest, tmp_path: Path
) -> None:
    dify.faults.add(Fault("reset_before", method="POST", path="create-by-file", times=None))
    error = ingest(write(tmp_path, {"big.md": "x" * 100_000})).error
    assert isinstance(error, DifyTransportError)
    assert "create-by-file was not answered" in str(error)
    assert "client_max_body_size there (nginx), and UPLOAD_FILE_SIZE_LIMIT in Dify" in str(error)


@pytest.mark.parametrize("status", [408, 425, 520, 521, 522, 523, 524, 525, 526, 527, 530])
def test_what_may_pass_is_tried_again(
    dify: FakeDify, kb: Dataset, ingest: Ingest, change: Change, tmp_path: Path, status: int
) -> None:
    body = f"<title>{status}</title>"
    dify.faults.add(Fault("page", method="POST", path="create-by-file", status=status, body=body, times=1))
    dify.faults.add(Fault("page", method="PATCH", status=status, body=body, times=1))
    assert ingest(write(tmp_path, {"page.md": "hello"})).outcomes == {"page.md": "created"}
    assert names(kb) == {"page.md": 1}
    dify.settle()
    assert change("archive", kb.documents).changed == ["page.md"]


@pytest.mark.parametrize("status", [408, 524])
def test_what_was_carried_out_all_the_same_is_not_sent_twice(
    dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, status: int
) -> None:
    dify.faults.add(Fault("page_after", method="POST", path="create-by-file", status=status, times=1))
    assert ingest(write(tmp_path, {"page.md": "hello"})).outcomes == {"page.md": "created"}
    assert names(kb) == {"page.md": 1}
    assert sum("create-by-file" in request.path for request in dify.requests) == 1
