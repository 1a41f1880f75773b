"""The contract between the engine and each driver: what a sink is, and what it receives.

A driver is a class that the entry point group ``fabgate.sinks`` names, in this package or in another one. It has

- ``Options``: a subclass of `Options`, the keys of its section in sinks.yaml; its ``feed`` is the kind of items: CHARGES
  (final charges and lines of closed months), USAGE (each change of a session, with its state then) or METERED (events of
  settled sessions that a meter adds up; a later change is a reversal and a new event);
- ``most``: how many items it accepts at once; None: a month as a whole (`Month`, `UsageMonth`);
- ``searches``: whether the program has no keys by which it recognises items that it has. The engine then asks `find` about
  each item that may have arrived, before it sends the item again;
- ``needs_reference``: whether it cannot accept an item of a payer without a reference (`PayerReference`);
- ``only_money``: whether it receives only charges with an amount other than 0;
- ``only_receivables``: whether it writes invoices, and so must not receive charges that are paid from credit.

Its constructor takes the options and the `Site`, and opens nothing. It may raise UsageError for impossible options.

``send(items)`` returns after the program has stored all of them, or raises one of the errors below. It must not send a
second time on its own, follow redirects, or wait longer than some seconds. Each item has a ``key``, which depends
on the facts only, also after a restore: a program that recognises keys gets it as its key. ``find(items)`` returns the keys of
the items that the program has; it must be sure. Both may be called again at any time, also after the process was killed at
any place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from fabgate.collector.ground.tables.table import clock
from fabgate.collector.money.billing.prepaid.words import RECEIVABLE
from fabgate.errors import FabgateError, UsageError

#: The feeds, see above.
CHARGES, USAGE, METERED = "charges", "usage", "metered"
#: The class of a line, besides those of money/billing/rating.py.
LINE: Final = "line"
#: The days of `SettledOptions`, unless others are chosen.
SETTLE_DAYS: Final = 3
_MOST_SECRET: Final = 4096
_FOUR_DAYS: Final = timedelta(days=4)


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that all sinks have; ``driver`` is the name of the entry point."""

    since: Annotated[
        str, Meta(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="the first month to send, such as 2027-01")
    ] = field(name="from")

    @property
    def first(self) -> date:
        """Return the first day to send."""
        return date.fromisoformat(f"{self.since}-01")

    @property
    def feed(self) -> str:
        """Return the kind of items: CHARGES, USAGE or METERED."""
        return CHARGES


class SettledOptions(Options, frozen=True, kw_only=True):
    """The keys of sinks that get usage once it is settled."""

    #: A session is sent once it has not changed for this many days, and no review is open; a month, so long after its end.
    settle_days: Annotated[int, Meta(ge=0, le=60)] = SETTLE_DAYS


class MeteredOptions(SettledOptions, frozen=True, kw_only=True):
    """The keys of sinks that get METERED usage."""

    purposes: list[Literal["own", "group", "training", "maintenance"]] = field(default_factory=lambda: ["own", "group"])
    #: Only machines of these categories; empty: all.
    categories: list[str] = []

    @property
    def feed(self) -> str:
        """Return METERED."""
        return METERED


@dataclass(frozen=True, slots=True)
class Site:
    """The values that all items of a site share."""

    #: The name of the site, and the id of its database: together they name the source of events.
    name: str
    collector: str
    zone: ZoneInfo
    currency: str = ""
    digits: int = 0
    #: None: VAT is not applicable (art. 293 B CGI).
    includes_vat: bool | None = True
    #: The VAT rate of each code in percent; "" is the code of prices without one.
    vat_rates: Mapping[str, Decimal] = dataclass_field(default_factory=dict)


class Charge(Struct, frozen=True, kw_only=True):
    """A final charge of a closed month, its reversal, or a line for something else. Amounts are in minor units."""

    key: str
    place: str
    #: The first day of the month in which it is charged, and of the one in which the session ended.
    month: date
    of_month: date
    payer: str
    amount_minor: int
    #: A class of money/billing/rating.py, or LINE.
    kind: str
    vat_code: str
    #: How it is paid: by an invoice, or from credit (money/billing/prepaid/words.py).
    settlement: str = RECEIVABLE
    #: The key of the charge that it reverses, or "".
    reverses: str = ""
    #: Of a line: what it is for, and its day.
    text: str = ""
    day: date | None = None
    session: str = ""
    used_by: str = ""
    machine: str = ""
    #: The category that the machine had when the month was closed.
    machine_category: str = ""
    plan: str = ""
    purpose: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    counted_ms: int = 0
    running_ms: int = 0
    #: The payer's name and reference at the sink, as they are today; they are not part of the key.
    payer_name: str = ""
    reference: str = ""

    @property
    def amount(self) -> int:
        """Return its value in sums."""
        return self.amount_minor

    @property
    def known_from(self) -> date:
        """Return the day from which on it may have been sent, here or before a restore."""
        return (self.month.replace(day=28) + _FOUR_DAYS).replace(day=1)


class Usage(Struct, frozen=True, kw_only=True):
    """The usage of a session: as it was at a line of the ledger; a reversal is negative (METERED)."""

    key: str
    place: str
    #: ended, changed, corrected, reviewed or withdrawn (ground/models/sessions/ledger.py), and when.
    kind: str
    at: datetime
    session: str
    payer: str
    used_by: str
    purpose: str
    gate: str
    machine: str
    machine_category: str
    category: str
    started_at: datetime | None
    ended_at: datetime | None
    counted_ms: int
    running_ms: int
    uncertainty_ms: int
    reason: str
    review: str
    #: METERED: the key of the first event of this session, "" in the first; and of the event that this one reverses.
    first: str = ""
    reverses: str = ""
    payer_name: str = ""
    reference: str = ""

    @property
    def amount(self) -> int:
        """Return its value in sums."""
        return self.counted_ms

    @property
    def month(self) -> date | None:
        """Return the first day of the month in which the session ended, in UTC: only for lists."""
        return self.ended_at.date().replace(day=1) if self.ended_at else None

    @property
    def known_from(self) -> date:
        """Return the day from which on it may have been sent, here or before a restore."""
        return (self.ended_at or self.at).date()


@dataclass(frozen=True, slots=True)
class Month:
    """A closed month, for sinks that receive it as a whole. It can be read more than once."""

    key: str
    place: str
    month: date
    closed_at: datetime
    #: As `verify-periods` prints it.
    sha256: str
    amount: int
    read: Callable[[], Iterator[Charge]]
    #: The payers that are charged in it: payer -> (name, reference), as they are today.
    payers: Mapping[str, tuple[str, str]]
    payer: str = ""
    session: str = ""

    def __iter__(self) -> Iterator[Charge]:
        """Yield its charges and lines, always in the same order."""
        return self.read()

    @property
    def known_from(self) -> date:
        """Return the day from which on it may have been sent, here or before a restore."""
        return (self.month.replace(day=28) + _FOUR_DAYS).replace(day=1)


@dataclass(frozen=True, slots=True)
class UsageMonth:
    """The usage of a month that is settled, and what changed of months before, for sinks that receive it as a whole."""

    key: str
    place: str
    month: date
    settled_at: datetime
    #: The sum of `counted_ms`.
    amount: int
    #: Reversals of what was sent in a month before, and sessions, always in the same order.
    rows: Sequence[Usage]
    #: payer -> (name, reference), as they are today.
    payers: Mapping[str, tuple[str, str]]
    payer: str = ""
    session: str = ""

    @property
    def known_from(self) -> date:
        """Return the day from which on it may have been sent, here or before a restore."""
        return self.settled_at.date()


Item = Charge | Usage | Month | UsageMonth


class Refused(FabgateError, ValueError):  # noqa: N818 (it names what happened)
    """The program refuses one of the items for good. The engine finds out which. `answer` is the JSON of the answer."""

    def __init__(self, why: str, answer: Any = None) -> None:
        super().__init__(why)
        self.answer = answer


class Later(FabgateError, OSError):  # noqa: N818 (it names what is to be done)
    """Nothing can be sent now; the same items are tried again later, and all later items wait.

    Raise it also if it is not known whether the items arrived, as after a time-out, and for errors that no item causes,
    such as a wrong key.
    """

    def __init__(self, why: str, after_s: float = 0) -> None:
        """Take the cause, and how many seconds the program asks to wait."""
        super().__init__(why)
        self.after_s = after_s


class Driver(Protocol):
    """A driver, as the engine uses it."""

    Options: ClassVar[type[Options]]
    most: ClassVar[int | None]
    searches: ClassVar[bool]
    needs_reference: ClassVar[bool]
    only_money: ClassVar[bool]
    only_receivables: ClassVar[bool]

    def send(self, items: Sequence[Any]) -> None:
        """Send items. Raises Refused or Later."""

    def find(self, items: Sequence[Any]) -> Collection[str]:
        """Return the keys of the items that the program has. Raises Later."""


def description(item: Charge, site: Site) -> str:
    """Return what a charge is for, in one line that never changes: without names, which can change."""
    if item.text:
        return item.text
    start = item.started_at or item.ended_at
    when = f"{start.astimezone(site.zone):%Y-%m-%d %H:%M}, " if start else ""
    return f"{item.machine}, {when}{'-' if item.counted_ms < 0 else ''}{clock(abs(item.counted_ms))}"


def secret(path: Path) -> str:
    """Return the only line of a file with a secret. Raises Later, because the file may come back."""
    try:
        text = path.read_bytes()[:_MOST_SECRET].decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Later(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not text or not text.isprintable() or not text.isascii():
        raise Later(f"{path}: found no secret, wanted one line of ASCII characters")
    return text


def check_url(url: str) -> str:
    """Return the URL of a program without a slash at its end. Raises UsageError for HTTP to another computer."""
    plain = url.removeprefix("http://")
    host = plain.partition("/")[0].rpartition("@")[2]
    if plain != url and host.partition(":")[0] not in {"localhost", "127.0.0.1"} and not host.startswith("[::1]"):
        raise UsageError(f"url: found {url[:80]!r}, wanted https://, because a secret and names are sent there")
    return url.rstrip("/")


Url = Annotated[str, Meta(pattern="^https?://[^/@ ]+(/[^ ]*)?$", description="a URL that starts with https://")]
