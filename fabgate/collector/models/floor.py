"""What happens on the floor: who was refused, what was ordered of a gate, and has anything changed?"""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Case, F, When

from fabgate.collector.models.arrivals import Journal
from fabgate.collector.models.workshop import Gate, Machine


class Refusal(models.Model):
    """A badge that was refused, with every reason; one row an `access.refused` entry."""

    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="refusals", db_index=False)
    #: Beside which the gate stood when it was heard of; it may be moved since.
    machine = models.ForeignKey(Machine, on_delete=models.PROTECT, related_name="+", null=True, db_index=False)
    #: The entry that says it: the gate's own order, whatever its clock thought.
    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    #: Empty where nobody knew the badge.
    member = models.CharField(max_length=200, blank=True)
    badge = models.CharField(max_length=200)
    #: The worst first.
    reasons = models.JSONField(default=list)
    #: When it was; where the gate did not know, when it was heard of.
    at = models.DateTimeField()
    is_timed = models.BooleanField(default=True)
    #: When it was received.
    seen_at = models.DateTimeField()
    #: By how much the gate's clock was wrong at least when it wrote `at` (entries/gate_clocks.py); ahead is more than 0.
    clock_off_ms = models.BigIntegerField(null=True)
    #: About when it was, and what every list goes by: a date that is known to be wrong counts for nothing, and when it
    #: was received does. The database works it out, so that nobody can store another one.
    about = models.GeneratedField(
        expression=Case(When(clock_off_ms=None, then=F("at")), default=F("seen_at")),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        """The newest, and the newest of a member and of a badge."""

        indexes = [
            models.Index(fields=["about", "id"], name="refusal_about"),
            models.Index(fields=["member", "about"], condition=~models.Q(member=""), name="refusal_member"),
            models.Index(fields=["badge", "about"], condition=models.Q(member=""), name="refusal_stranger"),
        ]

    def __str__(self) -> str:
        return f"{self.member or 'an unknown badge'} at {self.gate_id}: {', '.join(self.reasons)}"

    @property
    def where(self) -> Machine | Gate:
        """Return at which machine it was, or at which gate where none stood beside it."""
        return self.machine or self.gate

    @classmethod
    def between(cls, first: datetime, last: datetime | None = None) -> models.QuerySet[Refusal]:
        """Return those of about `first` to `last`, both included; the newest first."""
        rows = cls.objects.filter(about__gte=first)
        if last is not None:
            rows = rows.filter(about__lte=last)
        return rows.order_by("-about", "-id")


class Order(models.Model):
    """A command that somebody gave to a gate, and what became of it. Its id is the command's."""

    id = models.CharField(max_length=64, primary_key=True)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="orders")
    command = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(db_index=True)
    until = models.DateTimeField()
    #: As the gate said it; empty while it has not.
    outcome = models.CharField(max_length=200, blank=True)
    detail = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.command} of {self.gate_id} by {self.actor}: {self.outcome or 'no answer'}"


class Pulse(models.Model):
    """Something has changed: a page that shows it asks again when the highest id is another one.

    Only the newest rows are kept; `gate` is empty where many are concerned, or none.
    """

    FLOOR, REFUSAL, SESSION, ORDER = "floor", "refusal", "session", "order"
    ROSTER, LOCK, CHANGE = "roster", "lock", "change"
    #: How many are kept.
    KEPT = 10_000

    topic = models.CharField(max_length=16)
    gate = models.CharField(max_length=63, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.topic} {self.gate}".strip()

    @classmethod
    def newest(cls, *topics: str) -> int:
        """Return the highest id, or that of some topics only; 0 before anything happened."""
        told = cls.objects.filter(topic__in=topics) if topics else cls.objects
        last = told.order_by("-id").values_list("id", flat=True).first()
        return last or 0

    @classmethod
    def prune(cls) -> int:
        """Delete all but the newest; return how many went."""
        return cls.objects.filter(id__lte=cls.newest() - cls.KEPT).delete()[0]
