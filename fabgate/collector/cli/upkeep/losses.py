"""Says in words what going back to a copy would lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fabgate.collector.ground.base import called
from fabgate.collector.money.billing import currencies
from fabgate.collector.processes.rollback import labels, lost
from fabgate.collector.processes.rollback.sessions import KEEP_DAYS, MAX_ENTRIES, Sessions

#: How many credits and lines are listed.
_LISTED: Final = 20
#: How many changes are listed one by one, besides those that keep somebody out.
_NEWEST: Final = 5
_UNKNOWN: Final = "not known, because this version does not know their tables"


def lines(found: lost.Lost, *, age_days: int) -> Iterator[str]:
    """Yield the lines; the copy is `age_days` old."""
    yield "Going back to it loses what happened since then:"
    yield from _changes(found.changes)
    yield from _closed(found.closed)
    yield from _entered(found.entered, found.currency)
    yield from _sent(found.sent)
    yield ""
    yield "Sessions since then, which gates send again by themselves as long as they have them:"
    yield from _sessions(found.sessions, age_days)


def _changes(found: lost.Changes | None) -> Iterator[str]:
    if found is None:
        yield f"- changes that people made: {_UNKNOWN}"
        return
    total = sum(found.verbs.values())
    yield f"- {_count(total, 'change')} that people made on pages and by commands{_listed(found.verbs)}"
    urgent = [change for change in found.each if change.verb in lost.SHUTS_OUT]
    if urgent:
        yield "  make these again first, because they keep somebody out, unless they were undone since:"
        yield from _each(urgent, _LISTED)
    others = [change for change in found.each if change.verb not in lost.SHUTS_OUT]
    if others:
        yield "  the others:"
        yield from _each(others, _NEWEST)


def _each(found: list[lost.Change], most: int) -> Iterator[str]:
    for change in found[:most]:
        what = f"{labels.verb(change.verb)}, {change.about or change.key}"
        yield f"    {change.at.astimezone():%Y-%m-%d %H:%M}  {change.actor}: {what}"
    if len(found) > most:
        yield f"    and {len(found) - most} older ones: `{called.command('rollback --json')}` lists all"


def _closed(found: lost.Closed | None) -> Iterator[str]:
    if found is None:
        yield f"- closed months and their statements: {_UNKNOWN}"
        return
    named = f" ({', '.join(found.months)})" if found.months else ""
    yield f"- {_count(len(found.months), 'closed month')}{named} with {_count(found.statements, 'statement')}"
    if found.months:
        yield "  close them again; their figures may differ from those that people have"
    if found.mails:
        yield f"  {_count(found.mails, 'statement')} sent by mail: the copy does not know that; send them once only"


def _entered(found: list[lost.Money] | None, currency: tuple[str, int] | None) -> Iterator[str]:
    if found is None:
        yield f"- credits, refunds and lines that people entered: {_UNKNOWN}"
        return
    yield f"- {_count(len(found), 'credit, refund or line', 'credits, refunds and lines')} that people entered"
    if found:
        yield "  nobody sends them again; enter them again:"
    for money in found[:_LISTED]:
        amount = currencies.text(money.amount_minor, *currency) if currency else str(money.amount_minor)
        how = f", {money.method}" if money.method else ""
        yield f"    {labels.KINDS.get(money.kind, money.kind)} {money.number}: {money.day}, {money.payer}, {amount}{how}"
    if len(found) > _LISTED:
        yield f"    and {len(found) - _LISTED} more: `{called.command('rollback --json')}` lists all"


def _sent(found: int | None) -> Iterator[str]:
    if found is None:
        yield f"- what programs were sent: {_UNKNOWN}"
    elif found:
        yield f"- that {_count(found, 'item')} of charges or usage reached other programs: they keep what they have, and"
        yield f"  nothing more is sent to them before you run `{called.command('sink-reconcile')}`"


def _sessions(found: Sessions | None, age_days: int) -> Iterator[str]:
    if found is None:
        yield f"- {_UNKNOWN}"
    elif not found.recorded:
        yield "- none was recorded"
    else:
        again = found.recorded - found.gone
        yield f"- {again} of {found.recorded}: a gate still has them, as it last reported, and sends them again"
    if found is not None and found.gone:
        yield f"- {found.gone} of {found.recorded}: no gate has them any more, and they would be LOST"
    yield f"  A gate keeps what was acknowledged for {KEEP_DAYS} days (journal.keep_days in its gate.yaml), and at most"
    yield f"  {MAX_ENTRIES:,} entries (journal.max_entries). This copy is {_count(age_days, 'day')} old."
    yield "  A gate whose card was lost or replaced since its last report sends less."


def _listed(verbs: Mapping[str, int]) -> str:
    named = [f"{labels.verb(verb)} ({number})" for verb, number in verbs.items()]
    return f": {', '.join(named)}" if named else ""


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"
