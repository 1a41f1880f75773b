"""Shows a statement as a page and as files: to those who read all of them, and to the member whose own it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpResponse, QueryDict
from django.utils import translation
from django.utils.safestring import mark_safe

from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper import letterhead
from fabgate.collector.money.paper.statements import csv_file, how_to_pay, language, pdf, qr_code, rows, vat
from fabgate.collector.money.paper.statements.rows import UnwrittenRow


def context(statement: Statement, query: QueryDict) -> dict[str, Any]:
    """Return what month/statement_body.html shows, in the language of the payer. Its rows are paged."""
    lang = language.of(statement)
    with translation.override(lang):
        found = list(rows.unwritten(statement))
        page = numbered_page(found[:-1], query)
        return {
            "statement": statement,
            "statement_lang": lang,
            "month_of_statement": rows.month_name(statement.head),
            "workshop": statement.words.workshop.get("name", ""),
            "workshop_lines": letterhead.workshop_lines(statement.words),
            "address": rows.address(statement.words, statement.head.payer),
            "facts": rows.facts(statement),
            "page": page,
            "rows": [row.write() for row in (*_over(found, page.rows), *page.rows)],
            "whole": found[-1].write(),
            "nothing": "" if len(found) > 1 else rows.nothing(),
            "legend": rows.legend() if statement.persons else "",
            "credit": rows.credit(statement),
            "total": vat.whole(statement),
            "vat": vat.rows(statement),
            "vat_columns": vat.columns(),
            "payment": how_to_pay.of(statement),
            "code": _code(statement),
            "code_label": how_to_pay.code_label(),
            "vat_note": vat.note(statement),
            "has_codes": any(statement.by_vat_code),
        }


def _code(statement: Statement) -> str:
    """Return the QR code of the transfer as SVG, or ""."""
    found = qr_code.of(statement)
    if found is None:
        return ""
    svg = found.svg_inline(border=4, light="#fff", omitsize=True, svgclass="qr-code", lineclass=None)
    return mark_safe(svg)  # noqa: S308 (segno writes it: no text is in it)


def as_pdf(statement: Statement) -> HttpResponse:
    """Return the statement as a PDF file."""
    return _file(pdf.of(statement), "application/pdf", f"{statement.head.file_name}.pdf")


def as_csv(statement: Statement) -> HttpResponse:
    """Return the statement as a CSV file."""
    return _file(csv_file.of(statement), "text/csv; charset=utf-8", f"{statement.head.file_name}.csv")


def _file(content: bytes, kind: str, name: str) -> HttpResponse:
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name)
    return HttpResponse(content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{plain}"'})


def _over(found: Sequence[UnwrittenRow], shown: Sequence[UnwrittenRow]) -> Iterator[UnwrittenRow]:
    """Yield the person and the machine to which the first row of a further page belongs."""
    if not shown:
        return
    first = next(number for number, row in enumerate(found) if row is shown[0])
    over: dict[str, UnwrittenRow] = {}
    for row in found[:first]:
        if row.kind == rows.PERSON:
            over = {rows.PERSON: row}
        elif row.kind == rows.MACHINE:
            over[rows.MACHINE] = row
    kind = shown[0].kind
    yield from (row for level, row in over.items() if kind not in (rows.PERSON, level, rows.PERSON_SUM))
