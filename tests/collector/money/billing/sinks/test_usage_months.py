"""Are the months of usage always what the sessions are, each written once, whatever is corrected or comes late?"""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate.collector.ground.models import Collector, LedgerLine, Sink, UsageSession
from fabgate.collector.money.billing.sinks import decisions, status
from fabgate.collector.money.billing.sinks.contract import Site
from fabgate.collector.money.billing.sinks.drivers.files import FilesOptions, FilesSink
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.sinks.programs import UsageFolder
from tests.collector.money.billing.sinks.sent import Sent

pytestmark = pytest.mark.usefixtures("database")
#: The first day of the month before last, of last month, and of this one.
THIS = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
LAST = (THIS - timedelta(days=1)).replace(day=1)
FIRST = (LAST - timedelta(days=1)).replace(day=1)
NAMES = [f"{month:%Y-%m}" for month in (FIRST, LAST, THIS)]


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    Collector.get(settings.ENVIRONMENT.site)
    found = Sent(UsageFolder(tmp_path))
    found.program.configured = (  # type: ignore[method-assign]
        lambda _since, make=found.program.configured: make(NAMES[0])
    )
    return found


def known_at(at: datetime) -> None:
    """Let the newest lines of the ledger, those of the last minute, be from a time."""
    LedgerLine.objects.filter(at__gt=datetime.now(UTC) - timedelta(minutes=1)).update(at=at)


def told(sent: Sent) -> list[tuple[str, str, str, str, int]]:
    """Return what the folder has: month, month of the session, session, payer and minutes."""
    rows = sent.program.rows()  # type: ignore[attr-defined]
    return [
        (row["month"][:7], row["of_month"][:7], row["session"], row["payer"], int(float(row["minutes"])))
        for row in rows
    ]


def test_a_month_is_written_some_days_after_its_end_and_corrections_are_in_the_next_one(sent):
    shop = Used()
    shop.session("s-1", "m-1", FIRST + timedelta(days=4), 30)
    shop.session("s-2", "m-2", FIRST + timedelta(days=5), 20)
    known_at(FIRST + timedelta(days=6))
    shop.session("s-3", "m-1", LAST + timedelta(days=1), 10)  # before the month before was settled
    known_at(LAST + timedelta(days=1, hours=1))
    sent.clock.at = LAST + timedelta(days=3)
    sent.turn()
    assert told(sent) == []
    sent.clock.at += timedelta(hours=1)
    sent.turn()
    first = [(NAMES[0], NAMES[0], "s-1", "m-1", 30), (NAMES[0], NAMES[0], "s-2", "m-2", 20)]
    assert told(sent) == first
    corrections.correct("s-1", "payer", "m-2", author="eve", reason="a test")
    corrections.correct("s-2", "time", "0", author="eve", reason="a test")
    shop.session("s-late", "m-3", FIRST + timedelta(days=9), 7)
    known_at(LAST + timedelta(days=20))
    corrections.correct("s-3", "time", "720000", author="eve", reason="a test")
    known_at(THIS + timedelta(days=10))  # after the month was settled
    sent.clock.at = THIS + timedelta(days=4)
    sent.turn()
    last = [
        (NAMES[1], NAMES[0], "s-1", "m-1", -30),
        (NAMES[1], NAMES[0], "s-1", "m-2", 30),
        (NAMES[1], NAMES[0], "s-2", "m-2", -20),
        (NAMES[1], NAMES[0], "s-late", "m-3", 7),
        (NAMES[1], NAMES[1], "s-3", "m-1", 10),
    ]
    assert told(sent) == first + last
    folder = sent.program.books / NAMES[1]  # type: ignore[attr-defined]
    rows = json.loads((folder / "usage.json").read_text())["usage"]
    assert [row["kind"] for row in rows] == ["reversal", "usage", "reversal", "usage", "usage"]
    assert [row["usage_id"] for row in rows[:2]] == [f"{NAMES[1]}/s-1/reversal", f"{NAMES[1]}/s-1"]
    assert (folder / "payers.csv").read_text("utf-8-sig").splitlines()[1:] == [
        "m-1,Zoé Müller,,-20.00",
        "m-2,Bjørn Sørensen,,10.00",
        "m-3,Zoé Petit,,7.00",
    ]
    assert status.of(sent.configured).waiting == 0
    before = {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}
    decisions.replay(sent.row, FIRST.date(), None, actor="eve", reason="a test")
    sent.turn()
    assert (sent.row.trouble, {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}) == ("", before)
    sent.clock.at = THIS + timedelta(days=40)
    sent.turn()
    assert told(sent)[len(first + last) :] == [
        (NAMES[2], NAMES[1], "s-3", "m-1", -10),
        (NAMES[2], NAMES[1], "s-3", "m-1", 12),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_all_months_together_are_what_the_sessions_are(sent, seed):
    """Sessions and corrections at random days; months are written in between, and all rows add up."""
    chance, shop, day = random.Random(seed), Used(), FIRST
    for number in range(12):
        day += timedelta(days=chance.randrange(1, 6), hours=chance.randrange(24))
        ended = max(FIRST, day - timedelta(days=chance.choice([0, 1, 1, 12])))
        shop.session(f"s-{number}", f"m-{chance.randrange(1, 4)}", ended, chance.randrange(1, 90))
        if chance.random() < 0.7:
            one = f"s-{chance.randrange(number + 1)}"
            field, new = chance.choice(
                [("time", str(chance.randrange(9) * 60_000)), ("payer", "m-1"), ("payer", "m-4")]
            )
            with contextlib.suppress(UsageError):  # it may have that value
                corrections.correct(one, field, new, author="eve", reason="a test")
        known_at(day)
        sent.clock.at = day + timedelta(minutes=1)
        sent.turn()
    sent.clock.at = day + timedelta(days=90)
    sent.turn()
    found: Counter[tuple[str, str]] = Counter()
    for row in sent.program.rows():  # type: ignore[attr-defined]
        found[row["session"], row["payer"]] += int(row["counted_ms"])
    wanted = {(row.pk, row.payer or row.used_by): row.counted_ms for row in UsageSession.objects.all()}
    assert +found == {key: amount for key, amount in wanted.items() if amount}
    assert not -found
    keys = [key for key, _amount in sent.program.effects]
    assert len(set(keys)) == len(keys)


def test_a_session_in_review_waits_and_days_without_usage_are_refused(sent, tmp_path):
    shop = Used()
    shop.session("s-1", "m-1", FIRST + timedelta(days=4), 30)
    corrections.contest(UsageSession.objects.get(pk="s-1"), "not me", author="m-1")
    sent.clock.at = LAST + timedelta(days=4)
    sent.turn()
    assert told(sent) == []
    options = FilesOptions(since="2027-01", folder=tmp_path, settle_days=5)
    with pytest.raises(UsageError, match="settle_days is for 'takes: usage' only"):
        FilesSink(options, Site("lyon", "c", ZoneInfo("UTC")))


def test_another_first_month_does_not_count_what_was_never_sent(sent):
    """`since` says where a sink begins; once it has begun, sessions of earlier months were not sent, so nothing of them is reversed."""
    shop = Used()
    shop.session("s-1", "m-1", FIRST + timedelta(days=4), 30)
    shop.session("s-2", "m-1", LAST + timedelta(days=4), 20)
    known_at(LAST + timedelta(days=5))
    make = sent.program.configured
    sent.program.configured = lambda since: UsageFolder.configured(sent.program, NAMES[1])  # type: ignore[method-assign,arg-type]
    sent.clock.at = THIS + timedelta(days=4)
    sent.turn()
    corrections.correct("s-1", "time", "600000", author="eve", reason="a test")
    corrections.correct("s-2", "time", "600000", author="eve", reason="a test")
    known_at(THIS + timedelta(days=10))
    sent.program.configured = make  # type: ignore[method-assign]
    sent.clock.at = THIS + timedelta(days=40)
    sent.turn()
    assert [row[1:] for row in told(sent)] == [
        (NAMES[1], "s-2", "m-1", 20),
        (NAMES[1], "s-2", "m-1", -20),
        (NAMES[1], "s-2", "m-1", 10),
    ]


def test_a_sink_that_took_something_else_before_says_so(sent):
    sent.turn()
    Sink.objects.update(cursor="2027-01-01/m")
    sent.clock.at = THIS + timedelta(days=40)
    sent.turn()
    assert "something else" in sent.row.trouble
    assert status.of(sent.configured).waiting == 0
