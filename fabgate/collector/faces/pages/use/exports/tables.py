"""Sessions, usage and refusals as exported tables, with names and exact milliseconds. Each export is audited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any, Final

from django import forms
from django.conf import settings
from django.db.models import F, Func, TextField
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import wire
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.use.exports import files
from fabgate.collector.faces.pages.use.forms import PeriodForm, RefusalsForm, SessionsForm
from fabgate.collector.faces.pages.use.periods import Period
from fabgate.collector.faces.pages.use.reports import sums
from fabgate.collector.faces.pages.use.reports.usage import UsageForm
from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.faces.pages.words.names import Names, machines
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Collector, Gate
from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.ground.tables import xlsx_file
from fabgate.collector.ground.tables.table import DAY, DURATION, MOMENT, NUMBER, PLAIN, TEXT, Cell, Column, Table
from fabgate.collector.members.people.display_names import badge_title, holders_at_refusal
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.errors import UsageError

#: Rows fetched at once.
_AT_ONCE: Final = 2_000


class _UnlimitedSessions(SessionsForm):
    """The form for sessions without a limit of days; the limit is for pages."""

    is_limited = False


class _UnlimitedRefusals(RefusalsForm):
    """The same form for refusals."""

    is_limited = False


def as_csv(request: HttpRequest) -> HttpResponseBase:
    """Export as CSV."""
    return _export(request, files.as_csv)


def as_xlsx(request: HttpRequest) -> HttpResponseBase:
    """Export as a spreadsheet."""
    try:
        return _export(request, files.as_xlsx)
    except xlsx_file.TooLong:
        text = _("A spreadsheet holds at most %(rows)s rows. Choose fewer days, or export CSV.")
        raise UsageError(text % {"rows": xlsx_file.MAX_ROWS}) from None


def _export(request: HttpRequest, write: Callable[..., HttpResponseBase]) -> HttpResponseBase:
    what = request.GET.get("what", "sessions")
    if what not in _WHAT:
        raise Http404
    form_class, make_table = _WHAT[what]
    form: Any = form_class(request.GET)
    if not form.is_valid():
        raise UsageError(_mistakes(form))
    table = make_table(form)
    filters = {name: value for name, value in request.GET.items() if value and name != "what"}
    exported = {"what": what, "form": write.__name__.removeprefix("as_"), **filters}
    days = form.days if isinstance(form, PeriodForm) else form.period
    answer = write(request, _file_name(table, days), table)
    # The export is recorded before the first byte is sent. If the table is too long for a spreadsheet, nothing is sent.
    audit.record(account_of(request).name, "data.exported", Collector.get(settings.ENVIRONMENT.site), after=exported)
    return answer


def _file_name(table: Table, days: Period | None) -> str:
    """Return the file name: site, title, and days; without days, today."""
    covers = f"{days.first}--{days.last}" if days else f"{slugify(_('All time'))}-{timezone.localdate()}"
    return f"{slugify(settings.ENVIRONMENT.site) or 'fabgate'}-{slugify(table.title)}-{covers}"


def _mistakes(form: forms.Form) -> str:
    return " ".join(str(text) for texts in form.errors.values() for text in texts)


def _of(kind: str, *heads: str) -> list[Column]:
    return [Column(head, kind) for head in heads]


def _sessions(form: SessionsForm) -> Table:
    columns = (
        *_of(TEXT, _("Session"), _("Person number"), _("Person"), _("Category"), _("Payer number"), _("Payer")),
        *_of(TEXT, _("Purpose"), _("Machine"), _("Gate")),
        *(Column(_("Started (UTC)"), PLAIN), Column(_("Started (local)"), MOMENT)),
        *(Column(_("Ended (UTC)"), PLAIN), Column(_("Ended (local)"), MOMENT)),
        Column(_("Powered on"), DURATION),
        *_of(NUMBER, _("Powered on (ms)"), _("Running (ms)"), _("Uncertainty (ms)")),
        *_of(TEXT, _("Why it ended"), _("Access granted by"), _("Supervisor"), _("Uncertain")),
        *_of(TEXT, _("To review"), _("Corrected")),
        *_of(PLAIN, _("Not before (UTC)"), _("Not after (UTC)")),
        Column(_("Energy (Wh)"), NUMBER),
    )
    return Table(_("Sessions"), columns, _session_rows(form))


class _Raw(Func):
    """A column as the database stores it, because parsing 100,000 dates only to format them again is slow.

    Booleans are 0 or 1 on SQLite.
    """

    template = "%(expressions)s"
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Wrap the column in an expression, so that it has no declared type, by which sqlite3 would parse dates."""
        return self.as_sql(compiler, connection, template="(+%(expressions)s)", **context)


_COLUMNS: Final = (
    *("id", "used_by", "category", "payer", "purpose", "machine", "gate", "started_at", "ended_at", "counted_ms"),
    *("running_ms", "uncertainty_ms", "reason", "basis", "supervisor", "uncertain", "review", "corrected"),
    *("not_before", "not_after", "energy_wh"),
)


def _session_rows(form: SessionsForm) -> Iterator[Sequence[Cell]]:
    names, zone = Names(), timezone.get_default_timezone()
    titles, gates = machines(), dict(Gate.objects.values_list("id", "name"))
    # Translated once, and not for each of a hundred thousand rows.
    ends = {word: session_labels.ended(word) for word in wire.END_REASONS}
    bases = {word: str(text) for word, text in session_labels.BASES.items()}
    purposes = {word: str(text) for word, text in session_labels.PURPOSES.items()}
    yes, open_word, corrected_fields = _("yes"), _("still open"), _CorrectedFields()
    moments = _Moments(zone)
    raw = {f"{name}_raw": _Raw(F(name)) for name in _RAW}
    columns = [f"{name}_raw" if name in _RAW else name for name in _COLUMNS]

    def selected(rows: Any) -> Any:
        return rows.annotate(**raw).values_list(*columns)

    # Open sessions are read first: sending the ended ones takes minutes, and a session that ends meanwhile would be
    # missing.
    still_open = list(selected(form.open()))
    seen = {row[0] for row in still_open}
    ended = selected(form.filtered().order_by("ended_at", "id")).iterator(chunk_size=_AT_ONCE)
    for rows in ((row for row in ended if row[0] not in seen), still_open):
        for row in rows:
            session, who, category, payer, purpose, machine, gate, started, end, counted_ms = row[:10]
            running_ms, uncertainty_ms, reason, basis, supervisor, uncertain, review, corrected = row[10:18]
            not_before, not_after, energy_wh = row[18:]
            if corrected and counted.TIME in corrected:  # the same rule as in ground/models/sessions/counted.py
                running_ms, uncertainty_ms = min(running_ms, counted_ms), 0
            yield (
                *(session, who, names[who], category, payer, names[payer], purposes.get(purpose, purpose)),
                *(titles.get(machine) or gates.get(gate, ""), gates.get(gate, "")),
                *(moments.both(started) if started else _NO_MOMENT),
                *(moments.both(end) if end else _NO_MOMENT),
                *(counted_ms, counted_ms, running_ms, uncertainty_ms),
                *(open_word if reason is None else ends.get(reason, reason) or NOTHING, bases.get(basis, basis)),
                names[supervisor] if supervisor else "",
                *(
                    yes if uncertain else "",
                    session_labels.why(review)[0] if review else "",
                    corrected_fields[corrected],
                ),
                moments.both(not_before)[0] if not_before else "",
                moments.both(not_after)[0] if not_after else "",
                "" if energy_wh is None else energy_wh,
            )


class _CorrectedFields(dict[str, str]):
    """The names of corrected fields; each combination is translated once."""

    def __missing__(self, corrected: str) -> str:
        self[corrected] = session_labels.corrected(corrected)
        return self[corrected]


_RAW: Final = ("started_at", "ended_at", "uncertain", "not_before", "not_after")
_NO_MOMENT: Final = ("", "")


class _Moments:
    """Formats moments in UTC and in the site's zone; each hour's offset is looked up once."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._hours = _Hours(zone)

    def both(self, value: str | datetime) -> tuple[str, str]:
        """Return a moment in ISO 8601, in UTC and local; SQLite returns texts, PostgreSQL datetimes."""
        if value.__class__ is not str:
            assert isinstance(value, datetime)
            return _utc(value), _local(value, self._zone)
        hour = self._hours[value[:13]]
        if hour is None:
            moment = datetime.fromisoformat(f"{value}+00:00")
            return _utc(moment), _local(moment, self._zone)
        utc, local, offset = hour
        rest = value[13:23] if len(value) > _TO_THE_SECOND else f"{value[13:]}.000"
        return f"{utc}{rest}+00:00", f"{local}{rest}{offset}"


_TO_THE_SECOND: Final = len("2026-11-26 16:30:58")


class _Hours(dict[str, tuple[str, str, str] | None]):
    """Caches (UTC hour, local hour, offset) by the first 13 characters of a moment as SQLite stores it.

    The value is None if the minutes differ too, or the offset changes within the hour.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, hour: str) -> tuple[str, str, str] | None:
        first = datetime.fromisoformat(f"{hour}:00:00+00:00").astimezone(self._zone)
        last = datetime.fromisoformat(f"{hour}:59:59+00:00").astimezone(self._zone)
        text, self[hour] = first.isoformat(), None
        if not (first.minute or first.second) and first.utcoffset() == last.utcoffset():
            self[hour] = f"{hour[:10]}T{hour[11:]}", text[:13], text[19:]
        return self[hour]


def _usage(form: UsageForm) -> Table:
    """Return the lines of the report. Names are included only if it is grouped by person."""
    heads, _cells = _LINES[form.cleaned_data["by"]]
    columns = (
        *(Column(_("From"), DAY), Column(_("To"), DAY)),
        *_of(TEXT, *(str(head) for head in heads)),
        *(Column(_("Sessions"), NUMBER), Column(_("Powered on"), DURATION)),
        *_of(NUMBER, _("Powered on (ms)"), _("Running (ms)"), _("Uncertain"), _("Uncertainty (ms)")),
        *_of(NUMBER, _("Energy (Wh)"), _("Sessions measured")),
    )
    return Table(_("Usage"), columns, _usage_rows(form))


def _usage_rows(form: UsageForm) -> Iterator[Sequence[Cell]]:
    first, last, by = form.period.first.isoformat(), form.period.last.isoformat(), form.cleaned_data["by"]
    for line in sums.lines(form.filtered(), by):
        cells: list[Cell] = [first, last, *_LINES[by][1](line), line.sessions]
        cells += [line.counted_ms, line.counted_ms, line.running_ms, line.uncertain, line.uncertainty_ms]
        cells += [line.energy_wh if line.measured else "", line.measured]
        yield cells


_PERSON: Final = (gettext_lazy("Person number"), gettext_lazy("Person"))
#: The columns before the sums, by grouping: their heads, and the cells of a line.
_LINES: Final[dict[str, tuple[tuple[Any, ...], Callable[[sums.Line], tuple[str, ...]]]]] = {
    sums.MACHINE: ((gettext_lazy("Machine"),), lambda line: (line.machine,)),
    sums.MEMBER: (_PERSON, lambda line: (line.member, line.who)),
    sums.BOTH: ((gettext_lazy("Machine"), *_PERSON), lambda line: (line.machine, line.member, line.who)),
    sums.CATEGORY: ((gettext_lazy("Category"),), lambda line: (line.title,)),
}


def _refusals(form: RefusalsForm) -> Table:
    columns = (
        *(Column(_("When (UTC)"), PLAIN), Column(_("When (local)"), MOMENT)),
        *_of(TEXT, _("Person number"), _("Person"), _("Badge"), _("Machine"), _("Gate"), _("Reason")),
        Column(_("Received, if the clock was wrong (UTC)"), PLAIN),
        Column(_("Time unknown: received at"), TEXT),
    )
    return Table(_("Refusals"), columns, _refusal_rows(form))


def _refusal_rows(form: RefusalsForm) -> Iterator[Sequence[Cell]]:
    names, zone, yes = Names(), timezone.get_default_timezone(), _("yes")
    rows = form.filtered().select_related("gate", "machine").order_by("about", "id").iterator(chunk_size=_AT_ONCE)
    while batch := list(islice(rows, _AT_ONCE)):
        holders = holders_at_refusal(batch)
        for row in batch:
            called = names[row.member] if row.member else badge_title(holders.get(row.pk), row.reasons)
            yield (
                *(_utc(row.at), _local(row.at, zone), row.member, called, row.badge[:8]),
                *(str(row.where), row.gate.name, session_labels.refused(row.reasons)),
                "" if row.clock_off_ms is None else _utc(row.seen_at),
                "" if row.is_timed else yes,
            )


def _utc(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _local(moment: datetime | None, zone: tzinfo) -> str:
    return "" if moment is None else moment.astimezone(zone).isoformat(timespec="milliseconds")


_WHAT: Final[dict[str, tuple[type[PeriodForm | UsageForm], Callable[[Any], Table]]]] = {
    "sessions": (_UnlimitedSessions, _sessions),
    "usage": (UsageForm, _usage),
    "refusals": (_UnlimitedRefusals, _refusals),
}
