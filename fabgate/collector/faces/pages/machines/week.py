"""The opening hours of the next seven days, of a machine or the workshop, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from fabgate.collector.ground import formats
from fabgate.collector.ground.models import Machine
from fabgate.collector.members.access.opening_hours import AHEAD, DAY_MIN, Calendar, Span, clock, night_at
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.paper.figures import NOTHING

DAYS: Final = range(AHEAD)


@dataclass(frozen=True, slots=True)
class Day:
    """A day and its hours; `note` is the reason of a special day."""

    day: date
    title: str
    hours: tuple[str, ...]
    is_open: bool
    is_today: bool
    note: str = ""


def ahead(machine: Machine | None = None) -> list[Day] | None:
    """Return the next seven days; None if no hours are set, which means always open."""
    now = today()
    calendar = Calendar(now)
    days = [now + timedelta(days=at) for at in DAYS]
    found = [(day, calendar.spans(machine, day)) for day in days]
    if all(spans is None for _day, spans in found):
        return None
    return [_day_of(day, spans, calendar.notes(machine, day), is_today=day == now) for day, spans in found]


def tonight_in_words(calendar: Calendar, now: datetime) -> str:
    """Return the workshop's hours on the day of the current night, with the notes of that day."""
    day = night_at(calendar, now)
    hours = ", ".join(_said(calendar.spans(None, day)))
    return " · ".join([hours, *calendar.notes(None, day)])


def _day_of(day: date, spans: list[Span] | None, notes: list[str], *, is_today: bool) -> Day:
    title = _("Today") if is_today else formats.short(day, "l j M")
    title = f"{title[:1].upper()}{title[1:]}"
    return Day(day, title, tuple(_said(spans)), spans is None or bool(spans), is_today, "; ".join(notes))


def _said(spans: list[Span] | None) -> list[str]:
    return [_("open all day")] if spans is None else [*map(span, spans)] or [_("closed")]


def span(hours: Span) -> str:
    """Return hours such as 09:00-18:00, with a dash."""
    if hours == (0, DAY_MIN):
        return _("open all day")
    return f"{clock(hours[0])}{NOTHING}{clock(hours[1])}"
