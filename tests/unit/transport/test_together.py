"""Parallel flows: the same on a worker and in a triggerer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyAuthenticationError, DifyServerError
from airflow_provider_dify.knowledge.flow import Flow, Pause, Request, Together
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.testing import FakeDify, Fault
from tests.unit.transport.ways import ONE_MORE, each_way, settings_of


class Several:
    """Some flows with a few requests each."""

    def __init__(self, count: int, most: int) -> None:
        self.count, self.most = count, most
        self.begun: list[int] = []
        self.done: list[int] = []
        self.active: list[int] = []

    def flow(self) -> Flow[str]:
        yield Together([self._one(number) for number in range(self.count)], self.most)
        return "the end"

    def _one(self, number: int) -> Flow[None]:
        self.begun.append(number)
        for _ in range(3):
            self.active.append(len(self.begun) - len(self.done))
            yield Request("GET", "/datasets")
            yield Pause(1.0, "")
        self.done.append(number)


@each_way
@pytest.mark.parametrize("most", [1, 3])
def test_some_run_at_a_time(dify: FakeDify, way: Callable[..., Any], most: int) -> None:
    several = Several(7, most)
    assert way(settings_of(dify), retrying(several.flow(), ONE_MORE)) == "the end"
    assert sorted(several.done) == list(range(7))
    assert max(several.active) == most
    assert len(dify.requests) == 21


@each_way
def test_each_is_tried_again(dify: FakeDify, way: Callable[..., Any]) -> None:
    dify.faults.add(Fault("status", status=503, times=1, after=4))
    several = Several(3, 3)
    way(settings_of(dify), retrying(several.flow(), ONE_MORE))
    assert len(several.done) == 3
    assert len(dify.requests) == 10


@each_way
def test_a_failure_ends_all(dify: FakeDify, way: Callable[..., Any]) -> None:
    dify.faults.add(Fault("status", status=503, times=None))
    several = Several(5, 2)
    with pytest.raises(DifyServerError):
        way(settings_of(dify), retrying(several.flow(), ONE_MORE))
    assert several.done == []
    assert len(several.begun) == 2


@each_way
def test_a_flow_may_go_on_after_it(dify: FakeDify, way: Callable[..., Any]) -> None:
    def flow() -> Flow[str]:
        try:
            yield from Several(3, 2).flow()
        except DifyAuthenticationError:
            return "refused"
        return "?"

    assert way(settings_of(dify, api_key="dataset-wrong"), retrying(flow(), ONE_MORE)) == "refused"
