"""Looks before the first change for what would stop setup half-way, and for what a person should know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from fabgate.collector.ground.base import environ
from fabgate.collector.setup import paths, systemd
from fabgate.collector.setup.site import FIXED, Site
from fabgate.computer import Computer
from fabgate.errors import UsageError

_BY_HAND: Final = "/etc/systemd/system/fabgate-collector@.service"
_NEEDED: Final = {"/usr/sbin/mosquitto": "mosquitto"}
#: Programs without which something is missing that a person may do without.
_USEFUL: Final = {
    "/usr/sbin/nft": ("nftables", "one address can keep all gates out with open connections"),
    "/usr/sbin/avahi-daemon": ("avahi-daemon", "names that end with .local lead nowhere"),
}
#: Other time servers of Debian; installing chrony would remove them.
_TIME_SERVERS: Final = ("/usr/sbin/ntpd", "/usr/sbin/openntpd")
#: The settings whose files setup makes.
_MADE: Final = ("FABGATE_MQTT_CA", "FABGATE_WEB_CERT", "FABGATE_WEB_KEY")


def mistakes(computer: Computer, site: Site, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield each reason why nothing can be set up, with what to do."""
    if "/opt/fabgate/" in computer.text(_BY_HAND):
        yield (
            "found a collector that was installed by hand, wanted that of the package:"
            f" sudo {paths.PROGRAM} use-package, then this command again"
        )
    for program, package in _NEEDED.items():
        if not computer.is_there(program):
            yield f"found no {program}, wanted the broker: apt install {package}"
    for name, wanted in FIXED.items():
        if (found := settings.get(name, wanted)) != wanted:
            yield (
                f"found {name}={found} in {paths.SETTINGS}, wanted {wanted}: setup brings a broker and TLS of its own. Remove the"
                " line to use them; to keep yours, do not run setup"
            )
    yield from _refused(site, settings)
    for port, ours in _ports().items():
        if not systemd.is_active(computer, ours) and (program := _listener(computer, port)):
            yield f"found {program} on port {port}, wanted it free for {ours}: stop that program, and keep it from starting"


def notes(computer: Computer) -> Iterator[str]:
    """Yield what a person should know; nothing of it stops setup."""
    for program, (package, why) in _USEFUL.items():
        if not computer.is_there(program):
            yield f"without {package} {why}: apt install {package}, then this command again"
    if computer.is_there("/usr/sbin/chronyd"):
        return
    if other := next((name for name in _TIME_SERVERS if computer.is_there(name)), ""):
        yield f"the time server {other} stays as it is: let it answer this network, from which gates take their time"
    else:
        yield "without chrony gates have no clock that works without internet: apt install chrony, then this command again"


def _refused(site: Site, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield what the collector would refuse of all its settings together, such as those of a proxy beside ours."""
    try:
        environ.read({**settings, **site.settings()}, need_site=True)
    except UsageError as error:
        lines = str(error).splitlines()
        yield from (f"{paths.SETTINGS}: {line}" for line in lines if not line.startswith(_MADE))


def _ports() -> dict[int, str]:
    broker = dict.fromkeys((paths.GATE_PORT, paths.OWN_PORT), paths.BROKER_UNIT)
    return {**broker, **paths.SOCKETS}


def _listener(computer: Computer, port: int) -> str:
    """Return which program listens on a port; "" if none does."""
    shown = computer.run("ss", "-H", "-l", "-t", "-n", "-p", f"sport = :{port}").out.strip()
    if not shown:
        return ""
    named = re.search(r'users:\(\("([^"]+)"', shown)
    return named[1] if named else "a program"
