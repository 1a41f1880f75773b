"""Which badge was in whose hands, and when? One row an assignment; a row ends, and is never deleted."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from fabgate import badge
from fabgate.collector.models.people import Group, Member


class Badge(models.Model):
    """A badge for as long as one person, or a group, has it: its canonical spelling (badge.py) and keyed digest.

    Of a badge that was enrolled by a tap on a gate only the digest is known: `spelling` is empty, and `key_id` says
    under which of the site's badge keys it counts. After a change of keys such a badge must be tapped again.
    """

    PERSONAL, LOAN, CLASS, COMPANY = "personal", "loan", "class", "company"
    KINDS = (PERSONAL, LOAN, CLASS, COMPANY)
    RETURNED, LOST, LEFT, REPLACED, OVER = "returned", "lost", "left", "replaced", "over"
    #: Why an assignment ended; `over`: its time came, as a loan's does.
    END_REASONS: ClassVar = (RETURNED, LOST, LEFT, REPLACED, OVER)

    spelling = models.CharField(max_length=24, blank=True)
    digest = models.CharField(max_length=64)
    #: Only of a badge without a spelling; of others the digest is made again when the key changes.
    key_id = models.CharField(max_length=64, blank=True)
    #: What is printed on it.
    number = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=8, default=PERSONAL, choices=[(kind, kind) for kind in KINDS])
    member = models.ForeignKey(Member, null=True, blank=True, on_delete=models.PROTECT, related_name="badges")
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.PROTECT, related_name="badges")
    since = models.DateTimeField(default=timezone.now)
    #: When it ends by itself: tonight, for a loan.
    until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    end_reason = models.CharField(max_length=8, blank=True, choices=[(reason, reason) for reason in END_REASONS])

    class Meta:
        """A badge is in one pair of hands at a time, and so is a printed number."""

        constraints = [
            models.UniqueConstraint(
                fields=["spelling"], condition=Q(ended_at=None) & ~Q(spelling=""), name="badge_carried_once"
            ),
            models.UniqueConstraint(fields=["digest"], condition=Q(ended_at=None), name="digest_carried_once"),
            models.UniqueConstraint(
                fields=["number"], condition=Q(ended_at=None) & ~Q(number=""), name="badge_number_carried_once"
            ),
            models.CheckConstraint(
                condition=Q(member__isnull=False) | Q(group__isnull=False), name="badge_is_somebodys"
            ),
        ]
        indexes = [models.Index(fields=["digest", "since"], name="badge_digest_since")]

    def __str__(self) -> str:
        return f"badge of {self.member_id or self.group}"

    @property
    def holder(self) -> str:
        """Return who has it, as rosters and sessions call them: a member's id, or else a group's."""
        return self.member_id or (self.group.roster_id if self.group else "")

    def is_stale(self, key_id: str) -> bool:
        """Whether it must be tapped again before a gate knows it: its digest is of an older key than `key_id`."""
        return not self.spelling and self.key_id != key_id

    @classmethod
    def in_hands(cls, now: datetime) -> models.QuerySet[Badge]:
        """Return the badges that are in somebody's hands and open something; `now` only ends what is lent.

        When they were given and ended is not compared with `now`: where the clock was set back, a badge that was given or
        lost a moment ago would have been so in the future, and stand in rosters twice, or not at all.
        """
        return cls.objects.filter(Q(until=None) | Q(until__gt=now), ended_at=None)

    @classmethod
    def lost(cls) -> models.QuerySet[Badge]:
        """Return the badges that were lost and that nobody has found: whoever taps one is to hear that it is lost.

        Each badge once, by its last assignment: one that was found and given again has another one since.
        """
        later = cls.objects.filter(digest=OuterRef("digest"), pk__gt=OuterRef("pk"))
        return cls.objects.filter(~Exists(later), end_reason=cls.LOST)

    def end(self, reason: str, by: str, at: datetime) -> None:
        """End the assignment. The caller rebuilds the rosters."""
        self.ended_at, self.ended_by, self.end_reason = at, by, reason
        self.save(update_fields=["ended_at", "ended_by", "end_reason"])

    @classmethod
    def digest_again(cls, key: bytes) -> int:
        """Bring every digest up to the key in use; return how many were under another one.

        A badge that nobody can spell keeps its own.
        """
        stale = {}
        # With every change of people, and nearly always there is nothing to do: without an instance of each.
        for pk, spelling, digest in cls.objects.exclude(spelling="").values_list("pk", "spelling", "digest").iterator():
            fresh = badge.digest(badge.parse(spelling), key)
            if digest != fresh:
                stale[pk] = fresh
        rows = cls.objects.in_bulk(stale)
        for pk, row in rows.items():
            row.digest = stale[pk]
        cls.objects.bulk_update(rows.values(), ["digest"], batch_size=300)
        return len(rows)
