"""Stores received messages, and returns what to publish. Nothing is acknowledged before its COMMIT.

``Store`` needs no broker. Several stores may use one database: acknowledgements are always computed from it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from fabgate import seal, wire
from fabgate.collector.ground.models import Collector, Gate, Journal
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.broker.publication import Publication, nudge
from fabgate.collector.recording.entries import decode
from fabgate.collector.recording.entries.decode import InvalidMessage
from fabgate.collector.recording.intake import batch

log = logging.getLogger(__name__)

#: An entry beyond a gap moves no ack. One ack a second is enough to show that.
GAP_ACK_EVERY = timedelta(seconds=1)


class Store:
    """Stores batches of messages of one site."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.collector = Collector.get(site).collector
        self._acked_gap_at: dict[str, datetime] = {}

    def store(self, messages: Sequence[Received], now: datetime) -> list[Publication]:
        """Store `messages` in one transaction, each once; return the acks that are due.

        Raises OperationalError if the database cannot be written now; nothing was acknowledged, so try again with the
        same messages. If anything else fails, each message is stored alone, and the one that fails is quarantined.
        """
        read = [(message, self._read(message)) for message in messages]
        try:
            return self._commit([item for _, item in read if item is not None], now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            if len(messages) == 1:
                log.exception("a message on %s cannot be stored", messages[0].topic[:200])
                return self._give_up(messages[0], now)
            log.exception("a batch of %d messages cannot be stored at once; storing each alone", len(messages))
        return [publication for message in messages for publication in self.store([message], now)]

    def greetings(self) -> list[Publication]:
        """Return what gates get when the collector connects: acks of their journals, versions of their rosters."""
        acks = [self._ack(journal) for journal in Journal.newest()]
        return [*acks, *(nudge(self.site, gate) for gate in Gate.objects.filter(roster_version__gt=0))]

    def _read(self, message: Received) -> decode.ValidEntry | decode.InvalidMessage | decode.GateReport | None:
        try:
            return decode.read(message, site=self.site)
        except Exception as error:  # no single message may stop ingest
            log.exception("a message on %s cannot be decoded", message.topic[:200])
            return decode.broken(message, None, error)

    def _commit(
        self, items: list[decode.ValidEntry | InvalidMessage | decode.GateReport], now: datetime
    ) -> list[Publication]:
        if not items:
            return []
        with transaction.atomic():
            stored = batch.store(items, now, collector=self.collector)
        return self._acks(stored, now)

    def _acks(self, stored: batch.Stored, now: datetime) -> list[Publication]:
        due = []
        for name in stored.due:
            journal = stored.journals[name]
            if name in stored.beyond_gap and name not in stored.witnesses:
                last = self._acked_gap_at.get(name)
                if last is not None and timedelta(0) <= now - last < GAP_ACK_EVERY:
                    continue
                self._acked_gap_at[name] = now
            # The topic is retained: a late ack of an ended journal must not replace the current journal's.
            if journal.superseded_by_id is None or journal.gate.journal == name:
                due.append(journal)
        due.sort(key=lambda journal: journal.pk)
        return [self._ack(journal, stored.witnesses.get(journal.name)) for journal in due]

    def _ack(self, journal: Journal, witness: tuple[int, bytes] | None = None) -> Publication:
        """Return the ack of `journal`, or one of `witness`, a stored entry above it that contradicts the gate.

        An ordinary ack stops at the first gap. If the contradiction is above the gap, the gate would never learn of it,
        and would send the same entries forever.
        """
        (seq, digest), floor = journal.ack, journal.floor
        if witness is not None and witness[0] > seq:
            seq, digest, floor = witness[0], seal.to_text(witness[1]), witness[0]
        topics = wire.GateTopics(self.site, journal.gate.name)
        ack = wire.Ack(collector=self.collector, journal=journal.name, seq=seq, hash=digest, floor=floor)
        return Publication(topics.topic("ack"), wire.encode(ack))

    def _give_up(self, message: Received, now: datetime) -> list[Publication]:
        """Quarantine a message that raised an error, under its number, so that later ones can be acknowledged."""
        decoded = self._read(message)
        gate = decoded.gate if decoded is not None else None
        unfit = decode.broken(message, gate, RuntimeError("see the log of the collector"))
        try:
            return self._commit([unfit], now)
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            log.exception("a message on %s cannot even be quarantined; it is dropped", message.topic[:200])
            return []
