"""A machine with a gate, and a broker for the pages of the floor that keeps what is published.

Import `a_gate` and `a_broker` into a test module: they are fixtures, `gate` and `broker`, that every test there gets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.contrib.messages import get_messages

from fabgate import wire
from fabgate.collector.access import roster
from fabgate.collector.base.key_files import new_key, write_secret
from fabgate.collector.broker import link as mqtt
from fabgate.collector.models import Gate, Machine
from fabgate.errors import FabgateError

LOCK = "/floor/machines/saw/lock"
UNLOCK = "/floor/machines/saw/unlock"
BROKEN = {"why": "0", "when": "idle", "back": ""}


class Broker:
    """Takes what is published, unless it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.taken: list[mqtt.Outgoing] = []
        self.patience_s: list[float] = []

    def publish_once(self, _env: Any, messages: list[mqtt.Outgoing], *, timeout_s: float) -> None:
        self.patience_s.append(timeout_s)
        if self.is_away:
            raise FabgateError("the broker cannot be reached")
        self.taken += messages

    def commands(self) -> list[wire.Command]:
        return [wire.decode(one.body, wire.Command) for one in self.taken if one.topic.endswith("/command")]


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


@pytest.fixture(autouse=True, name="gate")
def a_gate(database, tmp_path, monkeypatch) -> Iterator[Gate]:
    """Return the gate of a machine, online; its secrets are in a directory of this test."""
    env = replace(settings.ENVIRONMENT, data=tmp_path / "data")
    (env.gate_directory("saw-1")).mkdir(parents=True)
    write_secret(env.badge_key_file, new_key("b1"))
    write_secret(env.gate_directory("saw-1") / "seal.keys", new_key("s1"))
    monkeypatch.setattr(settings, "ENVIRONMENT", env)
    machine = Machine.objects.create(name="saw", title="Bandsaw")
    now = datetime.now(UTC)
    return Gate.objects.create(name="saw-1", machine=machine, online=True, seen_at=now, boot="boot-7", state="idle")


@pytest.fixture(autouse=True, name="broker")
def a_broker(monkeypatch) -> Broker:
    found = Broker()
    monkeypatch.setattr(roster, "publish_once", found.publish_once)
    return found
