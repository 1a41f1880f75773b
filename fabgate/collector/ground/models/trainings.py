"""Trainings, and who was granted which one, by whom and for how long. Grants end but are never deleted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from fabgate.collector.ground.models.accounts import Account
from fabgate.collector.ground.models.machines import Machine
from fabgate.collector.ground.models.people import Member


class Training(models.Model):
    """A training, and the machines that it allows members to use."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120, blank=True)
    description = models.TextField(blank=True)
    machines: models.ManyToManyField[Machine, Any] = models.ManyToManyField(
        Machine, blank=True, related_name="trainings"
    )
    #: A training that is required first, such as the workshop's safety tour.
    prerequisite = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="opens")
    #: The trainer accounts that may grant and revoke it, besides managers; if none, every trainer may.
    trainers: models.ManyToManyField[Account, Any] = models.ManyToManyField(Account, blank=True, related_name="trains")
    #: A grant expires this many days after its `since`.
    expires_after_days = models.PositiveIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.title or self.name

    def with_prerequisites(self) -> list[Training]:
        """Return this training and all trainings that it requires, directly or indirectly."""
        found, after = [self], self.prerequisite
        while after is not None and after not in found:
            found.append(after)
            after = after.prerequisite
        return found


class Grant(models.Model):
    """A trainer's decision: from `since` on, a member has a training at `stage`."""

    SUPERVISED, AUTONOMOUS, INSTRUCTOR, SUSPENDED = "supervised", "autonomous", "instructor", "suspended"
    STAGES = (SUPERVISED, AUTONOMOUS, INSTRUCTOR, SUSPENDED)

    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="grants")
    training = models.ForeignKey(Training, on_delete=models.PROTECT, related_name="grants")
    stage = models.CharField(max_length=12, choices=[(stage, stage) for stage in STAGES])
    since = models.DateField()
    #: The last day, if that is before the training's own expiry.
    until = models.DateField(null=True, blank=True)
    trainer = models.CharField(max_length=200, blank=True)
    #: The first day on which it is revoked.
    revoked_on = models.DateField(null=True, blank=True)
    revoked_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Looked up by training and by member."""

        indexes = [models.Index(fields=["training", "member"], name="grant_training_member")]

    def __str__(self) -> str:
        return f"{self.member_id}: {self.training} ({self.stage})"

    @property
    def last_day(self) -> date | None:
        """Return the last day on which it is valid; None if it has no end.

        A suspension does not expire with the training: it lasts until its own end.
        """
        days = None if self.stage == self.SUSPENDED else self.training.expires_after_days
        ends = [self.until] if self.until else []
        if days is not None:
            ends.append(self.since + timedelta(days=min(days, (date.max - self.since).days)))
        return min(ends, default=None)

    def counts_on(self, day: date) -> bool:
        """Return whether it has begun by `day` and is not revoked; it may have expired."""
        return self.since <= day and (self.revoked_on is None or self.revoked_on > day)

    def holds_on(self, day: date) -> bool:
        """Return whether it is valid on `day`: begun, not revoked and not expired."""
        if not self.counts_on(day):
            return False
        last = self.last_day  # the property is computed at each access
        return last is None or day <= last

    @classmethod
    def applicable(cls, grants: Iterable[Grant], day: date) -> Grant | None:
        """Return which of `grants`, a member's grants of one training, applies on `day`; None if none is valid.

        A valid suspension overrides later grants; otherwise the newest valid grant applies. `grants` are in the order
        in which they began.
        """
        valid = [grant for grant in grants if grant.holds_on(day)]
        suspended = [grant for grant in valid if grant.stage == cls.SUSPENDED]
        return [*valid, *suspended][-1] if valid else None

    @classmethod
    def not_revoked(cls, day: date) -> models.QuerySet[Grant]:
        """Return the grants that are not revoked on `day`, including expired and future ones, ordered by `since`."""
        still = models.Q(revoked_on=None) | models.Q(revoked_on__gt=day)
        return cls.objects.filter(still).select_related("training").order_by("since", "id")

    @classmethod
    def begun_by(cls, day: date) -> models.QuerySet[Grant]:
        """Return the grants that have begun by `day` and are not revoked, expired ones included, in the order of `since`."""
        return cls.not_revoked(day).filter(since__lte=day)
