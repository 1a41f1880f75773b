"""Sums of use by machine, person and category, read from the tables of days and months."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import (
    Aggregate,
    BigIntegerField,
    Case,
    Count,
    DateTimeField,
    F,
    Func,
    QuerySet,
    Sum,
    TextField,
    When,
)
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.lists.sorting import sort_key
from fabgate.collector.faces.pages.use.periods import Period
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground import formats
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Gate, UsageSession, UsageSums

MACHINE, MEMBER, CATEGORY, BOTH = "machine", "member", "category", "machine-member"
#: The columns by which lines are grouped; machine, or gate without a machine, is first.
_KEYS: Final = {
    MACHINE: ("machine_key", "place"),
    MEMBER: ("used_by",),
    CATEGORY: ("category",),
    BOTH: ("machine_key", "place", "used_by"),
}
#: The summed columns, as in ``Line``.
_SUMS: Final = ("sessions", "counted_ms", "running_ms", "uncertain", "uncertainty_ms", "energy_wh", "measured")
#: What lines are ordered by: their title, or one of their sums.
TITLE, SESSIONS, COUNTED, RUNNING, UNCERTAIN = "title", "sessions", "counted_ms", "running_ms", "uncertain"
ENERGY: Final = "energy_wh"
#: A bar is a day in periods of up to the first number of days, a week up to the second, a month beyond.
_DAYS, _WEEKS = 62, 370


class Line(NamedTuple):
    """Sums, and the machine, person or category to which they belong; other columns are empty.

    A tuple, because a month has thousands.
    """

    machine: str
    member: str
    who: str
    category: str
    sessions: int
    counted_ms: int
    running_ms: int
    uncertain: int
    uncertainty_ms: int
    energy_wh: int = 0
    #: Of how many sessions the energy is known.
    measured: int = 0
    machine_id: int = 0

    @property
    def title(self) -> str:
        """Return the name of the machine, person or category."""
        parts = [part for part in (self.machine, self.who) if part]
        return " · ".join(parts) or self.category or _("not stated")


class FirstLines(NamedTuple):
    """The first lines in an order; also the total of all lines, and their number."""

    lines: list[Line]
    total: Line
    total_lines: int


def lines(rows: QuerySet[UsageSums], by: str) -> list[Line]:
    """Return the sums of `rows` grouped by `by`, longest time first."""
    keys = _KEYS[by]
    return _lines(_rows(*_summed(rows, keys)), keys, names.Names() if "used_by" in keys else None)


def first_lines(
    rows: QuerySet[UsageSums], by: str, most: int, *, order: str = COUNTED, is_descending: bool = True
) -> FirstLines:
    """Return the `most` first lines, ordered by their title or one of their sums; the database returns only those.

    Titles are not in the database, so all lines are read to order by them.
    """
    keys = _KEYS[by]
    if order == TITLE:
        every = sorted(lines(rows, by), key=lambda line: sort_key(line.title), reverse=is_descending)
        total = [sum(getattr(line, name) for line in every) for name in _SUMS]
        return FirstLines(every[:most], Line("", "", "", "", *total), len(every))
    sql, params = _summed(rows, keys)
    quoted = connection.ops.quote_name
    # The totals are joined to each line, because window sums would double the time.
    totals = ", ".join(f"CAST(SUM({quoted(f'{name}_')}) AS bigint)" for name in _SUMS)
    columns = ", ".join([f"{quoted(f'{order}_')} {'DESC' if is_descending else 'ASC'}", *map(quoted, keys)])
    rows_and_totals = _rows(
        f"WITH t AS ({sql}) SELECT t.*, s.* FROM t, (SELECT COUNT(*), {totals} FROM t) s ORDER BY {columns} LIMIT %s",  # noqa: S608
        (*params, most),
    )
    width = len(keys) + len(_SUMS)
    shown = [row[:width] for row in rows_and_totals]
    people = names.Names(row[keys.index("used_by")] for row in shown) if "used_by" in keys else None
    count, *total = rows_and_totals[0][width:] if rows_and_totals else [0] * (1 + len(_SUMS))
    ordered = _lines(shown, keys, people, order=order, is_descending=is_descending)
    return FirstLines(ordered, Line("", "", "", "", *total), count)


def _lines(
    rows: Iterable[tuple[Any, ...]],
    keys: Sequence[str],
    people: names.Names | None,
    *,
    order: str = COUNTED,
    is_descending: bool = True,
) -> list[Line]:
    where = _machines() if "machine_key" in keys else None
    width, (who, what) = len(keys), (keys.index(name) if name in keys else None for name in ("used_by", "category"))
    summed = [
        Line._make(
            (
                where(row[0], row[1]) if where else "",
                "" if who is None else row[who],
                people[row[who]] if people and who is not None else "",
                "" if what is None else row[what],
                *row[width:],
                row[0] if where else 0,
            )
        )
        for row in rows
    ]
    summed.sort(key=attrgetter("machine", "who", "category"))
    summed.sort(key=attrgetter(order), reverse=is_descending)  # stable: equal sums stay sorted by name
    return summed


class _IntegerSum(Sum):
    """A sum of integers."""

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Sum as floats: PostgreSQL sums big integers as decimals, which is slower.

        Floats are exact below 2**53, which is 285,000 years in milliseconds.
        """
        template = "COALESCE(SUM(%(expressions)s::double precision)::bigint, 0)"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Sum nothing, as where no session was measured, to 0."""
        return self.as_sql(compiler, connection, template="COALESCE(SUM(%(expressions)s), 0)", **context)


def _summed(rows: QuerySet[UsageSums], keys: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL for `keys` and sums, and its parameters."""
    # all gates of a machine are one line, including those it no longer has
    place = Case(When(machine_key=0, then=F("gate")), default=0, output_field=BigIntegerField())
    query = rows.order_by().annotate(place=place).values_list(*keys)
    return query.annotate(**{f"{name}_": _IntegerSum(name) for name in _SUMS}).query.sql_with_params()


def _rows(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the raw rows; Django's conversion of each value would double the time."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def bars(rows: QuerySet[UsageSums], period: Period) -> dict[str, Any]:
    """Return the time on of each day, week or month of the period, for the chart."""
    step, title = _step(period)
    sums: dict[date, int] = defaultdict(int)
    for day, ms in rows.order_by().values_list("day").annotate(on=_IntegerSum("counted_ms")):
        sums[step(day)] += ms
    begins = sorted({step(period.first + timedelta(days=n)) for n in range(period.days)})
    return {
        "title": title,
        "unit": _("h"),
        "labels": [_label(day, step) for day in begins],
        "hours": [round(sums[day] / 3_600_000, 3) for day in begins],
        "ms": [sums[day] for day in begins],
        "spans": _spans(begins, period),
    }


def _spans(begins: Sequence[date], period: Period) -> list[tuple[date, date]]:
    """Return the first and last day of each bar, cut to the period."""
    ends = [*(day - timedelta(days=1) for day in begins[1:]), period.last]
    return [(max(first, period.first), last) for first, last in zip(begins, ends, strict=True)]


def bars_are_months(period: Period) -> bool:
    """Return whether each bar is a month."""
    return _step(period)[0] is _month


def _step(period: Period) -> tuple[Callable[[date], date], str]:
    if period.days <= _DAYS:
        return _day, _("Hours a day")
    if period.days <= _WEEKS:
        return _week, _("Hours a week")
    return _month, _("Hours a month")


def _day(day: date) -> date:
    return day


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _month(day: date) -> date:
    return day.replace(day=1)


def _label(day: date, step: Callable[[date], date]) -> str:
    return formats.short(day, "M Y" if step is _month else "j M")


def _machines() -> Callable[[int, int], str]:
    machines = names.machines()
    gates = dict(Gate.objects.values_list("id", "name"))
    return lambda machine, gate: machines.get(machine) or gates.get(gate) or str(gate)


@dataclass(frozen=True, slots=True)
class Heat:
    """How many sessions started on each weekday in each hour of the site, and the shade of each cell."""

    rows: list[tuple[str, list[tuple[int, int]]]]
    most: int


#: SQL that truncates a moment to its hour in UTC, or to a quarter of an hour.
_TRUNCATE: Final = {
    "sqlite": (
        "substr(%(expressions)s, 1, 13)",  # any further text would double the time
        "substr(%(expressions)s, 1, 14) || substr('00153045', substr(%(expressions)s, 15, 2) / 15 * 2 + 1, 2)",
    ),
    # truncated, not formatted as text, which takes three times as long
    "postgresql": (
        "date_bin('1 hour', %(expressions)s, '2000-01-01T00:00Z')",
        "date_bin('15 minutes', %(expressions)s, '2000-01-01T00:00Z')",
    ),
}


class _GroupConcat(Aggregate):
    """Texts joined by commas; None without rows."""

    function = "group_concat"
    output_field = TextField()


def heat(sessions: QuerySet[UsageSession]) -> Heat:
    """Return when sessions start: one row a weekday, one cell an hour."""
    cells, zone = [[0] * 24 for _weekday in range(7)], timezone.get_current_timezone()
    for slot, times in _starts(sessions.exclude(started_at=None).order_by(), zone):
        at = slot.astimezone(zone)
        cells[at.weekday()][at.hour] += times
    most = max(map(max, cells))
    monday = date(2024, 1, 1)
    return Heat(
        rows=[
            (date_format(monday + timedelta(days=day), "D"), [(times, _shade(times, most)) for times in row])
            for day, row in enumerate(cells)
        ],
        most=most,
    )


def _starts(sessions: QuerySet[UsageSession], zone: tzinfo) -> Iterable[tuple[datetime, int]]:
    """Return hours, or quarters of an hour, with the number of sessions that started in each."""
    cut = _TRUNCATE[connection.vendor][_needs_quarters(zone)]
    if connection.vendor == "sqlite":  # GROUP BY would sort the rows and double the time
        texts = sessions.aggregate(all=_GroupConcat(Func(F("started_at"), template=cut, output_field=TextField())))[
            "all"
        ]
        counted = Counter(texts.split(",") if texts else ())
        return [(datetime.fromisoformat(f"{text}+00:00"), times) for text, times in counted.items()]
    slot = Func(F("started_at"), template=cut, output_field=DateTimeField())
    return sessions.annotate(slot=slot).values_list("slot").annotate(times=Count("*"))


@cache
def _needs_quarters(zone: tzinfo) -> bool:
    """Return whether the zone differs from UTC by a part of an hour, as in India or Nepal."""
    moments = (datetime(year, month, 1, tzinfo=UTC) for year in range(2020, 2040) for month in (1, 7))
    return any(moment.astimezone(zone).minute for moment in moments)


def _shade(times: int, most: int) -> int:
    """Return the shade of a cell: 0 for no session, 1 to 5 up to `most`."""
    return 0 if not times else 1 + (times * 4) // most if most > 1 else 5
