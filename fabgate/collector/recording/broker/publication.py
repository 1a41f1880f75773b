"""Retained messages that the collector publishes to a gate."""

from __future__ import annotations

from dataclasses import dataclass

from fabgate import wire
from fabgate.collector.ground.models import Gate


@dataclass(frozen=True, slots=True)
class Publication:
    """A retained message to a gate."""

    topic: str
    body: bytes


def nudge(site: str, gate: Gate) -> Publication:
    """Return the message that announces a gate's newest roster version."""
    topics = wire.GateTopics(site, gate.name)
    return Publication(topics.topic("roster"), wire.encode(wire.RosterNudge(version=gate.roster_version)))
