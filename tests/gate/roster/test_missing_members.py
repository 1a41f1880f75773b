"""What happens when too many members are missing from a roster."""

from __future__ import annotations

import contextlib

import pytest

from fabgate import wire
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused, RosterStored
from fabgate.rules import vocabulary
from tests.gate.fakes import CARDS
from tests.gate.roster.collector import Harness, everybody, many, roster
from tests.gate.shell import digest


def test_when_too_many_vanish_without_a_word_they_stay_and_all_else_applies(harness: Harness) -> None:
    harness.collector.current = roster(members=[*everybody(), *many()])
    harness.fetch()
    harness.collector.current = roster(
        101,
        ("ada",),
        refusals=[wire.Barred(badges=[digest("eve")], reasons=["blocked"], id="m-eve")],
        machine=wire.MachineRules(lock=wire.Lock(id="l-1", when="now", reason="x")),
    )
    stored, refused = harness.fetch()
    assert stored == RosterStored(101, 1)
    assert isinstance(refused, RosterRefused)
    assert refused.version == 101
    assert "6 of 8 members are missing without a reason (m-a, m-b, m-bob…)" in refused.reason
    assert "run 'fabgate roster adopt' on this gate; otherwise add them at the collector again" in refused.reason
    assert harness.members() == {"m-ada", "m-bob", "m-max", "m-sue", "m-a", "m-b", "m-c"}
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("eve")) == vocabulary.Barred(("blocked",), "m-eve")
        assert directory.machine.lock is not None
    assert harness.fetch() == [RosterConfirmed()]


def test_a_collector_that_says_that_they_are_meant_to_vanish_is_believed(harness: Harness) -> None:
    harness.fetch()
    harness.collector.current = roster(101, ("ada",), shrink_confirmed=True)
    assert harness.fetch() == [RosterStored(101, 1)]
    assert harness.members() == {"m-ada"}


def test_one_of_four_blocked_is_no_shrunken_roster(harness: Harness) -> None:
    harness.collector.current = roster(100, ("ada", "bob", "max", "sue"))
    harness.fetch()
    barred = wire.Barred(badges=[digest("bob")], reasons=["blocked"], id="m-bob")
    harness.collector.current = roster(101, ("ada", "max", "sue"), refusals=[barred])
    assert harness.fetch() == [RosterStored(101, 3)]


def test_a_kept_member_loses_the_badge_that_somebody_else_got(harness: Harness) -> None:
    harness.collector.current = roster(members=[*everybody(), *many()])
    harness.fetch()
    harness.collector.current = roster(101, members=[wire.Member(id="m-new", badges=[digest("bob")])])
    harness.fetch()
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("bob")).id == "m-new"  # type: ignore[union-attr]
        assert directory.find(digest("ada")).id == "m-ada"  # type: ignore[union-attr]


def test_a_damaged_stored_roster_is_replaced(harness: Harness) -> None:
    harness.fetch()
    whole = harness.stored.read_bytes()
    harness.stored.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    harness.collector.current = roster(101, ("ada",))
    assert harness.fetch() == [RosterStored(101, 1)]


def test_a_stored_roster_that_turns_out_to_be_damaged_is_fetched_anew_though_nothing_changed(harness: Harness) -> None:
    harness.fetch()
    whole = harness.stored.read_bytes()
    harness.stored.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    harness.source = harness.make()
    assert harness.fetch() == [RosterConfirmed()], "what says which one it is is whole"
    harness.source.replace_damaged()
    assert harness.fetch() == [RosterStored(100, 5)]
    assert harness.members() == {f"m-{who}" for who in CARDS}
    assert harness.fetch() == [RosterConfirmed()]
    assert harness.collector.answered[-1][0] == 304


def test_a_roster_is_in_force_though_its_receipt_cannot_be_written(harness: Harness) -> None:
    harness.fetch()
    receipt = harness.stored.with_suffix(".json")
    before = receipt.read_bytes()
    receipt.unlink()
    receipt.mkdir()
    harness.collector.current = roster(101, ("ada", "bob", "max", "sue"))
    stored, refused = harness.fetch()
    assert stored == RosterStored(101, 4)
    assert isinstance(refused, RosterRefused)
    assert "Is a directory" in refused.reason
    assert harness.age_ms() == 0
    assert harness.fetch() == [], "it is told once"
    receipt.rmdir()
    receipt.write_bytes(before)
    harness.source = harness.make()
    harness.collector.current = roster(100)
    assert "found roster version 100, but version 101 is stored" in harness.refused(), (
        "the receipt was that of another one"
    )


def test_a_damaged_roster_is_no_reason_to_take_an_older_one(harness: Harness) -> None:
    harness.fetch()
    harness.source.replace_damaged()
    harness.collector.current = roster(99)
    assert "an older roster never replaces a newer one" in harness.refused()
    harness.collector.current = roster(100)
    assert harness.fetch() == [RosterStored(100, 5)], "what was wanted anew still is"


def test_a_collector_that_stays_away_is_told_once_however_the_system_says_so(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = iter(
        f"Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7fc687a{n}>: no route to host')"
        for n in range(3)
    )

    def refuse(_limit_s: float) -> object:
        raise OSError(next(away))

    monkeypatch.setattr("fabgate.gate.roster.http_session.session", refuse)
    assert "urllib3.connection.HTTPConnection: no route" in harness.refused()
    assert harness.fetch() == harness.fetch() == []
