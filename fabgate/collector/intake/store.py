"""When is a message stored, and what may be said about it then? Never before the COMMIT that holds it.

``Store`` takes what was received and returns what to publish: no broker is needed to drive it. Any number of stores
may serve one database; what they acknowledge is always computed from it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from fabgate import seal, wire
from fabgate.collector.broker.message import Received
from fabgate.collector.broker.publication import Publication, nudge
from fabgate.collector.entries import decode
from fabgate.collector.entries.decode import Unfit
from fabgate.collector.intake.batch import Batch
from fabgate.collector.models import Collector, Gate, Journal

log = logging.getLogger(__name__)

#: An entry that arrives beyond a gap moves nothing; saying so once a second is enough.
GAP_ACK_EVERY = timedelta(seconds=1)


class Store:
    """Stores batches of messages of one site."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.collector = Collector.get(site).collector
        self._acked_gap_at: dict[str, datetime] = {}

    def store(self, messages: Sequence[Received], now: datetime) -> list[Publication]:
        """Store `messages` in one transaction, each once; return the acks that are due.

        Raises OperationalError when the database cannot be written now: nothing was promised, so try again with the
        same messages. A message that breaks anything else is quarantined alone.
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
            log.exception("a batch of %d messages cannot be stored as one; storing each alone", len(messages))
        return [publication for message in messages for publication in self.store([message], now)]

    def greetings(self) -> list[Publication]:
        """Return what every gate should hear on each connect: how far its journal is stored, and its roster."""
        acks = [self._ack(journal) for journal in Journal.newest()]
        return [*acks, *(nudge(self.site, gate) for gate in Gate.objects.filter(roster_version__gt=0))]

    def _read(self, message: Received) -> decode.Fact | decode.Unfit | decode.Told | None:
        try:
            return decode.read(message, site=self.site)
        except Exception as error:  # nothing on the wire may stop the stream
            log.exception("a message on %s broke the reader", message.topic[:200])
            return decode.broken(message, None, error)

    def _commit(self, items: list[decode.Fact | Unfit | decode.Told], now: datetime) -> list[Publication]:
        if not items:
            return []
        with transaction.atomic():
            batch = Batch(items, now, collector=self.collector)
            batch.run()
        return self._acks(batch, now)

    def _acks(self, batch: Batch, now: datetime) -> list[Publication]:
        due = []
        for name in batch.touched:
            journal = batch.journals[name]
            if name in batch.beyond_gap and name not in batch.witnesses:
                last = self._acked_gap_at.get(name)
                if last is not None and timedelta(0) <= now - last < GAP_ACK_EVERY:
                    continue
                self._acked_gap_at[name] = now
            # The topic is retained: a late word about a dead journal must not replace the living one's ack.
            if journal.superseded_by_id is None or journal.gate.journal == name:
                due.append(journal)
        due.sort(key=lambda journal: journal.pk)
        return [self._ack(journal, batch.witnesses.get(journal.name)) for journal in due]

    def _ack(self, journal: Journal, witness: tuple[int, bytes] | None = None) -> Publication:
        """Return how far `journal` is stored; for a fork beyond that, the stored number that shows it to the gate.

        An entry that fits the stored one on its left but not the one beyond a gap moves no ack, so that the ack alone
        would never differ from the gate's own history, and the gate would send the same entries for ever.
        """
        seq, digest = journal.ack
        if witness is not None and witness[0] > seq:
            seq, digest = witness[0], seal.to_text(witness[1])
        topics = wire.GateTopics(self.site, journal.gate.name)
        ack = wire.Ack(collector=self.collector, journal=journal.name, seq=seq, hash=digest)
        return Publication(topics.topic("ack"), wire.encode(ack))

    def _give_up(self, message: Received, now: datetime) -> list[Publication]:
        """Quarantine the one message that breaks the code, under its number, so that the rest can pass it."""
        found = self._read(message)
        gate = found.gate if found is not None else None
        unfit = decode.broken(message, gate, RuntimeError("see the log of the collector"))
        try:
            return self._commit([unfit], now)
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            log.exception("a message on %s cannot even be quarantined: it is dropped", message.topic[:200])
            return []
