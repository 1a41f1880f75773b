"""What does the doctor say on a gate that is a Debian package?"""

from __future__ import annotations

import shutil

import pytest

from fabgate import installed
from fabgate.doctor.finding import Outcome
from fabgate.phrases import phrases
from tests.deploy.places import SYSTEMD

NAME = "fabgate-gate.service"
COPY, PACKAGED = f"/etc/systemd/system/{NAME}", f"/usr/lib/systemd/system/{NAME}"
AGAIN = "apt install --reinstall fabgate-gate"


@pytest.fixture
def packaged(pi, monkeypatch):
    monkeypatch.setattr(installed, "package", lambda: installed.GATE)
    (pi.root / PACKAGED[1:]).parent.mkdir(parents=True)
    shutil.move(pi.root / COPY[1:], pi.root / PACKAGED[1:])
    pi.write("/usr/lib/fabgate-gate/line-off", (SYSTEMD / "line-off").read_text(), mode=0o755)
    (pi.root / "usr/lib/fabgate/line-off").unlink()
    return pi


def test_a_gate_as_its_package_leaves_it_has_nothing_to_put_right(packaged):
    assert packaged.finding("unit").outcome is Outcome.OK
    assert packaged.finding("line-off").outcome is Outcome.OK


def test_a_unit_that_is_gone_or_changed_comes_back_with_the_package(packaged):
    packaged.change(PACKAGED, "^WatchdogSec=3", "WatchdogSec=30")
    found = packaged.finding("unit")
    assert (found.outcome, found.next_step) == (Outcome.FAIL, f"install it again: {AGAIN}")
    packaged.write(f"{COPY}.d/own.conf", "[Service]\nRestartSec=9\n")
    expected = f"compare {NAME}.d/own.conf, or install it again: {AGAIN}"
    assert packaged.finding("unit").next_step == expected
    (packaged.root / PACKAGED[1:]).unlink()
    assert packaged.finding("unit").next_step.endswith(AGAIN)


def test_a_copy_in_etc_that_hides_the_unit_of_the_package_is_named(packaged):
    text = (packaged.root / PACKAGED[1:]).read_text()
    packaged.write(COPY, text)
    assert packaged.finding("unit").outcome is Outcome.OK
    packaged.write(COPY, text.replace("MemoryMax=200M", "MemoryMax=50M"))
    found = packaged.finding("unit")
    assert found.outcome is Outcome.WARN
    assert found.next_step.startswith(f"remove {COPY}, which hides the unit of the package,")
    assert f"systemctl edit {NAME}" in found.next_step
    assert phrases("fr")(found.next_step).startswith(f"retirez {COPY}, qui cache l\u2019unité du paquet")


def test_a_masked_unit_is_not_as_shipped(packaged):
    (packaged.root / COPY[1:]).symlink_to("/dev/null")
    found = packaged.finding("unit")
    assert (found.outcome, found.next_step) == (Outcome.FAIL, f"systemctl unmask {NAME}")


def test_the_helper_that_switches_off_is_that_of_the_package(packaged):
    packaged.change("/usr/lib/fabgate-gate/line-off", "=0", "=1")
    found = packaged.finding("line-off")
    assert found.text == "/usr/lib/fabgate-gate/line-off is not the one of this version"
    assert found.next_step == AGAIN
    (packaged.root / "usr/lib/fabgate-gate/line-off").unlink()
    assert packaged.finding("line-off").next_step == AGAIN


def test_a_drop_in_is_copied_from_the_package(packaged):
    packaged.reconfigure("{driver: mfrc522}", "{driver: serial, port: /dev/ttyACM0, format: rdm6300}")
    packaged.write("/dev/ttyACM0", "")
    assert "/usr/lib/fabgate-gate/share/fabgate/systemd/20-fabgate-serial.conf -t" in (
        packaged.finding("reader-device").next_step
    )
