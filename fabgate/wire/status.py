"""What do a gate and the collector say about themselves? The broker retains it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fabgate.wire.messages import Count, DurationMs, Id, JournalId, Message, Text

#: `status` is published at least this often: otherwise one lost ack would stall the stream for ever.
HEARTBEAT_S: Final = 60


class RosterInfo(Message, frozen=True, kw_only=True):
    """The roster in force on the gate."""

    version: Count
    age_s: Count | None = None
    stale: bool = False
    #: ``file``, or ``collector:`` and the id of the collector that made it.
    source: Text


class Status(Message, frozen=True, kw_only=True):
    """Retained on ``…/status``, published every 60 s; the last will is the offline form."""

    online: bool
    version: str | None = None
    boot: Id | None = None
    journal: JournalId | None = None
    floor: Count = 1
    head: Count = 0
    mark: Count = 0
    hash: Text | None = None
    collector: Text | None = None
    roster: RosterInfo | None = None
    synced: bool = False
    reader: Text | None = None
    #: False for a reader that only sends: the gate could not notice that it was unplugged.
    reader_supervised: bool = True
    #: Whether an input or a meter reports that the machine works; absent from a gate that is offline.
    senses_work: bool | None = None
    problems: list[str] = []
    #: The authorities by which it knows collector and broker: the SHA-256 of each certificate, as hex.
    authorities: list[Text] = []


class State(Message, frozen=True, kw_only=True):
    """Retained on ``…/state``, published every 60 s: what the machine does now.

    For billing only the counters of entries count.
    """

    state: Text
    causes: list[str] = []
    session: Id | None = None
    member: Text | None = None
    since: datetime | None = None
    energised_ms: DurationMs = 0
    running_ms: DurationMs = 0


class CollectorStatus(Message, frozen=True, kw_only=True):
    """Retained on ``…/collector/status``; the last will is the offline form.

    `trouble` says why nothing is stored now, so that no entry is acknowledged; `refused` names the gates whose messages are
    not read for a while, because they send more than a gate may.
    """

    online: bool
    collector: str
    trouble: str = ""
    refused: list[str] = []
