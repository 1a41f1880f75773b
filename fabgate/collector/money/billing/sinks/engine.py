"""Sends items to sinks: each once and in order, also after a failure.

The cursor of a sink moves in the transaction that stores what became of its items, after the program has answered. So an
item may be sent a second time, after a lost answer or a killed process, but none is left out. A second time has no effect:
the program knows the key of each item, or the engine asks the program first (`Driver.searches`). For that the keys of a
batch are stored before it is sent.

| what the driver raises | what happens |
| --- | --- |
| nothing | the items are sent |
| Refused | one of the items is refused for good: the engine finds out which; it becomes a dead letter, and the rest goes on |
| Later | the sink stops; it is tried again after 5 s, then after twice as long each time, up to an hour |

An item whose payer has no reference waits as a held letter, and is sent once there is one. What was paid before is left out
where a sink writes invoices. After a restore, a sink sends
nothing until a person has reconciled it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import F

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Change, PayerReference, Sink, SinkLetter
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid.words import PREPAID
from fabgate.collector.money.billing.sinks import config, feeds
from fabgate.collector.money.billing.sinks.config import Configured
from fabgate.collector.money.billing.sinks.contract import (
    METERED,
    Driver,
    Item,
    Later,
    Month,
    Refused,
    Usage,
    UsageMonth,
)
from fabgate.errors import FabgateError

log = logging.getLogger(__name__)

IsStopping = Callable[[], bool]
Tell = Callable[[str], None]

FIRST_S: Final = 5
MOST_S: Final = 3600
#: After so many batches the next sink has its turn.
BATCHES: Final = 50
#: Characters of a text that is kept.
_LONGEST: Final = 300
#: Why an item was not sent, besides the answers of programs.
NO_REFERENCE: Final = "no-reference"
PAID_BEFORE: Final = "paid-before"


@dataclass(slots=True)
class _Batch:
    """Items to hand over, and what became of them so far."""

    items: list[Item]
    #: The place after them; None for letters that are sent again, which are behind the cursor.
    until: str | None
    done: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def place(self) -> str | None:
        """Return the place up to which everything is done; None for a batch that moves no cursor."""
        if self.until is None or all(item.key in self.done for item in self.items):
            return self.until
        undone = next(item for item in self.items if item.key not in self.done)
        # several items may have one place: it is reached after the last of them
        return max(
            (item.place for item in self.items if item.key in self.done and item.place < undone.place), default=""
        )


def turn(sinks: Sequence[Configured], now: Callable[[], datetime], is_stopping: IsStopping) -> bool:
    """Send the due items of each sink, and return whether more can be sent now."""
    is_more = False
    for one in sinks:
        is_more |= deliver(one, now, is_stopping)
    return is_more


def deliver(one: Configured, now: Callable[[], datetime], is_stopping: IsStopping = lambda: False) -> bool:
    """Send the due items of one sink. Return whether there are more; False also if it has to wait."""
    row = row_of(one)
    if awaits_reconciling(row) or (row.next_at is not None and row.next_at > now()):
        return False
    try:
        driver = one.make(config.site_of())
        feed = feeds.of(one.driver, row, one.options, config.site_of())
    except FabgateError as error:
        _stop(row, Later(str(error)), now())
        return False
    for _number in range(BATCHES):
        if is_stopping():
            return True
        row.refresh_from_db()
        batch = _next(one, row, feed, now())
        if batch is None:
            return False
        try:
            _hand_over(one, row, driver, batch)
        except Later as error:
            _store(one, row, batch, now())
            _stop(row, error, now())
            return False
        _store(one, row, batch, now())
    return True


def row_of(one: Configured) -> Sink:
    """Return how far a sink is; the first call adds it."""
    found = Sink.objects.filter(name=one.name).first()
    if found is None:
        found = Sink(name=one.name)
        with suppress(IntegrityError), audit.change(audit.acting(), "sink.added", found):
            found.save(force_insert=True)
            return found
        found = Sink.objects.get(name=one.name)  # another process added it meanwhile
    return found


def last_restore() -> datetime | None:
    """Return when the database was last restored from a copy."""
    return Change.objects.filter(verb=audit.RESTORED).order_by("-at", "-id").values_list("at", flat=True).first()


def awaits_reconciling(row: Sink) -> bool:
    """Return whether the database was restored, and the sink has not been reconciled since then."""
    restored = last_restore()
    return restored is not None and (row.reconciled is None or row.reconciled < restored)


# --- one batch --------------------------------------------------------------------------------------------------------


def _next(one: Configured, row: Sink, feed: feeds.Feed, now: datetime) -> _Batch | None:
    """Return the next items to send: first letters that are sent again, then the items after the cursor."""
    most = one.driver.most or 1
    left = row.letters.exclude(state=SinkLetter.SENT)
    due = list(left.filter(state=SinkLetter.DUE).order_by("pk")[:most])
    if not due and one.driver.needs_reference:
        known = PayerReference.objects.filter(sink=one.name).values("payer_id")
        due = list(left.filter(state=SinkLetter.HELD, payer__in=known).order_by("pk")[:most])
    if due:
        found = feed.again(due)
        batch = _Batch([found[letter.key] for letter in due if letter.key in found], None)
        for letter in due:
            if letter.key not in found:
                letter.state, letter.why, letter.at = SinkLetter.DEAD, "it is no longer in the books", now
                letter.save(update_fields=["state", "why", "at"])
        batch.items = _named(one, batch.items)
        return batch
    items, until = feed.after(row.cursor, most, now)
    if not items and until == row.cursor:
        return None
    return _Batch(_named(one, items), until)


def _named(one: Configured, items: Sequence[Item]) -> list[Item]:
    """Return items with the names and the references of their payers."""
    ids = {item.payer for item in items if item.payer}
    ids |= {payer for item in items if isinstance(item, Month | UsageMonth) for payer in item.payers}
    references = dict(PayerReference.objects.filter(sink=one.name, payer__in=ids).values_list("payer_id", "reference"))
    names = payers.legal_names(ids)
    called = {pk: (names.get(pk, ""), references.get(pk, "")) for pk in ids}
    return [_with_names(item, called) for item in items]


def _with_names(item: Item, called: Mapping[str, tuple[str, str]]) -> Item:
    if isinstance(item, Month | UsageMonth):
        return replace(item, payers={pk: called[pk] for pk in item.payers})
    name, reference = called.get(item.payer, ("", ""))
    return msgspec.structs.replace(item, payer_name=name, reference=reference)


def _hand_over(one: Configured, row: Sink, driver: Driver, batch: _Batch) -> None:
    """Send the items of a batch. Raises Later; `batch.done` then has the known results."""
    for item in batch.items:
        if one.driver.only_receivables and getattr(item, "settlement", "") == PREPAID:
            batch.done[item.key] = SinkLetter.SKIPPED, PAID_BEFORE
        elif one.driver.needs_reference and not getattr(item, "reference", ""):
            batch.done[item.key] = SinkLetter.HELD, NO_REFERENCE
    items = [item for item in batch.items if item.key not in batch.done]
    if not items:
        return
    if one.driver.searches:
        # the program may still have items that a person sends again: only the missing ones are sent
        if doubtful := [item for item in items if batch.until is None or _may_have_arrived(row, item)]:
            there = _found(driver, doubtful)
            batch.done |= {item.key: (SinkLetter.SENT, "") for item in doubtful if item.key in there}
            items = [item for item in items if item.key not in batch.done]
        row.attempt = [item.key for item in items]
        row.save(update_fields=["attempt"])
    most = one.driver.most or 1
    # a feed may give more: a correction is two events, also where only one more fits
    for start in range(0, len(items), most):
        for some in _sent(driver, items[start : start + most], batch):
            batch.done |= {item.key: (SinkLetter.SENT, "") for item in some}


def _found(driver: Driver, items: Sequence[Item]) -> Collection[str]:
    """Return which items the program has. Raises Later if that cannot be known now: nothing else must wait for it."""
    try:
        return driver.find(items)
    except Later:
        raise
    except Refused as error:  # of the question, not of an item
        raise Later(str(error)) from error
    except Exception as error:  # as in `_sent`
        log.exception("the driver of a sink could not look for what was sent")
        raise Later(f"{type(error).__name__}: {error}") from error


def _may_have_arrived(row: Sink, item: Item) -> bool:
    return item.key in row.attempt or (row.reconciled is not None and item.known_from <= row.reconciled.date())


def _sent(driver: Driver, items: Sequence[Item], batch: _Batch) -> Iterator[Sequence[Item]]:
    """Send items, and yield the accepted ones. Halves a refused batch until the refused item is alone."""
    if not items:
        return
    try:
        driver.send(items)
    except Refused as error:
        if len(items) == 1:
            batch.done[items[0].key] = SinkLetter.DEAD, str(error)[:_LONGEST]
            return
        half = len(items) // 2
        yield from _sent(driver, items[:half], batch)
        yield from _sent(driver, items[half:], batch)
        return
    except Later:
        raise
    except Exception as error:  # of another package, or an unexpected answer: no item is at fault
        log.exception("the driver of a sink failed")
        raise Later(f"{type(error).__name__}: {error}") from error
    yield items


def _store(one: Configured, row: Sink, batch: _Batch, now: datetime) -> None:
    """Store what became of the items, and move the cursor, unless a person has moved it meanwhile."""
    by_key = {item.key: item for item in batch.items}
    place = batch.place
    with transaction.atomic():
        for key, (state, why) in batch.done.items():
            item = by_key[key]
            values: dict[str, Any] = {"state": state, "why": why, "at": now}
            made = {
                "place": item.place,
                "month": item.month,
                "session": item.session if one.feed == METERED else "",
                "payer": item.payer,
                "amount": item.amount,
                "data": _data(item) if one.feed == METERED else None,
            }
            SinkLetter.objects.update_or_create(sink=row, key=key, defaults=values, create_defaults=values | made)
        is_whole = len(batch.done) == len(batch.items)
        changed: dict[str, Any] = {}
        if any(state == SinkLetter.SENT for state, _why in batch.done.values()):
            changed["sent_at"] = now
        if is_whole:
            changed |= {"attempt": [], "trouble": "", "troubled_since": None, "failures": 0, "next_at": None}
        if changed:
            Sink.objects.filter(pk=row.pk).update(**changed)
        if place:
            Sink.objects.filter(pk=row.pk, generation=row.generation).update(cursor=place)


def _stop(row: Sink, error: Later, now: datetime) -> None:
    """Wait before the next try: longer each time, and at least as long as the program asks for, but not for ever."""
    row.refresh_from_db(fields=["failures", "troubled_since", "trouble"])
    wait_s = min(max(FIRST_S * 2 ** min(row.failures, 12), error.after_s), MOST_S)
    if row.trouble != str(error)[:_LONGEST]:
        log.warning("sink %s: %s; tried again in %d s", row.name, error, wait_s)
    Sink.objects.filter(pk=row.pk).update(
        trouble=str(error)[:_LONGEST],
        troubled_since=row.troubled_since or now,
        failures=F("failures") + 1,
        next_at=now + timedelta(seconds=wait_s),
    )


def _data(item: Item) -> Mapping[str, Any]:
    assert isinstance(item, Usage)
    found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(item, payer_name="", reference=""))
    return found
