"""Decides when a machine is open: weekly hours and special days, in the form of a roster's windows.

A machine uses its own hours if it has any, else those of its category, else the workshop's. A special day of the same
or a narrower scope replaces that day's hours. One of a wider scope can only shorten them: a machine with its own hours
does not open longer because the workshop does, and stays closed when the workshop is. A special day on which the
workshop is open longer than usual does not shorten them (docs/decisions/0066).

A roster's windows have weekdays but no dates. So it contains the next seven days, each under its weekday and cut at
midnight. The worker rebuilds it every day, and after seven days without a collector a roster is too old anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final

from fabgate import wire
from fabgate.collector.ground.models import Machine, Opening, SpecialDay

DAY_MIN: Final = 24 * 60
#: A night ends at 06:00.
NIGHT_MIN: Final = 6 * 60
AHEAD: Final = 7

#: (start, end) in minutes of a day; minutes above DAY_MIN are on the next day.
Span = tuple[int, int]
_Scope = tuple[str, int | str]
_SITE: Final[_Scope] = ("", "")


class Calendar:
    """All opening hours, loaded once for all machines; they can be asked for the days from `first` to `last`."""

    def __init__(self, today: date, *, first: date | None = None, last: date | None = None) -> None:
        self.today = today
        first = (first or today) - timedelta(days=1)  # yesterday's hours may last until this morning
        last = max(last or today, today + timedelta(days=AHEAD - 1))
        self._usual: dict[_Scope, dict[int, list[Span]]] = defaultdict(lambda: defaultdict(list))
        for row in Opening.objects.order_by("start", "id"):
            for weekday in row.days:
                self._usual[_scope(row)][weekday].append(span(row.start, row.to))
        self._special: dict[tuple[_Scope, date], list[SpecialDay]] = defaultdict(list)
        for special in SpecialDay.objects.filter(day__gte=first, day__lte=last).order_by("day", "start", "id"):
            self._special[_scope(special), special.day].append(special)

    def usual(self, machine: Machine | None, weekday: int) -> list[Span] | None:
        """Return the hours of a weekday, or those of the workshop if `machine` is None; None: always open."""
        scope = self._hours_of(machine)
        return None if scope is None else self._usual[scope].get(weekday, [])

    def spans(self, machine: Machine | None, day: date) -> list[Span] | None:
        """Return the hours that begin on `day`; None: always open."""
        scopes = _scopes(machine)
        usual = self.usual(machine, day.isoweekday())
        scope = next((its_scope for its_scope in scopes if (its_scope, day) in self._special), None)
        if scope is None:
            return usual
        rows = self._special[scope, day]
        special = [] if any(row.is_closed for row in rows) else [span(row.start, row.to) for row in rows]
        own = self._hours_of(machine)
        if own is None or usual is None or scopes.index(scope) <= scopes.index(own):
            return special
        everywhere = self._usual[scope].get(day.isoweekday(), []) if scope in self._usual else None
        if special and everywhere is not None and covers(everywhere, special):
            return usual  # the special day only makes it longer, such as "open late tonight"
        return [(max(a, c), min(b, d)) for a, b in usual for c, d in special if max(a, c) < min(b, d)]

    def is_open(self, machine: Machine, at: datetime) -> bool:
        """Return whether members may start a machine at a time of today, in the site's zone."""
        return any(start <= at.hour * 60 + at.minute < end for start, end in self._on(machine, at.date()))

    def opens(self, machine: Machine, at: datetime) -> tuple[date, str] | None:
        """Return the day and time at which a machine opens next after `at`; None: not within seven days."""
        now = at.hour * 60 + at.minute
        for day in (at.date() + timedelta(days=ahead) for ahead in range(AHEAD)):
            for start, _end in self._on(machine, day):
                if day > at.date() or start > now:
                    return day, clock(start)
        return None

    def notes(self, machine: Machine | None, day: date) -> list[str]:
        """Return the notes of the special day that applies to a machine."""
        scope = next((its_scope for its_scope in _scopes(machine) if (its_scope, day) in self._special), None)
        return [row.note for row in self._special[scope, day] if row.note] if scope is not None else []

    def windows(self, machine: Machine) -> list[wire.Window] | None:
        """Return the windows of the next seven days; None means always open, an empty list always closed."""
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
        """Return the open hours from midnight to midnight, including the end of the previous night."""
        whole = [(0, DAY_MIN)]
        before = self.spans(machine, day - timedelta(days=1))
        own = self.spans(machine, day)
        night = [] if before is None else [(0, end - DAY_MIN) for _, end in before if end > DAY_MIN]
        return _merged([*night, *(whole if own is None else [(start, min(end, DAY_MIN)) for start, end in own])])

    def _hours_of(self, machine: Machine | None) -> _Scope | None:
        """Return the scope whose weekly hours apply to a machine."""
        return next((scope for scope in _scopes(machine) if scope in self._usual), None)


def clock(minutes: int) -> str:
    """Return minutes of a day as HH:MM; the end of the day is 24:00, later minutes begin at 00:00 again."""
    shown = minutes if minutes <= DAY_MIN else minutes - DAY_MIN
    return f"{shown // 60:02}:{shown % 60:02}"


def covers(hours: Iterable[Span], by: Iterable[Span]) -> bool:
    """Return whether every minute of `hours` is also in `by`."""
    whole = _merged(by)
    return all(any(start <= begins and ends <= end for start, end in whole) for begins, ends in _merged(hours))


def is_night(now: datetime) -> bool:
    """Return whether it is after midnight and still night."""
    return now.hour * 60 + now.minute < NIGHT_MIN


def night_at(calendar: Calendar, now: datetime) -> date:
    """Return the day to which the current or next night belongs: until 06:00 the day before, if it had hours."""
    before = now.date() - timedelta(days=1)
    is_running = is_night(now) and calendar.spans(None, before) != []
    return before if is_running else now.date()


def hours_until(calendar: Calendar, now: datetime, to: time) -> list[tuple[time, time]]:
    """Return the workshop's hours on the day of `night_at`, with the last of them extended to `to`.

    Without hours on that day, new ones begin `now`. After midnight, if the day before had no hours, today's own are
    kept.
    """
    spans = list(calendar.spans(None, night_at(calendar, now)) or [])
    minute = now.hour * 60 + now.minute
    if night_at(calendar, now) == now.date() and is_night(now):
        return [*map(_times, spans), (_time(minute), to)]
    begins = spans[-1][0] if spans else minute
    return [*map(_times, spans[:-1]), (_time(begins), to)]


def _scopes(machine: Machine | None) -> list[_Scope]:
    """Return the scopes that may have hours for a machine, the narrowest first."""
    if machine is None:
        return [_SITE]
    category: list[_Scope] = [("category", machine.category)] if machine.category else []
    return [("machine", machine.pk), *category, _SITE]


def _scope(row: Opening | SpecialDay) -> _Scope:
    if row.machine_id is not None:
        return ("machine", row.machine_id)
    return ("category", row.category) if row.category else _SITE


def span(start: time | None, to: time | None) -> Span:
    """Return hours in minutes; an end that is not after the start is on the next day."""
    assert start is not None
    assert to is not None
    begins, ends = (at.hour * 60 + at.minute for at in (start, to))
    return begins, ends if ends > begins else ends + DAY_MIN


def is_ambiguous(start: time, to: time) -> bool:
    """Return whether start and end are the same minute, which is unclear except for midnight to midnight."""
    begins, ends = span(start, to)
    return begins > 0 and ends == begins + DAY_MIN


def ends_tomorrow(start: time, to: time) -> bool:
    """Return whether hours end after the next morning: perhaps an hour earlier on this day was meant."""
    return span(start, to)[1] > DAY_MIN + NIGHT_MIN


def is_over(day: date, start: time, to: time, at: datetime) -> bool:
    """Return whether the hours of a day have ended at a time of that day, or of the following night."""
    return span(start, to)[1] <= (at.date() - day).days * DAY_MIN + at.hour * 60 + at.minute


def _times(span: Span) -> tuple[time, time]:
    return _time(span[0]), _time(span[1])


def _time(minutes: int) -> time:
    return time(minutes % DAY_MIN // 60, minutes % 60)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        elif start < end:
            merged.append((start, end))
    return merged
