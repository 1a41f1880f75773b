"""A collector with a broker of its own, and gates that connect to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings

from tests.collector.recording.broker.accounts.own_broker import OwnBroker, running
from tests.collector.rosters import add
from tests.support.mqtt_connection import Client


@pytest.fixture
def broker(env, papers, tmp_path, monkeypatch) -> Iterator[OwnBroker]:
    """The broker of the collector, which runs."""
    with running(tmp_path / "broker", papers, env) as found:
        monkeypatch.setattr(settings, "ENVIRONMENT", found.env)
        yield found.start()


@pytest.fixture
def keeper(broker) -> Any:
    """What keeps its accounts."""
    from fabgate.collector.recording.broker.accounts.keeper import Keeper

    return Keeper(broker.env)


@pytest.fixture
def connect(broker) -> Iterator[Callable[..., Client]]:
    """Connect as a gate of the site, by default with the password in its folder; or as the collector."""
    with ExitStack() as stack:

        def connected(gate: str, password: str = "", **options: Any) -> Client:
            own = broker.env.mqtt_password_file if gate == "collector" else password_file(broker.env, gate)
            client = broker.connection(f"lyon/{gate}", password or own.read_text().strip(), **options)
            stack.callback(client.close)
            return client

        yield connected


def password_file(env: Any, gate: str) -> Any:
    """Return the file of a gate's password."""
    return env.gate_directory(gate) / "mqtt.password"


@pytest.fixture
def let_in(broker, capsys) -> Callable[..., None]:
    """Add a gate as `gate-add` does."""

    def let_in(gate: str, **more: Any) -> None:
        add(gate, f"machine-of-{gate}", **more)
        capsys.readouterr()

    return let_in
