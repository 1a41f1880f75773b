"""What the cases need: the disk, a guest with pins of either kind, and the figures of the rounds."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.install import builds, possible
from tests.install.report import Reporter
from tests.vm import image
from tests.vm.image import Disk
from tests.vm.line import rises_without_a_tap
from tests.vm.machine import PROGRAM, Machine

_BEGIN_S: Final = 20.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=4, help="how often each fault is tried (default: 4)")
    parser.addoption("--accelerator", default="", help="kvm or tcg (default: kvm if a guest starts with it)")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporter(None, 0), "vm-report")


@cache
def _reason() -> str:
    """Return why no guest can be tried on this computer, "" if one can."""
    if shutil.which(PROGRAM) is None:
        return "missing: apt install qemu-system-x86"
    if builds.architecture() != "amd64":
        return (
            f"found a computer with {builds.architecture()}, wanted amd64: the guest has the packages of this computer"
        )
    if shutil.which("mkfs.ext4") is None:
        return "missing: apt install e2fsprogs"
    return possible.reason()


@pytest.fixture(scope="session")
def repositories(tmp_path_factory) -> Path:
    """A folder with a signed repository of this tree's packages."""
    if _reason():
        pytest.skip(f"no guest here: {_reason()}")
    return builds.repositories(tmp_path_factory.mktemp("repositories"), [(builds.THIS, "trixie")])


@pytest.fixture(scope="session")
def disk(repositories) -> Disk:
    return image.disk(repositories, builds.digest())


@pytest.fixture(scope="session")
def accelerator(request, disk, tmp_path_factory) -> str:
    """KVM where a guest starts with it: a /dev/kvm alone does not say so, inside another guest for instance."""
    chosen: str = request.config.option.accelerator
    if chosen or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return chosen or "tcg"
    console = tmp_path_factory.mktemp("kvm") / "console"
    begin = ["-accel", "kvm", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot", "-kernel", str(disk.kernel)]
    begin += ["-append", "console=ttyS0 panic=-1", "-serial", f"file:{console}"]
    try:  # it has no disk, so its kernel panics, which ends it
        subprocess.run([PROGRAM, *begin], capture_output=True, timeout=_BEGIN_S, check=False)
    except subprocess.TimeoutExpired:
        return "tcg"
    return "kvm" if "Linux version" in console.read_text("utf-8", "replace") else "tcg"


@pytest.fixture(scope="class")
def guest(request, disk, accelerator, tmp_path_factory) -> Iterator[Machine]:
    """A guest that was just started. `held` of the class: do its pins keep their level when a program dies?"""
    folder = tmp_path_factory.mktemp("machine") / "run"
    made = Machine(disk, folder, held=request.cls.held, accelerator=accelerator)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def machine(guest) -> Iterator[Machine]:
    """The guest of the class, with a gate that waits for a badge. No case may end with a rise that no badge has caused."""
    place = guest.line.here()
    if guest.boots and guest.line.is_on:  # a case before this one has failed
        guest.run("systemctl restart fabgate-gate")
    guest.idle()
    yield guest
    assert rises_without_a_tap(guest.line.since(place)) == []


@pytest.fixture
def rounds(request) -> int:
    found: int = request.config.option.rounds
    return found


@pytest.fixture
def seen(request) -> Callable[[str], None]:
    """Note for the report what a case has seen."""
    return lambda text: request.node.user_properties.append(("seen", text))


@pytest.fixture
def measured(seen, accelerator) -> Callable[[str, list[float]], None]:
    """Note figures in seconds, with the load of this computer. No case depends on them."""

    def note(what: str, found_s: list[float]) -> None:
        load = os.getloadavg()[0]
        seen(
            f"{what}: n {len(found_s)}, median {statistics.median(found_s):.3f} s, maximum {max(found_s):.3f} s"
            f" (load {load:.1f} on {os.cpu_count()} cores, {accelerator})"
        )

    return note
