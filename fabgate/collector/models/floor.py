"""What happens on the floor: who was refused, what was ordered of a gate, and has anything changed?"""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Case, F, When

from fabgate.collector.models.arrivals import Journal
from fabgate.collector.models.workshop import Gate


class Refusal(models.Model):
    """A badge that was refused, with every reason; one row an `access.refused` entry."""

    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="refusals", db_index=False)
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
    #: By how much the gate's clock was wrong at least when it wrote `at` (../clocks.py); ahead is more than 0.
    clock_off_ms = models.BigIntegerField(null=True)

    class Meta:
        """The newest, by the gate's date or where that is wrong by ours, and the newest of a member and of a badge."""

        indexes = [
            models.Index(fields=["at", "id"], name="refusal_at"),
            models.Index(fields=["seen_at"], condition=models.Q(clock_off_ms__isnull=False), name="refusal_clock_off"),
            models.Index(fields=["member", "at"], condition=~models.Q(member=""), name="refusal_member"),
            models.Index(fields=["badge", "at"], condition=models.Q(member=""), name="refusal_stranger"),
        ]

    def __str__(self) -> str:
        return f"{self.member or 'an unknown badge'} at {self.gate_id}: {', '.join(self.reasons)}"

    @property
    def about(self) -> datetime:
        """Return about when it was: a date that is known to be wrong counts for nothing, and when it was received does."""
        return self.at if self.clock_off_ms is None else self.seen_at

    @classmethod
    def since(cls, first: datetime, last: datetime | None = None) -> models.QuerySet[Refusal]:
        """Return those of which `about` is not before `first`, nor after `last`; the newest first."""
        right = cls.objects.filter(clock_off_ms=None, at__gte=first)
        wrong = cls.objects.filter(clock_off_ms__isnull=False, seen_at__gte=first)
        if last is not None:
            right, wrong = right.filter(at__lte=last), wrong.filter(seen_at__lte=last)
        about = Case(When(clock_off_ms=None, then=F("at")), default=F("seen_at"))
        # Two lists and no OR: each has an index, and no database finds both for one condition.
        return cls.objects.filter(pk__in=right.values("pk").union(wrong.values("pk"), all=True)).order_by(
            about.desc(), "-id"
        )


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
    def newest(cls) -> int:
        """Return the highest id; 0 before anything happened."""
        last = cls.objects.order_by("-id").values_list("id", flat=True).first()
        return last or 0

    @classmethod
    def prune(cls) -> int:
        """Delete all but the newest; return how many went."""
        return cls.objects.filter(id__lte=cls.newest() - cls.KEPT).delete()[0]
