"""Checks the systemd units: they are valid, keep machines safe, and run in a sandbox."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.places import CONFIG, SYSTEMD

UNITS = sorted(
    [*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.target"), *SYSTEMD.glob("*.timer"), *SYSTEMD.glob("*.socket")]
)
GATE = SYSTEMD / "fabgate-gate.service"
COLLECTOR = SYSTEMD / "fabgate-collector@.service"
PROCESSES = ("ingest", "web", "worker")
SOCKETS = {name: SYSTEMD / f"fabgate-collector-{name}.socket" for name in ("https", "http")}
FIREWALL = SYSTEMD / "fabgate-firewall.service"
CERTIFICATES = SYSTEMD / "fabgate-collector-certificates.service"
BACKUP = SYSTEMD / "fabgate-collector-backup.service"
BROKER = SYSTEMD / "fabgate-broker.service"

#: The settings that differ between the two brokers: where their files are, and where accounts are kept.
_PATHS = r"persistence_location|certfile|keyfile|plugin|password_file|acl_file"
_CONTROL = ["listener 0 /run/fabgate-broker/control/socket"]

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here (Debian package systemd)"
)


def settings(unit) -> dict[str, list[str]]:
    """Return the settings of a unit in order; a setting may occur several times."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


# --- validity and sandbox ---------------------------------------------------------------------------------------------


@needs_systemd
def test_systemd_finds_no_fault_in_the_units(tmp_path):
    # systemd also checks that the programs exist, so the copies name one that does. A template is checked by instance.
    copies = []
    for unit in UNITS:
        text = re.sub(
            r"(/opt/fabgate/bin/fabgate|/usr/lib/fabgate/line-off|/usr/sbin/(nft|mosquitto|fabgate-collector))",
            shutil.which("true"),
            unit.read_text(),
        )
        names = [f"fabgate-collector@{name}.service" for name in PROCESSES] if unit == COLLECTOR else [unit.name]
        copies += [tmp_path / name for name in names]
        for copy in copies[-len(names) :]:
            copy.write_text(text)
    # Without --man=no it also fails where no manual pages are installed.
    command = ["systemd-analyze", "verify", "--man=no", *copies]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def objections(path: Path) -> set[str]:
    """Return the objections of ``systemd-analyze security`` to a unit.

    Its score is of no use: systemd 252 and 257 score the same unit differently.
    """
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--json=short", path]
    rows = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rows.stdout, rows.stderr
    # "set" describes the row; only a row with an exposure is an objection.
    return {row["json_field"] for row in json.loads(rows.stdout) if row["exposure"]}


#: The sandbox settings that each of our units has.
SANDBOX = {
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
#: The rest of a unit that closes everything, even what our units need. Our units are compared with it.
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
#: The collector needs the addresses of its database and broker, and a socket on its own computer.
NETWORK = {
    *("PrivateNetwork", "RestrictAddressFamilies_AF_INET_INET6", "IPAddressDeny"),
    *("RestrictAddressFamilies_AF_UNIX", "RootDirectoryOrRootImage"),
}
#: The gate also needs pins and reader, the Pi's revision in /proc, and the state of the clock.
PINS_AND_CLOCK = {
    *("PrivateDevices", "DeviceAllow", "SupplementaryGroups", "ProcSubset"),
    *("ProtectClock", "SystemCallFilter_clock", "SystemCallFilter_privileged"),
}


def left_open(unit: Path, folder: Path) -> set[str]:
    """Return systemd's objections to a unit, except those that it also has to a unit that closes everything.

    The systemd of this computer judges both. So a check that is new in some version counts against neither.
    """
    closed = folder / "closed.service"
    closed.write_text(CLOSED + "".join(f"{name}={value}\n" for name, value in SANDBOX.items()))
    return objections(unit) - objections(closed)


@needs_systemd
@pytest.mark.parametrize("unit", [GATE, COLLECTOR, BACKUP, BROKER], ids=lambda unit: unit.stem)
def test_a_unit_leaves_open_only_what_it_needs(unit, tmp_path):
    needed = NETWORK | PINS_AND_CLOCK if unit == GATE else NETWORK
    assert left_open(unit, tmp_path) <= needed


#: Two units are root: one loads the limits of connections, the other reads the authority's key and gives a group the right to
#: read a certificate. Both ask the kernel over a socket; the second one also asks systemd to restart the broker.
AS_ROOT = {"UserOrDynamicUser", "PrivateUsers", "PrivateNetwork", "RestrictAddressFamilies_AF_NETLINK"}
RENEWS = {
    *("CapabilityBoundingSet_CAP_CHOWN_FSETID_SETFCAP", "SystemCallFilter_privileged"),
    *("RestrictAddressFamilies_AF_UNIX", "RootDirectoryOrRootImage", "UMask"),
}


@needs_systemd
@pytest.mark.parametrize(
    ("unit", "needed"),
    [(FIREWALL, AS_ROOT | {"CapabilityBoundingSet_CAP_NET_ADMIN"}), (CERTIFICATES, AS_ROOT | RENEWS)],
    ids=lambda one: one.stem if isinstance(one, Path) else "",
)
def test_a_unit_of_root_leaves_open_only_what_it_needs(unit, needed, tmp_path):
    assert left_open(unit, tmp_path) <= needed


@pytest.mark.parametrize("unit", [GATE, COLLECTOR, BACKUP, BROKER], ids=lambda unit: unit.stem)
def test_a_unit_has_each_sandbox_setting(unit):
    values = settings(unit)
    assert {name: values.get(name) for name in SANDBOX} == {name: [value] for name, value in SANDBOX.items()}
    families = {"AF_UNIX"} if unit == BACKUP else {"AF_UNIX", "AF_INET", "AF_INET6"}
    assert set(values["RestrictAddressFamilies"][0].split()) <= families
    if unit != GATE:
        assert (values["ProtectClock"], values["ProcSubset"], values["PrivateDevices"]) == (["yes"], ["pid"], ["yes"])
        assert values["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


# --- what keeps a machine safe ----------------------------------------------------------------------------------------


def test_line_off_runs_outside_the_sandbox_before_each_start_and_after_each_end():
    gate = settings(GATE)
    assert gate["ExecStartPre"] == gate["ExecStopPost"] == ["+/usr/lib/fabgate/line-off"]


def test_systemd_never_stops_restarting_the_gate():
    gate = settings(GATE)
    assert gate["StartLimitIntervalSec"] == ["0"]
    assert (gate["Restart"], gate["RestartSec"]) == (["always"], ["1"])
    assert not {"RestartSteps", "RestartMaxDelaySec"} & set(gate)  # the delay would grow and never shrink again


def test_a_gate_that_hangs_is_killed_within_four_seconds_with_its_children():
    gate = settings(GATE)
    assert (gate["Type"], gate["NotifyAccess"]) == (["notify"], ["main"])
    assert (gate["WatchdogSec"], gate["WatchdogSignal"]) == (["3"], ["SIGKILL"])
    assert (gate["KillMode"], gate["TimeoutStopSec"]) == (["mixed"], ["3"])


def test_lgpio_has_a_folder_for_its_file_and_is_the_only_gpio_library():
    gate = settings(GATE)
    assert gate["RuntimeDirectory"] == ["fabgate"]
    assert gate["WorkingDirectory"] == ["/run/fabgate"]
    assert set(gate["Environment"]) == {"LG_WD=/run/fabgate", "GPIOZERO_PIN_FACTORY=lgpio"}


def test_the_gate_may_read_the_state_of_the_clock():
    gate = settings(GATE)
    assert not {"ProtectClock", "ProcSubset"} & set(gate)
    assert gate["SystemCallErrorNumber"] == ["EPERM"]
    # The order counts: the last line allows again some calls that the second one excludes.
    assert gate["SystemCallFilter"] == [
        "@system-service",
        "~@privileged @resources",
        "adjtimex clock_adjtime clock_adjtime64",
    ]


def test_the_gate_can_open_only_the_devices_of_pins_and_reader():
    gate = settings(GATE)
    assert gate["DevicePolicy"] == ["closed"]
    assert gate["DeviceAllow"] == ["char-gpiochip rw", "char-spi rw"]
    assert gate["SupplementaryGroups"] == ["gpio spi"]
    assert settings(COLLECTOR)["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in settings(COLLECTOR)


def test_no_unit_waits_for_the_network():
    # A gate decides alone; a collector connects again later.
    for unit in UNITS:
        assert "network-online.target" not in unit.read_text()


def test_the_target_starts_and_stops_every_process_of_the_collector():
    target = settings(SYSTEMD / "fabgate-collector.target")
    assert set(target["Wants"][0].split()) == {f"fabgate-collector@{name}.service" for name in PROCESSES}
    process = settings(COLLECTOR)
    assert process["PartOf"] == ["fabgate-collector.target"]
    # So `systemctl stop` of the target waits until they have ended; a restore is refused while one runs.
    assert "fabgate-collector.target" in process["After"][0].split()
    assert process["EnvironmentFile"] == ["/etc/fabgate/collector.env"]


def test_systemd_opens_the_ports_for_the_web_process_and_closes_them_with_the_collector():
    from fabgate.collector.processes.listening import sockets

    assert set(SOCKETS) == {sockets.HTTPS, sockets.HTTP}
    for (name, unit), port in zip(SOCKETS.items(), ("443", "80"), strict=True):
        values = settings(unit)
        assert (values["ListenStream"], values["FileDescriptorName"]) == ([port], [name])
        assert values["Service"] == ["fabgate-collector@web.service"]
        # With the target: a connection would start the web process again, amid a restore.
        assert values["PartOf"] == values["WantedBy"] == ["fabgate-collector.target"]
        assert "Accept" not in values


def test_the_limits_of_connections_come_before_the_network_and_touch_one_table():
    values = settings(FIREWALL)
    assert "network-pre.target" in values["Before"][0].split()
    assert values["ExecStart"] == values["ExecReload"] == ["/usr/sbin/nft -f /etc/fabgate/fabgate.nft"]
    assert values["PartOf"] == values["ReloadPropagatedFrom"] == ["nftables.service"]
    assert values["ExecStop"] == ["-/usr/sbin/nft delete table inet fabgate"]
    assert values["CapabilityBoundingSet"] == ["CAP_NET_ADMIN"]
    assert values["RestrictAddressFamilies"] == ["AF_NETLINK"]


def test_the_units_run_verbs_that_exist():
    from fabgate.cli.arguments import parser

    commands = [settings(unit)["ExecStart"][0] for unit in (GATE, BACKUP)]
    commands += [settings(COLLECTOR)["ExecStart"][0].replace("%i", name) for name in PROCESSES]
    for command in commands:
        program, *arguments = command.split()
        assert program == "/opt/fabgate/bin/fabgate"
        parser(arguments).parse_args(arguments)


def test_a_nightly_backup_goes_into_a_folder_of_its_own_without_network():
    backup, timer = settings(BACKUP), settings(BACKUP.with_suffix(".timer"))
    assert (timer["OnCalendar"], timer["Persistent"]) == (["*-*-* 03:30"], ["true"])
    *_, verb, folder, keep, number = backup["ExecStart"][0].split()
    assert (verb, keep, int(number) > 0) == ("backup", "--keep", True)
    folders = [f"/var/lib/{name}" for name in backup["StateDirectory"][0].split()]
    assert folders == ["/var/lib/fabgate-collector", folder]
    assert (backup["Type"], backup["PrivateNetwork"], backup["StateDirectoryMode"]) == (["oneshot"], ["yes"], ["0700"])


# --- the broker -------------------------------------------------------------------------------------------------------


def test_the_broker_starts_with_new_accounts_or_not_at_all_and_tries_again():
    broker = settings(BROKER)
    # No "-" before the command: it may not fail. "+": as root, for the accounts of collector and broker.
    assert broker["ExecStartPre"] == ["+/bin/sh /opt/fabgate/share/fabgate/systemd/broker-accounts"]
    assert (broker["Restart"], broker["StartLimitIntervalSec"]) == (["always"], ["0"])


def test_the_broker_cannot_be_reloaded_and_gets_its_certificate_from_systemd():
    broker, lines = settings(BROKER), (CONFIG / "broker.conf").read_text().splitlines()
    assert "ExecReload" not in broker
    name, _, source = broker["LoadCredential"][0].partition(":")
    assert source == "/etc/fabgate/tls/broker.pem"
    given = f"/run/credentials/{BROKER.name}/{name}"
    assert lines.count(f"certfile {given}") == lines.count(f"keyfile {given}") == 2


def test_the_brokers_files_are_in_its_own_folders():
    broker, lines = settings(BROKER), (CONFIG / "broker.conf").read_text().splitlines()
    (state,), (runtime,) = broker["StateDirectory"], broker["RuntimeDirectory"]
    script = (SYSTEMD / "broker-accounts").read_text()
    assert broker["ExecStart"] == ["/usr/sbin/mosquitto -c /opt/fabgate/share/fabgate/config/broker.conf"]
    assert f"persistence_location /var/lib/{state}/" in lines
    assert f"plugin_opt_config_file /run/{runtime}/accounts.json" in lines
    assert f"listener 0 /run/{runtime}/control/socket" in lines
    assert f"\nrun=/run/{runtime}\n" in script
    assert (broker["User"], broker["Group"]) == (["fabgate-broker"], ["fabgate-broker"])


def test_the_broker_of_setup_has_every_limit_of_the_one_by_hand():
    def lines(name: str) -> list[str]:
        text = (CONFIG / name).read_text().splitlines()
        return [line for line in text if line and line[0] != "#" and not re.match(_PATHS, line)]

    assert lines("broker.conf") == [*lines("mosquitto.conf"), *_CONTROL]


def test_every_process_of_the_collector_has_time_to_end_before_it_is_killed():
    from fabgate.collector.processes import run

    # Importing web.py would need Django to be set up.
    web = (Path(run.__file__).with_name("web.py")).read_text()
    stop_s = int(re.search(r"^STOP_S = (\d+)$", web, re.MULTILINE)[1])
    assert stop_s < int(settings(COLLECTOR)["TimeoutStopSec"][0])
    assert stop_s < run.STOP_S
