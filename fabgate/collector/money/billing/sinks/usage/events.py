"""The usage of sessions that is sent to sinks one by one: each line of the ledger, or events for a meter.

A meter adds up events. So a session is sent once it is settled: it has not changed for some days, and no review is open. If
it changes later, two events follow: a reversal of the one before, and one with the new time. Both name the first event of
the session.

The ledger alone decides which of its lines are sent, not the time at which it is read, and the contents of an event decide
its key. So after a restore the same events have the same keys, and a meter that recognises keys counts no event twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from django.db.models import Q, QuerySet

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import LedgerLine, Sink, SinkLetter
from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.charges import record
from fabgate.collector.money.billing.sinks.contract import Item, MeteredOptions, Usage

#: Lines of the ledger that are read together.
_LINES: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def place_of(position: int) -> str:
    """Return the place of a line of the ledger."""
    return f"{position:019d}"


def _lines(cursor: str, first: datetime) -> QuerySet[LedgerLine]:
    """Return the lines after a place, of sessions that ended since `first`."""
    lines = LedgerLine.after(int(cursor or 0))
    return lines.filter(Q(ended_at__gte=first) | Q(ended_at=None, at__gte=first))


class Ledger:
    """Each line of the ledger: a session as it ended, and as it was after each change."""

    def __init__(self, first: datetime) -> None:
        self._first = first

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:  # noqa: ARG002 (as every feed)
        """Return the next lines."""
        found: list[Item] = [as_it_was(line) for line in _lines(cursor, self._first)[:most]]
        return found, found[-1].place if found else cursor

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return the lines of letters."""
        places = sorted({int(letter.place) for letter in letters})
        lines = LedgerLine.after(0)
        found = [as_it_was(line) for some in statements.chunks(places) for line in lines.filter(pk__in=some)]
        keys = {letter.key for letter in letters}
        return {item.key: item for item in found if item.key in keys}

    def waiting(self, cursor: str) -> int:
        """Return how many lines are after a place."""
        return _lines(cursor, self._first).count()


def as_it_was(line: LedgerLine) -> Usage:
    """Return a session as a line of the ledger has it.

    The key has the time as well: after a restore, another line may have the position.
    """
    return Usage(
        key=f"{line.pk}.{(line.at - _EPOCH) // timedelta(microseconds=1)}",
        place=place_of(line.pk),
        kind=line.kind,
        at=line.at,
        session=line.session_id,
        payer=line.payer or line.used_by,
        used_by=line.used_by,
        purpose=line.purpose,
        gate=line.session.gate.name,
        machine=line.session.machine_name,
        machine_category=line.session.machine.category if line.session.machine else "",
        category=line.category,
        started_at=line.started_at,
        ended_at=line.ended_at,
        counted_ms=line.counted_ms,
        running_ms=line.running_ms,
        uncertainty_ms=line.uncertainty_ms,
        reason=line.reason,
        review=line.review,
    )


# --- meters -----------------------------------------------------------------------------------------------------------

#: The contents of an event, besides its key: other values make another event.
_CONTENTS: Final = (
    *("session", "payer", "used_by", "machine", "machine_category", "purpose"),
    *("started_at", "ended_at", "counted_ms", "running_ms"),
)


class Metered:
    """The events of settled sessions."""

    def __init__(self, row: Sink, options: MeteredOptions, first: datetime) -> None:
        self._row = row
        self._options = options
        self._settle = timedelta(days=options.settle_days)
        self._first = first

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:
        """Return the next events, and the place up to which the lines of the ledger have been examined."""
        found: list[Item] = []
        while lines := list(_lines(cursor, self._first)[:_LINES]):
            sent = self._sent({line.session_id for line in lines})
            following = self._following(lines)
            for line in lines:
                if line.at > now - self._settle or len(found) >= most:
                    return found, cursor
                replaced_at = following.get(line.pk)
                if not line.review and (replaced_at is None or replaced_at - line.at >= self._settle):
                    found += self._events(line, sent[line.session_id])
                cursor = place_of(line.pk)
        return found, cursor

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return the events of letters."""
        return {letter.key: msgspec.convert(letter.data, Usage) for letter in letters if letter.data}

    def waiting(self, cursor: str) -> int:
        """Return how many lines have not been examined yet."""
        return _lines(cursor, self._first).count()

    def _following(self, lines: Sequence[LedgerLine]) -> dict[int, datetime]:
        """Return when lines were replaced by the next one of their session, if that was before they were settled."""
        until = lines[-1].at + self._settle
        rows = LedgerLine.objects.filter(pk__gte=lines[0].pk).order_by("pk").values_list("pk", "session_id", "at")
        found: dict[int, datetime] = {}
        last: dict[str, int] = {}
        for pk, session, at in rows.iterator(chunk_size=2_000):
            if session in last:
                found[last[session]] = at
            last[session] = pk
            if at > until:
                break
        return found

    def _sent(self, sessions: Collection[str]) -> dict[str, list[Usage]]:
        """Return the events of sessions that were sent to the sink, also refused ones: a person handles those."""
        sent: dict[str, list[Usage]] = defaultdict(list)
        for some in statements.chunks(sorted(sessions)):
            rows = SinkLetter.objects.filter(session__in=some, sink=self._row).exclude(session="").order_by("pk")
            for letter in rows:
                sent[letter.session].append(msgspec.convert(letter.data, Usage))
        return sent

    def _events(self, line: LedgerLine, sent: list[Usage]) -> list[Usage]:
        """Return the events that a line requires, and add them to those that were sent."""
        now = as_it_was(line)
        reversed_ = {one.reverses for one in sent}
        applied = [one for one in sent if not one.reverses and one.key not in reversed_]
        if self._is_metered(now) and any(contents(one) == contents(now) for one in applied):
            return []
        made = [reversal(one, now, record.usage_id(["reversal", one.key])) for one in applied]
        if self._is_metered(now):
            times = sum(contents(one) == contents(now) for one in sent if not one.reverses)
            made.append(msgspec.structs.replace(now, key=record.usage_id([*contents(now), times])))
        if sent:
            made = [msgspec.structs.replace(one, first=sent[0].key) for one in made]
        sent += made
        return made

    def _is_metered(self, usage: Usage) -> bool:
        options = self._options
        return (
            is_usage(usage)
            and usage.purpose in options.purposes
            and (not options.categories or usage.machine_category in options.categories)
        )


def is_usage(usage: Usage) -> bool:
    """Return whether a session was used at all, and not with an emergency badge."""
    is_used = usage.kind != LedgerLine.WITHDRAWN and bool(usage.counted_ms or usage.running_ms)
    return is_used and not usage.used_by.startswith(rating.EMERGENCY)


def reversal(sent: Usage, now: Usage, key: str) -> Usage:
    """Return what reverses something that was sent, because the session is `now` another one."""
    return msgspec.structs.replace(
        sent,
        key=key,
        reverses=sent.key,
        place=now.place,
        kind=now.kind,
        at=now.at,
        counted_ms=-sent.counted_ms,
        running_ms=-sent.running_ms,
    )


def contents(usage: Usage) -> list[Any]:
    """Return the facts of which each change has to be sent."""
    return [getattr(usage, name) for name in _CONTENTS]
