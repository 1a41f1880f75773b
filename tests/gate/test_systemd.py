"""sd_notify: what is sent, to whom, and that a deaf manager never stops the loop."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fabgate.gate import systemd


def test_lines_arrive_as_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        systemd.notify("READY=1", "STATUS=ready")
        assert manager.recv(1000) == b"READY=1\nSTATUS=ready"


def test_an_abstract_socket_is_spelled_with_an_at_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"fabgate-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        systemd.notify("WATCHDOG=1")
        assert manager.recv(1000) == b"WATCHDOG=1"


def test_without_a_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")


def test_a_manager_that_is_away_or_deaf_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    systemd.notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        for _ in range(2_000):  # far more than its buffer takes
            systemd.notify("WATCHDOG=1")


@pytest.mark.parametrize(
    ("limit", "pid", "wanted"),
    [("3000000", None, 1.5), ("", None, None), ("soon", None, None), ("3000000", "1", None)],
)
def test_the_watchdog_is_fed_at_half_of_what_systemd_allows(
    monkeypatch: pytest.MonkeyPatch, limit: str, pid: str | None, wanted: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert systemd.watchdog_s() == wanted
