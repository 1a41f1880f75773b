"""Blocking a member by command: every roster refuses them, and the gates are told."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.collector.cli import people
from fabgate.collector.ground.models import Block, Gate, Machine, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks
from fabgate.collector.recording.broker import announcing
from fabgate.errors import UsageError
from fabgate.gate.panel import messages
from tests.collector.members.people.lists import write
from tests.collector.rosters import add, fetch, served

pytestmark = pytest.mark.usefixtures("env")


@pytest.fixture
def workshop(env, told, tmp_path):
    add("laser-1", "laser")
    add("saw-1", "saw")
    people.import_members(
        argparse.Namespace(
            file=str(write(tmp_path / "m.csv", "m-1,Ada Lovelace,04A1B2C3,,,,laser; saw", "m-2,Bob,04A1B2C4,,,,laser")),
            dates="",
            plans_from=None,
            sure=False,
            new=None,
        )
    )
    told.clear()
    return tmp_path / "m.csv"


def said(member: str = "m-1", reason: str = "payment-due", until: object = None) -> argparse.Namespace:
    return argparse.Namespace(id=member, reason=reason, until=str(until) if until else None, actor="eve")


def sides(gate: str) -> tuple[list[str], dict[str | None, list[str]]]:
    found = served(Gate.objects.get(name=gate))
    return [member.id for member in found.members], {r.id: r.reasons for r in found.refusals}


def test_a_blocked_member_is_among_the_refusals_of_every_roster_with_every_reason(workshop, told, capsys):
    before = {gate.name: gate.roster_version for gate in Gate.objects.all()}
    assert people.block(said()) == 0
    assert sides("laser-1") == (["m-2"], {"m-1": ["payment-due"]})
    assert sides("saw-1") == ([], {"m-1": ["payment-due"], "m-2": ["training-missing"]})
    assert [nudge.topic for nudge in told] == [f"fabgate/v1/lyon/{gate}/roster" for gate in ("laser-1", "saw-1")]
    for nudge, gate in zip(told, ("laser-1", "saw-1"), strict=True):
        assert wire.decode(nudge.body, wire.RosterNudge).version > before[gate]
    assert "m-1 (Ada Lovelace) is blocked: payment-due; laser-1, saw-1 notified" in capsys.readouterr().out
    people.block(said("m-2", "banned"))
    assert sides("saw-1")[1]["m-2"] == ["banned", "training-missing"]


def test_unblocking_lifts_every_reason_and_keeps_who_did_what(workshop):
    people.block(said())
    people.block(said(reason="banned"))
    assert blocks.reasons(Member.objects.get(id="m-1")) == ["payment-due", "banned"]
    people.unblock(said())
    assert sides("laser-1") == (["m-1", "m-2"], {})
    assert [(b.reason, b.actor, b.lifted_by) for b in Block.objects.order_by("id")] == [
        ("payment-due", "cli:eve", "cli:eve"),
        ("banned", "cli:eve", "cli:eve"),
    ]
    with pytest.raises(UsageError, match="is not blocked"):
        people.unblock(said())


def test_the_same_reason_again_changes_until_when(workshop):
    people.block(said())
    until = blocks.today() + timedelta(days=3)
    people.block(said(until=until))
    assert Block.objects.get().until == until


def test_a_block_ends_on_its_day_when_the_gate_asks_next(env, workshop, monkeypatch):
    day = blocks.today() + timedelta(days=3)
    people.block(said(until=day))
    etag = fetch(env).headers["ETag"]
    assert fetch(env, **{"If-None-Match": etag}).status_code == 304
    Block.objects.update(until=blocks.today())
    answer = fetch(env, **{"If-None-Match": etag})
    assert [member.id for member in wire.decode(answer.content, wire.Roster).members] == ["m-1", "m-2"]
    assert Block.objects.get().lifted_by == "its day came"
    assert blocks.lift_ended() == []


def test_importing_members_again_lifts_no_block(workshop):
    people.block(said())
    people.import_members(argparse.Namespace(file=str(workshop), dates="", plans_from=None, sure=False, new=None))
    assert sides("laser-1")[1] == {"m-1": ["payment-due"]}


def test_a_blocked_member_without_a_badge_is_named_so_that_the_guard_sees_nobody_vanish(workshop):
    Member.objects.create(id="m-3").machines.add(Machine.objects.get(name="laser"))
    roster.rebuild()
    people.block(said("m-3"))
    assert sides("laser-1")[1] == {"m-3": ["payment-due"]}


def test_a_block_holds_although_no_broker_answers(workshop, monkeypatch, capsys):
    monkeypatch.setattr(announcing, "announce", lambda *_args: False)
    people.block(said())
    assert sides("laser-1")[1] == {"m-1": ["payment-due"]}
    assert "at their next roster request" in capsys.readouterr().out


def test_a_reason_that_no_display_has_a_number_for_is_refused_and_the_others_are_named(workshop):
    with pytest.raises(UsageError) as caught:
        people.block(said(reason="foo"))
    known = "payment-due, no-credit, suspended, banned, no-access"
    assert (caught.value.exit_code, str(caught.value)) == (2, f"--reason: found 'foo', wanted one of {known}")
    with pytest.raises(UsageError, match=f"wanted one of {known}; did you mean banned[?]"):
        people.block(said(reason="baned"))
    assert not Block.objects.exists()
    for reason in known.split(", "):
        people.block(said(reason=reason))
    assert blocks.reasons(Member.objects.get(id="m-1")) == known.split(", ")
    assert set(known.split(", ")) < messages.REFERENCES.keys()


def test_the_reference_names_every_reason():
    page = Path(__file__).parents[4] / "docs" / "reference.md"
    (line,) = (line for line in page.read_text("utf-8").splitlines() if "collector member-block ID" in line)
    assert re.findall("`([a-z-]+)`", line) == [reason for reason, _label in Block.REASONS]


def test_every_mistake_is_named_and_nothing_is_blocked(workshop):
    with pytest.raises(UsageError) as caught:
        people.block(said("m1", "Payment due", "soon"))
    assert [line.split(";")[0].split(",")[0] for line in str(caught.value).splitlines()] == [
        "--reason: found 'Payment due'",
        "--until: found 'soon'",
        "found no member 'm1'",
    ]
    assert "did you mean m-1?" in str(caught.value)
    with pytest.raises(UsageError, match="a later day than today"):
        people.block(said(until=blocks.today()))
    assert not Block.objects.exists()
