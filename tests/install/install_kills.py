"""Does what an admin types after a crash heal each package, wherever apt was killed?"""

from __future__ import annotations

import random

from tests.install import builds, computer, kills
from tests.install.computer import BOTH, COLLECTOR, GATE
from tests.support.patience import wait

_OPERATIONS = (kills.UPDATE, kills.REMOVE, kills.INSTALL, kills.BACK, kills.PURGE)


def test_apt_is_killed_and_heals(systems, seen, request, number_of_kill):
    chance = random.Random(f"{request.config.option.seed}/{number_of_kill}")
    kills.one(systems.installed(*BOTH), _OPERATIONS[number_of_kill % len(_OPERATIONS)], chance, seen)


def test_a_computer_that_loses_power_between_two_versions_finishes_the_update_by_itself(systems, seen):
    root = systems.installed(*BOTH)
    before = len(computer.journal(root))
    computer.use(root, builds.LATER, "trixie")
    wanted = computer.offered(root, COLLECTOR)
    # One of 13,000 files that dpkg renames, in their middle: from then on files of both versions are there.
    modules = root.path / "usr/lib/fabgate-collector/lib/python3.13/site-packages"
    renamed = modules / f"fabgate-{builds.NUMBERS[builds.LATER]}.dist-info" / "METADATA"
    with root.doom(computer.install_command(root, *BOTH)) as process:
        wait(renamed.exists, "the first file of the new version")
        assert root.interrupt(process, 0.0, power=True)
    wait(lambda: computer.version(root, COLLECTOR) == wanted, "the update without a command")
    said = root.says("journalctl --no-pager -u fabgate-collector-finish")
    assert f"interrupted; installing /var/lib/fabgate-packages/{COLLECTOR}/{COLLECTOR}_{wanted}.deb" in said
    for package in BOTH:
        wait(lambda package=package: computer.running(root, package), f"{package} runs")
    wait(lambda: computer.page(root), "a page of the collector")
    assert computer.changed_files(root, *BOTH) == ""
    assert computer.has_tables_of(root, builds.LATER)
    assert computer.has_row(root)
    computer.idle(root)
    assert len(computer.journal(root)) > before
    computer.tap(root)
    assert computer.status(root)["state"] == "active", GATE
    refuse_two_versions(root, GATE, "/usr/lib/fabgate-gate/fabgate/gate/daemon.py", "fabgate-gate.service")
    module = "/usr/lib/fabgate-collector/lib/python3.13/site-packages/fabgate/errors.py"
    refuse_two_versions(root, COLLECTOR, module, "fabgate-collector@web.service")
    seen("a gate and a collector with files of two versions were refused")


def refuse_two_versions(root, package, file, service):
    """Assert that nothing of a half-unpacked package starts, and that the command which it names mends it."""
    root.run(f"echo '# of another version' >> {file}")
    root.run(
        f"sed -i '/^Package: {package}$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status"
    )
    root.run(f"systemctl restart {service}", check=False)
    why = "was interrupted, and its files are of two versions. It is not started."
    wait(lambda: why in root.says(f"journalctl --no-pager --unit {service}"), "the reason in the log")
    assert root.says(f"systemctl show --property MainPID --value {service}") == "0"
    if package == COLLECTOR:
        assert why in root.run("fabgate-collector gates", check=False)
    root.run(f"/usr/lib/{package}/own-package finish")
    wait(lambda: computer.running(root, package), f"{package} runs")
    assert computer.changed_files(root, package) == ""
