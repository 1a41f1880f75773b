"""The state of each sink: items sent, items waiting, and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db.models import Count, Sum

from fabgate.collector.ground.models import ClosedMonth, Sink, SinkLetter
from fabgate.collector.money.billing.sinks import config, engine, feeds
from fabgate.collector.money.billing.sinks.config import Configured
from fabgate.errors import UsageError

#: How a sink is: it is up to date or sends; it is tried again later; it waits for a person after a restore; sinks.yaml
#: does not have it any more.
OK, LATER, RESTORED, GONE = "ok", "later", "restored", "gone"
#: The months that are compared.
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Status:
    """How one sink is."""

    row: Sink
    #: None if sinks.yaml does not have it any more.
    configured: Configured | None
    state: str
    #: Items that were not examined yet.
    waiting: int
    #: Letters that were not sent, by their states.
    letters: Mapping[str, int]

    @property
    def unsent(self) -> int:
        """Return how many items it has not got, without those that a person left out."""
        return self.waiting + self.letters[SinkLetter.DUE] + self.letters[SinkLetter.HELD] + self.dead

    @property
    def dead(self) -> int:
        """Return how many items it refused."""
        return self.letters[SinkLetter.DEAD]


def everything() -> Iterator[Status]:
    """Yield how each sink is: those of sinks.yaml, then those that it had. Raises UsageError for a wrong sinks.yaml."""
    found = config.load()
    yield from map(of, found)
    yield from gone({one.name for one in found})


def gone(known: set[str]) -> Iterator[Status]:
    """Yield the sinks that are not among `known`."""
    for row in Sink.objects.exclude(name__in=known).order_by("name"):
        yield Status(row, None, GONE, 0, _letters(row))


def of(one: Configured) -> Status:
    """Return how one sink is."""
    row = engine.row_of(one)
    state = RESTORED if engine.awaits_reconciling(row) else LATER if row.trouble else OK
    try:
        waiting = feeds.of(one.driver, row, one.options, config.site_of()).waiting(row.cursor)
    except UsageError:  # nothing is sent until the sink has another name: the engine's trouble says so
        state, waiting = LATER if state == OK else state, 0
    return Status(row, one, state, waiting, _letters(row))


def named(name: str) -> Status:
    """Return the state of the sink with this name. Raises UsageError if no sink has it."""
    for status in everything():
        if status.row.name == name:
            return status
    known = ", ".join(status.row.name for status in everything())
    raise UsageError(f"found no sink {name[:60]!r}, wanted {known or 'a name of ' + str(config.path())}")


@dataclass(frozen=True, slots=True)
class MonthSum:
    """The charges of a closed month, and those that a sink has received; amounts in minor units."""

    month: date
    charged_minor: int
    sent_minor: int
    #: Held, refused or left out.
    left_minor: int
    sent: int

    @property
    def open_minor(self) -> int:
        """Return the amount that has not been processed yet."""
        return self.charged_minor - self.sent_minor - self.left_minor


def months(row: Sink, first: date) -> list[MonthSum]:
    """Return the newest closed months from `first` on, newest first, with the charges that a sink has received."""
    closed = list(ClosedMonth.objects.filter(month__gte=first).order_by("-month")[:_MONTHS])
    sums: dict[tuple[date, bool], tuple[int, int]] = {}
    rows = row.letters.filter(month__in=[one.month for one in closed]).order_by()
    for month, state, amount, count in rows.values_list("month", "state").annotate(Sum("amount"), Count("pk")):
        key = month, state == SinkLetter.SENT
        before = sums.get(key, (0, 0))
        sums[key] = before[0] + amount, before[1] + count
    made = []
    for one in closed:
        (sent_minor, sent), (left_minor, _left) = (sums.get((one.month, is_sent), (0, 0)) for is_sent in (True, False))
        made.append(MonthSum(one.month, one.amount_minor, sent_minor, left_minor, sent))
    return made


def _letters(row: Sink) -> Counter[str]:
    rows = row.letters.exclude(state=SinkLetter.SENT).order_by().values_list("state").annotate(Count("pk"))
    return Counter(dict(rows))
