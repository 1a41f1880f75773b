"""The audit log: what was before and what is after, of what changed only, and never a secret."""

from __future__ import annotations

from datetime import date

import pytest

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Change, Gate, Group, Machine, Member, Pulse
from tests.collector.gates import NOON

pytestmark = pytest.mark.usefixtures("database")


def test_a_new_object_has_no_before_and_a_changed_one_only_what_changed():
    ada = Member(id="m-1", name="Ada")
    with audit.change("eve", "member.enrolled", ada):
        ada.save()
    with audit.change("eve", "member.updated", ada, reason="asked for it"):
        ada.name, ada.valid_until = "Ada L.", date(2027, 3, 1)
        ada.save()
    first, second = Change.objects.order_by("id")
    assert (first.before, first.after["name"], first.kind, first.key) == ({}, "Ada", "member", "m-1")
    assert second.before == {"name": "Ada", "valid_until": None}
    assert second.after == {"name": "Ada L.", "valid_until": "2027-03-01"}
    assert (second.actor, second.verb, second.reason) == ("eve", "member.updated", "asked for it")


def test_related_objects_are_logged_by_name():
    ada, saw = Member.objects.create(id="m-1"), Machine.objects.create(name="saw")
    group = Group.objects.create(name="5b", kind="class")
    with audit.change("eve", "member.updated", ada):
        ada.machines.add(saw)
    with audit.change("eve", "group.updated", group):
        group.members.add(ada)
    first, second = Change.objects.order_by("id")
    assert (first.before, first.after) == ({"machines": []}, {"machines": ["saw"]})
    assert (second.key, second.after) == ("5b", {"members": ["m-1"]})


def test_the_log_has_the_databases_values_and_not_the_callers():
    ada = Member.objects.create(id="m-1", name="Ada")
    ada.name = "Ada L."  # changed before, saved within
    with audit.change("eve", "member.updated", ada):
        ada.save()
    assert Change.objects.get().before == {"name": "Ada"}


def test_no_change_makes_no_entry():
    ada = Member.objects.create(id="m-1")
    with audit.change("eve", "member.updated", ada):
        ada.save()
    assert not Change.objects.exists()
    assert not Pulse.objects.exists()


def test_reports_of_a_gate_are_not_logged_as_a_persons_change():
    saw, lathe = Machine.objects.create(name="saw"), Machine.objects.create(name="lathe")
    gate = Gate(name="saw-1", machine=saw)
    with audit.change("eve", "gate.let-in", gate):
        gate.save()
    with audit.change("eve", "gate.moved", gate):
        Gate.objects.update(synced=False, problems=["reader: no answer"], state="active", seen_at=NOON)
        Gate.objects.update(machine=lathe)
    let_in, moved = Change.objects.order_by("id")
    assert (let_in.before, let_in.after) == ({}, {"id": gate.pk, "name": "saw-1", "machine": saw.pk})
    assert (moved.before, moved.after) == ({"machine": saw.pk}, {"machine": lathe.pk})


def test_a_secret_is_never_logged():
    gate = Gate(name="laser-1")
    with audit.change("eve", "gate.let-in", gate):
        gate.new_token()
        gate.save()
    told = Change.objects.get().after
    assert "token_hash" not in told
    assert gate.token_hash not in str(told)
    assert told["token_seal"] == audit.seals_of(gate)["token_seal"]
    with audit.change("eve", "gate.renewed", gate):
        gate.new_token()
        gate.save()
    renewed = Change.objects.order_by("id").last()
    assert (renewed.before, renewed.after) == ({"token_seal": told["token_seal"]}, audit.seals_of(gate))


def test_a_failed_change_leaves_no_entry():
    ada = Member.objects.create(id="m-1", name="Ada")

    def fail() -> None:
        with audit.change("eve", "member.updated", ada):
            ada.name = "Eve"
            ada.save()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    ada.refresh_from_db()
    assert ada.name == "Ada"
    assert not Change.objects.exists()


def test_something_that_changes_no_field_is_noted():
    ada = Member.objects.create(id="m-1")
    audit.record("eve", "member.exported", ada, reason="asked for a copy")
    assert [(c.verb, c.key, c.before, c.after) for c in Change.objects.all()] == [("member.exported", "m-1", {}, {})]
    assert Pulse.objects.get().topic == "change"


def test_of_many_objects_each_changed_one_has_an_entry_and_one_pulse_is_sent():
    ada, bob = Member.objects.create(id="m-1", name="Ada"), Member.objects.create(id="m-2", name="Bob")
    new, saw = Member(id="m-3", name="Eve"), Machine.objects.create(name="saw")
    with audit.changes("eve", "member.imported", [ada, bob, new], reason="a list"):
        Member.objects.filter(pk="m-1").update(name="Ada L.")
        new.save()
        new.machines.add(saw)
    first, second = Change.objects.order_by("id")
    assert (first.key, first.before, first.after) == ("m-1", {"name": "Ada"}, {"name": "Ada L."})
    assert (second.key, second.before, second.after["machines"]) == ("m-3", {}, ["saw"])
    assert {(row.kind, row.actor, row.reason) for row in (first, second)} == {("member", "eve", "a list")}
    assert [pulse.topic for pulse in Pulse.objects.all()] == ["change"]


def test_of_many_unchanged_objects_or_none_nothing_is_logged():
    with audit.changes("eve", "member.imported", [Member.objects.create(id="m-1")]):
        pass
    with audit.changes("eve", "member.imported", []):
        pass
    assert not Change.objects.exists()
    assert not Pulse.objects.exists()
