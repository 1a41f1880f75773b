"""Ports of the demo: never one of those that outgoing connections take for themselves."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fabgate.demo.processes.ports import free_port


def test_no_outgoing_connection_of_a_neighbour_can_take_it_while_its_server_is_down() -> None:
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert all(1024 < free_port() < first_outgoing for _ in range(20))


def test_no_other_process_is_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "sample", lambda ports, _: ports)  # from the first on, in order
    mine = {free_port() for _ in range(3)}
    theirs = subprocess.run(
        [
            sys.executable,
            "-c",
            "import random; random.sample = lambda ports, _: ports\nfrom fabgate.demo.processes import ports; print(ports.free_port())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(theirs.stdout) not in mine
    assert len(mine) == 3


def test_one_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken, other = server.getsockname()[1], free_port() + 1
        monkeypatch.setattr(random, "sample", lambda *_: [taken, *range(other, other + 50)])
        assert free_port() != taken
