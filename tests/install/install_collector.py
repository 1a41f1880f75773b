"""The package of the collector on both releases of Debian: its books live through updates, and through the way back."""

from __future__ import annotations

import pytest

from tests.install import builds, computer
from tests.install.computer import COLLECTOR
from tests.support.patience import wait

BOTH_SUITES = pytest.mark.parametrize("suite", ["bookworm", "trixie"])


@BOTH_SUITES
def test_a_collector_is_installed_and_neither_enabled_nor_started(systems, suite, seen):
    root = systems.bare(suite)
    done = computer.install(root, COLLECTOR)
    assert "not set up yet" in done
    assert computer.state_of(root, "fabgate-collector.target") == ("disabled", "inactive")
    assert computer.state_of(root, "fabgate-collector-backup.timer") == ("disabled", "inactive")
    assert computer.processes(root) == ""
    assert not root.exists(computer.DATA[COLLECTOR])
    assert computer.changed_files(root, COLLECTOR) == ""
    seen(computer.version(root, COLLECTOR))


@BOTH_SUITES
def test_a_collector_with_settings_answers_and_its_doctor_is_content(systems, suite, seen):
    root = systems.installed(COLLECTOR, suite=suite)
    assert computer.page(root)["ok"] is True
    assert computer.complaints(root, "fabgate-collector") == set()
    assert computer.has_row(root)
    seen(computer.tables(root))


@BOTH_SUITES
def test_an_update_changes_the_tables_and_keeps_the_books_and_the_way_back(systems, suite, seen):
    root = systems.installed(COLLECTOR, suite=suite)
    old = computer.version(root, COLLECTOR)
    computer.use(root, builds.LATER, suite)
    root.run("apt-get upgrade -y -q")
    wait(lambda: computer.page(root), "a page of the updated collector")
    assert computer.running(root, COLLECTOR)
    assert computer.has_row(root)
    assert "all 2 are applied" in computer.tables(root)
    assert computer.complaints(root, "fabgate-collector") == set()
    # The earlier version is installed, as apt does it, and refuses the tables. It is no failure of apt.
    computer.use(root, builds.THIS, suite)
    done = computer.install(root, COLLECTOR)
    assert "THE COLLECTOR IS OFF" in done
    assert "fabgate-collector rollback --yes" in done
    assert not computer.running(root, COLLECTOR)
    assert root.says("dpkg --audit") == ""
    root.run("fabgate-collector rollback --yes")
    root.run("systemctl start fabgate-collector.target fabgate-collector-backup.timer")
    wait(lambda: computer.page(root), "a page of the collector that went back")
    assert computer.version(root, COLLECTOR) == old
    assert "all 1 are applied" in computer.tables(root)
    assert computer.has_row(root)
    seen(f"to {builds.NUMBERS[builds.LATER]} with a table more, back to {old} by rollback")


def test_a_collector_goes_back_by_apt_alone_if_the_tables_are_the_same(systems):
    root = systems.installed(COLLECTOR)
    old = computer.version(root, COLLECTOR)
    for name in (builds.NEXT, builds.THIS):
        computer.use(root, name, "trixie")
        computer.install(root, COLLECTOR)
        wait(lambda: computer.page(root), "a page of the collector")
    assert computer.version(root, COLLECTOR) == old
    assert computer.has_row(root)


def test_an_update_that_cannot_change_the_tables_says_so_until_it_can(systems):
    root = systems.installed(COLLECTOR)
    # No copy can be made, so no table may be changed.
    root.run("rm -rf /var/lib/fabgate-collector-copies && touch /var/lib/fabgate-collector-copies")
    computer.use(root, builds.LATER, "trixie")
    done = root.run("apt-get upgrade -y -q", check=False)
    assert done.code == 100
    assert not computer.running(root, COLLECTOR)
    root.run("rm /var/lib/fabgate-collector-copies && dpkg --configure -a")
    wait(lambda: computer.page(root), "a page of the collector")
    assert computer.has_row(root)
    assert "all 2 are applied" in computer.tables(root)


def test_debian_12_becomes_13_with_the_books_of_the_collector(systems, seen):
    root = systems.installed(COLLECTOR, suite="bookworm", network=True)
    old = computer.version(root, COLLECTOR)
    root.run("sed -i s/bookworm/trixie/g /etc/apt/sources.list /etc/apt/sources.list.d/*")
    root.run("apt-get update -q")
    root.run("apt full-upgrade -y -o Dpkg::Options::=--force-confold", hangs_s=3000)
    new = computer.version(root, COLLECTOR)
    assert (old[-6:], new[-6:]) == ("+deb12", "+deb13")
    assert root.says("dpkg --audit") == ""
    wait(lambda: computer.page(root), "a page of the collector on Debian 13")
    root.cut_power()  # the new systemd starts with the computer
    root.start()
    wait(lambda: computer.page(root), "a page of the collector after the start")
    assert computer.has_row(root)
    assert computer.complaints(root, "fabgate-collector") == set()
    assert not root.exists("/usr/lib/fabgate-collector/lib/python3.11")
    seen(f"{old} to {new}")
