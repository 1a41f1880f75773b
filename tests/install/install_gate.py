"""The package of the gate: what it does to a computer, and what an update does to a session."""

from __future__ import annotations

from tests.install import builds, computer
from tests.install.computer import GATE


def test_a_gate_is_installed_and_neither_enabled_nor_started(systems, seen):
    root = systems.bare()
    computer.install(root, GATE)
    assert computer.state_of(root, "fabgate-gate") == ("disabled", "inactive")
    assert computer.processes(root) == ""
    assert set(root.says("id -nG fabgate").split()) == {"fabgate", "gpio", "spi"}
    assert root.exists("/run/reboot-required")
    assert computer.changed_files(root, GATE, "fabgate-mfrc522") == ""
    seen(computer.version(root, GATE))


def test_config_txt_gets_its_lines_once_and_for_every_model(systems):
    root = systems.bare()
    computer.install(root, GATE)
    root.run("dpkg-reconfigure fabgate-gate && apt-get install -y -q --reinstall fabgate-gate")
    lines = root.says(f"cat {computer.CONFIG_TXT}").splitlines()
    assert lines[:2] == ["[pi3]", "dtparam=audio=on"]
    assert lines.count("dtparam=strict_gpiod") == lines.count("dtparam=spi=on") == 1
    assert lines.index("[all]") < lines.index("dtparam=strict_gpiod")


def test_a_tap_is_a_session_in_the_journal(systems):
    root = systems.installed(GATE)
    computer.tap(root)
    assert computer.newest(root, "session.started")["session"] == computer.status(root)["session"]
    assert computer.complaints(root, "fabgate") == set()


def test_an_update_ends_the_session_and_stays_off_until_the_next_tap(systems, seen):
    root = systems.installed(GATE)
    computer.tap(root)
    before = computer.status(root)
    computer.use(root, builds.NEXT, "trixie")
    root.run("apt-get upgrade -y -q")
    now = computer.idle(root)
    assert (now["version"], now["state"]) == (builds.NUMBERS[builds.NEXT], "idle")
    assert now["pid"] != before["pid"]
    ended = computer.newest(root, "session.ended")
    assert (ended["session"], ended["reason"]) == (before["session"], "restart")
    assert computer.chain_is_whole(root)
    computer.tap(root)
    assert computer.status(root)["state"] == "active"
    seen(f"{before['version']} to {now['version']}; the session ended with the reason restart")


def test_a_gate_goes_back_to_the_version_before_with_its_journal(systems, seen):
    root = systems.installed(GATE)
    entries = len(computer.journal(root))
    old = computer.version(root, GATE)
    for name in (builds.NEXT, builds.THIS):
        computer.use(root, name, "trixie")
        computer.install(root, GATE)
    assert computer.version(root, GATE) == old
    computer.tap(root)
    assert len(computer.journal(root)) > entries
    assert computer.chain_is_whole(root)
    assert computer.complaints(root, "fabgate") == set()
    seen(f"back to {old}")


def test_debian_12_is_offered_no_gate(systems):
    root = systems.bare("bookworm")
    done = root.run(f"apt-get install -y -q {GATE}", check=False)
    assert done.code == 100
    assert "Unable to locate package" in done


def test_a_repository_with_the_key_of_somebody_else_is_refused(systems, seen):
    root = systems.bare()
    root.run("rm -r /var/lib/apt/lists/*srv_apt*")
    done = computer.use(root, builds.FOREIGN, "trixie")
    assert done.code != 0
    assert "is not signed" in done
    assert root.run(f"apt-get install -y -q {GATE}", check=False).code == 100
    assert not root.exists("/usr/bin/fabgate")
    seen(next(line for line in done.text.splitlines() if "is not signed" in line))
