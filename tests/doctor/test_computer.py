"""What a doctor says of any computer, and how its findings are reported."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fabgate.doctor import computer, reach
from fabgate.doctor.finding import (
    Outcome,
    UndeterminedError,
    as_json,
    checked,
    exit_code,
    fail,
    lines,
    not_checked,
    ok,
    warn,
)
from fabgate.doctor.shipped import differences, settings, shipped
from fabgate.doctor.system import System, existing
from fabgate.errors import HardwareError
from tests.deploy.places import SYSTEMD

NOW = datetime(2026, 11, 28, tzinfo=UTC)
OK, WARN, FAIL, NOT_CHECKED = Outcome.OK, Outcome.WARN, Outcome.FAIL, Outcome.NOT_CHECKED


def test_only_a_failure_changes_the_exit_code():
    assert exit_code([ok("a", "x"), warn("b", "x", "do"), not_checked("c", "x")]) == 0
    assert exit_code([ok("a", "x"), fail("b", "x", "do")]) == 1


def test_each_finding_is_a_line_with_its_next_step_below_and_all_are_counted():
    shown = lines([ok("disk", "fine"), fail("clock", "wrong", "set it"), not_checked("spi", "no Pi")])
    assert shown == [
        "ok    disk   fine",
        "FAIL  clock  wrong",
        "             → set it",
        "-     spi    not checked: no Pi",
        "",
        "1 failed, 0 warnings, 1 ok, 1 not checked",
    ]


def test_programs_get_the_same():
    assert as_json([fail("clock", "wrong", "set it")]) == {
        "ok": False,
        "findings": [{"id": "clock", "outcome": "fail", "text": "wrong", "next": "set it"}],
    }


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UndeterminedError("there is no clock"), "there is no clock"),
        (PermissionError(13, "Permission denied", "/etc/shadow"), "no right to read /etc/shadow"),
        (FileNotFoundError(2, "No such file", "/dev/x"), "No such file"),
        (KeyError("mqtt"), "mqtt"),
        (HardwareError("gone"), "gone"),
    ],
)
def test_what_cannot_be_read_is_never_ok_and_ends_nothing(error, told):
    def check():
        raise error

    finding = checked("clock", check)
    assert finding.outcome is NOT_CHECKED
    assert told in finding.text


@pytest.mark.parametrize(
    ("free", "files", "outcome"), [(900, 5_000, OK), (400, None, WARN), (40, None, FAIL), (900, 10, FAIL)]
)
def test_disk_space(free, files, outcome):
    found = computer.disk_space(
        free * computer.MB, files, where="/var", warn_below=500 * computer.MB, fail_below=50 * computer.MB
    )
    assert found.outcome is outcome


@pytest.mark.parametrize(
    ("times_ms", "outcome"), [([5, 6, 200], OK), ([60, 70, 80], WARN), ([5, 5, 300], WARN), ([5, 5, 1_500], FAIL)]
)
def test_disk_speed(times_ms, outcome):
    assert computer.disk_speed(times_ms, where="/var").outcome is outcome


def test_the_speed_of_a_real_folder_is_measured_and_nothing_stays(tmp_path):
    assert all(time_ms > 0 for time_ms in System().sync_times_ms(tmp_path))
    assert not list(tmp_path.iterdir())
    assert existing(tmp_path / "not" / "there") == tmp_path


@pytest.mark.parametrize(("days", "outcome"), [(400, OK), (20, WARN), (-3, FAIL), (None, NOT_CHECKED)])
def test_certificates(days, outcome):
    ends = None if days is None else NOW + timedelta(days=days)
    assert computer.certificate("certificate", ends, NOW, "broker's").outcome is outcome


def test_secrets_that_nobody_may_see_are_not_called_safe():
    assert computer.secret_files({"a": 0, "b": None}).outcome is NOT_CHECKED
    assert computer.secret_files({}).outcome is NOT_CHECKED
    assert computer.secret_files({"a": 0}).outcome is OK
    assert computer.secret_files({"a": 4, "b": None}).outcome is FAIL


def test_listening_ports_are_read_with_their_addresses(tmp_path):
    (tmp_path / "proc/net").mkdir(parents=True)
    head = "  sl  local_address rem_address   st\n"
    (tmp_path / "proc/net/tcp").write_text(
        f"{head}  0: 0100007F:1F90 00000000:0000 0A x\n  1: 0201A8C0:0016 0301A8C0:8000 01 x\n"
    )
    (tmp_path / "proc/net/tcp6").write_text(
        f"{head}  0: {'0' * 32}:0016 {'0' * 32}:0000 0A x\n  1: {'0' * 24}01000000:0019 {'0' * 32}:0000 0A x\n"
        f"  2: {'0' * 16}FFFF00000100007F:0050 {'0' * 32}:0000 0A x\n"
    )
    assert System(tmp_path).listening() == [("::", 22), ("::1", 25), ("127.0.0.1", 80), ("127.0.0.1", 8080)]


def test_this_computer_reads_its_own_sockets():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ("127.0.0.1", server.getsockname()[1]) in (System().listening() or ())


def test_a_server_without_tls_and_one_that_is_not_trusted_are_told_apart(papers):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reach.reach("127.0.0.1", port, None) is None
    with pytest.raises(ConnectionRefusedError) as refused:
        reach.reach("127.0.0.1", port, ssl.create_default_context(cafile=papers / "ca.pem"))
    assert "refuses" in reach.why(refused.value, host="127.0.0.1", port=port)[0]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ssl.SSLCertVerificationError("x"), "is not accepted"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "does not speak TLS"),
        (TimeoutError(), "does not answer"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
)
def test_each_reason_why_a_server_cannot_be_reached_is_told_apart(error, told):
    error.verify_message = "self-signed certificate"
    text, todo = reach.why(error, host="broker.lan", port=8883)
    assert told in text
    assert todo


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SYSTEMD.glob("*.service")), ids=lambda path: path.name)
def test_every_unit_is_as_shipped_when_it_is_as_shipped(path):
    text = shipped(f"systemd/{path.name}")
    assert text == path.read_text()
    assert not differences(settings([text]), settings([text]))


def test_what_a_workshop_adds_is_its_own():
    wanted = settings(["[Service]\nUser=fabgate\nDeviceAllow=a\nDeviceAllow=b\n"])
    found = settings(["[Service]\nUser=fabgate\nDeviceAllow=a\n", "[Service]\nDeviceAllow=c\nDeviceAllow=b\nNice=5\n"])
    assert not differences(wanted, found)


@pytest.mark.parametrize(
    "drop_in", ["DeviceAllow=", "User=root", "User=", "DeviceAllow=\nDeviceAllow=b\nDeviceAllow=a"]
)
def test_what_a_drop_in_takes_away_is_noticed(drop_in):
    wanted = settings(["[Service]\nUser=fabgate\nDeviceAllow=a\nDeviceAllow=b\n"])
    found = settings(["[Service]\nUser=fabgate\nDeviceAllow=a\nDeviceAllow=b\n", f"[Service]\n{drop_in}\n"])
    assert len(differences(wanted, found)) == 1


def test_files_are_found_where_a_wheel_installs_them():
    text = (Path(__file__).parents[2] / "setup.cfg").read_text()
    assert "share/fabgate/systemd = systemd/*" in text
    assert (
        "share/fabgate/hardware = hardware/pins.yaml, hardware/commissioning.md, hardware/commissioning.fr.md" in text
    )
