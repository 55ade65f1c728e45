"""The pytest fixtures ``dify`` and ``dify_factory``, registered by installing ``airflow-provider-dify[testing]``.

Importing this takes almost no time, because pytest does so wherever the package is installed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from airflow_provider_dify.testing.fake import FakeDify, Options
    from airflow_provider_dify.testing.model.clock import VirtualClock


class DifyFactory:
    """Starts one or more Difys for a test; they share one clock. The fixture ``dify_factory`` returns one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._running: dict[str, FakeDify] = {}
        self._clock: VirtualClock | None = None
        self._until_stop = ExitStack()

    def __call__(
        self, conn_id: str = "dify_default", *, extra: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> FakeDify:
        """Start a Dify, and a connection to it in the environment.

        Unless ``clock`` is among the options, it has a virtual clock, which is this provider's clock as well: waiting
        takes no time. A client in another process needs ``clock=SystemClock()``.

        :param conn_id: Id of the connection; each Dify has its own.
        :param extra: Extras of the connection.
        :param options: Those of :class:`FakeDify`.
        """
        from airflow_provider_dify.testing.fake import FakeDify

        if conn_id in self._running:
            raise ValueError(f"The connection {conn_id!r} leads to another Dify already: give this one another conn_id")
        if options.get("clock") is None:
            options["clock"] = self._shared_clock()
        self._running[conn_id] = made = FakeDify(**options)
        made.start()
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", made.airflow_connection(extra))
        return made

    def stop(self) -> None:
        """Stop all of them."""
        self._until_stop.close()
        for one in self._running.values():
            one.stop()

    def _shared_clock(self) -> VirtualClock:
        if self._clock is None:
            from airflow_provider_dify.testing.model.clock import VirtualClock
            from airflow_provider_dify.transport.clock import using

            self._clock = VirtualClock()
            self._until_stop.enter_context(using(self._clock))
            self._let_sensors_use(self._clock)
        return self._clock

    def _let_sensors_use(self, clock: VirtualClock) -> None:
        """Let Airflow's sensors sleep by a virtual clock: it would stand still while they wait."""
        from airflow.providers.common.compat.sdk import BaseSensorOperator

        module = sys.modules[BaseSensorOperator.__module__]
        self._monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), **_methods_of(clock)}))


def _methods_of(clock: VirtualClock) -> dict[str, Any]:
    return {"time": clock.time, "monotonic": clock.monotonic, "sleep": clock.sleep}


@pytest.fixture
def dify_factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[DifyFactory]:
    """Start a Dify with options, such as ``dify_factory(version="1.14.1", lost_keywords=0.2)``, or several.

    Each call returns a running :class:`~airflow_provider_dify.testing.FakeDify`; see :class:`DifyFactory`.
    """
    factory = DifyFactory(monkeypatch)
    yield factory
    factory.stop()


@pytest.fixture
def dify(dify_factory: DifyFactory) -> FakeDify:
    """A running :class:`~airflow_provider_dify.testing.FakeDify` whose clock is this provider's clock.

    Waiting takes no time: ``dify.clock.slept`` lists how long the provider slept. The connection ``dify_default`` in
    the environment leads to it.
    """
    return dify_factory()
