"""A gate is enrolled, again or at another machine: locks move with it, and secrets do not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from fabgate import wire
from fabgate.collector.ground.models import Change, Gate, Machine
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import enrol_gate, locks
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import SealError
from fabgate.gate.roster.locks import Locks
from fabgate.seal import Keys
from tests.collector.gates import Journal
from tests.collector.members.machines.enrolled import hears, let_in_again
from tests.collector.rosters import add, own_roster, token

pytestmark = pytest.mark.usefixtures("env")


# --- let in again, beside another machine -----------------------------------------------------------------------------


def locked(machine: str, reason: str = "Belt broken") -> wire.Lock:
    lock, _gates = locks.lock_machine(Machine.objects.get(name=machine), "idle", reason, "", actor="eve")
    return lock


def test_the_lock_of_the_machine_before_falls_when_its_gate_is_let_in_beside_another_one(env, gate):
    add("saw-1", "saw")
    lock = locked("laser")
    kept = hears(Locks(), env)
    assert kept.locks == (lock,)
    let_in_again("saw")
    assert hears(kept, env).locks == ()
    assert Machine.objects.get(name="laser").lock == lock


def test_the_lock_of_the_machine_beside_which_a_gate_stands_now_holds_it(env, gate):
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


def test_a_lock_that_fell_while_the_gate_was_away_falls_beside_another_machine_too(env, gate):
    add("saw-1", "saw")
    locked("laser")
    kept = hears(Locks(), env)
    locks.unlock_machine(Machine.objects.get(name="laser"), None, actor="eve")
    let_in_again("saw")
    let_in_again("mill")
    assert hears(kept, env).locks == ()


# --- stolen, or copied ------------------------------------------------------------------------------------------------


def card_of(env, name: str = "laser-1") -> dict[str, str]:
    """Copy what stands on a gate's card."""
    return {file: (env.gate_directory(name) / file).read_text() for file in enrol_gate.EnrolledGate.FILES}


def test_a_gate_that_is_let_in_again_shares_no_secret_of_its_own_with_the_card_of_before(env, gate):
    before = card_of(env)
    let_in_again("laser")
    after = card_of(env)
    assert after["token"] != before["token"]
    old, new = (Keys.parse(card["seal.keys"]).by_id for card in (before, after))
    assert not set(old) & set(new)
    assert not set(old.values()) & set(new.values())
    assert after["badge.keys"] == before["badge.keys"]


def test_the_card_of_before_neither_opens_a_roster_nor_seals_one_that_the_new_card_believes(env, gate):
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


def test_a_gate_that_still_has_the_old_files_is_told_which_to_copy(env, gate):
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


def test_that_its_secrets_were_renewed_is_in_the_audit_log_without_them(env, gate):
    let_in_again("laser")
    first, second = Change.objects.filter(kind="gate").order_by("id")
    assert (first.verb, second.verb, second.actor, second.key) == ("gate.let-in", "gate.renewed", "eve", "laser-1")
    assert not any(text.strip() in str(vars(second)) for text in card_of(env).values())


def test_what_a_gate_said_of_itself_stays_when_it_gets_a_new_token(env, gate):
    Store("lyon").store([Journal().status(roster=own_roster(version=7))], datetime.now(UTC))
    let_in_again("laser")
    found = Gate.objects.get(name="laser-1")
    assert (found.online, found.reported_roster) == (True, 7)
