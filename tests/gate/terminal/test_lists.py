"""What a person reads in a terminal of a stored roster, its version and time spans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate import wire
from fabgate.gate.terminal import lists

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
VERSION = int(NOON.timestamp() * 1000)
ADA = wire.Member(
    id="m-1",
    name="Ada",
    badges=["a", "b"],
    lang="fr",
    level="supervisor",
    valid_until="2027-03-01",
    grace_days=3,
    limit_s=5400,
    supervised=True,
    windows=[
        wire.Window(days=[1, 2, 3, 4, 5], start="08:00", to="22:00"),
        wire.Window(days=[6, 7], start="10:00", to="18:00"),
        wire.Window(days=[1, 3, 5], start="22:00", to="23:00"),
    ],
)
BOB = wire.Member(id="m-2", name="Bob", badges=["c"])


def lines(*people: wire.Member, machine: wire.MachineRules | None = None) -> list[str]:
    return lists.roster(
        VERSION, "Europe/Paris", machine or wire.MachineRules(), list(people), NOON + timedelta(hours=2)
    )


def test_a_roster_is_its_age_its_members_as_a_table_and_the_machines_rules():
    found = lines(BOB, ADA)
    assert found[:3] == [
        f"roster      version {VERSION}, made 2026-11-25 12:00:00 UTC (2 h old)",
        "members     2",
        "time zone   Europe/Paris",
    ]
    when = "1-5 08:00-22:00; 6,7 10:00-18:00; 1,3,5 22:00-23:00"
    head, ada, bob = (line.split("  ") for line in found[4:7])
    assert [word.strip() for word in head if word] == [
        "id",
        "name",
        "level",
        "lang",
        "badges",
        "limit",
        "until",
        "then",
        "when",
        "flags",
    ]
    assert [word.strip() for word in ada if word] == [
        *("m-1", "Ada", "supervisor", "fr", "2"),
        *("1 h 30 min", "2027-03-01 +3 d", "expired", when, "supervised"),
    ]
    assert [word.strip() for word in bob if word] == ["m-2", "Bob", "user", "en", "1"]
    assert found[7:9] == ["", "machine"]
    assert "  limit_s         43200 (12 h)" in found
    assert "  grace_s         10 s" in found
    assert "  handover        no" in found
    assert "  lock            none in this roster" in found


def test_it_says_which_right_ends():
    eve = wire.Member(id="m-3", badges=["d"], valid_until="2027-03-01", until_reason="loan-over")
    kim = wire.Member(id="m-4", badges=["e"], until_reason="loan-over")
    head, *people = lines(eve, kim)[4:7]
    assert people[0].endswith("2027-03-01  loan-over")
    assert "loan-over" not in people[1], "nothing of theirs ends"
    assert head.split()[-2:] == ["until", "then"]


def test_a_column_that_says_nothing_about_anybody_is_left_out():
    assert lines(BOB)[4:6] == ["id   name  level  lang  badges", "m-2  Bob   user   en    1"]


def test_a_lock_says_why_when_and_until_when():
    lock = wire.Lock(id="l", when="now", reason="Broken belt", back="2026-12-01")
    found = lines(BOB, machine=wire.MachineRules(lock=lock, lifted=["l-1", "l-2"], price_hint="0.20 €"))
    assert "  lock            Broken belt (locks now, expected back 2026-12-01)" in found
    assert "  lifted          l-1, l-2" in found
    assert "  price_hint      0.20 €" in found
    idle = wire.Lock(id="l", when="idle", reason="x")
    assert "  lock            x (locks when idle)" in lines(BOB, machine=wire.MachineRules(lock=idle))


def test_a_name_cannot_move_the_cursor():
    assert "\x1b" not in "\n".join(lines(wire.Member(id="m-3", name="\x1b[2JEve\n", badges=[])))


def test_a_roster_without_members_has_its_head():
    assert lines()[4].split() == ["id", "name", "level", "lang", "badges", "limit", "until", "then", "when", "flags"]


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (5, "version 5"),
        (VERSION + 8 * 3_600_000, f"version {VERSION + 8 * 3_600_000}, made 2026-11-25 20:00:00 UTC (in the future: is the clock right?)"),
        ((1 << 63) - 1, f"version {(1 << 63) - 1}"),
    ],
)  # fmt: skip
def test_a_version_that_is_no_time_stays_a_number_and_one_of_tomorrow_is_doubted(version, text):
    assert lists.roster_version(version, NOON) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_661, "1 h 1 min"), (86_400, "1 d"), (90_061, "1 d 1 h"), (86_405, "1 d 5 s")],
)  # fmt: skip
def test_a_span_has_its_two_largest_units(seconds, text):
    assert lists.span(seconds) == text
