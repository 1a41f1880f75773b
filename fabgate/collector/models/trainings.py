"""Which trainings are there, and who was let use what by whom, from when to when? Grants end; none is deleted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from fabgate.collector.models.accounts import Account
from fabgate.collector.models.people import Member
from fabgate.collector.models.workshop import Machine


class Training(models.Model):
    """A training, and the machines that somebody who has it may use."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120, blank=True)
    description = models.TextField(blank=True)
    machines: models.ManyToManyField[Machine, Any] = models.ManyToManyField(
        Machine, blank=True, related_name="trainings"
    )
    #: What must be held too, such as the workshop's safety tour.
    prerequisite = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="opens")
    #: The accounts of role trainer that grant it and take it back, beside managers; none: each trainer does.
    trainers: models.ManyToManyField[Account, Any] = models.ManyToManyField(Account, blank=True, related_name="trains")
    #: So many days after a grant's `since` it is to be done again.
    expires_after_days = models.PositiveIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.title or self.name

    def with_first(self) -> list[Training]:
        """Return this training and all that must be held too: what it wants first, what that wants first, and so on."""
        found, after = [self], self.prerequisite
        while after is not None and after not in found:
            found.append(after)
            after = after.prerequisite
        return found


class Grant(models.Model):
    """What a trainer said of a member and a training: from `since` on they are at `stage`."""

    SUPERVISED, AUTONOMOUS, INSTRUCTOR, SUSPENDED = "supervised", "autonomous", "instructor", "suspended"
    STAGES = (SUPERVISED, AUTONOMOUS, INSTRUCTOR, SUSPENDED)

    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="grants")
    training = models.ForeignKey(Training, on_delete=models.PROTECT, related_name="grants")
    stage = models.CharField(max_length=12, choices=[(stage, stage) for stage in STAGES])
    since = models.DateField()
    #: The last day, where it is not the training that says when it is over.
    until = models.DateField(null=True, blank=True)
    trainer = models.CharField(max_length=200, blank=True)
    #: The first day on which it counts no more.
    revoked_on = models.DateField(null=True, blank=True)
    revoked_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """What a member holds, and who holds a training, are asked for most."""

        indexes = [models.Index(fields=["training", "member"], name="grant_training_member")]

    def __str__(self) -> str:
        return f"{self.member_id}: {self.training} ({self.stage})"

    @property
    def last_day(self) -> date | None:
        """Return the last day on which it holds by itself; None: it does not end.

        A suspension does not grow old with the training: it holds until its own end.
        """
        days = None if self.stage == self.SUSPENDED else self.training.expires_after_days
        ends = [self.until] if self.until else []
        if days is not None:
            ends.append(self.since + timedelta(days=min(days, (date.max - self.since).days)))
        return min(ends, default=None)

    def counts_on(self, day: date) -> bool:
        """Whether it was said by `day` and not taken back; it may have expired."""
        return self.since <= day and (self.revoked_on is None or self.revoked_on > day)

    def holds_on(self, day: date) -> bool:
        """Whether it counts on `day` and has not expired."""
        if not self.counts_on(day):
            return False
        last = self.last_day  # it is computed each time
        return last is None or day <= last

    @classmethod
    def deciding(cls, said: Iterable[Grant], day: date) -> Grant | None:
        """Return which of a member's grants of one training says where they stand on a day; None: none holds.

        A suspension that holds outweighs what was said after it; else the newest grant that holds decides. `said` are in
        the order in which they began.
        """
        holding = [grant for grant in said if grant.holds_on(day)]
        suspended = [grant for grant in holding if grant.stage == cls.SUSPENDED]
        return [*holding, *suspended][-1] if holding else None

    @classmethod
    def not_taken_back(cls, day: date) -> models.QuerySet[Grant]:
        """Return the grants that count on `day` or later, expired ones too, in the order in which they begin."""
        still = models.Q(revoked_on=None) | models.Q(revoked_on__gt=day)
        return cls.objects.filter(still).select_related("training").order_by("since", "id")

    @classmethod
    def said_by(cls, day: date) -> models.QuerySet[Grant]:
        """Return the grants that count on `day`, expired ones too, in the order in which they began."""
        return cls.not_taken_back(day).filter(since__lte=day)
