"""The texts of a statement, in the active language: its head, and the rows that page, PDF and CSV file share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from fabgate.collector.ground.base import local_times
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import PrepaidEntry
from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.statements.compose import (
    Head,
    Item,
    Line,
    OfPerson,
    OnMachine,
    Statement,
    Total,
    Words,
)
from fabgate.collector.money.paper.figures import NOTHING, Money, count, exact_duration
from fabgate.collector.money.paper.statements import how_to_pay, labels
from fabgate.collector.money.paper.statements import steps as how

#: The kinds of rows: a person, a machine, a session, a line, or the sum of a machine, of a person, or of everything.
PERSON, MACHINE, SESSION, LINE = "person", "machine", "session", "line"
MACHINE_SUM, PERSON_SUM, WHOLE = "machine-sum", "person-sum", "whole"

_KINDS: Final = dict(PrepaidEntry.KINDS)
_METHODS: Final = dict(PrepaidEntry.METHODS)
#: What the total of a statement is, by whether prices include VAT.
_TOTALS: Final = {
    True: gettext_lazy("Total with VAT"),
    False: gettext_lazy("Total without VAT"),
    None: gettext_lazy("Total"),
}


class StatementRow(NamedTuple):
    """A row. Headings and sums have a text; empty values are not shown."""

    kind: str
    #: Of a session, the price per minute that its time is multiplied by, or else its class.
    text: str = ""
    day: str = ""
    span: str = ""
    #: The billed time.
    time: str = ""
    amount: str = ""
    #: How the amount was made: one text for each step (steps.py).
    steps: tuple[str, ...] = ()
    #: Which month, and why.
    note: str = ""
    vat_code: str = ""
    #: The session's id.
    session: str = ""
    #: The number of the line.
    line: int = 0


def title() -> str:
    """Return the title of the document: a statement, not an invoice."""
    return _("Statement, not an invoice")


def month_name(head: Head) -> str:
    """Return the month of a statement: January 2027."""
    return capfirst(date_format(head.month, "F Y"))


def state(head: Head) -> str:
    """Return whether a statement is final, in words."""
    if head.closed_at is None and head.not_charged_since is not None:
        at = date_format(head.not_charged_since.astimezone(ZoneInfo(head.zone)), "SHORT_DATETIME_FORMAT")
        return _("Provisional: what changed since %(at)s is not charged yet") % {"at": at}
    if head.closed_at is None:
        return _("Provisional: the month is not closed yet")
    day = date_format(head.closed_at.astimezone(ZoneInfo(head.zone)), "DATE_FORMAT")
    return _("Final: the month was closed on %(day)s") % {"day": day}


def facts(statement: Statement) -> list[tuple[str, str]]:
    """Return the head of a statement as pairs of a label and a value."""
    head, payer = statement.head, statement.words.payer
    period = _("%(first)s to %(last)s") % {"first": _day(head.month), "last": _day(last_day(head))}
    found = [
        (_("Number"), head.number),
        (_("Period"), period),
        (_("State"), state(head)),
        *how_to_pay.due(statement),
        (_("Currency"), f"{head.currency}, {_vat(head)}"),
        (_("Settlement"), _("paid from prepaid credit") if statement.is_prepaid else ""),
        (_("Registration number"), payer.get("registration_number", "")),
        (_("VAT number"), payer.get("vat_number", "")),
    ]
    return [(label, value) for label, value in found if value]


def _vat(head: Head) -> str:
    if head.includes_vat is None:  # the words that article 293 E of the CGI asks for
        return _("VAT not applicable, art. 293 B of the French tax code (CGI)")
    return _("prices include VAT") if head.includes_vat else _("prices exclude VAT")


def address(words: Words, payer: str) -> list[str]:
    """Return the lines of the payer's address, the name first."""
    return [words.payer.get("name") or payer, *words.payer.get("address", "").splitlines()]


def columns() -> list[str]:
    """Return the labels of the columns: day, span, billed time, text, VAT code, amount."""
    return [_("Date"), _("Time"), _("Billed time"), _("Details"), _("VAT"), _("Amount")]


def legend() -> str:
    """Return how billed times and amounts are made."""
    return _(
        "Billed time is the recorded time, rounded up to whole seconds or to the rounding step of the tariff, less"
        " free minutes. The amount of each session is rounded once, to the smallest unit of the"
        " currency; a half is rounded up."
    )


@dataclass(frozen=True, slots=True)
class UnwrittenRow:
    """A row that is not written yet: a page writes only those that it shows."""

    kind: str
    write: Callable[[], StatementRow]


def of(statement: Statement) -> Iterator[StatementRow]:
    """Yield the rows of a statement, the sum of everything last."""
    return (row.write() for row in unwritten(statement))


def unwritten(statement: Statement) -> Iterator[UnwrittenRow]:
    """Yield the same rows, each to be written in the language that is active then."""
    money, zone = Money(statement.head.currency, statement.head.digits), ZoneInfo(statement.head.zone)
    for person in statement.persons:
        yield from _person(person, money, zone)
    if statement.lines:
        yield UnwrittenRow(PERSON, lambda: StatementRow(PERSON, _("Other charges and reductions")))
        for line in statement.lines:
            yield UnwrittenRow(LINE, partial(_line, line, money, statement.head))
        amount = money.minor(statement.lines_minor)
        yield UnwrittenRow(
            PERSON_SUM, lambda: StatementRow(PERSON_SUM, _("Other charges and reductions"), amount=amount)
        )
    yield UnwrittenRow(WHOLE, partial(_whole, statement, money))


class CreditRow(NamedTuple):
    """A row of the prepaid credit."""

    day: str
    text: str
    amount: str
    is_balance: bool = False


def credit(statement: Statement) -> list[CreditRow]:
    """Return what came to and went from the prepaid credit, between its balances; nothing for others."""
    found, head = statement.credit, statement.head
    if found is None:
        return []
    money = Money(head.currency, head.digits)
    shown = [CreditRow(_day(head.month), _("Balance before"), money.minor(found.opening_minor), is_balance=True)]
    for entry in found.entries:
        words = [str(_KINDS[entry.kind]), str(_METHODS.get(entry.method, "")), entry.till_number, entry.reason]
        shown.append(CreditRow(_day(entry.day), ", ".join(filter(None, words)), money.minor(entry.amount_minor)))
    if found.used_minor:
        shown.append(CreditRow("", _("This statement"), money.minor(-found.used_minor)))
    shown.append(CreditRow(_day(last_day(head)), _("Balance after"), money.minor(found.closing_minor), is_balance=True))
    if any(item.is_due for item in statement.items) or any(line.is_due for line in statement.lines):
        shown.append(CreditRow("", _("Due by statement, not from this credit"), money.minor(found.due_minor)))
    return shown


def last_day(head: Head) -> date:
    """Return the last day of the month of a statement."""
    return (head.month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _day(day: date) -> str:
    return date_format(day, "SHORT_DATE_FORMAT")


def nothing() -> str:
    """Return the text of an empty statement."""
    return _("Nothing is charged in this month.")


def class_of(item: Item) -> str:
    """Return the name of a session's class, or that it is a reversal."""
    return _("Reversal") if item.is_reversal else labels.class_name(item.charge.kind)


def note_of(item: Item) -> str:
    """Return which month a session is of, and why it was waived, corrected, reversed or charged late."""
    charge, parts = item.charge, []
    if item.is_of_other_month:
        month = {"month": date_format(charge.of_month, "F Y")}
        if item.is_reversal:
            parts.append(_("reverses a charge of %(month)s") % month)
        else:
            parts.append(_("session of %(month)s, reported or changed after that month was closed") % month)
    if charge.kind == rating.IN_REVIEW and not item.is_reversal:
        parts.append(_("not charged yet; once checked, it may be charged in a later month"))
    if item.is_due:
        parts.append(_due())
    if item.is_contested:
        parts.append(_contested())
    if item.why:
        text = _("corrected: “%(words)s”") if item.is_corrected else _("“%(words)s”")
        parts.append(text % {"words": item.why})
    return " · ".join(parts)


def _contested() -> str:
    return pgettext("a charge", "contested")


def _due() -> str:
    return _("due by statement: the corrected charge was not paid from credit")


def _person(person: OfPerson, money: Money, zone: ZoneInfo) -> Iterator[UnwrittenRow]:
    yield UnwrittenRow(PERSON, partial(StatementRow, PERSON, person.name))
    for machine in person.machines:
        yield from _machine(machine, money, zone)
    if len(person.machines) > 1:
        yield UnwrittenRow(PERSON_SUM, partial(_total, PERSON_SUM, person.name, person.total, money))


def _machine(machine: OnMachine, money: Money, zone: ZoneInfo) -> Iterator[UnwrittenRow]:
    yield UnwrittenRow(MACHINE, partial(StatementRow, MACHINE, machine.title))
    for item in machine.items:
        yield UnwrittenRow(SESSION, partial(_session, item, money, zone))
    yield UnwrittenRow(MACHINE_SUM, partial(_total, MACHINE_SUM, machine.title, machine.total, money))


def _whole(statement: Statement, money: Money) -> StatementRow:
    time = exact_duration(statement.sessions.billed_ms) if statement.persons else ""
    return StatementRow(
        WHOLE, str(_TOTALS[statement.head.includes_vat]), time=time, amount=money.minor(statement.amount_minor)
    )


def _total(kind: str, name: str, total: Total, money: Money) -> StatementRow:
    text = ngettext("%(n)s session", "%(n)s sessions", abs(total.sessions)) % {"n": count(total.sessions)}
    return StatementRow(
        kind, name, span=text, time=exact_duration(total.billed_ms), amount=money.minor(total.amount_minor)
    )


def _session(item: Item, money: Money, zone: ZoneInfo) -> StatementRow:
    charge = item.charge
    start, end = charge.started_at, charge.ended_at.astimezone(zone)
    local = start.astimezone(zone) if start else end
    return StatementRow(
        SESSION,
        how.unit_price(item, money) or class_of(item),
        day=date_format(local, "SHORT_DATE_FORMAT"),
        span=_span(local if start else None, end),
        time=NOTHING if item.billed_ms is None else exact_duration(item.billed_ms),
        amount=money.minor(charge.amount_minor) if charge.terms else "",
        steps=tuple(how.of(item, money, zone)),
        note=note_of(item),
        vat_code=item.vat_code,
        session=charge.session,
    )


def _span(start: datetime | None, end: datetime) -> str:
    """Return from when to when, with the day of the end if it is another one."""
    until = f"{end:%H:%M}{local_times.which(end)}"
    if start is None:
        return _("until %(time)s") % {"time": until}
    if start.date() != end.date():
        until = f"{date_format(end, 'MONTH_DAY_FORMAT')} {until}"
    return f"{start:%H:%M}{local_times.which(start)}{NOTHING}{until}"


def note_of_line(line: Line, head: Head) -> str:
    """Return which month a line is of, if another one, and that it is not paid from credit."""
    parts = []
    if line.day.replace(day=1) < head.month:
        parts.append(_("added after %(month)s was closed") % {"month": date_format(line.day, "F Y")})
    if line.is_due:
        parts.append(_due())
    if line.is_contested:
        parts.append(_contested())
    return " · ".join(parts)


def _line(line: Line, money: Money, head: Head) -> StatementRow:
    day = _day(line.day)
    amount = money.minor(line.amount_minor)
    return StatementRow(
        LINE,
        line.text,
        day=day,
        amount=amount,
        note=note_of_line(line, head),
        vat_code=line.vat_code,
        session=line.session,
        line=line.number,
    )
