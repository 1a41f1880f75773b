"""Who holds a badge, and on which basis they may use the machine. Named tuples, because each tap makes some."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """What a member may do at the machine beyond using it."""

    USER = "user"
    SUPERVISOR = "supervisor"
    MAINTAINER = "maintainer"

    @property
    def supervises(self) -> bool:
        """Whether this level opens sessions for others and clears reports."""
        return self is not Level.USER


class Window(NamedTuple):
    """When a member may start: ISO weekdays, and minutes of the local day. `to_min` ≤ `from_min` wraps midnight."""

    days: frozenset[int]
    from_min: int
    to_min: int


class Member(NamedTuple):
    """A person whom the roster admits. `until_reason` is the reason to refuse them after `valid_until`."""

    id: str
    name: str = ""
    lang: str = "en"
    level: Level = Level.USER
    grant: str | None = None
    valid_until: date | None = None
    grace_days: int = 0
    windows: tuple[Window, ...] = ()
    limit_ms: int | None = None
    supervised: bool = False
    until_reason: str = "expired"

    @property
    def rank(self) -> Level:
        """The level that counts here: a member who needs a supervisor counts as a plain user."""
        return Level.USER if self.supervised else self.level


class Barred(NamedTuple):
    """A person whom the roster refuses, with every reason. `id` is None if only the badge is known."""

    reasons: tuple[str, ...]
    id: str | None = None
    lang: str = "en"
    windows: tuple[Window, ...] = ()


class Emergency(NamedTuple):
    """A badge in the gate's own configuration that needs no roster."""

    label: str

    @property
    def id(self) -> str:
        """The member id under which its use is recorded."""
        return f"emergency:{self.label}"


Holder = Member | Barred | Emergency


class Basis(NamedTuple):
    """The basis on which a session was allowed.

    `kind` is grant, emergency, maintainer, sponsor, observe or continued. `would_refuse` are the reasons that an
    observed machine ignored.
    """

    kind: str
    grant: str | None = None
    stale_roster: bool = False
    would_refuse: tuple[str, ...] = ()
