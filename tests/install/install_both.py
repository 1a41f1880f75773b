"""Gate and collector on one computer: what an update, a removal and a purge leave of what belongs to people."""

from __future__ import annotations

import pytest

from tests.install import builds, computer, everything
from tests.install.computer import BOTH, COLLECTOR, GATE
from tests.support.patience import wait

DROP_IN = "/etc/systemd/system/fabgate-gate.service.d/10-own.conf"
EDITED = "/etc/systemd/system/fabgate-collector@.service"


def test_both_run_on_one_computer_and_either_may_leave(systems):
    root = systems.installed(*BOTH)
    for package in BOTH:
        assert computer.running(root, package)
    root.run("apt-get purge -y -q fabgate-collector")
    assert computer.running(root, GATE)
    computer.tap(root)
    computer.install(root, COLLECTOR)
    root.run(computer.ENABLE)
    wait(lambda: computer.page(root), "a page of the collector that came again")
    root.run("apt-get purge -y -q fabgate-gate")
    assert computer.page(root)
    assert computer.has_row(root)


def test_an_update_keeps_what_a_person_has_changed(systems):
    root = systems.installed(*BOTH)
    root.run(r"sed -i 's/^machine:.*/machine: {name: The old laser, limit_s: 600}/' /etc/fabgate/gate.yaml")
    root.run("echo FABGATE_WEB_PORT=8001 >> /etc/fabgate/collector.env")
    root.write(DROP_IN, "[Service]\nEnvironment=OWN=1\n")
    # What `systemctl edit --full` leaves: a whole unit in /etc.
    root.run(f"sed 's/^Description=.*/Description=Our collector: %i/' /usr/lib/systemd/system/{EDITED[20:]} > {EDITED}")
    kept = ("/etc/fabgate/gate.yaml", "/etc/fabgate/collector.env", DROP_IN, EDITED)
    before = root.run(f"sha256sum {' '.join(kept)} && stat -c '%U:%G %a' {' '.join(kept)}").text
    computer.use(root, builds.NEXT, "trixie")
    root.run("apt-get upgrade -y -q")
    assert root.run(f"sha256sum {' '.join(kept)} && stat -c '%U:%G %a' {' '.join(kept)}").text == before
    assert computer.idle(root)["machine"] == "The old laser"
    assert "OWN=1" in root.says("systemctl show --property Environment fabgate-gate")
    wait(lambda: computer.running(root, COLLECTOR), "the collector")
    assert root.says("systemctl show --property Description --value fabgate-collector@web") == "Our collector: web"
    opened = "import urllib.request as u; u.urlopen(\\'http://127.0.0.1:8001/healthz\\')"
    wait(lambda: root.run(f"python3 -c $'{opened}'", check=False).code == 0, "a page on the port that was chosen")


def test_remove_keeps_all_data_and_says_where_it_is(systems, seen):
    root = systems.installed(*BOTH)
    entries = len(computer.journal(root))
    done = root.run("apt-get remove -y -q fabgate-gate fabgate-collector")
    assert "fabgate-gate: the records stay in /var/lib/fabgate," in done
    assert "fabgate-collector: the books stay in /var/lib/fabgate-collector," in done
    assert computer.processes(root) == ""
    for package in BOTH:  # fabgate-mfrc522 stays, and has a folder of its own there
        assert not root.exists(f"/usr/lib/{package}/fabgate")
        assert not root.exists(f"/usr/lib/{package}/lib")
    computer.install(root, *BOTH)
    computer.idle(root)
    wait(lambda: computer.page(root), "a page of the collector that came again")
    assert len(computer.journal(root)) > entries
    assert computer.chain_is_whole(root)
    assert computer.has_row(root)
    seen(f"{entries} entries of the gate, and the books, were there again")


def test_purge_without_an_answer_keeps_all_data_and_names_it(systems):
    root = systems.installed(*BOTH)
    done = root.run("apt-get purge -y -q fabgate-gate fabgate-collector")
    assert "To delete them: rm -r /var/lib/fabgate" in done
    assert "To delete the books: rm -r /var/lib/fabgate-collector" in done
    for package in BOTH:
        assert root.exists(computer.DATA[package])
        assert root.exists(computer.SETTINGS[package])
        assert root.run(f"id {computer.ACCOUNTS[package]}", check=False).code == 0
    computer.install(root, *BOTH)
    root.run(computer.ENABLE)
    wait(lambda: computer.page(root) and computer.status(root), "both, with the data that stayed")
    assert computer.has_row(root)
    assert computer.chain_is_whole(root)


@pytest.mark.parametrize("packages", [(GATE,), (COLLECTOR,), BOTH], ids=" and ".join)
def test_purge_with_the_answer_yes_leaves_nothing_but_the_lines_of_config_txt(systems, packages, seen):
    root = systems.bare()
    everything.install_dependencies(root, *packages)
    before = everything.files(root)
    computer.install(root, *packages)
    computer.set_up(root, *packages)
    if GATE in packages:
        computer.tap(root)
    for package in packages:
        root.run(f"echo {package} {package}/delete-data boolean true | debconf-set-selections")
    root.run(f"apt-get purge -y -q {' '.join(packages)} fabgate-mfrc522")
    assert sorted(everything.differences(before, everything.files(root)) ^ everything.left_by_purge(*packages)) == []
    assert computer.processes(root) == ""
    assert root.says("getent passwd fabgate fabgate-collector") == ""
    seen(f"{len(before)} files compared")
