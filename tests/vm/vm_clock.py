"""A Raspberry Pi has no clock that runs without power, and a workshop may have no internet: the collector gives the time.

The guest starts with the clock of 1970. systemd sets such a clock to the day on which Debian built it, months or years ago. The
guest has no network until the case gives it one, and then nothing but the collector.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import pytest

from tests.install import builds, computer, images, newcomer
from tests.install.browser import Browser
from tests.install.computer import COLLECTOR
from tests.install.roots import Root
from tests.support.patience import wait
from tests.vm.machine import Machine

_MACHINE: Final = "laser-2"
#: The address at which QEMU shows the network in which it runs, that of the collector, to the guest.
_COLLECTOR_ADDRESS: Final = "10.0.2.2"
_1970: Final = ("-rtc", "base=1970-01-01T00:00:00")
_NETWORK: Final = ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net")
#: In a root chrony may not set the clock (-x); it only answers.
_CHRONY: Final = "[Unit]\nConditionCapability=\n[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -F 0 -x\n"
#: How far from the right time a clock may be that was set over the network, in seconds.
_NEAR_S: Final = 60.0
_SYNCHRONISED: Final = "Initial clock synchronization"
_CONNECTED: Final = "the site's collector is"


@pytest.fixture
def collector(repositories) -> Iterator[Root]:
    """A collector that was set up, and answers questions for the time."""
    root = Root(images.bare("trixie"), "vm-collector", repositories=repositories)
    try:
        root.start()
        computer.use(root, builds.THIS, "trixie")
        root.run(f"echo '127.0.0.1 {_host(root)}' >>/etc/hosts")
        root.write("/etc/systemd/system/chrony.service.d/root.conf", _CHRONY)
        computer.install(root, COLLECTOR)
        root.run(newcomer.SETUP, check=False)  # the doctor is not content with the clock of a root
        yield root
    finally:
        root.remove()


@pytest.fixture
def pi(disk, collector, accelerator, tmp_path) -> Iterator[Machine]:
    """A guest that has just started, and remembers no time."""
    more = (*_1970, *_NETWORK)
    made = Machine(disk, tmp_path / "run", held=True, accelerator=accelerator, more=more, beside=collector.leader)
    try:
        made.start()
        # systemd took the time at which the disk was made from this file.
        made.run("systemctl stop systemd-timesyncd && rm -f /var/lib/systemd/timesync/clock && sync")
        made.cut_power()
        made.booted(1)
        yield made
    finally:
        made.stop()


def test_a_clock_of_1970_comes_right_before_tls(pi, collector, seen):
    began = _clock_s(pi)
    assert began < time.time() - 24 * 3600, "the clock is right from the start"
    _connect(pi, _host(collector))
    code = newcomer.code_of(collector, _MACHINE)
    pi.run(f"echo {code} | fabgate join {_host(collector)}")
    wait(lambda: "online" in collector.says("fabgate-collector gates"), "a gate that is connected")
    log = pi.says("journalctl --quiet --boot --no-pager --output=cat")
    assert 0 <= log.find(_SYNCHRONISED) < log.find(_CONNECTED), log[-3000:]
    away_s = abs(_clock_s(pi) - time.time())
    assert away_s < _NEAR_S
    computer.let_ada_use(collector, _MACHINE)
    pi.run("runuser -u fabgate -- fabgate roster adopt")  # the disk has a gate with members of its own
    wait(lambda: "newest" in collector.says("fabgate-collector gates"), "a roster of the gate")
    browser = Browser(collector)
    newcomer.become_manager(browser, collector.says("fabgate-collector first-link").split()[-1])
    page = f"https://{_host(collector)}/use"
    assert "Ada" not in browser.open(page).text
    pi.run(f"fabgate tap {computer.SETTINGS[computer.GATE]} {computer.BADGE}")
    wait(lambda: "Ada" in browser.open(page).text, "the session on the page")
    (started,) = (entry for entry in pi.journal() if entry["type"] == "fabgate.session.started.v1")
    assert started["data"]["clock"]["synced"]
    assert abs(datetime.fromisoformat(started["time"]).timestamp() - time.time()) < _NEAR_S
    seen(
        f"the clock began {(time.time() - began) / 86400:.0f} days late; at the first connection it was {away_s:.1f} s off"
    )


def _host(collector: Root) -> str:
    return f"{collector.says('hostname').lower()}.local"


def _connect(pi: Machine, host: str) -> None:
    """Give the guest a network in which there is the collector only."""
    pi.run(f"""
        udevadm settle
        name=$(ls /sys/class/net | grep -v lo)
        ip link set $name up
        ip address add 10.0.2.15/24 dev $name
        echo '{_COLLECTOR_ADDRESS} {host}' >>/etc/hosts
        """)


def _clock_s(pi: Machine) -> float:
    """Return the guest's clock, in seconds since 1970."""
    return float(pi.run("date +%s.%N"))
