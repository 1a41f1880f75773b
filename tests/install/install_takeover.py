"""From an installation by hand to the packages: `use-package` on computers that were installed as docs/install-by-hand.md says."""

from __future__ import annotations

import random

import pytest

from tests.deploy.places import DOCS, blocks
from tests.install import builds, by_hand, computer
from tests.install.computer import BOTH, COLLECTOR, GATE
from tests.install.roots import Root
from tests.support.patience import wait

RELEASE = "Release 0.1.0"
USE = {GATE: "/usr/bin/fabgate use-package", COLLECTOR: "/usr/sbin/fabgate-collector use-package"}
PATHS = {GATE: "/usr/lib/fabgate-gate", COLLECTOR: "/usr/lib/fabgate-collector"}
UNITS = {
    GATE: ("fabgate-gate.service",),
    COLLECTOR: ("fabgate-collector.target", "fabgate-collector-backup.timer"),
}
#: What an installation by hand has, and a package must not leave in its way.
GONE = (
    *("/usr/local/bin/fabgate", "/usr/local/sbin/fabgate-collector", "/usr/lib/fabgate/line-off"),
    *("/etc/systemd/system/fabgate-gate.service", "/etc/systemd/system/fabgate-collector.target"),
    *("/etc/systemd/system/fabgate-collector@.service", "/etc/systemd/system.conf.d/10-fabgate-watchdog.conf"),
)


def programs(root: Root, package: str) -> set[str]:
    """Return the first words of the processes of a part: which Python, and which program."""
    lines = root.says(f"ps -o args -u {computer.ACCOUNTS[package]} --no-headers").splitlines()
    return {
        word for line in lines for word in line.split()[:3] if word.startswith(("/opt/", "/usr/bin/fab", "/usr/lib/"))
    }


def is_by_hand(root: Root, package: str) -> bool:
    return any(word.startswith("/opt/fabgate/") for word in programs(root, package))


def is_moved(root: Root, *packages: str) -> None:
    """Assert that these parts run from their packages, enabled, with nothing to complain about."""
    for package in packages:
        wait(lambda package=package: computer.running(root, package), f"{package} runs")
        assert programs(root, package)
        assert not is_by_hand(root, package), programs(root, package)
        for unit in UNITS[package]:
            assert computer.state_of(root, unit) == ("enabled", "active")
    if GATE in packages:
        computer.idle(root)
        assert computer.chain_is_whole(root)
        assert computer.complaints(root, "fabgate") == set()
    if COLLECTOR in packages:
        wait(lambda: computer.page(root), "a page of the collector")
        assert computer.has_row(root)
        assert computer.complaints(root, COLLECTOR) == set()


def offered(root: Root, *packages: str, version: str = builds.THIS, suite: str = "trixie") -> None:
    """Install packages beside what was installed by hand, assert that this changes nothing of it."""
    before = {package: programs(root, package) for package in packages}
    computer.use(root, version, suite)
    done = computer.install(root, *packages)
    for package in packages:
        assert f"sudo {USE[package]}" in done
        assert is_by_hand(root, package)
        assert programs(root, package) == before[package]


def test_both_parts_with_broker_and_proxy_move_and_keep_everything(systems, seen):
    root = systems.made(lambda root: by_hand.install_whole(root, "HEAD"), "by-hand-whole", *BOTH)
    wait(lambda: computer.status(root)["mqtt"]["connected"], "a gate that is connected")
    entries, delivered = len(computer.journal(root)), by_hand.sessions(root)
    settings = root.run("cd /etc && find fabgate mosquitto nginx -type f | sort | xargs sha256sum").text
    offered(root, *BOTH)
    said = root.run(f"{USE[COLLECTOR]} --yes")
    assert "apt install fabgate-gate, then sudo /usr/bin/fabgate use-package" in said
    assert is_by_hand(root, GATE)
    is_moved(root, COLLECTOR)
    said = root.run(f"{USE[GATE]} --yes")
    assert "rm -r /opt/fabgate /opt/fabgate-src" in said
    is_moved(root, *BOTH)
    assert not [name for name in GONE if root.exists(name)]
    assert root.run("cd /etc && find fabgate mosquitto nginx -type f | sort | xargs sha256sum").text == settings
    assert len(computer.journal(root)) > entries
    root.run("rm -r /opt/fabgate /opt/fabgate-src")
    root.cut_power()
    root.start()
    is_moved(root, *BOTH)
    computer.tap(root)
    computer.tap(root)
    wait(lambda: by_hand.sessions(root) == delivered + 1, "the session of the package at the collector")
    assert "Nothing was altered" in root.run("fabgate-collector verify")
    seen(
        f"{entries} entries of the journal, and their chain, went on; the next session reached the collector by the same broker"
    )


def test_the_first_release_moves_with_what_a_person_changed_and_refuses_a_machine_in_use(systems, seen):
    commit = by_hand.commit_of(RELEASE)
    if not commit:
        pytest.skip(f"this clone has no commit {RELEASE!r}")
    root = systems.made(lambda root: by_hand.install(root, commit, *BOTH, changes_unit=True), "by-hand-release", *BOTH)
    old = root.says("/opt/fabgate/bin/fabgate --version")
    offered(root, *BOTH)
    computer.tap(root)
    refused = root.run(f"{USE[GATE]} --yes", check=False)
    assert (refused.code, "nothing was changed" in refused) == (2, True)
    assert computer.status(root)["state"] == "active"
    done = root.run(f"{USE[GATE]} --yes --end-session")
    assert f"a drop-in keeps {by_hand.CHANGED}" in done
    is_moved(root, GATE)
    shown = root.says("systemctl show --property MemoryMax --property Environment fabgate-gate")
    assert "MemoryMax=232783872" in shown
    assert "OWN=1" in shown
    assert is_by_hand(root, COLLECTOR)
    root.run(f"{USE[COLLECTOR]} --yes")
    is_moved(root, *BOTH)
    assert not [name for name in GONE if root.exists(name)]
    # The way back, by the lines of docs/install-by-hand.md.
    folder = root.says("ls -d /var/backups/fabgate-by-hand/gate-*")
    (lines,) = [block for block in blocks(DOCS / "install-by-hand.md", "sh") if "--remove-destination" in block]
    root.run("set -e\n" + lines.replace("FOLDER", folder).replace("apt remove", "apt-get remove -y"))
    computer.idle(root)
    assert is_by_hand(root, GATE)
    assert computer.state_of(root, "fabgate-gate") == ("enabled", "active")
    assert computer.chain_is_whole(root)
    is_moved(root, COLLECTOR)
    seen(f"from {old}, and the gate back to it")


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_collector_moves_to_a_package_that_changes_the_tables_or_stays_whole(systems, suite, seen):
    name = f"by-hand-collector-{suite}"
    root = systems.made(lambda root: by_hand.install(root, "HEAD", COLLECTOR), name, COLLECTOR, suite=suite)
    offered(root, COLLECTOR, version=builds.LATER, suite=suite)
    # No copy can be made, so the move fails, and is undone.
    root.run("mv /var/lib/fabgate-collector-copies /var/kept && touch /var/lib/fabgate-collector-copies")
    before = root.run("find /etc/systemd /usr/local -printf '%p %m %u %l\n' | sort").text
    failed = root.run(f"{USE[COLLECTOR]} --yes", check=False)
    assert failed.code == 1
    assert "the installation by hand is as it was, and runs again" in failed
    assert root.run("find /etc/systemd /usr/local -printf '%p %m %u %l\n' | sort").text == before
    wait(lambda: computer.page(root), "a page of the collector that went back")
    assert is_by_hand(root, COLLECTOR)
    root.run("rm /var/lib/fabgate-collector-copies && mv /var/kept /var/lib/fabgate-collector-copies")
    root.run(f"{USE[COLLECTOR]} --yes")
    is_moved(root, COLLECTOR)
    assert computer.has_tables_of(root, builds.LATER)
    assert "Nothing was altered" in root.run("fabgate-collector verify")
    assert "before-update" in root.says("fabgate-collector rollback")
    seen(f"{suite}: went back once, then has the tables of {builds.NUMBERS[builds.LATER]}")


def test_a_collector_on_postgresql_moves_to_a_package_that_changes_the_tables(systems, seen):
    root = systems.made(lambda root: by_hand.install_on_postgresql(root, "HEAD"), "by-hand-postgresql", COLLECTOR)
    offered(root, COLLECTOR, version=builds.LATER)
    said = root.run(f"{USE[COLLECTOR]} --yes")
    assert "once the tables of PostgreSQL have changed" in said
    wait(lambda: computer.page(root), "a page of the collector")
    assert not is_by_hand(root, COLLECTOR)
    assert computer.state_of(root, "fabgate-collector-backup.timer") == ("disabled", "inactive")
    assert computer.has_row(root)
    assert computer.has_tables_of(root, builds.LATER)
    seen(root.says("ls /var/lib/fabgate-collector-copies/before-update"))


@pytest.mark.parametrize("number", range(6))
def test_a_move_that_is_killed_and_repeated_ends_whole(systems, request, seen, number):
    chance = random.Random(f"{request.config.option.seed}/{number}")
    root = systems.made(lambda root: by_hand.install(root, "HEAD", *BOTH), "by-hand-both", *BOTH)
    offered(root, *BOTH, version=builds.LATER)
    entries = len(computer.journal(root))
    for package in chance.sample(BOTH, 2):
        after_s, power = chance.uniform(0, 25 if package is COLLECTOR else 9), chance.random() < 0.5
        if kill(root, f"{USE[package]} --yes", after_s, power=power):
            seen(f"{package}: {'the computer' if power else 'use-package'} killed after {after_s:.1f} s")
        root.run(f"{USE[package]} --yes")
    is_moved(root, *BOTH)
    assert not [name for name in GONE if root.exists(name)]
    assert len(computer.journal(root)) > entries
    assert computer.has_tables_of(root, builds.LATER)


def kill(root: Root, command: str, after_s: float, *, power: bool) -> bool:
    """Kill a command, or the whole computer, after some seconds. Return whether it was still running."""
    with root.doom(command) as process:
        return root.interrupt(process, after_s, power=power)
