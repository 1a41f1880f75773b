"""What does a roster say, and what do its seals cover?"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fabgate.wire.machine_rules import MachineRules
from fabgate.wire.messages import Message, Text

#: The purposes of seals: a seal for one purpose is invalid for another.
PURPOSE_ROSTER: Final = "roster"
PURPOSE_ROSTER_SAME: Final = "roster-304"
#: HTTP headers of the roster.
HEADER_SEAL: Final = "Fabgate-Seal"
HEADER_NONCE: Final = "Fabgate-Nonce"
#: The kernel's id of the gate's boot. A version before 0.2.0 does not send it.
HEADER_BOOT: Final = "Fabgate-Boot"
HEADER_VERSION: Final = "Fabgate-Roster-Version"
#: In a roster the id of a group begins with this; no person's id does.
GROUP_PREFIX: Final = "group:"


class RosterNudge(Message, frozen=True, kw_only=True):
    """Retained on ``…/roster``: a new roster version can be fetched."""

    version: int


class Window(Message, frozen=True, kw_only=True):
    """When a member may use the machine, in the site's time zone; `days` are ISO weekdays, 1 is Monday."""

    days: list[int]
    start: str = msgspec.field(name="from")
    to: str


class Member(Message, frozen=True, kw_only=True):
    """A member who may use the machine. `badges` are digests; `name` is a given name for the display."""

    id: str
    badges: list[str]
    name: str = ""
    lang: str = "en"
    level: str = "user"
    #: The id of the grant by which they may use the machine, for the record.
    grant: str | None = msgspec.field(name="basis", default=None)
    valid_until: str | None = None
    grace_days: int = 0
    windows: list[Window] = []
    limit_s: int | None = None
    supervised: bool = False
    #: Why they are refused after `valid_until`: the right that ends then. Gates before it say ``expired`` of every right.
    until_reason: str = "expired"
    #: Which of ``Prices.lists`` is theirs. Of any type: with a wrong one the member sees no price, and can work.
    price_list: Any = 0
    #: They prepay, and their credit is low: the panel says so when a session begins. Of any type, as above.
    low_credit: Any = False


class Barred(Message, frozen=True, kw_only=True):
    """A person or a badge that the roster refuses, with all reasons. On the wire these are the `refusals`."""

    badges: list[str]
    reasons: list[str]
    id: str | None = None
    lang: str = "en"
    #: The machine's hours do not apply to them, as for maintainers.
    at_all_hours: bool = False


class Roster(Message, frozen=True, kw_only=True):
    """The roster of one gate, served sealed over HTTP as ``GET /api/v1/gates/<gate>/roster``.

    A member may be in it more than once, with different badges: a badge on loan has its own `valid_until`.
    """

    version: int
    site: str
    gate: str
    tz: str = "UTC"
    fresh_for_s: int = 604_800
    badge_key_id: str | None = None
    #: The mark of that key (``badge.key_mark``): two keys with one id have different ones.
    badge_key_mark: str | None = None
    #: The id of the collector's database (as in ``…/collector/status``): versions are compared only within it. Only the
    #: roster of a members file has none.
    collector: Text | None = None
    #: The missing members really left. This package's collector lists everyone who left as refused, and never sets it.
    shrink_confirmed: bool = False
    machine: MachineRules = MachineRules()
    members: list[Member] = []
    refusals: list[Barred] = []
    #: The machine's opening hours, for refused people: being outside them is one more reason. Members have windows.
    hours: list[Window] = []
    #: ``Prices``; absent where nothing is billed. Of any type: a roster with wrong prices is valid (``read_prices``).
    prices: Any = None
    #: The authorities by which the collector and its broker are known, as PEM; empty where two different ones sign for them,
    #: or none. Gates of 0.1.0 ignore it.
    authorities: str = ""


def sealed_roster(body: bytes, nonce: str) -> bytes:
    """Return the bytes that the seal of a 200 response covers: the body after content decoding and the gate's nonce."""
    return b"\0".join((body, nonce.encode()))  # not +, which would make two copies, each of which blocks all threads


def sealed_same(version: int, date: str, nonce: str) -> bytes:
    """Return the bytes that the seal of a 304 response covers: the version, the Date header and the gate's nonce."""
    return f"{version}\n{date}\n{nonce}".encode()
