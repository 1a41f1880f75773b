"""What ``gates`` says of each gate, in words."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from fabgate import wire
from fabgate.collector import gates, locks, roster
from fabgate.collector.models import Gate, Machine
from fabgate.collector.store import Store
from fabgate.gate.locks import Locked

from .gates import Journal
from .test_roster import add, env, gate, token, told  # noqa: F401 (fixtures)

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def fresh(monkeypatch) -> None:
    """This file may have been read minutes ago: by then every gate would be silent."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC))


@dataclass
class Shown:
    heard: str
    entries: str
    roster: str
    notes: str


@pytest.fixture
def show(gate, capsys):  # noqa: F811
    def shown() -> Shown:
        capsys.readouterr()
        gates.show(argparse.Namespace(json=False))
        cells = [*re.split(r"  +", capsys.readouterr().out.splitlines()[1]), ""]
        assert cells[:2] == ["laser-1", "laser"]
        return Shown(*cells[2:6])

    return shown


@pytest.fixture
def journal() -> Journal:
    written = Journal()
    for _ in range(4):
        written.write("gate.stopping", reason="x")
    return written


def store(*messages: object, at: datetime | None = None) -> None:
    Store("lyon").store(list(messages), at or NOW)


def test_of_a_gate_that_never_spoke_nothing_is_known(show):
    assert show() == Shown("not heard yet", "none yet", "not fetched yet", "")


def test_what_arrived_after_the_gate_said_how_far_it_has_written_was_written_too(show, journal, capsys):
    store(journal.status(head=2), *journal.messages())
    assert show().entries == "all 4 stored"
    gates.show(argparse.Namespace(json=True))
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["stored"], row["head"]) == (4, 4)


def test_entries_that_wait_at_the_gate_are_told(show, journal):
    store(journal.status(head=9), *journal.messages())
    assert show().entries == "4 of 9 stored"


def test_online_is_a_gate_that_spoke_just_now(show, journal):
    store(journal.status())
    assert show().heard == "online"
    Gate.objects.update(seen_at=NOW - timedelta(minutes=5))
    assert show().heard == f"last heard {NOW - timedelta(minutes=5):%Y-%m-%d %H:%M}"


def test_a_gate_is_offline_since_it_went_and_not_since_the_broker_repeats_it(show, journal):
    gone = NOW - timedelta(days=2)
    store(journal.status(), at=gone - timedelta(hours=1))
    store(journal.status(online=False, journal=None), at=gone)
    store(journal.state(state="idle"), journal.status(online=False, journal=None), at=NOW)
    assert show().heard == f"offline since {gone:%Y-%m-%d %H:%M}"


def test_the_roster_is_the_newest_or_an_older_one(show, journal):
    (built,) = roster.rebuild()
    store(journal.status(roster=wire.RosterInfo(version=built.roster_version)))
    assert show().roster == "newest"
    roster.rebuild()
    assert show().roster == "an older one"


def test_a_gate_without_a_machine_has_no_roster(env, capsys):  # noqa: F811
    Gate.objects.create(name="new")
    gates.show(argparse.Namespace(json=False))
    row = re.split(r"  +", capsys.readouterr().out.splitlines()[1])
    assert row == ["new", "none", "not heard yet", "none yet", "none without a machine"]


def test_what_is_wrong_stands_behind(show, journal):
    store(journal.message(3), journal.status(floor=3))
    Machine.objects.update(lock_id="x", lock_when="now", lock_reason="x")
    assert show().notes == "locked, 2 lost"


def test_no_gate_yet_says_what_to_do(env, capsys):  # noqa: F811
    gates.show(argparse.Namespace(json=False))
    assert "fabgate collector gate-add NAME" in capsys.readouterr().out


# --- let in again, beside another machine -----------------------------------------------------------------------------


def locked(machine: str, reason: str = "Belt broken") -> wire.Lock:
    lock, _gates = locks.set_on(Machine.objects.get(name=machine), "idle", reason, "", actor="eve")
    return lock


def hears(kept: Locked, env, name: str = "laser-1") -> Locked:  # noqa: F811
    """Let a gate fetch its roster, as it does; return the locks that it keeps by then."""
    said = {"Authorization": f"Bearer {token(env, name)}", wire.HEADER_NONCE: "0123456789abcdef"}
    answer = Client().get(f"/api/v1/gates/{name}/roster", headers=said)
    assert answer.status_code == 200
    served = wire.decode(answer.content, wire.Roster)
    store(Journal(gate=name).status(roster=wire.RosterInfo(version=served.version)))
    return kept.by_roster(served.machine, served.version)


def let_in_again(machine: str) -> None:
    gates.let_in("laser-1", machine, actor="eve", new_token=True)


def test_the_lock_of_the_machine_before_falls_when_its_gate_is_let_in_beside_another_one(env, gate):  # noqa: F811
    add("saw-1", "saw")
    lock = locked("laser")
    kept = hears(Locked(), env)
    assert kept.locks == (lock,)
    let_in_again("saw")
    assert hears(kept, env).locks == ()
    assert Machine.objects.get(name="laser").lock == lock


def test_the_lock_of_the_machine_beside_which_a_gate_stands_now_holds_it(env, gate):  # noqa: F811
    add("saw-1", "saw")
    first, second = locked("laser"), locked("saw", "Blade is bent")
    kept = hears(hears(Locked(), env), env)
    let_in_again("saw")
    kept = hears(kept, env)
    assert kept.locks == (second,)
    # And back: what is locked there still is, although the saw has named it as taken off.
    let_in_again("laser")
    assert hears(kept, env).locks == (first,)
    assert hears(hears(Locked(), env, "saw-1"), env, "saw-1").locks == (second,)


def test_a_lock_that_fell_while_the_gate_was_away_falls_beside_another_machine_too(env, gate):  # noqa: F811
    add("saw-1", "saw")
    locked("laser")
    kept = hears(Locked(), env)
    locks.take_off(Machine.objects.get(name="laser"), None, actor="eve")
    let_in_again("saw")
    let_in_again("mill")
    assert hears(kept, env).locks == ()


def test_what_a_gate_said_of_itself_stays_when_it_gets_a_new_token(env, gate):  # noqa: F811
    store(Journal().status(roster=wire.RosterInfo(version=7)))
    let_in_again("laser")
    found = Gate.objects.get(name="laser-1")
    assert (found.online, found.reported_roster) == (True, 7)
