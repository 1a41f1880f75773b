"""Messages of gates, stored as they arrived, and the numbers that are known to be missing.

There are few secondary indexes on purpose: the larger the tables, the more each one slows ingest (to 0.31 of its speed
at a million rows).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

from fabgate import seal, wire
from fabgate.collector.ground.models.fields import Flag
from fabgate.collector.ground.models.machines import Gate

#: An entry whose date is more than this after its arrival has a wrong date. Two correct clocks differ by less than a
#: second; the rest allows for a collector whose own clock is slightly wrong.
AHEAD = timedelta(seconds=60)
#: The highest number that a database column can hold.
MAX_SEQ = (1 << 63) - 1


class Journal(models.Model):
    """A gate's journal. `name` is the random id that the gate gave it.

    `ack_seq` is the highest stored number with no gap below it; numbers recorded as lost are no gap. `ack_hash` is the
    hash of that entry's bytes. Both always describe this database, so a restored copy acknowledges less.
    """

    name = models.CharField(max_length=64, unique=True)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="journals")
    predecessor = models.CharField(max_length=64, blank=True)
    #: its first entry is known, and names no earlier journal
    is_root = models.BooleanField(default=False)
    superseded_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    ack_seq = models.BigIntegerField(default=0)
    ack_hash = models.BinaryField(default=seal.ZERO_HASH)
    #: Floor and head as the gate last reported them; `head` is the highest value ever reported, to find the gaps of an
    #: ended journal.
    floor = models.BigIntegerField(default=1)
    head = models.BigIntegerField(default=0)
    #: From journal.forked. Only a clone can have written a new entry above `fork_head`.
    fork_mark = models.BigIntegerField(null=True, blank=True)
    fork_head = models.BigIntegerField(null=True, blank=True)
    cloned = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name

    @property
    def ack(self) -> tuple[int, str]:
        """Return the acknowledged number and hash as messages carry them."""
        return self.ack_seq, seal.to_text(bytes(self.ack_hash))

    @property
    def last_own(self) -> int:
        """Return the last number that the gate itself can have written; only a clone wrote higher ones."""
        return MAX_SEQ if self.fork_head is None else self.fork_head

    @property
    def is_out_of_order(self) -> bool:
        """Whether a gate that writes it has turned from its other journals, although none of them was ended by it.

        Either it had ended, and its card is used again. Or its gate has deleted the first entry, which would say what it
        follows, before this collector received it.
        """
        return self.superseded_by_id is not None or (not self._has_origin and self.floor > 1)

    @property
    def _has_origin(self) -> bool:
        """Whether its first entry has arrived, which says what it follows."""
        return self.is_root or bool(self.predecessor)

    def has_ended(self, other: Journal) -> bool:
        """Return whether a gate that writes this journal writes `other` no more, although no entry says so.

        Then this journal is out of order. Or `other` appeared later, and the gate has turned back from it, as its status
        said once. Or `other` appeared earlier and this journal follows another one, but the first entry of `other`, by
        which it would have ended, never arrived.
        """
        if self.is_out_of_order:
            return True
        if other.pk > self.pk:
            return other.head > 0  # otherwise the status that names it may still come
        return self._has_origin and not other._has_origin

    @classmethod
    def newest(cls, *only: str) -> list[Journal]:
        """Return the current journal of each gate: the one that it reported, or else the last one that has not ended.

        With `only`, just those fields are loaded, which takes half the time.
        """
        found: dict[int, Journal] = {}
        # Of the ended journals only the reported one, because a gate may have had thousands.
        current = models.Q(superseded_by=None) | models.Q(name=models.F("gate__journal"))
        rows = cls.objects.filter(current).select_related("gate").order_by("id")
        for journal in rows.only("name", "gate", "superseded_by", "gate__journal", *only) if only else rows:
            known = found.get(journal.gate_id)
            reported = journal.gate.journal
            if known is None or journal.name == reported or (known.name != reported and not journal.superseded_by_id):
                found[journal.gate_id] = journal
        return list(found.values())


class Entry(models.Model):
    """One journal entry: its exact bytes, stored once."""

    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="entries", db_index=False)
    seq = models.BigIntegerField()
    uid = models.CharField(max_length=64)
    type = models.CharField(max_length=80)
    body = models.BinaryField()
    hash = models.BinaryField()
    arrived_at = models.DateTimeField()
    occurred_at = models.DateTimeField(null=True)
    copyof = models.CharField(max_length=200, null=True)  # noqa: DJ001 (absent on the wire is NULL here)
    #: The same fact is stored, and counted, under another number.
    is_copy = Flag(default=False)

    class Meta:
        """Each number and each fact is stored once."""

        constraints = [
            models.UniqueConstraint(fields=["journal", "seq"], name="entry_once"),
            models.UniqueConstraint(fields=["uid"], condition=models.Q(is_copy=False), name="fact_once"),
        ]

    def __str__(self) -> str:
        return f"{self.journal_id}/{self.seq} {self.type}"

    @property
    def is_ahead(self) -> bool:
        """Whether it is dated after its arrival, which means that the gate's clock was wrong."""
        return self.occurred_at is not None and self.occurred_at > self.arrived_at + AHEAD

    @property
    def at_latest(self) -> datetime:
        """Return when it was written: its own date if that is possible, else its arrival."""
        return self.arrived_at if self.occurred_at is None or self.is_ahead else self.occurred_at

    def decode(self) -> wire.Entry:
        """Return the envelope."""
        return wire.decode_entry(bytes(self.body))


class Hole(models.Model):
    """A gap: numbers that did not arrive. They are lost, were filled later, or exist as copies in the next journal."""

    LOST, FILLED, COPIED = "lost", "filled", "copied"

    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="holes")
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=[(s, s) for s in (LOST, FILLED, COPIED)])
    found_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.journal_id}/{self.first}-{self.last} {self.state}"


class Quarantine(models.Model):
    """A message that is not a valid entry, and why. If it `counts`, its number is not a gap and the ack passes it."""

    gate = models.ForeignKey(Gate, null=True, on_delete=models.PROTECT, related_name="quarantine", db_index=False)
    topic = models.TextField()
    #: The journal to which its number belongs or might belong; `journal_name` is what the message itself says.
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
        """A repeated broken message only increases its counter."""

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
    """How the clock of one boot of a gate relates to wall time, derived from its entries (recording/entries/boots.py).

    Each pair is a reading of the boot's clock (`…_ms`) and the wall time at that reading (`…_at`). Without a `first_at`
    the boot has no date: its clock never synchronised, or the entry that dates it has not arrived.
    """

    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="boots", db_index=False)
    boot = models.CharField(max_length=64)
    #: The position of its earliest entry, which orders the boots of a gate.
    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    from_ms = models.BigIntegerField()
    #: The latest clock.synced entry.
    tie_ms = models.BigIntegerField(null=True)
    tie_at = models.DateTimeField(null=True)
    #: The first and the last entry that has a time.
    first_ms = models.BigIntegerField(null=True)
    first_at = models.DateTimeField(null=True)
    last_ms = models.BigIntegerField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        """One row for each boot; the indexes find the boots with and without dates around one."""

        constraints = [models.UniqueConstraint(fields=["gate", "boot"], name="boot_once")]
        indexes = [
            models.Index(fields=["journal", "seq"], condition=models.Q(first_at__isnull=False), name="boot_dated"),
            models.Index(fields=["journal", "seq"], condition=models.Q(first_at__isnull=True), name="boot_undated"),
        ]

    def __str__(self) -> str:
        return f"{self.gate_id}/{self.boot}"
