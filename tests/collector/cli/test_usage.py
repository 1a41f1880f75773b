from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.cli import text_table, usage
from fabgate.collector.ground.models import Machine, Member, UsageSession
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import UsageError
from tests.collector.gates import NOON, Journal

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def day() -> Journal:
    """Two sessions of one member, an uncertain one of another, and one that is open."""
    journal = Journal()
    journal.write("gate.started", version="1")
    for number, (member, ms) in enumerate([("m-1", 60_001), ("m-1", 59_998), ("m-2", 1_000)]):
        journal.start(f"s-{number}", member)
        more = {"reason": "power-loss", "uncertainty_ms": 90_000} if member == "m-2" else {}
        more |= {"energy_wh": 340} if number == 1 else {}
        journal.end(f"s-{number}", ms, member, **more)
    journal.start("s-open", "m-3")
    Member.objects.create(id="m-1", name="Ada Lovelace")
    Store("lyon").store(journal.messages(), NOON)
    return journal


def report() -> usage.Report:
    return usage.collect(NOON, NOON + timedelta(hours=1))


def test_json_has_exact_milliseconds_and_open_sessions_apart(day):
    out = io.StringIO()
    usage.write_json(report(), out)
    found = json.loads(out.getvalue())
    assert found["usage"] == [
        {
            "member": "m-1",
            "name": "Ada Lovelace",
            "machine": "laser-1",
            "sessions": 2,
            "energised_ms": 119_999,
            "running_ms": 0,
            "uncertainty_ms": 0,
            "uncertain": 0,
            "about": 0,
            "energy_wh": 340,
            "measured": 1,
        },
        {
            "member": "m-2",
            "name": "",
            "machine": "laser-1",
            "sessions": 1,
            "energised_ms": 1_000,
            "running_ms": 0,
            "uncertainty_ms": 90_000,
            "uncertain": 1,
            "about": 0,
            "energy_wh": None,
            "measured": 0,
        },
    ]
    total = found["total"]
    assert (total["energised_ms"], total["energy_wh"], total["measured"]) == (120_999, 340, 1)
    assert [line["session"] for line in found["open"]] == ["s-open"]


def test_csv_tells_ended_and_open_apart(day):
    out = io.StringIO()
    usage.write_csv(report(), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [(row["state"], row["member"], row["energised_ms"]) for row in rows] == [
        ("ended", "m-1", "119999"),
        ("ended", "m-2", "1000"),
        ("open", "m-3", "0"),
    ]


def test_the_table_names_members_and_marks_what_is_uncertain(day):
    out = io.StringIO()
    usage.write_table(report(), out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "Usage from 2026-11-24 12:00 UTC to 2026-11-24 13:00 UTC (by the end of a session; h:mm:ss)"
    assert [re.split(r"  +", line) for line in lines[2:7]] == [
        ["member", "machine", "sessions", "powered on", "of which running"],
        ["m-1 Ada Lovelace", "laser-1", "2", "0:02:00", "0:00:00"],
        ["m-2", "laser-1", "1", "0:00:01", "0:00:00", "~ up to 0:01:30 more"],
        ["-" * len(lines[5])],
        ["total", "3", "0:02:01", "0:00:00", "~ up to 0:01:30 more"],
    ]
    assert "Still open (not in the sums):" in lines
    assert re.split(r"  +", lines[-3]) == ["m-3", "laser-1", "2026-11-24 12:00:08", "0:00:00", "0:00:00"]


def test_seconds_of_the_period_are_shown_where_there_are_some(database):
    out = io.StringIO()
    usage.write_table(usage.collect(NOON, NOON + timedelta(seconds=61)), out)
    assert out.getvalue().startswith("Usage from 2026-11-24 12:00 UTC to 2026-11-24 12:01:01 UTC")


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "0:00:00"),
        (499, "0:00:00"),
        (500, "0:00:01"),
        (59_999, "0:01:00"),
        (3_725_000, "1:02:05"),
        (10**9, "277:46:40"),
    ],
)
def test_a_time_on_is_shown_to_the_nearest_second(ms, shown):
    assert text_table.clock(ms) == shown


def test_an_interval_is_half_open_so_that_two_of_them_count_each_session_once(day):
    end = UsageSession.objects.get(id="s-1").ended_at
    before, after = usage.collect(NOON, end), usage.collect(end, NOON + timedelta(hours=1))
    assert before.total.energised_ms + after.total.energised_ms == 120_999
    assert (before.total.sessions, after.total.sessions) == (1, 2)


def test_a_session_keeps_the_machine_that_its_gate_had(database):
    from fabgate.collector.ground.models import Gate

    Gate.objects.create(name="laser-1", machine=Machine.objects.create(name="big-laser"))
    journal = Journal()
    journal.end("s-1", 5)
    Store("lyon").store(journal.messages(), NOON)
    assert [line.machine for line in report().lines] == ["big-laser"]


def test_moments_without_an_offset_are_in_the_time_zone_asked_for():
    start, end = usage.interval("2026-11-01", "2026-12-01T08:00+00:00", "Europe/Paris")
    assert (start.isoformat(), end.isoformat()) == ("2026-11-01T00:00:00+01:00", "2026-12-01T08:00:00+00:00")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            "2026-10-25T02:30",
            "came twice in Europe/Paris, wanted 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
        ),
        (
            "2026-03-29T02:30",
            "never was in Europe/Paris, wanted 2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00",
        ),
    ],
)
def test_a_moment_that_came_twice_or_never_is_asked_about(asked, told):
    with pytest.raises(UsageError) as caught:
        usage.interval(asked, "2026-12-01", "Europe/Paris")
    assert str(caught.value) == f"--from: found '{asked}', which {told}"
    start, _ = usage.interval("2026-10-25T02:30+01:00", "2026-12-01", "Europe/Paris")
    assert start.astimezone(UTC) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_day_without_midnight_begins_where_it_would_have_been():
    start, _ = usage.interval("2026-03-29", "2026-03-30", "Asia/Beirut")
    assert start.astimezone(UTC) == datetime(2026, 3, 28, 22, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York"])
def test_no_moment_at_the_end_of_the_calendar_is_reckoned_with(database, zone):
    with pytest.raises(UsageError) as caught:
        usage.interval("0001-01-01T00:30", "9999-12-31", zone)
    assert [line.partition(", wanted a year ")[2] for line in str(caught.value).splitlines()] == [
        "from 1900 to 9998"
    ] * 2
    assert usage.collect(*usage.interval("1900-01-01", "9998-12-31", zone)).lines == []


def test_every_wrong_argument_is_named():
    with pytest.raises(UsageError) as caught:
        usage.interval("yesterday", "2026-13-01", "Mars")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["--tz", "--from", "--to"]
    with pytest.raises(UsageError, match="wanted a moment after --from"):
        usage.interval("2026-11-01", "2026-11-01", None)
