"""A statement as PDF, in the language of its payer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper import letterhead
from fabgate.collector.money.paper.letterhead import Letterhead
from fabgate.collector.money.paper.sheet import Column, Heading, Sheet, Sum, TableRow
from fabgate.collector.money.paper.statements import how_to_pay, language, qr_code, rows, vat
from fabgate.collector.money.paper.statements.rows import StatementRow


def of(statement: Statement) -> bytes:
    """Return the statement as PDF. A final one always has the same bytes."""
    with translation.override(language.of(statement)):
        return _written(statement)


def _written(statement: Statement) -> bytes:
    head, words = statement.head, statement.words
    sheet = Sheet(
        Letterhead(words.workshop.get("name", ""), tuple(letterhead.workshop_lines(words))),
        title=f"{rows.title()} {head.number}",
        footer=f"{rows.title()} · {head.number}",
        # A provisional one has the date of its month, too: nothing in it depends on when it was printed.
        made_at=head.closed_at or datetime(head.month.year, head.month.month, 1, tzinfo=UTC),
    )
    sheet.recipient(rows.address(words, head.payer))
    sheet.title(rows.title(), rows.month_name(head))
    sheet.facts(rows.facts(statement))
    if statement.persons or statement.lines:
        _charges(sheet, statement)
    else:
        sheet.paragraph(rows.nothing())
    if taxed := vat.rows(statement):
        sheet.heading(_("VAT"))
        sheet.table(
            [
                Column(label, width, number > 0)
                for number, (label, width) in enumerate(zip(vat.columns(), (4.4, 1.6, 2.1, 2.1, 2.1), strict=True))
            ],
            [
                (Sum if row.is_total else TableRow)([row.code, row.percent, row.net, row.vat, row.gross])
                for row in taxed
            ],
        )
    if note := vat.note(statement):
        sheet.paragraph(note, is_soft=True)
    if credit := rows.credit(statement):
        sheet.heading(_("Prepaid credit"))
        sheet.table(
            [Column(_("Date"), 1.9), Column(_("Entry"), 7.6), Column(_("Amount"), 1.6, is_number=True)],
            [(Sum if row.is_balance else TableRow)([row.day, row.text, row.amount]) for row in credit],
        )
    if payment := how_to_pay.of(statement):
        found = qr_code.of(statement)
        code = [list(row) for row in found.matrix] if found else []
        sheet.heading(_("Payment"), code=code)
        sheet.facts(payment.facts, payment.sentences, code=code, code_label=how_to_pay.code_label())
    return bytes(sheet)


def _charges(sheet: Sheet, statement: Statement) -> None:
    has_codes = any(statement.by_vat_code)
    widths = [1.9, 2.4, 2.1, 3.2, 1.2, 1.6]
    numbers = {2, 5}
    columns = [
        Column(label, width, number in numbers)
        for number, (label, width) in enumerate(zip(rows.columns(), widths, strict=True))
    ]
    if not has_codes:
        del columns[4]
    sheet.table(columns, _rows(statement, has_codes=has_codes))
    if statement.persons:
        sheet.paragraph(rows.legend(), is_soft=True)


def _rows(statement: Statement, *, has_codes: bool) -> Iterator[TableRow | Heading | Sum]:
    for row in rows.of(statement):
        if row.kind in (rows.PERSON, rows.MACHINE):
            yield Heading(row.text, 1 if row.kind == rows.PERSON else 2)
        elif row.kind in (rows.SESSION, rows.LINE):
            yield TableRow(
                _cells(row, [row.day, row.span, row.time, row.text], has_codes=has_codes),
                [note for note in (*row.steps, row.note) if note],
            )
        else:
            is_whole = row.kind == rows.WHOLE
            cells = [row.text, "", row.time, ""] if is_whole else ["", row.span, row.time, row.text]
            yield Sum(_cells(row, cells, has_codes=has_codes), is_last=is_whole)


def _cells(row: StatementRow, cells: list[str], *, has_codes: bool) -> list[str]:
    return [*cells, *([row.vat_code] if has_codes else []), row.amount]
