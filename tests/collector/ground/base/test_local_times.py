"""A time that clocks show twice is two moments, and one that they leave out is none."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fabgate import collector
from fabgate.collector.ground.base import local_times

PARIS, LORD_HOWE = ZoneInfo("Europe/Paris"), ZoneInfo("Australia/Lord_Howe")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "asked", "found"),
    [
        (PARIS, "2026-10-25 01:59:59", ["2026-10-24 23:59:59"]),
        (PARIS, "2026-10-25 02:00", ["2026-10-25 00:00", "2026-10-25 01:00"]),
        (PARIS, "2026-10-25 02:30", ["2026-10-25 00:30", "2026-10-25 01:30"]),
        (PARIS, "2026-10-25 03:00", ["2026-10-25 02:00"]),
        (PARIS, "2026-03-29 01:59", ["2026-03-29 00:59"]),
        (PARIS, "2026-03-29 02:30", []),
        (PARIS, "2026-03-29 03:00", ["2026-03-29 01:00"]),
        (LORD_HOWE, "2026-04-05 01:45", ["2026-04-04 14:45", "2026-04-04 15:15"]),
        (LORD_HOWE, "2026-10-04 02:15", []),
        (UTC, "2026-10-25 02:30", ["2026-10-25 02:30"]),
    ],
)
def test_a_time_is_one_moment_or_two_or_none(zone, asked, found):
    assert local_times.moments(local(asked), zone) == [utc(text) for text in found]


def test_a_skipped_time_has_neighbours_before_and_after_the_jump():
    before, after = local_times.beside(local("2026-03-29 02:30"), PARIS)
    assert (f"{before:%H:%M}", local_times.offset(before)) == ("01:30", "UTC+01:00")
    assert (f"{after:%H:%M}", local_times.offset(after)) == ("03:30", "UTC+02:00")


def test_each_of_the_two_moments_says_that_it_came_twice_and_how_far_from_utc():
    both = [moment.astimezone(PARIS) for moment in local_times.moments(local("2026-10-25 02:30"), PARIS)]
    assert [(local_times.came_twice(moment), local_times.offset(moment)) for moment in both] == [
        (True, "UTC+02:00"),
        (True, "UTC+01:00"),
    ]
    assert not local_times.came_twice(utc("2026-10-25 02:30").astimezone(PARIS))


#: A time of day in a template, and of what.
SHOWN = re.compile(r"""([\w.]+)\|date:["'](?:SHORT_DATETIME_FORMAT|H:i(?::s)?)["']""")
#: What is no sentence but an address, and what asks which of the two is meant.
ELSEWHERE = ("&amp;time={{ one.started_at|date:", "occurred twice")
TEMPLATES = Path(collector.__file__).with_name("templates")


def test_no_page_shows_a_time_without_saying_which_of_two_it_was():
    silent = []
    for path in sorted(TEMPLATES.rglob("*.html")):
        lines = [line for line in path.read_text("utf-8").splitlines() if not any(word in line for word in ELSEWHERE)]
        shown = [found for line in lines for found in SHOWN.finditer(line) if f"{found[1]}|which" not in line]
        silent += [(path.name, found[0]) for found in shown]
    assert silent == []
