"""The last verification of the books as PDF, for an auditor: compared tables, findings, and the head to note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import fabgate
from fabgate.collector.ground.base import called
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Verification
from fabgate.collector.money.paper import letterhead
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.collector.money.paper.sheet import Column, Sheet, TableRow
from fabgate.collector.money.paper.verification.words import GROUPED, PROBLEMS, TABLES

#: How many findings fit on the page, and how many characters of a value.
_SHOWN, _MOST = 7, 60


def of(run: Verification) -> bytes:
    """Return one page about a run, in the active language and time zone. It always has the same bytes."""
    at = _moment(run.ended_at)
    sheet = Sheet(letterhead.current(), title=_("Verification of the books"), footer=at, made_at=run.ended_at)
    sheet.title(_("Verification of the books"), _result(run))
    sheet.facts(_facts(run))
    if run.trouble:
        sheet.paragraph(run.trouble)
        return bytes(sheet)
    if run.shown:
        sheet.heading(_("What was altered"))
        labels = [(_("Where"), 1.6), (_("Row"), 2.4), (_("Stored"), 2.2), (_("Should be"), 2.2)]
        sheet.table([Column(label, width) for label, width in labels], map(_finding, run.shown[:_SHOWN]))
        if (more := run.findings - min(len(run.shown), _SHOWN)) > 0:
            text = ngettext(
                "%(n)s more: “%(command)s” shows all.",
                "%(n)s more: “%(command)s” shows all.",
                more,
            )
            sheet.paragraph(text % {"n": number_format(more, force_grouping=True), "command": called.command("verify")})
    sheet.heading(_("What was compared"))
    half = [Column(_("Where"), 2), Column(_("Rows"), 1, is_number=True)]
    sheet.table([*half, Column("", 0.2), *half], _compared(run.compared))
    for note in _notes(run):
        sheet.paragraph(note)
    sheet.paragraph(_meaning(), is_soft=True)
    return bytes(sheet)


def file_name(run: Verification) -> str:
    """Return a name for the file."""
    return f"{settings.ENVIRONMENT.site}-verification-{timezone.localtime(run.ended_at):%Y-%m-%d}.pdf"


def _result(run: Verification) -> str:
    if run.trouble:
        return _("The books could not be checked.")
    if not run.findings:
        return _("Nothing was altered.")
    text = ngettext("%(n)s value or row was altered.", "%(n)s values or rows were altered.", run.findings)
    return text % {"n": number_format(run.findings, force_grouping=True)}


def _facts(run: Verification) -> Iterator[tuple[str, str]]:
    yield _("Comparison began"), _moment(run.began_at)
    yield _("Comparison ended"), _moment(run.ended_at)
    yield _("Program"), f"fabgate {fabgate.__version__}"
    if run.head:
        yield _("Head of the log"), run.head


def _finding(row: Mapping[str, Any]) -> TableRow:
    if row["column"]:
        stored, wanted = f"{row['column']}: {row['found'] or NOTHING}", row["wanted"] or NOTHING
    else:
        stored, wanted = str(PROBLEMS.get(row["problem"], row["problem"])), NOTHING
        if row["found"]:  # why it could not be compared
            stored += f": {row['found']}"
    cells = [str(TABLES.get(row["table"], row["table"])), str(row["row"]) or NOTHING, stored, str(wanted)]
    return TableRow([cell if len(cell) <= _MOST else f"{cell[:_MOST]}…" for cell in cells])


def _compared(compared: Mapping[str, int]) -> Iterator[TableRow]:
    """Yield tables and how many of their rows were compared, in two halves beside each other."""
    grouped = {table for _name, tables in GROUPED for table in tables}
    counts = [(name, compared.get(table, 0)) for table, name in TABLES.items() if table not in grouped]
    counts += [(name, sum(compared.get(table, 0) for table in tables)) for name, tables in GROUPED]
    cells = [[str(name), number_format(count, force_grouping=True)] for name, count in counts if count]
    middle = (len(cells) + 1) // 2
    for left, right in zip_longest(cells[:middle], cells[middle:], fillvalue=["", ""]):
        yield TableRow([*left, "", *right])


def _notes(run: Verification) -> Iterator[str]:
    for note in run.notes:
        if note["note"] == "restored":
            day = date_format(timezone.localtime(datetime.fromisoformat(note["at"])), "SHORT_DATE_FORMAT")
            yield f"{_('The collector was restored from a copy on %(at)s. Before that, the head of the log was:') % {'at': day}} {note['head']}"
        else:
            yield _("Some sessions have no up-to-date charge yet; their charges were not compared.")


def _meaning() -> str:
    text = _(
        "The collector computed sessions, sums, the ledger and charges again from the entries of the gates and from the sealed audit log, and compared each value with the stored one. The head of the log is the number and seal of its last row; the seal covers all rows. Keep this page: “%(command)s” can later check that the log still contains this head."
    )
    return text % {"command": called.command("verify --head")}


def _moment(at: datetime) -> str:
    local = timezone.localtime(at)
    return f"{date_format(local, 'DATE_FORMAT')}, {date_format(local, 'H:i')} ({timezone.get_current_timezone_name()})"
