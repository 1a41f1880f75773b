"""What ``gates`` says of each gate, in words."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from fabgate import wire
from fabgate.collector.access import roster
from fabgate.collector.cli import gates
from fabgate.collector.intake.store import Store
from fabgate.collector.machines import enrol_gate, locks, presets
from fabgate.collector.models import Change, Gate, Machine
from fabgate.errors import SealError, UsageError
from fabgate.gate.roster.locks import Locks
from fabgate.seal import Keys
from tests.collector.access.test_roster import (
    add,
    env,  # noqa: F401 (fixtures)
    gate,  # noqa: F401 (fixtures)
    token,
    told,  # noqa: F401 (fixtures)
)
from tests.collector.gates import Journal

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
    lock, _gates = locks.lock_machine(Machine.objects.get(name=machine), "idle", reason, "", actor="eve")
    return lock


def hears(kept: Locks, env, name: str = "laser-1") -> Locks:  # noqa: F811
    """Let a gate fetch its roster, as it does; return the locks that it keeps by then."""
    said = {"Authorization": f"Bearer {token(env, name)}", wire.HEADER_NONCE: "0123456789abcdef"}
    answer = Client().get(f"/api/v1/gates/{name}/roster", headers=said)
    assert answer.status_code == 200
    served = wire.decode(answer.content, wire.Roster)
    store(Journal(gate=name).status(roster=wire.RosterInfo(version=served.version)))
    return kept.by_roster(served.machine, served.version)


def let_in_again(machine: str) -> None:
    enrol_gate.enrol("laser-1", machine, actor="eve", new_token=True)


def test_the_lock_of_the_machine_before_falls_when_its_gate_is_let_in_beside_another_one(env, gate):  # noqa: F811
    add("saw-1", "saw")
    lock = locked("laser")
    kept = hears(Locks(), env)
    assert kept.locks == (lock,)
    let_in_again("saw")
    assert hears(kept, env).locks == ()
    assert Machine.objects.get(name="laser").lock == lock


def test_the_lock_of_the_machine_beside_which_a_gate_stands_now_holds_it(env, gate):  # noqa: F811
    add("saw-1", "saw")
    first, second = locked("laser"), locked("saw", "Blade is bent")
    kept = hears(hears(Locks(), env), env)
    let_in_again("saw")
    kept = hears(kept, env)
    assert kept.locks == (second,)
    # And back: what is locked there still is, although the saw has named it as taken off.
    let_in_again("laser")
    assert hears(kept, env).locks == (first,)
    assert hears(hears(Locks(), env, "saw-1"), env, "saw-1").locks == (second,)


def test_a_lock_that_fell_while_the_gate_was_away_falls_beside_another_machine_too(env, gate):  # noqa: F811
    add("saw-1", "saw")
    locked("laser")
    kept = hears(Locks(), env)
    locks.unlock_machine(Machine.objects.get(name="laser"), None, actor="eve")
    let_in_again("saw")
    let_in_again("mill")
    assert hears(kept, env).locks == ()


# --- stolen, or copied ------------------------------------------------------------------------------------------------


def card_of(env, name: str = "laser-1") -> dict[str, str]:  # noqa: F811
    """Copy what stands on a gate's card."""
    return {file: (env.gate_directory(name) / file).read_text() for file in enrol_gate.EnrolledGate.FILES}


def test_a_gate_that_is_let_in_again_shares_no_secret_of_its_own_with_the_card_of_before(env, gate):  # noqa: F811
    before = card_of(env)
    let_in_again("laser")
    after = card_of(env)
    assert after["token"] != before["token"]
    old, new = (Keys.parse(card["seal.keys"]).by_id for card in (before, after))
    assert not set(old) & set(new)
    assert not set(old.values()) & set(new.values())
    assert after["badge.keys"] == before["badge.keys"]


def test_the_card_of_before_neither_opens_a_roster_nor_seals_one_that_the_new_card_believes(env, gate):  # noqa: F811
    before = card_of(env)
    let_in_again("laser")
    nonce = "0123456789abcdef"
    said = {"Authorization": f"Bearer {before['token'].strip()}", wire.HEADER_NONCE: nonce}
    assert Client().get("/api/v1/gates/laser-1/roster", headers=said).status_code == 401
    said["Authorization"] = f"Bearer {token(env)}"
    answer = Client().get("/api/v1/gates/laser-1/roster", headers=said)
    own, thiefs = (Keys.parse(card["seal.keys"]) for card in (card_of(env), before))
    covered = wire.sealed_roster(answer.content, nonce)
    own.verify(answer.headers[wire.HEADER_SEAL], wire.PURPOSE_ROSTER, "lyon/laser-1", covered)
    with pytest.raises(SealError):
        own.verify(
            thiefs.seal(wire.PURPOSE_COMMAND, "lyon/laser-1", b"{}"), wire.PURPOSE_COMMAND, "lyon/laser-1", b"{}"
        )


def test_a_gate_that_still_has_the_old_files_is_told_which_to_copy(env, gate):  # noqa: F811
    old = Keys.parse(card_of(env)["seal.keys"])
    let_in_again("laser")
    with pytest.raises(
        SealError, match=r"is sealed with the key 's-[0-9a-f]{8}', but the known keys are .*: copy the newest key file"
    ):
        old.verify(
            roster.gate_keys(env, "laser-1").seal(wire.PURPOSE_COMMAND, "lyon/laser-1", b"{}"),
            wire.PURPOSE_COMMAND,
            "lyon/laser-1",
            b"{}",
        )


def test_until_a_gate_has_its_new_files_the_list_shows_that_it_knows_an_older_roster(show, env):  # noqa: F811
    store(Journal().status(roster=wire.RosterInfo(version=Gate.objects.get().roster_version)))
    assert show().roster == "newest"
    let_in_again("laser")
    assert show().roster == "an older one"
    hears(Locks(), env)
    assert show().roster == "newest"


def test_that_its_secrets_were_renewed_is_in_the_audit_log_without_them(env, gate):  # noqa: F811
    let_in_again("laser")
    first, second = Change.objects.filter(kind="gate").order_by("id")
    assert (first.verb, second.verb, second.actor, second.key) == ("gate.let-in", "gate.renewed", "eve", "laser-1")
    assert not any(text.strip() in str(vars(second)) for text in card_of(env).values())


def test_whoever_renews_them_is_told_that_the_broker_has_a_password_of_its_own(env, gate, capsys):  # noqa: F811
    again = argparse.Namespace(
        name="laser-1", machine="laser", rules=[], title=None, preset=None, new_token=True, emulated=False, json=True
    )
    capsys.readouterr()
    gates.add(again)
    said = capsys.readouterr()
    assert json.loads(said.out)["broker_account"] == "lyon/laser-1"
    assert "old password of lyon/laser-1" in said.err
    add("saw-1", "saw")
    assert capsys.readouterr().err == ""


def test_what_a_gate_said_of_itself_stays_when_it_gets_a_new_token(env, gate):  # noqa: F811
    store(Journal().status(roster=wire.RosterInfo(version=7)))
    let_in_again("laser")
    found = Gate.objects.get(name="laser-1")
    assert (found.online, found.reported_roster) == (True, 7)


# --- with the machine's rules -----------------------------------------------------------------------------------------


def gate_add(*rules: str, name: str = "laser-1", machine: str = "laser", **options: Any) -> int:
    said = {"title": None, "preset": None, "json": False, "new_token": False, "emulated": False, **options}
    return gates.add(argparse.Namespace(name=name, machine=machine, rules=list(rules), **said))


def test_a_gate_is_let_in_with_the_rules_of_its_machine_which_are_printed(env, capsys):  # noqa: F811
    assert gate_add("limit_s=7200", "mode=hold") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("machine_rules: ")]
    rules = dict(rule.split("=") for rule in line.split()[1:])
    assert rules.items() >= {"limit_s": "7200", "mode": "hold", "max_s": "86400", "handover": "no"}.items()
    served = wire.decode(bytes(Gate.objects.get().roster), wire.Roster)
    assert (served.machine.limit_s, served.machine.mode) == (7200, "hold")
    change = Change.objects.get(verb="machine.added")
    assert change.after == {"name": "laser", "title": "Laser", "rules": {"limit_s": 7200, "mode": "hold"}}


def test_the_rules_that_are_printed_can_be_given_again(env, capsys):  # noqa: F811
    gate_add("limit_s=7200", "idle_off_s=600", "handover=yes")
    printed = capsys.readouterr().out.split("machine_rules: ")[1].splitlines()[0].split()
    gate_add(*printed, name="saw-1", machine="saw")
    laser, saw = Machine.objects.get(name="laser"), Machine.objects.get(name="saw")
    assert laser.wire_rules() == saw.wire_rules()


def test_a_limit_that_nobody_gave_is_not_silent(env, capsys):  # noqa: F811
    gate_add()
    out = capsys.readouterr().out
    assert "limit_s=14400" in out
    assert "These rules replace 'machine:' in the gate's gate.yaml" in out


def test_the_rules_of_a_machine_that_is_there_stay_and_those_that_are_named_change(env, capsys):  # noqa: F811
    gate_add("limit_s=7200")
    gate_add("warn_s=60", name="laser-2")
    assert Machine.objects.get().rules == {"limit_s": 7200, "warn_s": 60}
    assert "limit_s=7200" in capsys.readouterr().out
    first = Gate.objects.get(name="laser-1")
    assert wire.decode(bytes(first.roster), wire.Roster).machine.warn_s == 60
    assert Change.objects.filter(verb="machine.updated").get().after["rules"] == {"limit_s": 7200, "warn_s": 60}


def test_a_wrong_rule_lets_nobody_in_and_is_named_with_every_other_mistake(env):  # noqa: F811
    with pytest.raises(UsageError) as caught:
        gate_add("limit=7200", "warn_s=soon", name="Laser 1")
    assert len(str(caught.value).splitlines()) == 3
    assert not Gate.objects.exists()
    assert not Machine.objects.exists()


def test_json_has_the_rules_too(env, capsys):  # noqa: F811
    gate_add("limit_s=7200", json=True)
    found = json.loads(capsys.readouterr().out)["machine_rules"]
    assert (found["limit_s"], found["max_s"], found["handover"]) == (7200, 86_400, False)
    assert not {"lock", "lifted"} & found.keys()


def test_a_new_machine_gets_a_title_and_a_limit_of_hours(env):  # noqa: F811
    gate_add(machine="laser-2")
    found = Machine.objects.get()
    assert (found.title, found.rules) == ("Laser 2", {"limit_s": 4 * 3600})


def test_a_new_machine_gets_the_rules_of_its_preset_and_those_that_are_named(env):  # noqa: F811
    gate_add("limit_s=3600", title="Big saw", preset="saw", machine="saw")
    found = Machine.objects.get()
    assert (found.title, found.preset) == ("Big saw", "saw")
    assert found.rules == {**presets.PRESETS["saw"], "limit_s": 3600}
    assert wire.decode(bytes(Gate.objects.get().roster), wire.Roster).machine.mode == "hold"
    after = Change.objects.get(verb="machine.added").after
    assert (after["title"], after["preset"], after["rules"]["limit_s"]) == ("Big saw", "saw", 3600)


@pytest.mark.parametrize("option", [{"title": "Big laser"}, {"preset": "saw"}])
def test_title_and_preset_of_a_machine_that_exists_are_refused(env, option):  # noqa: F811
    gate_add()
    with pytest.raises(UsageError, match=r"wanted --title and --preset for a new one only; .* machine-set laser"):
        gate_add(name="laser-2", **option)
    assert Gate.objects.count() == 1
    assert Machine.objects.get().title == "Laser"
