"""Says which files of a gate, and of a collector, an installation by hand has, and what the package has in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fabgate.computer import Computer

ETC_UNITS: Final = "/etc/systemd/system"
#: Where docs/install-by-hand.md puts the program. A unit or a script that names it belongs to an installation by hand.
OPT: Final = "/opt/fabgate"
#: The program's link, which both parts share.
LINK: Final = "/usr/local/bin/fabgate"
_WATCHDOG: Final = "/etc/systemd/system.conf.d/10-fabgate-watchdog.conf"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A gate or a collector, as the package of its name brings it. There are these two only, so they are compared by `is`."""

    name: str
    account: str
    #: Its unit files: the first ones start the program, and say which installation is in use.
    starters: tuple[str, ...]
    others: tuple[str, ...]
    #: Everything of it that is stopped for the move, and started again if it ran.
    running: tuple[str, ...]
    #: The one among them that makes a copy, and then ends; "" for a gate.
    copies: str
    unit: re.Pattern[str]
    #: Its script, and its helper, if it has them.
    scripts: tuple[str, ...]
    #: The command of the package.
    program: str
    #: The folder for modules of a workshop.
    own_modules: str
    #: Where the package has what an installation by hand has elsewhere.
    paths: Mapping[str, str]
    #: How long it is watched after its start, in seconds.
    watched_s: int

    @property
    def package(self) -> str:
        """Return the name of the package."""
        return f"fabgate-{self.name}"

    def adapted(self, text: str) -> str:
        """Return a text with the paths of the package."""
        for by_hand, packaged in self.paths.items():
            text = text.replace(by_hand, packaged)
        return text

    def is_by_hand(self, computer: Computer) -> bool:
        """Say whether this computer uses the part that was installed by hand."""
        named = [f"{ETC_UNITS}/{name}" for name in self.starters] + [
            name for name in self.scripts if name.startswith("/usr/local/")
        ]
        return any(f"{OPT}/" in computer.text(name) for name in named)

    def files(self, computer: Computer) -> list[str]:
        """Return each file and link of the part that was installed by hand, those of `systemctl enable` first."""
        names = [*(f"{ETC_UNITS}/{name}" for name in (*self.starters, *self.others)), *self.scripts]
        if self is GATE or not GATE.is_by_hand(computer):
            names.append(LINK)
        if self is GATE and is_as_shipped(computer, _WATCHDOG):
            names.append(_WATCHDOG)
        found = [name for name in names if computer.is_there(name)]
        return [*self.links(computer), *found]

    def links(self, computer: Computer) -> list[str]:
        """Return the links that `systemctl enable` made."""
        places = [*computer.system.found(f"{ETC_UNITS}/*.wants/*"), *computer.system.found(f"{ETC_UNITS}/*.requires/*")]
        root = computer.system.root
        return [f"/{path.relative_to(root)}" for path in places if path.is_symlink() and self.unit.fullmatch(path.name)]


def is_as_shipped(computer: Computer, name: str) -> bool:
    """Say whether a file is the one that the installation by hand brought."""
    return computer.is_there(name) and computer.text(name) == by_hand_copy(computer, name.rpartition("/")[2])


def by_hand_copy(computer: Computer, name: str) -> str:
    """Return a file of systemd/ as the installation by hand brought it, "" if it has no copy."""
    return computer.text(f"{OPT}/share/fabgate/systemd/{name}")


GATE: Final = Part(
    name="gate",
    account="fabgate",
    starters=("fabgate-gate.service",),
    others=(),
    running=("fabgate-gate.service",),
    copies="",
    unit=re.compile(r"fabgate-gate\.service"),
    scripts=("/usr/lib/fabgate/line-off",),
    program="/usr/bin/fabgate",
    own_modules="/usr/local/lib/fabgate-gate",
    paths={f"{OPT}/bin/fabgate": "/usr/bin/fabgate", "/usr/lib/fabgate/line-off": "/usr/lib/fabgate-gate/line-off"},
    watched_s=5,
)
_PROCESSES: Final = tuple(f"fabgate-collector@{name}.service" for name in ("ingest", "web", "worker"))
_SOCKETS: Final = ("fabgate-collector-https.socket", "fabgate-collector-http.socket")
COLLECTOR: Final = Part(
    name="collector",
    account="fabgate-collector",
    starters=("fabgate-collector@.service", "fabgate-collector-backup.service"),
    others=("fabgate-collector.target", "fabgate-collector-backup.timer", *_SOCKETS, "fabgate-firewall.service"),
    # Not the firewall: its limits stay loaded. The sockets too: a connection would start the web process again.
    running=(
        *("fabgate-collector.target", "fabgate-collector-backup.timer", "fabgate-collector-backup.service"),
        *(*_SOCKETS, *_PROCESSES),
    ),
    copies="fabgate-collector-backup.service",
    unit=re.compile(
        r"fabgate-collector(@[\w-]*|-backup|-https?)?\.(service|target|timer|socket)|fabgate-firewall\.service"
    ),
    scripts=("/usr/local/sbin/fabgate-collector",),
    program="/usr/sbin/fabgate-collector",
    own_modules="/usr/local/lib/fabgate-collector",
    paths={
        f"{OPT}/bin": "/usr/lib/fabgate-collector/bin",
        "/usr/local/sbin/fabgate-collector": "/usr/sbin/fabgate-collector",
    },
    watched_s=20,
)
