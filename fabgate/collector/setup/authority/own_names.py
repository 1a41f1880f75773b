"""Under which names and addresses this computer answers in its network."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from fabgate.collector.setup.authority.names import LOCAL, NETWORKS, Address

#: Asks for a list as JSON, with the arguments of `ip`.
Ask = Callable[[str], list[dict[str, Any]]]
_DEVICES: Final = Path("/sys/class/net")


def hosts(name: str = "") -> tuple[str, ...]:
    """Return the names of this computer: HOST.local, HOST, and the full name if the network gives it one."""
    full = (name or socket.gethostname()).lower().rstrip(".")
    host = full.partition(".")[0]
    return tuple(dict.fromkeys((f"{host}.{LOCAL}", host, full)))


def addresses(ask: Ask | None = None, devices: Path = _DEVICES) -> tuple[Address, ...]:
    """Return the addresses in local networks, sorted, without those that only programs of this computer have.

    A bridge between containers is such a one: its address would change the certificates at each start of a container.
    """
    ask = ask or _ip
    routed = {route.get("dev") for route in (*ask("-4 route show default"), *ask("-6 route show default"))}
    found: set[Address] = set()
    for device in ask("address show up"):
        name = device.get("ifname", "")
        if name not in routed and not (devices / name / "device").exists():
            continue
        for info in device.get("addr_info", ()):
            if info.get("scope") != "global" or info.get("temporary") or info.get("deprecated"):
                continue
            address = ipaddress.ip_address(info["local"])
            if any(address in network for network in NETWORKS):
                found.add(address)
    return tuple(sorted(found, key=lambda address: (address.version, int(address))))


def _ip(arguments: str) -> list[dict[str, Any]]:
    """Ask `ip`; an empty list without that program, or without an answer."""
    command: Sequence[str] = ("ip", "-json", *arguments.split())
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 (of this computer)
        found = json.loads(done.stdout or "[]")
    except (OSError, subprocess.CalledProcessError, ValueError):
        return []
    return [each for each in found if isinstance(each, dict)]
