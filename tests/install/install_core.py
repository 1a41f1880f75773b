"""The core, for each run of CI: one path through the life of both packages on Debian 13, and three kills."""

from __future__ import annotations

import random

import pytest

from tests.install import builds, computer, everything, kills
from tests.install.computer import BOTH, COLLECTOR, GATE
from tests.support.patience import wait


def test_both_packages_are_installed_set_up_updated_and_purged(systems, seen, measured):
    root = systems.bare()
    with measured("debian_s"):
        everything.install_dependencies(root, *BOTH)
    before = everything.files(root)
    with measured("first_page_s"):  # of somebody who has the settings ready; `make bench` shows it
        computer.install(root, COLLECTOR)
        assert computer.state_of(root, "fabgate-collector.target") == ("disabled", "inactive")
        computer.start_collector(root)
    computer.install(root, GATE)
    for unit in ("fabgate-gate.service", "fabgate-collector-backup.timer"):
        assert computer.state_of(root, unit) == ("disabled", "inactive")
    computer.add_row(root)
    computer.copy_nightly(root)
    computer.set_up(root, GATE)
    assert computer.complaints(root, "fabgate") == computer.complaints(root, COLLECTOR) == set()
    computer.tap(root)
    session = computer.status(root)["session"]
    computer.use(root, builds.LATER, "trixie")
    root.run("apt-get upgrade -y -q")
    assert computer.idle(root)["version"] == builds.NUMBERS[builds.LATER]
    ended = computer.newest(root, "session.ended")
    assert (ended["session"], ended["reason"]) == (session, "restart")
    assert computer.chain_is_whole(root)
    wait(lambda: computer.page(root), "a page of the updated collector")
    assert computer.has_row(root)
    assert computer.changed_files(root, *BOTH) == ""
    for package in BOTH:
        root.run(f"echo {package} {package}/delete-data boolean true | debconf-set-selections")
    root.run("apt-get purge -y -q fabgate-gate fabgate-collector fabgate-mfrc522")
    assert sorted(everything.differences(before, everything.files(root)) ^ everything.left_by_purge(*BOTH)) == []
    seen(f"{len(before)} files compared after purge; {GATE} and {COLLECTOR} {builds.NUMBERS[builds.LATER]}")


@pytest.mark.parametrize("doing", [kills.UPDATE, kills.REMOVE, kills.INSTALL])
def test_apt_is_killed_and_heals(systems, seen, request, doing):
    kills.one(systems.installed(*BOTH), doing, random.Random(f"{request.config.option.seed}/{doing}"), seen)
