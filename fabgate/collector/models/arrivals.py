"""What arrived, exactly as it arrived, and what is known to be missing?

Few secondary indices: it is they that slow ingest as history grows (to 0.31 at a million rows).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import models

from fabgate import seal, wire
from fabgate.collector.models.fields import Flag
from fabgate.collector.models.workshop import Gate

#: So far beyond its arrival an entry cannot be dated. Two right clocks are within a second of each other; the rest is
#: for a collector that is not quite right itself.
AHEAD = timedelta(seconds=60)
#: The highest number that a database can hold.
MAX_SEQ = (1 << 63) - 1


class Journal(models.Model):
    """A gate's journal, by the random id that the gate gave it (`name`).

    `ack_seq` is the highest stored entry below which nothing is missing but what is named lost, and `ack_hash` the
    hash of its bytes: always what this database holds, so that a restored copy acknowledges less.
    """

    name = models.CharField(max_length=64, unique=True)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="journals")
    predecessor = models.CharField(max_length=64, blank=True)
    #: Its first entry is known, and names no journal before it.
    is_root = models.BooleanField(default=False)
    superseded_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    ack_seq = models.BigIntegerField(default=0)
    ack_hash = models.BinaryField(default=seal.ZERO_HASH)
    #: As the gate last reported them; `head` is the highest ever reported, for the holes of a dead journal.
    floor = models.BigIntegerField(default=1)
    head = models.BigIntegerField(default=0)
    #: What journal.forked said of this journal; an entry above `fork_head` can only be a clone's.
    fork_mark = models.BigIntegerField(null=True, blank=True)
    fork_head = models.BigIntegerField(null=True, blank=True)
    cloned = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name

    @property
    def ack(self) -> tuple[int, str]:
        """Return the acknowledged number and hash as they stand in messages."""
        return self.ack_seq, seal.to_text(bytes(self.ack_hash))

    @property
    def last_own(self) -> int:
        """Return the last number that can be the gate's own: what lies beyond in a forked journal is a clone's."""
        return MAX_SEQ if self.fork_head is None else self.fork_head

    def facts(self, *types: str) -> Iterator[wire.Entry]:
        """Yield its entries of these types (short names) in order, without copies of what another journal has."""
        rows = Entry.objects.filter(journal=self, type__in=types, is_copy=False).order_by("seq").only("body")
        for row in rows.iterator(chunk_size=2_000):
            yield row.decode()

    @classmethod
    def newest(cls, *only: str) -> list[Journal]:
        """Return for each gate the journal that it writes now: the reported one, or else the last that is alive.

        Where fields are named, `only` those are read; the rest of both rows would cost as much again.
        """
        found: dict[int, Journal] = {}
        # Of those that ended only the reported one: a gate may have had thousands.
        living = models.Q(superseded_by=None) | models.Q(name=models.F("gate__journal"))
        rows = cls.objects.filter(living).select_related("gate").order_by("id")
        for journal in rows.only("name", "gate", "superseded_by", "gate__journal", *only) if only else rows:
            known = found.get(journal.gate_id)
            reported = journal.gate.journal
            if known is None or journal.name == reported or (known.name != reported and not journal.superseded_by_id):
                found[journal.gate_id] = journal
        return list(found.values())


class Entry(models.Model):
    """One journal entry: the very bytes, stored once."""

    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="entries", db_index=False)
    seq = models.BigIntegerField()
    uid = models.CharField(max_length=64)
    type = models.CharField(max_length=80)
    body = models.BinaryField()
    hash = models.BinaryField()
    arrived_at = models.DateTimeField()
    occurred_at = models.DateTimeField(null=True)
    copyof = models.CharField(max_length=200, null=True)  # noqa: DJ001 (absent on the wire is NULL here)
    #: The fact is stored under another number too, and counted there.
    is_copy = Flag(default=False)

    class Meta:
        """Once by number, and once by fact."""

        constraints = [
            models.UniqueConstraint(fields=["journal", "seq"], name="entry_once"),
            models.UniqueConstraint(fields=["uid"], condition=models.Q(is_copy=False), name="fact_once"),
        ]

    def __str__(self) -> str:
        return f"{self.journal_id}/{self.seq} {self.type}"

    @property
    def is_ahead(self) -> bool:
        """Whether it says that it was written after it arrived: its gate's clock was wrong."""
        return self.occurred_at is not None and self.occurred_at > self.arrived_at + AHEAD

    @property
    def at_latest(self) -> datetime:
        """Return when it was written: as it says, and where it does not know, or cannot be right, when it arrived."""
        return self.arrived_at if self.occurred_at is None or self.is_ahead else self.occurred_at

    def decode(self) -> wire.Entry:
        """Return the envelope."""
        return wire.decode_entry(bytes(self.body))


class Hole(models.Model):
    """Numbers that never arrived: lost, later filled, or present as copies in the journal that followed."""

    LOST, FILLED, COPIED = "lost", "filled", "copied"

    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="holes")
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=[(s, s) for s in (LOST, FILLED, COPIED)])
    found_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.journal_id}/{self.first}-{self.last} {self.state}"


class Quarantine(models.Model):
    """A message that cannot be an entry, and why. One that `counts` fills its number, so that the ack can pass it."""

    gate = models.ForeignKey(Gate, null=True, on_delete=models.PROTECT, related_name="quarantine", db_index=False)
    topic = models.TextField()
    #: The journal's row, where its number counts or could have; `journal_name` is what the message said.
    journal = models.ForeignKey(Journal, null=True, on_delete=models.PROTECT, related_name="quarantine", db_index=False)
    journal_name = models.CharField(max_length=64, blank=True)
    seq = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=40)
    detail = models.TextField(blank=True)
    hash = models.BinaryField()
    body = models.BinaryField()
    counts = Flag(default=False)
    times = models.BigIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        """The same broken message again only counts."""

        verbose_name_plural = "quarantine"
        indexes = [models.Index(fields=["gate", "counts", "id"], name="quarantine_of_gate")]
        constraints = [
            models.UniqueConstraint(fields=["journal_name", "seq", "hash", "topic"], name="quarantine_once"),
            models.UniqueConstraint(
                fields=["journal", "seq"], condition=models.Q(counts=True), name="quarantined_number_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.journal_name}/{self.seq}: {self.reason}"


class Boot(models.Model):
    """When a boot was, as far as its entries tell; how rows come to be is in entries/boots.py.

    Each pair is a reading of the boot's clock (`…_ms`) and the wall time of it (`…_at`). Without a `first_at` nothing
    of the boot is dated: it never synchronised, or the entry that says so has not arrived.
    """

    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="boots", db_index=False)
    boot = models.CharField(max_length=64)
    #: Where its earliest entry stands: its place among the boots of its gate.
    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    from_ms = models.BigIntegerField()
    #: The latest clock.synced.
    tie_ms = models.BigIntegerField(null=True)
    tie_at = models.DateTimeField(null=True)
    #: The first and the last entry that carry a time.
    first_ms = models.BigIntegerField(null=True)
    first_at = models.DateTimeField(null=True)
    last_ms = models.BigIntegerField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        """One row a boot, and the neighbours of one that is not dated."""

        constraints = [models.UniqueConstraint(fields=["gate", "boot"], name="boot_once")]
        indexes = [
            models.Index(fields=["journal", "seq"], condition=models.Q(first_at__isnull=False), name="boot_dated"),
            models.Index(fields=["journal", "seq"], condition=models.Q(first_at__isnull=True), name="boot_undated"),
        ]

    def __str__(self) -> str:
        return f"{self.gate_id}/{self.boot}"
