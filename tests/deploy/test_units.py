"""Do the units say what systemd understands, and what keeps a machine safe and a gate shut in?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.places import SYSTEMD

UNITS = sorted([*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.target"), *SYSTEMD.glob("*.timer")])
GATE = SYSTEMD / "fabgate-gate.service"
COLLECTOR = [SYSTEMD / f"fabgate-collector-{part}.service" for part in ("ingest", "web", "worker")]
BACKUP = SYSTEMD / "fabgate-collector-backup.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here (Debian package systemd)"
)


def settings(unit) -> dict[str, list[str]]:
    """What is set, in order; a setting may come several times."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


# --- what systemd says ------------------------------------------------------------------------------------------------


@needs_systemd
def test_systemd_finds_no_fault_in_the_units(tmp_path):
    # It looks for the programs too: a copy names one that exists here.
    for unit in UNITS:
        text = re.sub(r"(/opt/fabgate/bin/fabgate|/usr/lib/fabgate/line-off)", shutil.which("true"), unit.read_text())
        (tmp_path / unit.name).write_text(text)
    copies = [tmp_path / unit.name for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def exposure(path) -> tuple[float, set[str]]:
    """The score of systemd-analyze (0 is shut in, 10 is open), and what it objects to."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    text = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text.stdout)
    assert score, text.stderr
    rows = subprocess.run([*command, "--json=short", path], capture_output=True, text=True, check=False)
    # A row's "set" tells of its description; what costs something has an exposure.
    return float(score.group(1)), {row["json_field"] for row in json.loads(rows.stdout) if row["exposure"]}


@needs_systemd
def test_the_gate_is_shut_in_but_for_its_pins_the_network_and_one_question_to_the_clock(tmp_path):
    score, objections = exposure(GATE)
    assert score <= 1.7
    assert objections == {
        *("PrivateDevices", "DeviceAllow", "SupplementaryGroups", "ProcSubset"),  # pins, reader, the Pi's revision
        *("PrivateNetwork", "RestrictAddressFamilies_AF_INET_INET6", "IPAddressDeny"),  # the broker
        "RestrictAddressFamilies_AF_UNIX",  # sd_notify
        "RootDirectoryOrRootImage",
        *("ProtectClock", "SystemCallFilter_clock", "SystemCallFilter_privileged"),  # is the clock right?
    }
    # Whoever takes the question to the clock away has the score of the design: nothing else was given up for it.
    without = GATE.read_text().replace("SystemCallFilter=adjtimex clock_adjtime clock_adjtime64", "ProtectClock=yes")
    (tmp_path / GATE.name).write_text(without)
    assert exposure(tmp_path / GATE.name)[0] <= 1.3


@needs_systemd
@pytest.mark.parametrize("unit", [*COLLECTOR, BACKUP], ids=lambda unit: unit.stem)
def test_the_collector_is_shut_in_but_for_the_network(unit):
    score, objections = exposure(unit)
    assert score <= 1.1
    assert not {"PrivateDevices", "ProtectClock", "CapabilityBoundingSet_CAP_SYS_ADMIN"} & objections


# --- what keeps a machine safe ----------------------------------------------------------------------------------------


def test_the_line_is_driven_off_before_each_start_and_after_each_end_outside_the_sandbox():
    gate = settings(GATE)
    assert gate["ExecStartPre"] == gate["ExecStopPost"] == ["+/usr/lib/fabgate/line-off"]


def test_no_crash_loop_ends_in_a_unit_that_has_given_up():
    gate = settings(GATE)
    assert gate["StartLimitIntervalSec"] == ["0"]
    assert (gate["Restart"], gate["RestartSec"]) == (["always"], ["1"])
    assert not {"RestartSteps", "RestartMaxDelaySec"} & set(gate)  # the delay would stay at its longest for ever


def test_a_loop_that_hangs_is_killed_within_four_seconds_and_so_are_its_children():
    gate = settings(GATE)
    assert (gate["Type"], gate["NotifyAccess"]) == (["notify"], ["main"])
    assert (gate["WatchdogSec"], gate["WatchdogSignal"]) == (["3"], ["SIGKILL"])
    assert (gate["KillMode"], gate["TimeoutStopSec"]) == (["mixed"], ["3"])


def test_lgpio_has_a_place_for_its_file_and_no_other_library_takes_its_place():
    gate = settings(GATE)
    assert gate["RuntimeDirectory"] == ["fabgate"]
    assert gate["WorkingDirectory"] == ["/run/fabgate"]
    assert set(gate["Environment"]) == {"LG_WD=/run/fabgate", "GPIOZERO_PIN_FACTORY=lgpio"}


def test_the_gate_may_ask_whether_the_clock_is_right():
    gate = settings(GATE)
    assert not {"ProtectClock", "ProcSubset"} & set(gate)
    assert gate["SystemCallErrorNumber"] == ["EPERM"]
    # The order counts: what is excluded is allowed again behind it.
    assert gate["SystemCallFilter"] == [
        "@system-service",
        "~@privileged @resources",
        "adjtimex clock_adjtime clock_adjtime64",
    ]


def test_of_all_devices_only_pins_and_reader_can_be_opened():
    gate = settings(GATE)
    assert gate["DevicePolicy"] == ["closed"]
    assert gate["DeviceAllow"] == ["char-gpiochip rw", "char-spi rw"]
    assert gate["SupplementaryGroups"] == ["gpio spi"]
    for unit in COLLECTOR:
        assert settings(unit)["PrivateDevices"] == ["yes"]
        assert "DeviceAllow" not in settings(unit)


def test_no_unit_waits_for_the_network():
    # A gate decides alone; a collector tries again.
    for unit in UNITS:
        assert "network-online.target" not in unit.read_text()


def test_the_target_starts_every_part_of_the_collector_and_stops_them():
    target = settings(SYSTEMD / "fabgate-collector.target")
    assert set(target["Wants"][0].split()) == {unit.name for unit in COLLECTOR}
    for unit in COLLECTOR:
        assert settings(unit)["PartOf"] == ["fabgate-collector.target"]
        assert settings(unit)["EnvironmentFile"] == ["/etc/fabgate/collector.env"]


def test_the_units_run_verbs_that_exist():
    from fabgate.arguments import parser

    for unit in (GATE, *COLLECTOR, BACKUP):
        program, *arguments = settings(unit)["ExecStart"][0].split()
        assert program == "/opt/fabgate/bin/fabgate"
        parser().parse_args(arguments)


def test_a_copy_is_made_every_night_into_a_folder_of_its_own_without_the_network():
    backup, timer = settings(BACKUP), settings(BACKUP.with_suffix(".timer"))
    assert (timer["OnCalendar"], timer["Persistent"]) == (["*-*-* 03:30"], ["true"])
    *_, verb, folder, keep, number = backup["ExecStart"][0].split()
    assert (verb, keep, int(number) > 0) == ("backup", "--keep", True)
    folders = [f"/var/lib/{name}" for name in backup["StateDirectory"][0].split()]
    assert folders == ["/var/lib/fabgate-collector", folder]
    assert (backup["Type"], backup["PrivateNetwork"], backup["StateDirectoryMode"]) == (["oneshot"], ["yes"], ["0700"])


def test_every_part_of_the_collector_has_time_to_end_before_it_is_killed():
    from fabgate.collector import run

    # Importing it would want Django to be set up.
    web = (Path(run.__file__).with_name("web.py")).read_text()
    stop_s = int(re.search(r"^STOP_S = (\d+)$", web, re.MULTILINE)[1])
    assert stop_s < int(settings(SYSTEMD / "fabgate-collector-web.service")["TimeoutStopSec"][0])
    assert stop_s < run.STOP_S
