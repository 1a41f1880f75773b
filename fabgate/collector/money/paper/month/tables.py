"""The texts of a month's tables, in the active language: one of its payers, and one of all sessions and lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.utils.formats import number_format
from django.utils.text import slugify
from django.utils.translation import gettext as _

from fabgate.collector.ground.tables.table import DAY, DECIMAL, MOMENT, NUMBER, Cell, Column, Table, minutes
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.explain import decimals_of
from fabgate.collector.money.billing.prepaid.words import PREPAID, RECEIVABLE
from fabgate.collector.money.billing.statements.compose import Item, Line
from fabgate.collector.money.billing.vat.amounts import NOTHING, Amounts, Part
from fabgate.collector.money.paper.month.read import MonthRead, Paying
from fabgate.collector.money.paper.statements import rows

#: The parts of an amount, as in an `Amounts`.
NET, VAT, GROSS = "net_minor", "vat_minor", "gross_minor"
_MOMENT: Final = "%Y-%m-%d %H:%M:%S"


def payers(month: MonthRead) -> Table:
    """Return a row for each payer, with name and address, the sums, and what they come to with and without VAT."""
    parts = _parts(month)
    codes = sorted({part.vat_code for one in month.payers for part in one.amounts.parts})
    per_code = codes if len(codes) > 1 else []
    unknown = bool(month.rates) and any(one.amounts.without_rate for one in month.payers)
    columns = [
        *(Column(_("Payer number")), Column(_("Payer")), Column(_("Postal address")), Column(_("E-mail"))),
        *(Column(_("Sessions"), NUMBER), Column(_("Minutes"), DECIMAL)),
        Column(_head(month, _("By statement"), _known_part(month)), DECIMAL),
        Column(_head(month, _("From credit"), _known_part(month)), DECIMAL),
        *(Column(_head(month, _("Total"), part), DECIMAL) for part in parts),
        *(Column(_head(month, _code(code, month), part), DECIMAL) for code in per_code for part in parts),
        *([Column(_("VAT codes without a rate"))] if unknown else []),
        *_state_columns(),
    ]
    state = _state(month)

    def cells() -> Iterator[list[Cell]]:
        for one in month.payers:
            by_code: Mapping[str, Part] = {part.vat_code: part for part in one.amounts.parts}
            yield [
                *(one.payer, _name(one), ", ".join(one.words.get("address", "").splitlines()), one.email),
                *(one.total.sessions, minutes(one.total.counted_ms)),
                *(_amount(month, one.settled.get(name, NOTHING), _known_part(month)) for name in (RECEIVABLE, PREPAID)),
                *(_amount(month, one.amounts, part) for part in parts),
                *(_amount(month, by_code.get(code, NOTHING), part) for code in per_code for part in parts),
                *([", ".join(code or _("without a code") for code in one.amounts.without_rate)] if unknown else []),
                *state,
            ]

    return Table(_title(month, _("Payers")), columns, cells())


def lines(month: MonthRead) -> Table:
    """Return a row for each session and line, by payer, then as on statements."""
    columns = [
        *(Column(_("Payer number")), Column(_("Payer")), Column(_("Person number")), Column(_("Person"))),
        *(Column(_("Machine")), Column(_("Date"), DAY), Column(_("Start"), MOMENT), Column(_("End"), MOMENT)),
        *(Column(_("Minutes"), DECIMAL), Column(_("Class")), Column(_("Note")), Column(_("Settlement"))),
        *(Column(_("VAT code")), Column(_("VAT rate (%)"), DECIMAL)),
        Column(_head(month, _("Amount"), _known_part(month)), DECIMAL),
        Column(_("Session")),
        *_state_columns(),
    ]
    return Table(_title(month, _("Lines")), columns, _lines(month))


def file_name(month: MonthRead, table: Table | None = None) -> str:
    """Return a name for a file of all tables, or of one, without its ending: 2027-01-payers-provisional."""
    if table is not None:
        return f"{month.head.month:%Y-%m}-{slugify(table.title)}"
    return f"{month.head.month:%Y-%m}" + ("" if month.head.closed_at else f"-{slugify(_('Provisional'))}")


def _lines(month: MonthRead) -> Iterator[list[Cell]]:
    zone, state = ZoneInfo(month.head.zone), _state(month)
    for one, statement in month.statements():
        payer = (one.payer, _name(one))
        for person in statement.persons:
            for machine in person.machines:
                for item in machine.items:
                    yield [
                        *(*payer, person.id, person.name, machine.title, *_times(item, zone)),
                        *(minutes(item.charge.counted_ms), rows.class_of(item), rows.note_of(item)),
                        *_money(month, one, item, item.charge.amount_minor),
                        *(item.charge.session, *state),
                    ]
        for line in statement.lines:
            note = " · ".join(filter(None, [line.text, rows.note_of_line(line, statement.head)]))
            yield [
                *(*payer, "", "", "", line.day.isoformat(), "", "", ""),
                *(_("Line"), note),
                *_money(month, one, line, line.amount_minor),
                *(line.session, *state),
            ]


def _money(month: MonthRead, paying: Paying, one: Item | Line, amount_minor: int) -> list[Cell]:
    percent = month.rates.get(one.vat_code)
    return [
        _("From credit") if paying.prepays and not one.is_due else _("By statement"),
        *(one.vat_code, "" if percent is None else str(percent)),
        decimal_text(amount_minor, month.head.digits),
    ]


def _times(item: Item, zone: ZoneInfo) -> list[Cell]:
    start, end = item.charge.started_at, item.charge.ended_at.astimezone(zone)
    return [end.date().isoformat(), _moment(start, zone) if start else "", _moment(end, zone)]


def _name(one: Paying) -> str:
    return one.words.get("name") or one.payer or _("unknown")


def _parts(month: MonthRead) -> tuple[str, ...]:
    """Return the parts of amounts that can be known."""
    return (NET, VAT, GROSS) if month.rates else (_known_part(month),)


def _known_part(month: MonthRead) -> str:
    """Return the part of an amount that is known without a rate: prices include VAT, or exclude it."""
    return NET if month.head.includes_vat is False else GROSS


def _head(month: MonthRead, what: str, part: str) -> str:
    """Return the head of a column of amounts: Total incl. VAT (EUR)."""
    if month.head.includes_vat is None:
        text = _("%(what)s (%(currency)s)")
    else:
        text = {
            NET: _("%(what)s excl. VAT (%(currency)s)"),
            VAT: _("%(what)s VAT (%(currency)s)"),
            GROSS: _("%(what)s incl. VAT (%(currency)s)"),
        }[part]
    return text % {"what": what, "currency": month.head.currency}


def _code(code: str, month: MonthRead) -> str:
    """Return a VAT code with its rate."""
    percent: Decimal | None = month.rates.get(code)
    named = code or _("without a code")
    return named if percent is None else f"{named} {number_format(percent, decimals_of(percent))} %"


def _amount(month: MonthRead, found: Amounts | Part, part: str) -> str:
    """Return an amount, or "" if it is not known."""
    minor: int | None = getattr(found, part)
    return "" if minor is None else decimal_text(minor, month.head.digits)


def _title(month: MonthRead, what: str) -> str:
    return what if month.head.closed_at else _("%(what)s (provisional)") % {"what": what}


def _state_columns() -> list[Column]:
    return [Column(_("Month")), Column(_("State")), Column(_("Charged up to"), MOMENT)]


def _state(month: MonthRead) -> list[Cell]:
    """Return the month, whether it is final, and up to when sessions are charged."""
    head = month.head
    state = _("Final") if head.closed_at else _("Provisional")
    return [f"{head.month:%Y-%m}", state, _moment(month.as_of, ZoneInfo(head.zone))]


def _moment(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime(_MOMENT)
