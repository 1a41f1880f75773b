"""The package of the collector on both releases of Debian: its books live through updates, and through the way back."""

from __future__ import annotations

import pytest

from tests.install import builds, computer
from tests.install.computer import COLLECTOR
from tests.support.patience import wait

_HOUR_S = 3600.0
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
    assert computer.has_tables_of(root, builds.THIS)
    seen(f"{computer.version(root, COLLECTOR)} answers {computer.PAGE}")


def test_a_collector_goes_back_by_apt_alone_if_the_tables_are_the_same(systems):
    root = systems.installed(COLLECTOR)
    old = computer.version(root, COLLECTOR)
    for name in (builds.NEXT, builds.THIS):
        computer.use(root, name, "trixie")
        computer.install(root, COLLECTOR)
        wait(lambda: computer.page(root), "a page of the collector")
    assert computer.version(root, COLLECTOR) == old
    assert computer.has_row(root)


def test_debian_12_becomes_13_with_the_books_of_the_collector(systems, seen):
    root = systems.installed(COLLECTOR, suite="bookworm")
    old = computer.version(root, COLLECTOR)
    root.run("sed -i s/bookworm/trixie/g /etc/apt/sources.list /etc/apt/sources.list.d/*")
    root.run("apt-get update -q && apt-get full-upgrade -y -q --download-only", online=True, hangs_s=_HOUR_S)
    root.run("apt full-upgrade -y -o Dpkg::Options::=--force-confold", hangs_s=_HOUR_S)
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
