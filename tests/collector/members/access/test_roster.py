from __future__ import annotations

import argparse
import gzip
import json
import re
import stat
import time
from datetime import date
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate import badge, wire
from fabgate.collector.cli import gates, machines
from fabgate.collector.ground.models import Badge, Collector, Gate, Machine, Member, RosterLimit
from fabgate.collector.members.access import roster
from fabgate.collector.recording.broker import announcing
from fabgate.errors import SealError, UsageError
from fabgate.seal import Keys
from tests.collector.rosters import NONCE, add, fetch, served, token

pytestmark = pytest.mark.usefixtures("env")

ADA = badge.parse("04A1B2C3")


def test_gate_add_makes_the_gates_files_readable_by_their_owner_only(env, capsys):
    add()
    found = json.loads(capsys.readouterr().out)
    for key in ("token_file", "gate_key_file", "badge_key_file"):
        assert stat.S_IMODE(Path(found[key]).stat().st_mode) == 0o600
    assert Keys.load(Path(found["badge_key_file"])) == Keys.load(env.badge_key_file)
    assert token(env) not in str(Gate.objects.values().get())


def test_gate_add_replaces_a_token_only_on_request(env, gate):
    old = token(env)
    with pytest.raises(UsageError, match="--new-token"):
        add()
    assert token(env) == old


def test_gate_add_names_every_wrong_name():
    with pytest.raises(UsageError) as caught:
        add("collector", "Big Laser")
    assert len(str(caught.value).splitlines()) == 2


def test_a_roster_is_sealed_for_its_gate_and_for_the_nonce_that_was_sent(env, gate):
    answer = fetch(env)
    assert answer.status_code == 200
    keys = roster.gate_keys(env, "laser-1")
    seal = answer.headers[wire.HEADER_SEAL]
    keys.verify(seal, wire.PURPOSE_ROSTER, "lyon/laser-1", wire.sealed_roster(answer.content, NONCE))
    with pytest.raises(SealError):
        keys.verify(seal, wire.PURPOSE_ROSTER, "lyon/laser-1", wire.sealed_roster(answer.content, NONCE[::-1]))
    found = wire.decode(answer.content, wire.Roster)
    assert found.collector == Collector.get("lyon").collector, "so that its versions are compared with no other's"
    assert found.badge_key_mark == badge.key_mark(roster.badge_key(env))
    assert (found.site, found.gate, found.version, found.badge_key_id) == ("lyon", "laser-1", gate.roster_version, "b1")


def test_the_seal_covers_the_body_after_content_decoding(env, gate):
    answer = fetch(env, **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    body = gzip.decompress(answer.content)
    roster.gate_keys(env, "laser-1").verify(
        answer.headers[wire.HEADER_SEAL], wire.PURPOSE_ROSTER, "lyon/laser-1", wire.sealed_roster(body, NONCE)
    )


def test_an_unchanged_roster_is_a_304_whose_seal_covers_version_date_and_nonce(env, gate):
    answer = fetch(env, **{"If-None-Match": fetch(env).headers["ETag"]})
    assert (answer.status_code, answer.content) == (304, b"")
    roster.gate_keys(env, "laser-1").verify(
        answer.headers[wire.HEADER_SEAL],
        wire.PURPOSE_ROSTER_SAME,
        "lyon/laser-1",
        wire.sealed_same(gate.roster_version, answer.headers["Date"], NONCE),
    )
    roster.rebuild()
    assert fetch(env, **{"If-None-Match": answer.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("said", ["", "Bearer ", "Bearer wrong", "Basic eDp5"])
def test_without_the_gates_own_token_there_is_no_roster(env, gate, said):
    assert fetch(env, Authorization=said).status_code == 401


def test_gates_that_were_not_notified_are_named():
    one, two = Gate(name="laser-1"), Gate(name="saw-1")
    assert announcing.describe([one], is_announced=False) == "laser-1 will be updated at its next roster request"
    assert (
        announcing.describe([one, two], is_announced=False)
        == "laser-1, saw-1 will be updated at their next roster request"
    )


def test_a_gate_cannot_fetch_its_neighbours_roster(env, gate):
    add("saw")
    assert fetch(env, Authorization=f"Bearer {token(env, 'saw')}").status_code == 401


@pytest.mark.parametrize("nonce", ["", "short", "x" * 200, "0123456789abcde\u00e9"])
def test_without_a_usable_nonce_there_is_no_roster(env, gate, nonce):
    assert fetch(env, nonce=nonce).status_code == 400


def test_a_gate_without_keys_gets_an_error(env, gate):
    (env.gate_directory("laser-1") / "seal.keys").unlink()
    assert fetch(env).status_code == 503


def test_members_with_the_machine_are_members_and_others_are_refused_with_a_reason(env, gate):
    key = roster.badge_key(env)
    ada = Member.objects.create(id="m-1", name="Ada Lovelace", lang="fr", valid_until=date(2027, 3, 1))
    ada.machines.add(Machine.objects.get())
    Badge.objects.create(spelling=str(ADA), digest="under an old key", member=ada)
    bob = Member.objects.create(id="m-2", name="Bob")
    Badge.objects.create(spelling="04A1B2C4", digest="x", member=bob)
    Member.objects.create(id="m-3")
    roster.rebuild()
    found = served(gate)
    (member,) = found.members
    assert (member.id, member.name, member.lang, member.valid_until) == ("m-1", "Ada", "fr", "2027-03-01")
    assert member.badges == [badge.digest(ADA, key)]
    refused = [(refusal.id, len(refusal.badges), refusal.reasons) for refusal in found.refusals]
    assert refused == [("m-2", 1, ["training-missing"]), ("m-3", 0, ["training-missing"])]


def test_no_address_of_a_member_reaches_a_gate(env, gate):
    for number, opened in enumerate(([Machine.objects.get()], [])):
        member = Member.objects.create(id=f"m-{number}", name="Ada", email=f"ada-{number}@example.org")
        member.machines.set(opened)
    roster.rebuild()
    gate.refresh_from_db()
    assert b"m-0" in bytes(gate.roster)
    assert b"m-1" in bytes(gate.roster)
    assert b"example.org" not in bytes(gate.roster)


def test_a_version_rises_with_every_build_above_what_the_gate_reported_and_the_clock(gate):
    first = gate.roster_version
    assert abs(first - time.time() * 1000) < 60_000
    Gate.objects.update(reported_roster=first + 10**9)
    (built,) = roster.rebuild()
    assert built.roster_version == first + 10**9 + 1
    assert roster.rebuild()[0].roster_version == first + 10**9 + 2


def test_a_lock_is_in_every_roster_until_it_is_lifted_by_its_id(env, gate, told):
    Gate.objects.update(online=True, boot="boot-7")
    arguments = argparse.Namespace(
        gate="laser-1", when="now", reason="belt broken", back="2059-03-14", actor="eve", lock=None, json=False
    )
    machines.lock(arguments)
    lock = served(gate).machine.lock
    assert lock is not None
    assert (lock.when, lock.reason, lock.back) == ("now", "belt broken", "2059-03-14")
    command, nudge = told
    assert (nudge.topic, nudge.retain) == ("fabgate/v1/lyon/laser-1/roster", True)
    assert wire.decode(nudge.body, wire.RosterNudge).version == gate.roster_version
    roster.gate_keys(env, "laser-1").verify(command.seal, wire.PURPOSE_COMMAND, "lyon/laser-1", command.body)
    order = wire.decode(command.body, wire.Command)
    assert order.collector == Collector.get("lyon").collector
    assert (order.verb, order.boot, order.actor, order.lock) == ("lock", "boot-7", "cli:eve", lock)
    assert (order.roster, command.retain, command.expiry_s) == (gate.roster_version, False, 60)
    machines.unlock(arguments)
    rules = served(gate).machine
    assert (rules.lock, rules.lifted) == (None, [lock.id])
    with pytest.raises(UsageError, match="is not locked"):
        machines.unlock(arguments)


def test_a_lock_holds_although_no_broker_answers(gate, capsys):
    machines.lock(argparse.Namespace(gate="laser-1", when="idle", reason="x", back=None, actor=None, json=False))
    assert served(gate).machine.lock is not None
    assert "at its next roster request" in capsys.readouterr().out


def test_locking_an_unknown_gate_names_the_known_ones(gate):
    with pytest.raises(UsageError, match="wanted one of: laser-1"):
        machines.lock(argparse.Namespace(gate="lasser", when="idle", reason="x", back=None, actor=None, json=False))


def test_gates_lists_each_gate(gate, capsys):
    capsys.readouterr()
    gates.show(argparse.Namespace(json=False))
    head, row = (re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()[-2:])
    assert dict(zip(head, row, strict=True)) == {
        "gate": "laser-1",
        "machine": "laser",
        "heard": "not heard yet",
        "entries": "none yet",
        "roster": "not fetched yet",
    }


def test_the_limit_of_each_served_roster_is_kept(env):
    rules = {"limit_s": 3600, "max_s": 7200, "finish_max_s": 600, "run_on_s": 30}
    machine = Machine.objects.create(name="laser", rules=rules)
    gate = Gate.objects.create(name="laser-1", machine=machine)
    (built,) = roster.rebuild()
    machine.rules = {**rules, "max_s": 10_000, "finish": "cut"}
    machine.save()
    (later,) = roster.rebuild()
    limits = RosterLimit.objects.filter(gate=gate).order_by("version").values_list("version", "longest_s")
    assert list(limits) == [(built.roster_version, 7_830), (later.roster_version, 10_030)]


def test_another_gate_needs_no_further_query_for_the_collectors_id(env, gate):
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            roster.plan(Gate.objects.select_related("machine"))
        return sum("collector_collector" in query["sql"] for query in queries)

    first = asked()
    add("laser-2", "laser")
    assert asked() == first
