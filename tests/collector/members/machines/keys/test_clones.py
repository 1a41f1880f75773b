"""Does a second device with the keys of a gate show itself, and is a gate alone never called one?"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fabgate import wire
from fabgate.collector.ground.models import FetchingBoot, FormerToken, Gate, Pulse
from fabgate.collector.members.machines.keys import clones, revoke_gate
from fabgate.collector.members.machines.keys.clones import Found
from tests.collector.rosters import NONCE, add, fetch, token

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GATE, COPY = "192.168.1.20", "192.168.1.66"

pytestmark = pytest.mark.usefixtures("env")


def boots(gate: Gate, *fetches: tuple[float, str], address: str = GATE) -> Found:
    """Let boots fetch, each given as (minutes after noon, boot), and return what was found."""
    for minutes, boot in fetches:
        clones.fetched(gate, boot, address, NOON + minutes * MINUTE)
    return found(gate)


def found(gate: Gate) -> Found:
    return clones.of([gate])[gate.pk]


def returned(found: Found) -> list[str]:
    return [row.boot for row in found.returned]


# --- a boot that returns ----------------------------------------------------------------------------------------------


def test_a_gate_that_starts_again_and_again_is_no_clone(gate):
    of = boots(gate, *((hour * 60, f"boot-{hour // 5}") for hour in range(60)))
    assert (of.is_cloned, of.uses_its_keys) == (False, True)


def test_a_copy_beside_its_original_is_found_and_named_with_both_addresses(gate, caplog):
    boots(gate, (0, "a"), (1, "a"))
    boots(gate, (2, "b"), address=COPY)
    boots(gate, *((minute, "a") for minute in range(3, 13)))
    of = found(gate)
    assert returned(of) == ["a"]
    assert of.newest is not None
    assert (of.returned[0].address, of.newest.address) == (GATE, COPY)
    assert of.returned[0].returned_at == NOON + 12 * MINUTE
    assert f"clone: two devices use the keys of laser-1: one at {GATE}, one at {COPY}" in caplog.text
    assert list(Pulse.objects.filter(topic=Pulse.FLOOR).values_list("gate", flat=True)) == ["laser-1"]


def test_one_request_of_a_copy_is_enough(gate):
    boots(gate, (0, "a"))
    boots(gate, (1, "b"), address=COPY)
    assert boots(gate, (600, "a")).is_cloned


def test_a_request_from_before_a_restart_may_arrive_late(gate):
    assert not boots(gate, (0, "a"), (2, "b"), (2.1, "a"), (3, "b"), (11.9, "a"), (60, "b")).is_cloned
    assert boots(gate, (12, "a")).is_cloned, "ten minutes after the next boot began it is not late any more"


def test_a_gate_that_starts_again_hides_no_copy(gate):
    assert boots(gate, (0, "a"), (1, "b"), (15, "c"), (20, "a")).is_cloned, "the boot after it began 19 minutes ago"


def test_each_of_three_devices_counts(gate):
    of = boots(gate, (0, "a"), (1, "b"), (2, "c"), (20, "a"), (20, "b"), (20, "c"))
    assert returned(of) == ["a", "b"]
    assert of.newest is not None
    assert of.newest.boot == "c"


def test_a_clock_that_was_set_back_hides_no_copy(gate):
    boots(gate, (0, "a"), (1, "b"))
    assert boots(gate, (-60 * 24 * 365, "a")).is_cloned


def test_a_gate_that_names_no_boot_or_a_strange_one_is_not_noted(gate):
    assert not boots(gate, (0, ""), (1, "x" * 65), (2, "é"), (3, "a b"), (4, "a\n")).uses_its_keys
    assert not FetchingBoot.objects.exists()


def test_gates_are_told_apart(env, gate):
    add("saw-1", "saw")
    saw = Gate.objects.get(name="saw-1")
    boots(gate, (0, "a"))
    boots(saw, (1, "b"))
    assert not boots(gate, (60, "a")).is_cloned
    assert not boots(saw, (61, "a")).is_cloned


def test_most_requests_write_nothing(gate):
    boots(gate, (0, "a"))
    with CaptureQueriesContext(connection) as queries:
        clones.fetched(gate, "a", GATE, NOON + MINUTE / 2)
    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]
    assert FetchingBoot.objects.get().last_at == NOON
    boots(gate, (1, "a"))
    assert FetchingBoot.objects.get().last_at == NOON + MINUTE


def test_old_boots_are_forgotten_and_one_that_returned_stays(gate):
    boots(gate, (0, "a"), (1, "b"), (20, "a"))
    of = boots(gate, *((100 + minute, f"boot-{minute}") for minute in range(50)))
    assert returned(of) == ["a"]
    assert FetchingBoot.objects.count() == FetchingBoot.KEPT + 1


def test_what_cannot_be_noted_keeps_no_gate_from_its_roster(env, gate, monkeypatch, caplog):
    def fail(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(FetchingBoot.objects, "get_or_create", fail)
    assert fetch(env, **{wire.HEADER_BOOT: "a"}).status_code == 200
    assert "who uses the keys of laser-1 cannot be noted now: the disk is full" in caplog.text


# --- new keys ---------------------------------------------------------------------------------------------------------


def test_with_new_keys_boots_are_counted_anew(env, gate):
    assert boots(gate, (0, "a"), (1, "b"), (60, "a")).is_cloned
    add(new_token=True)
    assert (found(gate).is_cloned, found(gate).uses_its_keys) == (False, False)
    assert not boots(gate, (61, "a"), (62, "b")).is_cloned


def test_a_card_with_old_keys_is_refused_and_named(env, gate, caplog):
    old = token(env)
    add(new_token=True)
    gate.refresh_from_db()
    assert found(gate).former == []
    assert fetch(env, Authorization=f"Bearer {old}").status_code == 401
    (row,) = found(gate).former
    assert row.used_at is not None
    assert row.address == "127.0.0.1"
    assert "a device at 127.0.0.1 was refused: it has keys of laser-1 that are no longer valid" in caplog.text
    assert not found(gate).has_old_card(gate, row.used_at), "the gate itself waits for its new files"
    fetch(env, **{wire.HEADER_BOOT: "a"})
    assert found(gate).has_old_card(gate, row.used_at)
    assert not found(gate).has_old_card(gate, row.used_at + FormerToken.SHOWN)


def test_a_gate_that_was_cut_off_and_asks_again_is_named(env, gate):
    old = token(env)
    revoke_gate.revoke("laser-1", actor="cli:eve")
    gate.refresh_from_db()
    assert fetch(env, Authorization=f"Bearer {old}").status_code == 401
    assert found(gate).has_old_card(gate, datetime.now(UTC))
    revoke_gate.revoke("laser-1", actor="cli:eve")
    assert FormerToken.objects.count() == 1


@pytest.mark.parametrize("said", ["", "Bearer ", "Bearer wrong", "Basic eDp5"])
def test_a_token_that_no_gate_ever_had_is_nobodys_card(env, gate, said):
    add(new_token=True)
    fetch(env, Authorization=said)
    assert found(gate).former == []


def test_the_old_token_of_another_gate_is_not_this_gates(env, gate):
    add("saw-1", "saw")
    old = token(env, "saw-1")
    add("saw-1", "saw", new_token=True)
    fetch(env, Authorization=f"Bearer {old}")
    assert not FormerToken.objects.exclude(used_at=None).exists()


def test_refusals_of_one_device_are_noted_once_a_minute(env, gate, caplog):
    caplog.set_level(logging.WARNING)
    old = token(env)
    add(new_token=True)
    for seconds, address in ((0, COPY), (59, COPY), (59.5, GATE), (60, GATE), (120, GATE)):
        clones.refused("laser-1", old, address, NOON + timedelta(seconds=seconds))
    assert caplog.text.count("was refused") == 3


def test_only_so_many_former_tokens_are_kept(env, gate):
    for _ in range(FormerToken.KEPT + 2):
        add(new_token=True)
    assert FormerToken.objects.count() == FormerToken.KEPT


# --- what a request says ----------------------------------------------------------------------------------------------


def test_a_request_names_its_boot_and_where_it_came_from(env, gate):
    assert fetch(env, **{wire.HEADER_BOOT: "7e0c8a1e-0000-4000-8000-000000000001"}).status_code == 200
    row = FetchingBoot.objects.get()
    assert (row.gate, row.boot, row.address) == (gate, "7e0c8a1e-0000-4000-8000-000000000001", "127.0.0.1")


def test_a_gate_without_the_header_gets_its_roster(env, gate):
    assert fetch(env).status_code == 200
    assert not FetchingBoot.objects.exists()


def test_a_wrong_token_names_no_boot(env, gate):
    headers: dict[str, Any] = {"Authorization": "Bearer wrong", wire.HEADER_NONCE: NONCE, wire.HEADER_BOOT: "a"}
    assert Client().get("/api/v1/gates/laser-1/roster", headers=headers).status_code == 401
    assert not FetchingBoot.objects.exists()
