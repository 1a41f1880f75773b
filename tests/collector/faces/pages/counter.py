"""A small workshop seen from its desk: a laser and a saw with a gate each, a training for either, and three people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.messages import get_messages

from fabgate import badge, wire
from fabgate.collector.ground.models import Badge, Gate, Grant, Journal, Machine, Member, Refusal, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.people.badges import Card
from fabgate.collector.members.people.blocks import today

ADA, ZOE, NEW = "0401B2C3D4E580", "0402B2C3D4E580", "04AABBCCDDEEFF"


def furnish() -> None:
    """Make them, and let every gate fetch its roster."""
    now = datetime.now(UTC)
    for name in ("laser", "saw"):
        machine = Machine.objects.create(name=name, title=name.title())
        Gate.objects.create(name=f"{name}-1", machine=machine, online=True, seen_at=now)
        Journal.objects.create(name=f"j-{name}", gate=Gate.objects.get(name=f"{name}-1"))
        Training.objects.create(name=name, title=f"{name.title()} training").machines.add(machine)
    for pk, name, spelling in (("m-1", "Ada Lovelace", ADA), ("m-2", "Zoé Müller-Østergård", ZOE)):
        Member.objects.create(id=pk, name=name, email=f"{pk}@example.org", category="adult")
        card = Card.spelled(badge.parse(spelling))
        Badge.objects.create(spelling=spelling, digest=card.digest, member_id=pk, number=f"1{pk[-1]}", since=now)
    Member.objects.create(id="m-3", name="Élise Noël", minor=True)
    roster.rebuild()
    fetched()


def fetched() -> None:
    """Let every gate fetch what was built for it."""
    for gate in Gate.objects.all():
        Gate.objects.filter(pk=gate.pk).update(reported_roster=gate.roster_version)


def served(gate: str) -> wire.Roster:
    """Return what a gate is served."""
    return wire.decode(bytes(Gate.objects.get(name=gate).roster), wire.Roster)


def admitted(gate: str) -> set[str]:
    """Return whom a gate lets in."""
    return {member.id for member in served(gate).members}


def refused(gate: str) -> dict[str, list[str]]:
    """Return whom a gate refuses, and why."""
    return {refusal.id or refusal.badges[0]: refusal.reasons for refusal in served(gate).refusals}


def trained(member: str, training: str = "laser", **more: Any) -> Grant:
    """Let somebody hold a training."""
    said = {"stage": "autonomous", "since": today() - timedelta(days=30), "trainer": "maya", **more}
    found = Grant.objects.create(member_id=member, training=Training.objects.get(name=training), **said)
    roster.rebuild()
    fetched()
    return found


def tapped(
    spelling: str, gate: str = "laser-1", member: str = "", reasons: tuple[str, ...] = ("unknown-badge",)
) -> str:
    """Let a gate refuse a badge; return its digest."""
    found = Gate.objects.get(name=gate)
    digest = Card.spelled(badge.parse(spelling)).digest
    now, seq = datetime.now(UTC), 1 + Refusal.objects.count()
    said = {"member": member, "badge": digest, "reasons": list(reasons), "at": now, "seen_at": now}
    Refusal.objects.create(gate=found, machine=found.machine, journal=Journal.objects.get(gate=found), seq=seq, **said)
    return digest


def said(response: Any) -> str:
    """Return what the next page will say of what was done."""
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def text(response: Any) -> str:
    """Return a page as it came."""
    return response.content.decode()
