"""When is a machine open? Weekly hours and special days, as the windows that a roster carries.

A machine goes by hours of its own where it has some, else by those of its category, else by the workshop's. A special
day of as narrow a scope replaces that day's hours. One of a wider scope only takes away: a machine with hours of its
own opens no longer because the workshop does, and not at all on a day on which the workshop is closed. It takes nothing
away where the workshop is open for as long as on every week, or for longer (docs/decisions/0066).

A roster's windows know weekdays and no dates. So it carries the next seven days, each as its own weekday, cut at
midnight; the worker builds it anew every day, and after seven days without a collector a roster is too old anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final

from fabgate import wire
from fabgate.collector.models import Machine, Opening, SpecialDay

DAY_MIN: Final = 24 * 60
#: A night lasts until 06:00.
NIGHT_MIN: Final = 6 * 60
AHEAD: Final = 7

#: From and to in minutes of a day; beyond DAY_MIN it is the next day.
Span = tuple[int, int]
_Scope = tuple[str, int | str]
_SITE: Final[_Scope] = ("", "")


class Calendar:
    """All hours, read once for all machines; `first` to `last` are the days that are asked for."""

    def __init__(self, today: date, *, first: date | None = None, last: date | None = None) -> None:
        self.today = today
        first = (first or today) - timedelta(days=1)  # last night's hours may reach into this morning
        last = max(last or today, today + timedelta(days=AHEAD - 1))
        self._usual: dict[_Scope, dict[int, list[Span]]] = defaultdict(lambda: defaultdict(list))
        for row in Opening.objects.order_by("start", "id"):
            for weekday in row.days:
                self._usual[_scope(row)][weekday].append(span(row.start, row.to))
        self._special: dict[tuple[_Scope, date], list[SpecialDay]] = defaultdict(list)
        for special in SpecialDay.objects.filter(day__gte=first, day__lte=last).order_by("day", "start", "id"):
            self._special[_scope(special), special.day].append(special)

    def usual(self, machine: Machine | None, weekday: int) -> list[Span] | None:
        """Return the hours of a weekday; None: always open. Without a machine, the workshop's own."""
        scope = self._hours_of(machine)
        return None if scope is None else self._usual[scope].get(weekday, [])

    def spans(self, machine: Machine | None, day: date) -> list[Span] | None:
        """Return the hours that begin on `day`; None: always open."""
        scopes = _scopes(machine)
        usual = self.usual(machine, day.isoweekday())
        said = next((scope for scope in scopes if (scope, day) in self._special), None)
        if said is None:
            return usual
        rows = self._special[said, day]
        special = [] if any(row.is_closed for row in rows) else [span(row.start, row.to) for row in rows]
        own = self._hours_of(machine)
        if own is None or usual is None or scopes.index(said) <= scopes.index(own):
            return special
        everywhere = self._usual[said].get(day.isoweekday(), []) if said in self._usual else None
        if special and everywhere is not None and covers(everywhere, special):
            return usual  # it was lengthened, such as by "open late tonight"
        return [(max(a, c), min(b, d)) for a, b in usual for c, d in special if max(a, c) < min(b, d)]

    def is_open(self, machine: Machine, at: datetime) -> bool:
        """Whether members may begin on a machine at a moment of today, in the site's time."""
        return any(start <= at.hour * 60 + at.minute < end for start, end in self._on(machine, at.date()))

    def opens(self, machine: Machine, at: datetime) -> tuple[date, str] | None:
        """Return on which day and at what time a machine opens after `at`; None: not within seven days."""
        now = at.hour * 60 + at.minute
        for day in (at.date() + timedelta(days=ahead) for ahead in range(AHEAD)):
            for start, _end in self._on(machine, day):
                if day > at.date() or start > now:
                    return day, clock(start)
        return None

    def notes(self, machine: Machine | None, day: date) -> list[str]:
        """Return what is written on the special day that holds for a machine."""
        said = next((scope for scope in _scopes(machine) if (scope, day) in self._special), None)
        return [row.note for row in self._special[said, day] if row.note] if said is not None else []

    def windows(self, machine: Machine) -> list[wire.Window] | None:
        """Return the windows of the next seven days; None: always open, none at all: closed on all of them."""
        by_span: dict[Span, list[int]] = defaultdict(list)
        days = [self.today + timedelta(days=ahead) for ahead in range(AHEAD)]
        for day in days:
            for span in self._on(machine, day):
                by_span[span].append(day.isoweekday())
        if len(by_span.get((0, DAY_MIN), ())) == AHEAD:
            return None
        return [
            wire.Window(days=sorted(weekdays), start=clock(start), to=clock(end))
            for (start, end), weekdays in sorted(by_span.items())
        ]

    def _on(self, machine: Machine, day: date) -> list[Span]:
        """Return what of a day is open, from midnight to midnight, with what is left of the night before."""
        whole = [(0, DAY_MIN)]
        before = self.spans(machine, day - timedelta(days=1))
        own = self.spans(machine, day)
        night = [] if before is None else [(0, end - DAY_MIN) for _, end in before if end > DAY_MIN]
        return _merged([*night, *(whole if own is None else [(start, min(end, DAY_MIN)) for start, end in own])])

    def _hours_of(self, machine: Machine | None) -> _Scope | None:
        """Return by whose weekly hours a machine goes."""
        return next((scope for scope in _scopes(machine) if scope in self._usual), None)


def clock(minutes: int) -> str:
    """Return minutes of a day as HH:MM; the end of a day is 24:00, the next day's begin at 00:00 again."""
    shown = minutes if minutes <= DAY_MIN else minutes - DAY_MIN
    return f"{shown // 60:02}:{shown % 60:02}"


def covers(hours: Iterable[Span], by: Iterable[Span]) -> bool:
    """Whether each minute of `hours` is one of `by` too."""
    whole = _merged(by)
    return all(any(start <= begins and ends <= end for start, end in whole) for begins, ends in _merged(hours))


def concerned(row: Opening | SpecialDay) -> list[Machine]:
    """Return the machines for which a row is meant."""
    wanted = Machine.objects.order_by("name")
    if row.machine_id is not None:
        wanted = wanted.filter(pk=row.machine_id)
    elif row.category:
        wanted = wanted.filter(category=row.category)
    return list(wanted)


def is_small_hour(now: datetime) -> bool:
    """Whether it is after midnight and still night."""
    return now.hour * 60 + now.minute < NIGHT_MIN


def night_at(calendar: Calendar, now: datetime) -> date:
    """Return the day of the night that is running or to come: until 06:00 it is the day before, if that had hours."""
    before = now.date() - timedelta(days=1)
    is_running = is_small_hour(now) and calendar.spans(None, before) != []
    return before if is_running else now.date()


def until_tonight(calendar: Calendar, now: datetime, to: time) -> list[tuple[time, time]]:
    """Return the workshop's hours of `night_at` with those of the night, which come last, reaching to `to`.

    Where there are none, they begin `now`; in the small hours after a day without hours, today's own stay beside them.
    """
    spans = list(calendar.spans(None, night_at(calendar, now)) or [])
    minute = now.hour * 60 + now.minute
    if night_at(calendar, now) == now.date() and is_small_hour(now):
        return [*map(_times, spans), (_time(minute), to)]
    begins = spans[-1][0] if spans else minute
    return [*map(_times, spans[:-1]), (_time(begins), to)]


def _scopes(machine: Machine | None) -> list[_Scope]:
    """Return where a machine's hours may stand, the narrowest first."""
    if machine is None:
        return [_SITE]
    category: list[_Scope] = [("category", machine.category)] if machine.category else []
    return [("machine", machine.pk), *category, _SITE]


def _scope(row: Opening | SpecialDay) -> _Scope:
    if row.machine_id is not None:
        return ("machine", row.machine_id)
    return ("category", row.category) if row.category else _SITE


def span(start: time | None, to: time | None) -> Span:
    """Return hours in minutes; those that do not end after they begin end on the next day."""
    assert start is not None
    assert to is not None
    begins, ends = (at.hour * 60 + at.minute for at in (start, to))
    return begins, ends if ends > begins else ends + DAY_MIN


def is_unclear(start: time, to: time) -> bool:
    """Whether hours end in the minute in which they begin: nothing or a day. From midnight to midnight is a day."""
    begins, ends = span(start, to)
    return begins > 0 and ends == begins + DAY_MIN


def ends_tomorrow(start: time, to: time) -> bool:
    """Whether hours go on after the night: whoever typed them may have meant an hour of this day that is past."""
    return span(start, to)[1] > DAY_MIN + NIGHT_MIN


def is_over(day: date, start: time, to: time, at: datetime) -> bool:
    """Whether the hours of a day have ended at a moment of it, or of the night after it."""
    return span(start, to)[1] <= (at.date() - day).days * DAY_MIN + at.hour * 60 + at.minute


def _times(span: Span) -> tuple[time, time]:
    return _time(span[0]), _time(span[1])


def _time(minutes: int) -> time:
    return time(minutes % DAY_MIN // 60, minutes % 60)


def _merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        elif start < end:
            found.append((start, end))
    return found
