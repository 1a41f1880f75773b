"""What happens on the floor: refused badges, commands sent to gates, and notices that something has changed."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Case, F, When

from fabgate.collector.ground.models.entries import Journal
from fabgate.collector.ground.models.machines import Gate, Machine


class Refusal(models.Model):
    """A badge that was refused, with every reason; one row for each `access.refused` entry."""

    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="refusals", db_index=False)
    #: The gate's machine when the entry arrived; the gate may have moved since.
    machine = models.ForeignKey(Machine, on_delete=models.PROTECT, related_name="+", null=True, db_index=False)
    #: The position of the entry in its journal: the gate's own order, even if its clock was wrong.
    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    #: Empty for an unknown badge.
    member = models.CharField(max_length=200, blank=True)
    badge = models.CharField(max_length=200)
    #: The worst first.
    reasons = models.JSONField(default=list)
    #: When it happened; the time of arrival if the gate did not know.
    at = models.DateTimeField()
    is_timed = models.BooleanField(default=True)
    #: When it arrived.
    seen_at = models.DateTimeField()
    #: By how much, at least, the gate's clock was wrong when it wrote `at` (recording/entries/gate_clocks.py); positive
    #: if ahead.
    clock_off_ms = models.BigIntegerField(null=True)
    #: The time by which lists are sorted: `at`, or the arrival if `at` is known to be wrong. The database computes it,
    #: so that it is always right.
    about = models.GeneratedField(
        expression=Case(When(clock_off_ms=None, then=F("at")), default=F("seen_at")),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        """The newest refusals: of all badges, of one machine, of one member and of one unknown badge."""

        indexes = [
            models.Index(fields=["about", "id"], name="refusal_about"),
            models.Index(fields=["machine", "about", "id"], name="refusal_machine"),
            models.Index(fields=["member", "about"], condition=~models.Q(member=""), name="refusal_member"),
            models.Index(fields=["badge", "about"], condition=models.Q(member=""), name="refusal_stranger"),
        ]

    def __str__(self) -> str:
        return f"{self.member or 'an unknown badge'} at {self.gate_id}: {', '.join(self.reasons)}"

    @property
    def where(self) -> Machine | Gate:
        """Return the machine, or the gate if it had none."""
        return self.machine or self.gate

    @classmethod
    def between(cls, first: datetime, last: datetime | None = None) -> models.QuerySet[Refusal]:
        """Return the refusals from `first` to `last`, both included, the newest first."""
        rows = cls.objects.filter(about__gte=first)
        if last is not None:
            rows = rows.filter(about__lte=last)
        return rows.order_by("-about", "-id")


class Order(models.Model):
    """A command sent to a gate, and its outcome. `id` is the command's id on the wire."""

    id = models.CharField(max_length=64, primary_key=True)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="orders")
    command = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(db_index=True)
    until = models.DateTimeField()
    #: As the gate reported it; empty until then.
    outcome = models.CharField(max_length=200, blank=True)
    detail = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.command} of {self.gate_id} by {self.actor}: {self.outcome or 'no answer'}"


class Pulse(models.Model):
    """A notice that something has changed: a page reloads when the highest id has changed.

    Only the newest rows are kept. `gate` is empty if the change concerns many gates or none.
    """

    FLOOR, REFUSAL, SESSION, ORDER = "floor", "refusal", "session", "order"
    ROSTER, LOCK, CHANGE = "roster", "lock", "change"
    #: How many rows are kept.
    KEPT = 10_000

    topic = models.CharField(max_length=16)
    gate = models.CharField(max_length=63, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.topic} {self.gate}".strip()

    @classmethod
    def newest(cls, *topics: str) -> int:
        """Return the highest id, of all topics or of some; 0 if there is none."""
        rows = cls.objects.filter(topic__in=topics) if topics else cls.objects
        last = rows.order_by("-id").values_list("id", flat=True).first()
        return last or 0

    @classmethod
    def prune(cls) -> int:
        """Delete all but the newest rows; return how many were deleted."""
        return cls.objects.filter(id__lte=cls.newest() - cls.KEPT).delete()[0]
