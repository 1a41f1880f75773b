"""How much was each machine used, by whom, and when? Asked of the sums of days and months, so that years are few rows."""

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
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from fabgate.collector import formats
from fabgate.collector.models import Gate, UsageSession, UsageSums
from fabgate.collector.pages.use import names
from fabgate.collector.pages.use.periods import Period

MACHINE, MEMBER, CATEGORY, BOTH = "machine", "member", "category", "machine-member"
#: The columns of the sums that tell the lines apart: the machine first, and the gate where there is none.
_KEYS: Final = {
    MACHINE: ("machine_key", "place"),
    MEMBER: ("used_by",),
    CATEGORY: ("category",),
    BOTH: ("machine_key", "place", "used_by"),
}
#: What is summed, as ``Line`` has it.
_SUMS: Final = ("sessions", "counted_ms", "running_ms", "uncertain", "uncertainty_ms")
#: Bars by day up to here, by week up to there, and then by month.
_DAYS, _WEEKS = 62, 370


class Line(NamedTuple):
    """A sum, and of what; parts that do not tell lines apart are empty. Of thousands a month, so no dataclass."""

    machine: str
    member: str
    who: str
    category: str
    sessions: int
    counted_ms: int
    running_ms: int
    uncertain: int
    uncertainty_ms: int

    @property
    def title(self) -> str:
        """Return of what it is the sum."""
        parts = [part for part in (self.machine, self.who) if part]
        return " · ".join(parts) or self.category or _("not stated")


class Longest(NamedTuple):
    """The lines with the longest time, the longest first; what all lines add up to, and how many were found."""

    lines: list[Line]
    total: Line
    found: int


def lines(rows: QuerySet[UsageSums], by: str) -> list[Line]:
    """Return the sums of `rows`, one for each of what `by` names, the longest time first."""
    keys = _KEYS[by]
    return _lines(_rows(*_summed(rows, keys)), keys, names.Names() if "used_by" in keys else None)


def longest(rows: QuerySet[UsageSums], by: str, most: int) -> Longest:
    """Return the `most` longest lines: of thousands a month the database hands over only those."""
    keys = _KEYS[by]
    sql, params = _summed(rows, keys)
    quoted = connection.ops.quote_name
    # As a row beside each line, because sums over a window take as long as all the rest.
    totals = ", ".join(f"CAST(SUM({quoted(f'{name}_')}) AS bigint)" for name in _SUMS)
    order = ", ".join([f"{quoted('counted_ms_')} DESC", *map(quoted, keys)])
    found = _rows(
        f"WITH t AS ({sql}) SELECT t.*, s.* FROM t, (SELECT COUNT(*), {totals} FROM t) s ORDER BY {order} LIMIT %s",  # noqa: S608
        (*params, most),
    )
    width = len(keys) + len(_SUMS)
    shown = [row[:width] for row in found]
    people = names.Names(row[keys.index("used_by")] for row in shown) if "used_by" in keys else None
    count, *total = found[0][width:] if found else [0] * (1 + len(_SUMS))
    return Longest(_lines(shown, keys, people), Line("", "", "", "", *total), count)


def _lines(rows: Iterable[tuple[Any, ...]], keys: Sequence[str], people: names.Names | None) -> list[Line]:
    where = _machines() if "machine_key" in keys else None
    width, (who, what) = len(keys), (keys.index(name) if name in keys else None for name in ("used_by", "category"))
    made = [
        Line(
            where(row[0], row[1]) if where else "",
            "" if who is None else row[who],
            people[row[who]] if people and who is not None else "",
            "" if what is None else row[what],
            *row[width:],
        )
        for row in rows
    ]
    made.sort(key=attrgetter("machine", "who", "category"))
    made.sort(key=attrgetter("counted_ms"), reverse=True)  # which leaves alone what is as long
    return made


class _Whole(Sum):
    """A sum of whole numbers."""

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Add them up as floating ones: PostgreSQL makes decimals of the sum of large whole ones, which takes longer.

        Exact below 2**53, which is 285,000 years of milliseconds.
        """
        template = "SUM(%(expressions)s::double precision)::bigint"
        return self.as_sql(compiler, connection, template=template, **context)


def _summed(rows: QuerySet[UsageSums], keys: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that gives `keys` and sums, and its parameters."""
    # Two gates of one machine are one line, and so is a machine that has had another gate.
    place = Case(When(machine_key=0, then=F("gate")), default=0, output_field=BigIntegerField())
    query = rows.order_by().annotate(place=place).values_list(*keys)
    return query.annotate(**{f"{name}_": _Whole(name) for name in _SUMS}).query.sql_with_params()


def _rows(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return what the database has: Django's look at each value takes as long as all the rest."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def bars(rows: QuerySet[UsageSums], period: Period) -> dict[str, Any]:
    """Return the time on by day, week or month of the period, every one of them, as the chart wants it."""
    step, title = _step(period)
    sums: dict[date, int] = defaultdict(int)
    for day, ms in rows.order_by().values_list("day").annotate(on=_Whole("counted_ms")):
        sums[step(day)] += ms
    begins = sorted({step(period.first + timedelta(days=n)) for n in range(period.days)})
    return {
        "title": title,
        "unit": _("h"),
        "labels": [_label(day, step) for day in begins],
        "hours": [round(sums[day] / 3_600_000, 3) for day in begins],
        "ms": [sums[day] for day in begins],
    }


def bars_are_months(period: Period) -> bool:
    """Say whether it is so long that each of its bars is a month."""
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
    """How many sessions began on each weekday in each hour where the site is, and how strong each cell is painted."""

    rows: list[tuple[str, list[tuple[int, int]]]]
    most: int


#: How a database, which knows of no time zones here, cuts a moment to its hour of UTC, or to a quarter of one.
_CUT: Final = {
    "sqlite": (
        "substr(%(expressions)s, 1, 13)",  # and nothing joined to it, which takes as long again
        "substr(%(expressions)s, 1, 14) || substr('00153045', substr(%(expressions)s, 15, 2) / 15 * 2 + 1, 2)",
    ),
    # Cut and not written down as text, which takes three times as long.
    "postgresql": (
        "date_bin('1 hour', %(expressions)s, '2000-01-01T00:00Z')",
        "date_bin('15 minutes', %(expressions)s, '2000-01-01T00:00Z')",
    ),
}


class _Listed(Aggregate):
    """Texts as one text, with commas between; nothing of none."""

    function = "group_concat"
    output_field = TextField()


def heat(sessions: QuerySet[UsageSession]) -> Heat:
    """Return when sessions begin: one row a weekday, one cell an hour."""
    cells, zone = [[0] * 24 for _weekday in range(7)], timezone.get_current_timezone()
    for slot, times in _beginnings(sessions.exclude(started_at=None).order_by(), zone):
        at = slot.astimezone(zone)
        cells[at.weekday()][at.hour] += times
    most = max(map(max, cells))
    monday = date(2024, 1, 1)
    return Heat(
        rows=[
            (date_format(monday + timedelta(days=day), "D"), [(times, _strength(times, most)) for times in row])
            for day, row in enumerate(cells)
        ],
        most=most,
    )


def _beginnings(sessions: QuerySet[UsageSession], zone: tzinfo) -> Iterable[tuple[datetime, int]]:
    """Return hours, or quarters of one, in which sessions began, and how many did."""
    cut = _CUT[connection.vendor][_needs_quarters(zone)]
    if connection.vendor == "sqlite":  # it would sort what it groups, which takes as long again as to read it
        texts = sessions.aggregate(all=_Listed(Func(F("started_at"), template=cut, output_field=TextField())))["all"]
        counted = Counter(texts.split(",") if texts else ())
        return [(datetime.fromisoformat(f"{text}+00:00"), times) for text, times in counted.items()]
    slot = Func(F("started_at"), template=cut, output_field=DateTimeField())
    return sessions.annotate(slot=slot).values_list("slot").annotate(times=Count("*"))


@cache
def _needs_quarters(zone: tzinfo) -> bool:
    """Say whether hours begin within one of UTC: by half in India, by three quarters in Nepal."""
    moments = (datetime(year, month, 1, tzinfo=UTC) for year in range(2020, 2040) for month in (1, 7))
    return any(moment.astimezone(zone).minute for moment in moments)


def _strength(times: int, most: int) -> int:
    """Return 0 for nothing, and 1 to 5 for up to the most."""
    return 0 if not times else 1 + (times * 4) // most if most > 1 else 5
