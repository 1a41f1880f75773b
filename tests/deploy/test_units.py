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
COLLECTOR = SYSTEMD / "fabgate-collector@.service"
PROCESSES = ("ingest", "web", "worker")
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
    # It looks for the programs too: a copy names one that exists here. Of a template it checks each instance.
    copies = []
    for unit in UNITS:
        text = re.sub(r"(/opt/fabgate/bin/fabgate|/usr/lib/fabgate/line-off)", shutil.which("true"), unit.read_text())
        names = [f"fabgate-collector@{name}.service" for name in PROCESSES] if unit == COLLECTOR else [unit.name]
        copies += [tmp_path / name for name in names]
        for copy in copies[-len(names) :]:
            copy.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def objections(path: Path) -> set[str]:
    """What ``systemd-analyze security`` objects to in a unit.

    Not its score: systemd 252 and 257 give the same unit different ones.
    """
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--json=short", path]
    rows = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rows.stdout, rows.stderr
    # A row's "set" is about its description; what costs something has an exposure.
    return {row["json_field"] for row in json.loads(rows.stdout) if row["exposure"]}


#: What shuts a unit in. Each of ours says it.
SHUTS_IN = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "PrivateUsers": "yes",
    "PrivateTmp": "yes",
    "PrivateIPC": "yes",
    "PrivateMounts": "yes",
    "DevicePolicy": "closed",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectProc": "invisible",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RemoveIPC": "yes",
    "KeyringMode": "private",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
    "LimitCORE": "0",
}
#: A unit that says all this, and closes besides what ours need open. It is the peer that ours are compared with.
CLOSED = """[Service]
ExecStart=/bin/true
User=fabgate
PrivateDevices=yes
ProtectClock=yes
ProcSubset=pid
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=none
RootDirectory=/srv
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
"""
#: What the collector needs: its database's and its broker's addresses, and a socket of its own computer.
NETWORK = {
    *("PrivateNetwork", "RestrictAddressFamilies_AF_INET_INET6", "IPAddressDeny"),
    *("RestrictAddressFamilies_AF_UNIX", "RootDirectoryOrRootImage"),
}
#: What the gate needs besides: pins and reader, the Pi's revision in /proc, and the question whether the clock is right.
PINS_AND_CLOCK = {
    *("PrivateDevices", "DeviceAllow", "SupplementaryGroups", "ProcSubset"),
    *("ProtectClock", "SystemCallFilter_clock", "SystemCallFilter_privileged"),
}


def left_open(unit: Path, folder: Path) -> set[str]:
    """What systemd objects to in a unit, less what it objects to in a unit that closes all that we know of.

    Both are judged by the systemd of this computer. So a check that is new in some version counts against neither.
    """
    closed = folder / "closed.service"
    closed.write_text(CLOSED + "".join(f"{name}={value}\n" for name, value in SHUTS_IN.items()))
    return objections(unit) - objections(closed)


@needs_systemd
@pytest.mark.parametrize("unit", [GATE, COLLECTOR, BACKUP], ids=lambda unit: unit.stem)
def test_a_unit_leaves_open_only_what_it_needs(unit, tmp_path):
    needed = NETWORK | PINS_AND_CLOCK if unit == GATE else NETWORK
    assert left_open(unit, tmp_path) <= needed


@pytest.mark.parametrize("unit", [GATE, COLLECTOR, BACKUP], ids=lambda unit: unit.stem)
def test_a_unit_says_each_line_that_shuts_it_in(unit):
    said = settings(unit)
    assert {name: said.get(name) for name in SHUTS_IN} == {name: [value] for name, value in SHUTS_IN.items()}
    families = {"AF_UNIX"} if unit == BACKUP else {"AF_UNIX", "AF_INET", "AF_INET6"}
    assert set(said["RestrictAddressFamilies"][0].split()) <= families
    if unit != GATE:
        assert (said["ProtectClock"], said["ProcSubset"], said["PrivateDevices"]) == (["yes"], ["pid"], ["yes"])
        assert said["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


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
    assert settings(COLLECTOR)["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in settings(COLLECTOR)


def test_no_unit_waits_for_the_network():
    # A gate decides alone; a collector tries again.
    for unit in UNITS:
        assert "network-online.target" not in unit.read_text()


def test_the_target_starts_every_part_of_the_collector_and_stops_them():
    target = settings(SYSTEMD / "fabgate-collector.target")
    assert set(target["Wants"][0].split()) == {f"fabgate-collector@{name}.service" for name in PROCESSES}
    process = settings(COLLECTOR)
    assert process["PartOf"] == ["fabgate-collector.target"]
    # Then `systemctl stop` of the target comes back once they have ended: a restore is refused while one runs.
    assert "fabgate-collector.target" in process["After"][0].split()
    assert process["EnvironmentFile"] == ["/etc/fabgate/collector.env"]


def test_the_units_run_verbs_that_exist():
    from fabgate.arguments import parser

    commands = [settings(unit)["ExecStart"][0] for unit in (GATE, BACKUP)]
    commands += [settings(COLLECTOR)["ExecStart"][0].replace("%i", name) for name in PROCESSES]
    for command in commands:
        program, *arguments = command.split()
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
    from fabgate.collector.processes import run

    # Importing it would want Django to be set up.
    web = (Path(run.__file__).with_name("web.py")).read_text()
    stop_s = int(re.search(r"^STOP_S = (\d+)$", web, re.MULTILINE)[1])
    assert stop_s < int(settings(COLLECTOR)["TimeoutStopSec"][0])
    assert stop_s < run.STOP_S
