"""Kills apt at a random moment, and does what an admin then does."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from tests.install import builds, computer
from tests.install.computer import BOTH, COLLECTOR, GATE
from tests.install.roots import Root
from tests.support.patience import wait

#: What apt is killed in, and what is there afterwards.
UPDATE: Final = "update"
REMOVE: Final = "remove"
INSTALL: Final = "install"
BACK: Final = "back"
PURGE: Final = "purge"
_GONE: Final = {REMOVE: "remove", PURGE: "purge"}
#: After the last sign of progress that is waited for, in seconds: so that scripts are killed in their middle, too.
_AFTER_S: Final = 1.0
_PROGRESS: Final = re.compile(rb"pmstatus:[^:]*:([0-9.]+):")


def one(root: Root, doing: str, chance: random.Random, seen: Callable[[str], object]) -> None:
    """Kill apt once, mend as an admin does, and assert that all is as if nothing had happened.

    `root` has both packages of this version, set up. Half of the kills end apt with all its processes, the others all processes
    of the computer.
    """
    before = len(computer.journal(root))
    command, wanted = _prepared(root, doing)
    percent, after_s, power = chance.uniform(0, 100), chance.uniform(0, _AFTER_S), chance.random() < 0.5
    killed = _kill_at(root, command, percent, after_s, power=power)
    how = "the computer" if power else "apt"
    seen(
        f"{doing}: {how} killed at {percent:.0f} % + {after_s:.2f} s"
        if killed
        else f"{doing}: it was over at {percent:.0f} %"
    )
    # README.Debian of both packages names these lines. After the first two apt takes a package whose files are half unpacked
    # for installed, so the third one installs it again.
    root.run("dpkg --configure -a", check=False)
    root.run("apt-get install -y -q --fix-broken", check=False)
    root.run(command if doing in _GONE else f"{command} --reinstall")
    _all_is_well(root, doing, before, wanted)


def _prepared(root: Root, doing: str) -> tuple[str, dict[str, str]]:
    """Bring a root to where an operation begins; return its command, and the version of each package that it installs."""
    if doing == UPDATE:
        computer.use(root, builds.LATER, "trixie")
    wanted = {package: computer.offered(root, package) for package in BOTH}
    command = computer.install_command(root, *BOTH)
    if doing in _GONE:
        command = f"apt-get {_GONE[doing]} -y -q {' '.join(BOTH)}"
    if doing == INSTALL:
        root.run(f"apt-get remove -y -q {' '.join(BOTH)}")
    if doing == BACK:  # the repository of the newer version has the one before, too
        computer.use(root, builds.NEXT, "trixie")
        computer.install(root, *BOTH)
    return command, wanted


def _kill_at(root: Root, command: str, percent: float, after_s: float, *, power: bool) -> bool:
    """Kill a command some seconds after apt has said a percentage. Return whether it was still running."""
    with root.doom(f"{command} -o APT::Status-Fd=1") as process:
        assert process.stdout is not None
        for line in process.stdout:
            found = _PROGRESS.match(line)
            if found and float(found[1]) >= percent:
                break
        return root.interrupt(process, after_s, power=power)


def _all_is_well(root: Root, doing: str, before: int, wanted: dict[str, str]) -> None:
    if doing in _GONE:
        for package in BOTH:
            assert computer.version(root, package) == ""
            assert root.exists(computer.DATA[package])
            assert root.exists(computer.SETTINGS[package])
        assert computer.processes(root) == ""
        computer.install(root, *BOTH)
        if doing == PURGE:
            root.run(computer.ENABLE)
    assert {package: computer.version(root, package) for package in BOTH} == wanted
    for package in BOTH:
        wait(lambda package=package: computer.running(root, package), f"{package} runs")
    assert computer.changed_files(root, *BOTH) == ""
    wait(lambda: computer.page(root), "a page of the collector")
    assert computer.has_row(root)
    assert computer.has_tables_of(root, builds.LATER if doing == UPDATE else builds.THIS)
    assert computer.complaints(root, COLLECTOR) == set()
    computer.idle(root)
    assert len(computer.journal(root)) > before
    assert computer.chain_is_whole(root)
    computer.tap(root)
    assert computer.status(root)["state"] == "active", GATE
