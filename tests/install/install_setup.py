"""One command makes a computer the collector of a workshop; a gate then delivers over TLS and the broker that it made."""

from __future__ import annotations

import random
import time
from typing import Final

import pytest

from tests.install import builds, computer, everything, newcomer, roots
from tests.install.computer import COLLECTOR, GATE
from tests.install.roots import Root
from tests.support.patience import wait

SETUP: Final = "fabgate-collector setup --yes --site lyon --tz Europe/Paris --lang fr"
BOTH_SUITES = pytest.mark.parametrize("suite", ["bookworm", "trixie"])
_KEYS: Final = ("token", "seal.keys", "badge.keys", "mqtt.password")
_JOINED: Final = """\
roster: {url: "https://localhost", token_file: token, ca: ca.crt}
gate_key_file: seal.keys
badge_key_file: badge.keys
mqtt: {host: localhost, port: 8883, tls: {ca: ca.crt}, username: lyon/laser-2, password_file: mqtt.password}
"""


@BOTH_SUITES
def test_one_command_makes_a_collector_and_a_second_time_it_changes_nothing(systems, suite, seen, measured):
    root = systems.bare(suite)
    computer.install(root, COLLECTOR)
    with measured(f"setup_{suite}_s"):
        root.run(SETUP, check=False)  # the doctor is not content with the clock of a root
    _is_set_up(root)
    assert root.says("systemctl is-enabled mosquitto") == "disabled"
    before = _processes(root)
    again = root.run(SETUP, check=False)
    assert "Everything is set up already." in again
    assert _processes(root) == before
    link = root.says("fabgate-collector first-link").split()[-1]
    name = root.says("hostname").lower()
    assert link.startswith(f"https://{name}.local/welcome/")
    # Nothing in a root answers for names that end with .local.
    page = root.run(_read(link.replace(f"{name}.local", "localhost"), host=f"{name}.local")).text
    assert 'name="password' in page
    root.cut_power()
    root.start()
    _is_set_up(root)
    seen(root.says("cat /etc/fabgate/collector.env | grep ^FABGATE_ALLOWED"))


@BOTH_SUITES
def test_setup_is_killed_and_the_same_command_completes(systems, suite, seen, request):
    chance = random.Random(f"{request.config.option.seed}/setup/{suite}")
    root = systems.bare(suite)
    computer.install(root, COLLECTOR)
    kills = 0
    for _ in range(max(2, request.config.option.kills // 4)):
        with root.doom(SETUP) as process:
            kills += root.interrupt(process, chance.uniform(0.2, 6.0))
    root.run(SETUP, check=False)
    _is_set_up(root)
    assert "Everything is set up already." in root.run(SETUP, check=False)
    assert root.says("find /etc/fabgate -name '*new*'") == ""
    seen(f"killed {kills} times")


def test_a_gate_delivers_over_tls_and_is_cut_off_within_a_minute(systems, seen):
    root = systems.bare()
    computer.install(root, COLLECTOR, GATE)
    root.run(SETUP, check=False)
    root.run("fabgate-collector gate-add laser-2 --machine laser-2")
    computer.let_ada_use(root, "laser-2")
    for name in _KEYS:
        root.run(f"install -m 640 -g fabgate /var/lib/fabgate-collector/gates/laser-2/{name} -t /etc/fabgate")
    root.write("/etc/fabgate/gate.yaml", computer.GATE_YAML + _JOINED, mode=0o640, owner="root:fabgate")
    root.run("systemctl enable --now fabgate-gate")
    wait(lambda: "newest" in root.says("fabgate-collector gates"), "a roster of the gate")
    computer.tap(root)
    computer.tap(root)
    wait(lambda: "m-1" in _sessions(root), "the session in the books")
    assert "Nothing was altered." in root.run("fabgate-collector verify")
    assert _connections(root)
    root.run("fabgate-collector gate-add laser-2 --machine laser-2 --new-token")
    began_s = time.monotonic()
    wait(lambda: not _connections(root), "the end of the connection with the old password")
    took_s = time.monotonic() - began_s
    assert took_s < 60
    seen(f"{_sessions(root).splitlines()[-1]}; cut off after {took_s:.0f} s")


def test_another_authority_takes_its_place_and_the_gate_goes_on_without_a_visit(systems, seen):
    root = systems.bare()
    computer.install(root, COLLECTOR, GATE)
    root.run(SETUP, check=False)
    newcomer.join_here(root, "laser-2")
    computer.let_ada_use(root, "laser-2")
    wait(lambda: "newest" in root.says("fabgate-collector gates"), "a roster of the gate")
    gate = root.says("systemctl show --property MainPID --value fabgate-gate")
    before = root.says("cat /etc/fabgate/ca.crt")
    turn = "fabgate-collector authority-turn"
    root.run(turn)
    wait(lambda: root.run(turn, check=False).code == 0, "a gate that knows the new authority")
    root.run(f"{turn} --drop")
    assert before not in root.says("cat /etc/fabgate/ca.crt")
    wait(lambda: _connections(root), "a connection by the new authority")
    computer.tap(root)
    computer.tap(root)
    wait(lambda: "m-1" in _sessions(root), "the session in the books")
    assert root.says("systemctl show --property MainPID --value fabgate-gate") == gate
    assert computer.complaints(root, "fabgate") == set()
    assert "Nothing was altered." in root.run("fabgate-collector verify")
    seen("the gate, without a restart, by the new authority alone")


@BOTH_SUITES
def test_a_port_in_use_and_settings_of_a_person_are_named_and_nothing_changes(systems, suite):
    root = systems.bare(suite)
    computer.install(root, COLLECTOR)
    listen = "import socket,time; s=socket.create_server(('', 443)); time.sleep(600)"
    root.run(f'systemd-run --quiet --unit=other python3 -c "{listen}"')
    wait(lambda: root.says("ss -Hltn 'sport = :443'"), "the other program")
    done = root.run(SETUP, check=False)
    assert (done.code, "on port 443" in done, "nothing was changed" in done) == (2, True, True)
    root.run("systemctl stop other")
    root.write("/etc/fabgate/collector.env", "FABGATE_SITE=lyon\nFABGATE_MQTT_HOST=broker.lan\n")
    done = root.run(SETUP, check=False)
    assert (done.code, "FABGATE_MQTT_HOST=broker.lan" in done) == (2, True)
    assert not root.exists("/etc/fabgate/authority")
    assert not root.exists("/var/lib/fabgate-collector")


def test_an_update_with_new_tables_and_the_way_back_keep_broker_and_pages(systems, seen):
    root = systems.bare()
    computer.install(root, COLLECTOR)
    root.run(SETUP, check=False)
    computer.add_row(root)
    computer.use(root, builds.LATER, "trixie")
    root.run("apt-get upgrade -y -q")
    _is_set_up(root)
    assert computer.has_tables_of(root, builds.LATER)
    assert "Everything is set up already." in root.run(SETUP, check=False)
    root.run("fabgate-collector gate-add saw-1 --machine saw")
    computer.use(root, builds.THIS, "trixie")
    assert "THE COLLECTOR IS OFF" in computer.install(root, COLLECTOR)
    root.run("fabgate-collector rollback --yes")
    root.run("systemctl start fabgate-collector.target fabgate-collector-backup.timer")
    # The doctor compares the accounts of the broker: that of the gate that was added since then is gone.
    _is_set_up(root)
    assert computer.has_tables_of(root, builds.THIS)
    assert computer.has_row(root)
    assert "saw-1" not in root.says("fabgate-collector gates")
    seen(f"to {builds.NUMBERS[builds.LATER]} and back")


@BOTH_SUITES
def test_purge_with_the_answer_yes_leaves_nothing_of_a_collector_that_was_set_up(systems, suite, seen):
    root = systems.bare(suite)
    everything.install_dependencies(root, COLLECTOR)
    before = everything.files(root)
    computer.install(root, COLLECTOR)
    root.run(SETUP, check=False)
    _is_set_up(root)
    assert "inet fabgate" in root.says("nft list tables")
    root.run(f"echo {COLLECTOR} {COLLECTOR}/delete-data boolean true | debconf-set-selections")
    root.run(f"apt-get purge -y -q {COLLECTOR}")
    assert sorted(everything.differences(before, everything.files(root))) == []
    assert computer.processes(root) == ""
    ports = " or ".join(f"sport = :{port}" for port in (80, 443, 8883, 8885))
    assert root.says(f"getent passwd fabgate-collector fabgate-broker; nft list tables; ss -Hltn '{ports}'") == ""
    seen(f"{len(before)} files compared")


def _is_set_up(root: Root) -> None:
    wait(
        lambda: root.run(_read("https://localhost/healthz"), check=False).code == 0, "a page of the collector over TLS"
    )
    wait(lambda: computer.complaints(root, COLLECTOR) == set(), "a doctor that is content")
    failed = {line.split()[0] for line in root.says("systemctl --failed --no-legend --plain").splitlines()}
    assert failed <= {"chrony.service", roots.DOOMED}  # a root has no clock to set; the other one was killed on purpose


def _processes(root: Root) -> str:
    units = "fabgate-broker fabgate-collector@ingest fabgate-collector@web fabgate-collector@worker"
    return root.says(f"systemctl show --property MainPID --value {units}")


def _read(url: str, *, host: str = "localhost") -> str:
    """Return the command that reads a page with the certificate of the authority alone."""
    code = f"""
import ssl, urllib.request as u
trusted = ssl.create_default_context(cafile='/etc/fabgate/ca.crt')
print(u.urlopen(u.Request('{url}', headers={{'Host': '{host}'}}), timeout=20, context=trusted).read().decode())"""
    return f'python3 -c "{code}"'


def _connections(root: Root) -> str:
    return root.says("ss -Htn state established 'sport = :8883'")


def _sessions(root: Root) -> str:
    return root.says("fabgate-collector sessions --from 2020-01-01 --to 2100-01-01")
