"""The reading verbs: sessions one a line, and what is missing."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from fabgate.collector.cli import gates, sessions, usage
from fabgate.collector.ground.models import Member
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import UsageError
from tests.collector.gates import NOON, Journal

pytestmark = pytest.mark.usefixtures("database")
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def day() -> Journal:
    """A plain session, an uncertain one, one of a boot without a clock, and one that is open."""
    journal = Journal()
    journal.write("gate.started", version="1")
    journal.start("s-1", "m-1")
    journal.end("s-1", 120_000, "m-1", running_ms=60_000, energy_wh=0)
    journal.start("s-2", "m-2")
    journal.end("s-2", 1_000, "m-2", reason="power-loss", uncertainty_ms=90_000)
    journal.boot, journal.synced = "dark", False
    journal.start("s-3", "m-1")
    journal.end("s-3", 6_000, "m-1")
    journal.boot, journal.synced = "light", True
    journal.start("s-4", "m-3")
    Member.objects.create(id="m-1", name="Ada Lovelace")
    Store("lyon").store(journal.messages(), NOON + timedelta(days=1))
    return journal


def rows() -> list[dict]:
    return list(sessions.lines(NOON, NOON + timedelta(hours=1), PARIS))


def test_each_session_is_a_line_in_the_order_of_the_ends_with_names_and_times_in_the_zone(day):
    assert [(row["session"], row["state"], row["name"]) for row in rows()] == [
        ("s-1", "ended", "Ada Lovelace"),
        ("s-2", "ended", ""),
        ("s-3", "ended", "Ada Lovelace"),
        ("s-4", "open", ""),
    ]
    assert rows()[0] == {
        "state": "ended",
        "session": "s-1",
        "member": "m-1",
        "name": "Ada Lovelace",
        "gate": "laser-1",
        "machine": "laser-1",
        "start": "2026-11-24T13:00:02+01:00",
        "end": "2026-11-24T13:00:03+01:00",
        "energised_ms": 120_000,
        "running_ms": 60_000,
        "uncertainty_ms": 0,
        "reason": "badge",
        "basis": "grant",
        "review": None,
        "not_before": None,
        "not_after": None,
        "corrected": "",
        "energy_wh": 0,
    }
    about = rows()[2]
    assert (about["start"], about["review"]) == (None, "undated")
    assert (about["not_before"], about["not_after"]) == ("2026-11-24T13:00:05+01:00", "2026-11-24T13:00:08+01:00")


def test_the_lines_add_up_to_what_usage_reports(day):
    total = usage.collect(NOON, NOON + timedelta(hours=1)).total
    ended = [row for row in rows() if row["state"] == "ended"]
    assert (len(ended), sum(row["energised_ms"] for row in ended)) == (total.sessions, total.energised_ms)


def printed(form: str | None, capsys) -> str:
    args = argparse.Namespace(start="2026-11-24", end="2026-11-25", tz="Europe/Paris", form=form)
    assert sessions.show(args) == 0
    return capsys.readouterr().out


def test_csv_and_json_hold_the_same(day, capsys):
    lines = list(csv.DictReader(io.StringIO(printed("csv", capsys))))
    objects = [json.loads(line) for line in printed("json", capsys).splitlines()]
    assert lines == [{key: "" if value is None else str(value) for key, value in row.items()} for row in objects]


def test_no_name_is_computed_by_a_spreadsheet(day, capsys):
    Member.objects.filter(id="m-1").update(name='=HYPERLINK("http://x","y");=1+1')
    safe = """'=HYPERLINK("http://x","y");'=1+1"""
    assert {row["name"] for row in csv.DictReader(io.StringIO(printed("csv", capsys)))} == {safe, ""}
    out = io.StringIO()
    usage.write_csv(usage.collect(NOON, NOON + timedelta(hours=1)), out)
    assert {row["name"] for row in csv.DictReader(io.StringIO(out.getvalue()))} == {safe, ""}
    assert json.loads(printed("json", capsys).splitlines()[0])["name"].startswith("=HYPERLINK")


def test_the_table_says_about_open_and_why_to_look(day, capsys):
    which, nothing, *lines = printed(None, capsys).splitlines()
    assert re.fullmatch(r"Sessions from \d{4}-\d\d-\d\d \d\d:\d\d \w+ to .* \(by their end; h:mm:ss\)", which)
    assert (nothing, lines[-1]) == ("", "4 sessions")
    head, plain, uncertain, about, still = lines[:-1]
    assert re.split(r"  +", head) == [
        *("member", "machine", "start", "end", "powered on", "running", "up to more", "reason", "allowed by", "review")
    ]
    assert re.split(r"  +", plain)[4:7] == ["0:02:00", "0:01:00", "0:00:00"]
    assert plain.split()[:3] == ["m-1", "Ada", "Lovelace"]
    assert uncertain.endswith("uncertain")
    assert "~2026-11-24 13:00:08" in about
    assert about.endswith("undated")
    assert "  open " in still


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="--tz"):
        sessions.show(argparse.Namespace(start="2026-11-24", end="2026-11-25", tz="Mars", form=None))


def test_the_usage_table_shows_what_is_about(day):
    out = io.StringIO()
    usage.write_table(usage.collect(NOON, NOON + timedelta(hours=1)), out)
    assert any(line.startswith("m-1 Ada") and line.endswith("~ 1 about") for line in out.getvalue().splitlines())
    assert "2026-11-24 12:00:05 and 2026-11-24 12:00:08" in out.getvalue()
    assert "About (in the sums by the latest possible end" in out.getvalue()


def holes(capsys, *, as_json: bool = False) -> tuple[int, str]:
    code = gates.show_gaps(argparse.Namespace(json=as_json))
    return code, capsys.readouterr().out


def test_holes_of_a_whole_journal_are_none_and_the_exit_code_says_so(day, capsys):
    assert holes(capsys) == (0, "Nothing is missing.\n")


def test_holes_are_named_by_number_and_what_is_awaited_is_no_hole(capsys):
    journal, awaiting = Journal(gate="bandsaw"), Journal(gate="laser-1")
    for written in (journal, awaiting):
        for _ in range(6):
            written.write("gate.stopping", reason="x")
    store = Store("lyon")
    store.store([journal.message(1), journal.message(5), awaiting.message(3), awaiting.message(1)], NOON)
    code, out = holes(capsys)
    assert code == 0
    assert "laser-1: entry 2 awaited" in out
    store.store([journal.status(floor=5)], NOON)
    code, out = holes(capsys)
    assert (code, out.splitlines()[0].split(" (")[0]) == (1, "bandsaw: entries 2 to 4 missing")
    code, out = holes(capsys, as_json=True)
    found = json.loads(out)
    assert (code, [(row["gate"], row["first"], row["last"]) for row in found["missing"]]) == (1, [("bandsaw", 2, 4)])
    store.store([journal.message(n) for n in (2, 3, 4)], NOON)
    assert holes(capsys)[0] == 0


def test_quarantine_and_clones_are_told_with_the_reason(day, capsys):
    store = Store("lyon")
    new = day.fork(mark=9)
    store.store([*new.messages(), new.status()], NOON)
    day.start("s-clone")
    other = Journal(name=day.name)
    other.write("gate.started", version="2")
    store.store([day.message(day.head), *other.messages()], NOON)
    code, out = holes(capsys)
    assert code == 0
    assert f"laser-1: clone: a second SD card still writes to the journal {day.name}" in out
    assert "laser-1: in quarantine: fork: found other bytes than those stored under its number" in out
    assert "/1, once, last " in out
    store.store(other.messages(), NOON)
    assert "/1, 2 times, last " in holes(capsys)[1]
