"""A machine with a gate, and what is sent to its pages.

Import `a_gate` into a test module: it is the fixture `gate`, which every test there gets, as `broker` is.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fabgate.collector.ground.base.key_files import new_key, write_secret
from fabgate.collector.ground.models import Gate, Machine

LOCK = "/floor/machines/saw/lock"
UNLOCK = "/floor/machines/saw/unlock"
BROKEN = {"why": "0", "when": "idle", "back": ""}


@pytest.fixture(autouse=True, name="gate")
def a_gate(env, broker) -> Gate:
    """Return the gate of a machine, online; its secrets are in a directory of this test."""
    (env.gate_directory("saw-1")).mkdir(parents=True)
    write_secret(env.gate_directory("saw-1") / "seal.keys", new_key("s1"))
    machine = Machine.objects.create(name="saw", title="Bandsaw")
    now = datetime.now(UTC)
    return Gate.objects.create(name="saw-1", machine=machine, online=True, seen_at=now, boot="boot-7", state="idle")
