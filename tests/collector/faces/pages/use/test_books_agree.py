"""Whatever happened, do the pages, the files, the commands and the API tell the same minutes, to the millisecond?"""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.http import QueryDict
from django.utils import timezone

from fabgate.collector.cli import sessions as listing
from fabgate.collector.cli import usage
from fabgate.collector.faces.api.programs import sessions as api
from fabgate.collector.faces.pages.use.exports import tables
from fabgate.collector.faces.pages.use.reports import sums
from fabgate.collector.faces.pages.use.reports.usage import UsageForm
from fabgate.collector.ground.models import Gate, LedgerLine, Machine, Member, Review, UsageSession
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector.gates import NOON
from tests.collector.recording.intake.moves import Gate as Story

pytestmark = pytest.mark.usefixtures("database")

PARIS = ZoneInfo("Europe/Paris")
#: Ten minutes before the end of the day of 25 hours.
BEFORE_MIDNIGHT = datetime(2026, 10, 25, 23, 50, tzinfo=PARIS)
ACTS = ["correct-member", "correct-payer", "correct-time", "correct-purpose", "contest", "accept", "favour"]
#: How often each is what a gate does next.
MOVES = {
    "start": 6,
    "progress": 5,
    "end": 5,
    "wrong-end": 2,
    "boot": 1,
    "sync": 1,
    "jump": 2,
    "fork": 0.1,
    "replace": 0.1,
}
DAYS = [date(2026, 10, day) for day in range(24, 28)]
ALL = date(2026, 10, 1), date(2026, 12, 1)
#: (machine, member): sessions, powered on, of which running, in doubt.
Sums = dict[tuple[str, str], tuple[int, int, int, int]]


@pytest.fixture
def in_paris(monkeypatch):
    monkeypatch.setattr(django_settings, "ENVIRONMENT", replace(django_settings.ENVIRONMENT, tz="Europe/Paris"))
    with timezone.override(PARIS):
        yield


class Consumer:
    """A program that keeps the newest row of each session, and its cursor."""

    def __init__(self) -> None:
        self.after, self.positions, self.newest = "0", [], {}

    def read(self, limit: int) -> bool:
        answer = api.sessions(None, after=self.after, limit=limit)  # type: ignore[arg-type]  # it looks at no request
        for row in answer["sessions"]:
            self.positions.append(row["position"])
            self.newest[row["session"]] = row
        self.after = answer["next"]
        return bool(answer["more"])

    def sums(self, start: datetime, end: datetime) -> Sums:
        ended = [row for row in self.newest.values() if row["kind"] != LedgerLine.WITHDRAWN]
        return summed(
            (row["machine"], row["used_by"], 1, row["counted_ms"], row["running_ms"], row["uncertainty_ms"])
            for row in ended
            if start <= row["ended_at"] < end
        )


def summed(rows) -> Sums:
    found: dict[tuple[str, str], Counter[int]] = {}
    for machine, member, *values in rows:
        found.setdefault((machine, member), Counter()).update(dict(enumerate(map(int, values))))
    return {key: (values[0], values[1], values[2], values[3]) for key, values in found.items()}


def act(what: str, number: int) -> None:
    """What a person does, to one of the sessions that are there; what cannot be done is refused."""
    sessions = list(UsageSession.objects.order_by("id"))
    if not sessions:
        return
    session = sessions[number % len(sessions)]
    try:
        if what.startswith("correct-"):
            field = what.removeprefix("correct-")
            new = {"time": str(number * 7), "purpose": ("own", "training")[number % 2]}.get(field, f"m-{number % 4}")
            corrections.correct(session.pk, field, new, author="eve", reason="asked")
        elif what == "contest":
            corrections.contest(session, "no", author="zoe")
        elif (review := Review.objects.filter(session=session).first()) is not None:
            {"accept": corrections.accept, "favour": corrections.favour}[what](review, author="eve")
    except UsageError:
        pass


def told(first: date, last: date) -> dict[str, Any]:
    """What each of them says of some days."""
    start, end, _ = (f"{day:%Y-%m-%d}" for day in (first, last + timedelta(days=1), last))
    since, until = usage.interval(start, end, "Europe/Paris")
    said = QueryDict(f"first={first}&last={last}&by={sums.BOTH}")
    form, chosen = UsageForm(said), tables._UnlimitedSessions(said)
    assert form.is_valid()
    assert chosen.is_valid()
    lines = sums.lines(form.filtered(), sums.BOTH)
    out = io.StringIO()
    usage.write_json(usage.collect(since, until), out)
    printed = [row for row in listing.lines(since, until, PARIS) if row["state"] == "ended"]
    listed = io.StringIO()
    listing.write_csv(iter(printed), listed)
    listed.seek(0)
    table, sheet = tables._sessions(chosen), tables._usage(form)
    heads, totals = ([column.head for column in one.columns] for one in (table, sheet))
    file = [dict(zip(heads, row, strict=True)) for row in table.rows]
    file_of_sums = [dict(zip(totals, row, strict=True)) for row in sheet.rows]
    on, ran, doubt = "Powered on (ms)", "Running (ms)", "Uncertainty (ms)"
    return {
        "usage": summed(
            (row["machine"], row["member"], *(row[name] for name in ("sessions", *MS)))
            for row in json.loads(out.getvalue())["usage"]
        ),
        "sessions": summed(
            (row["machine"], row["member"], 1, *(row[name] for name in MS)) for row in csv.DictReader(listed)
        ),
        "page": summed(
            (line.machine, line.member, line.sessions, line.counted_ms, line.running_ms, line.uncertainty_ms)
            for line in lines
        ),
        "file": summed(
            (row["Machine"], row["Person number"], 1, row[on], row[ran], row[doubt])
            for row in file
            if row["Ended (UTC)"]
        ),
        "file of sums": summed(
            (row["Machine"], row["Person number"], row["Sessions"], row[on], row[ran], row[doubt])
            for row in file_of_sums
        ),
        "bars": {"ms": sums.bars(form.filtered(), form.period)["ms"]},
    }


MS = ("energised_ms", "running_ms", "uncertainty_ms")


@pytest.mark.parametrize("seed", range(3))
def test_pages_files_commands_and_the_api_agree_to_the_millisecond(in_paris, seed):
    pick = random.Random(seed)
    gate = Story()
    gate.journal.off = BEFORE_MIDNIGHT - NOON
    for what in pick.choices(list(MOVES), MOVES.values(), k=150):
        gate.move(what, pick.randrange(100_000))
    stream = [message for journal in gate.journals for message in journal.messages()]
    pick.shuffle(stream)
    Gate.objects.create(name="laser-1", machine=Machine.objects.create(name="laser"))
    for number in range(1, 4):
        Member.objects.create(id=f"m-{number}", category="student" if number == 1 else "")
    store, consumer = Store("lyon"), Consumer()
    while stream:
        size = pick.randrange(1, 10)
        store.store(stream[:size], NOON)
        stream = stream[size:]
        act(pick.choice(ACTS), pick.randrange(10_000))
        consumer.read(1 + size % 3)
    while consumer.read(7):
        pass
    assert consumer.positions == list(LedgerLine.objects.order_by("pk").values_list("pk", flat=True))
    assert {"ended", "changed", "corrected"} <= set(LedgerLine.objects.values_list("kind", flat=True))
    wholly = consumer.sums(*usage.interval(f"{ALL[0]}", f"{ALL[1]}", "Europe/Paris"))
    assert sum(sessions for sessions, *_ in wholly.values()) > 10
    for first, last in (*((day, day) for day in DAYS), ALL):
        found = told(first, last)
        wanted = consumer.sums(*usage.interval(f"{first}", f"{last + timedelta(days=1)}", "Europe/Paris"))
        bars = found.pop("bars")["ms"]
        assert found == dict.fromkeys(found, wanted)
        assert sum(bars) == sum(on for _, on, _, _ in wanted.values())
