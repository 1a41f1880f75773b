"""A statement as CSV, in the language of its payer: one line a session or line. Its amounts add up to the statement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.ground.tables.csv_file import write_csv
from fabgate.collector.ground.tables.table import MOMENT, PLAIN, TEXT, Cell, Column, Table
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.statements.compose import Item, Statement
from fabgate.collector.money.paper.figures import MINUS, Money, exact_duration
from fabgate.collector.money.paper.statements import language, rows, steps

#: French spreadsheets expect semicolons between cells, and a comma in amounts.
_SEPARATORS: Final = {"fr": (";", ",")}


def of(statement: Statement) -> bytes:
    """Return the statement as CSV. Amounts are in the currency's main unit."""
    lang = language.of(statement)
    separator, point = _SEPARATORS.get(lang, (",", "."))
    with translation.override(lang):
        return b"".join(write_csv(_table(statement, point), separator))


def _table(statement: Statement, point: str) -> Table:
    columns = [
        Column(_("Person")),
        Column(_("Machine")),
        Column(_("Start"), MOMENT),
        Column(_("End"), MOMENT),
        Column(_("Duration"), PLAIN),
        Column(_("Billed time"), PLAIN),
        Column(_("Class")),
        Column(_("Calculation")),
        Column(_("Note")),
        Column(_("VAT code")),
        Column(_("Amount"), PLAIN),
        Column(_("Currency")),
        Column(_("Session"), TEXT),
    ]
    return Table(rows.title(), columns, _rows(statement, point))


def _rows(statement: Statement, point: str) -> Iterator[list[Cell]]:
    head, zone = statement.head, ZoneInfo(statement.head.zone)
    money = Money(head.currency, head.digits)

    def time(ms: int) -> str:
        return exact_duration(ms).replace(MINUS, "-")

    def amount(minor: int) -> str:
        return decimal_text(minor, head.digits).replace(".", point)

    for person in statement.persons:
        for machine in person.machines:
            for item in machine.items:
                billed_ms = item.billed_ms
                yield [
                    *(person.name, machine.title, *_times(item, zone)),
                    *(time(item.charge.counted_ms), time(billed_ms) if billed_ms is not None else ""),
                    *(rows.class_of(item), " · ".join(steps.of(item, money, zone, in_full=True)), rows.note_of(item)),
                    *(item.vat_code, amount(item.charge.amount_minor), head.currency, item.charge.session),
                ]
    for line in statement.lines:
        day = line.day.isoformat()
        yield [
            *("", "", day, day, "", "", line.text, "", rows.note_of_line(line, head), line.vat_code),
            *(amount(line.amount_minor), head.currency, line.session),
        ]


def _times(item: Item, zone: ZoneInfo) -> tuple[str, str]:
    start = item.charge.started_at
    return _local(start, zone) if start else "", _local(item.charge.ended_at, zone)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")
