"""An uplink, a listener, and a broker with passwords and an access list."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fabgate.gate.config.gate_yaml import Tls
from tests.gate.uplink.harness import (
    Harness,
    Listener,
    listening,
)
from tests.support.mosquitto import Mosquitto


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with listening(broker.plain_port) as found:
        yield found


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Harness]]:
    broker: Mosquitto | None = request.getfixturevalue("broker") if "broker" in request.fixturenames else None
    made: list[Harness] = []

    def harness(port: int, **options: Any) -> Harness:
        if broker is not None and broker.ca:
            options.setdefault("tls", Tls(ca=broker.ca))
        made.append(Harness(tmp_path / f"gate-{len(made)}", port, **options))
        return made[-1]

    yield harness
    for one in made:
        one.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with two gates, a collector and the access list of config/mosquitto.acl."""
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("no mosquitto_passwd here")
    for n, user in enumerate(("lyon/laser-1", "lyon/saw", "collector")):
        create = ["-c"] if n == 0 else []
        subprocess.run([tool, "-b", *create, passwords, user, f"secret of {user}"], check=True, capture_output=True)
    lines = [f"pattern write fabgate/v1/%u/{leaf}" for leaf in ("event/#", "status", "state", "reply")]
    lines += [f"pattern read fabgate/v1/%u/{leaf}" for leaf in ("ack", "command", "roster")]
    lines += ["pattern read fabgate/v1/lyon/collector/status", "user collector", "topic readwrite fabgate/v1/#"]
    acl.write_text("\n".join(lines) + "\n")
    found = Mosquitto(tmp_path / "broker", password_file=passwords, acl_file=acl).start()
    yield found
    found.stop()
