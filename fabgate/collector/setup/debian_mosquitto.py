"""Debian's own mosquitto.service, which starts as soon as the package is installed, and which nobody may have asked for."""

from __future__ import annotations

import hashlib
from typing import Final

from fabgate.collector.setup import systemd
from fabgate.computer import Computer

UNIT: Final = "mosquitto.service"
_FOLDER: Final = "/etc/mosquitto"


def is_needless(computer: Computer) -> bool:
    """Say whether it runs or starts with the computer, although nobody installed Mosquitto for itself, or changed it."""
    if not (systemd.is_enabled(computer, UNIT) or systemd.is_active(computer, UNIT)):
        return False
    came_with_us = computer.run("apt-mark", "showauto", "mosquitto").out.strip() == "mosquitto"
    return came_with_us and _is_as_shipped(computer)


def _is_as_shipped(computer: Computer) -> bool:
    """Say whether its settings are those of the package, without a file or a drop-in of a person (decision 145)."""
    if computer.run("systemctl", "show", UNIT, "--property=DropInPaths", "--value").out.strip():
        return False
    listed = computer.run("dpkg-query", "-W", "-f", "${Conffiles}", "mosquitto").out
    sums = {words[0]: words[1] for words in map(str.split, listed.splitlines()) if len(words) > 1}
    owned = {line.strip() for line in computer.run("dpkg-query", "-L", "mosquitto").out.splitlines()}
    root = computer.path("/")
    for path in computer.path(_FOLDER).rglob("*"):
        name = f"/{path.relative_to(root)}"
        if path.is_file() and sums.get(name) != hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest():
            if name in sums or name not in owned:
                return False
        elif path.is_dir() and name not in owned:
            return False
    return True
