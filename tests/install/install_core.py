"""The core, for each run of CI: one path through the life of both packages on Debian 13, and three kills."""

from __future__ import annotations

import random
import re
import time

import pytest

from tests.install import builds, computer, everything, kills
from tests.install.computer import BOTH, COLLECTOR, GATE
from tests.install.newcomer import Newcomer
from tests.support.patience import wait


def test_six_commands_and_a_code_make_a_collector_and_a_gate(systems, seen, figure):
    collector, pi = systems.bare(), systems.bare()
    everything.install_dependencies(pi, GATE)
    pi.run(f"rm {computer.SOURCE}")  # a new Pi knows no repository of ours
    before = everything.files(pi)
    newcomer = Newcomer(collector, pi)
    began_s = time.monotonic()
    newcomer.make_collector()
    newcomer.add_gate("laser-2")
    minutes = (time.monotonic() - began_s) / 60
    assert len(newcomer.commands) <= 6
    assert not any(re.search(r"\|\s*(sudo\s+)?(ba)?sh\b", command) for command in newcomer.commands)
    wait(newcomer.is_content, "two doctors that are content")
    computer.let_ada_use(collector, "laser-2")
    wait(lambda: "newest" in collector.says("fabgate-collector gates"), "a roster of the gate")
    assert "Ada" not in newcomer.page("use").text
    computer.tap(pi)
    computer.tap(pi)
    wait(lambda: "Ada" in newcomer.page("use").text, "the session on the page")
    assert "Nothing was altered." in collector.run("fabgate-collector verify")
    assert pi.says("ss -Hltn") == "", "nothing of a gate listens"
    assert "http://" in pi.says("apt-get update && apt-cache policy fabgate-gate | grep /apt")
    pi.run(f"echo {GATE} {GATE}/delete-data boolean true | debconf-set-selections")
    pi.run("apt-get purge -y -q fabgate-gate fabgate-mfrc522")
    pi.run(f"sed -i /{newcomer.host}/d /etc/hosts; rm /tmp/fabgate-*.deb")  # the next start empties /tmp
    assert sorted(everything.differences(before, everything.files(pi)) ^ everything.left_by_purge(GATE)) == []
    shown = "; ".join(command if len(command) < 99 else "the pasted line" for command in newcomer.commands)
    seen(f"{len(newcomer.commands)} commands, {minutes:.1f} minutes: {shown}")
    figure("join_s", newcomer.join_s)


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


@pytest.mark.parametrize(
    "gone", ["", "rm /usr/lib/systemd/system/fabgate-*; systemctl daemon-reload"], ids=["", "units"]
)
def test_an_update_after_a_power_cut_in_another_ends_the_programs_that_the_next_start_began(systems, gone):
    root = systems.installed(*BOTH)
    for package in BOTH:  # what dpkg has written while it unpacks
        half = f"/^Package: {package}$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/"
        root.run(f"sed -i '{half}' /var/lib/dpkg/status; {gone}")
    computer.use(root, builds.LATER, "trixie")
    computer.install(root, *BOTH)
    assert computer.idle(root)["version"] == builds.NUMBERS[builds.LATER]
    wait(lambda: computer.page(root), "a page of the updated collector")
    assert computer.has_tables_of(root, builds.LATER)
    assert computer.chain_is_whole(root)


@pytest.mark.parametrize("doing", [kills.UPDATE, kills.REMOVE, kills.INSTALL])
def test_apt_is_killed_and_heals(systems, seen, request, doing):
    kills.one(systems.installed(*BOTH), doing, random.Random(f"{request.config.option.seed}/{doing}"), seen)
