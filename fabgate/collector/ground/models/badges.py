"""Who had which badge, and when: one row for each assignment. An assignment ends, but is never deleted."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from fabgate import badge
from fabgate.collector.ground.models.people import Group, Member


class Badge(models.Model):
    """The assignment of a badge to a member or a group, with its canonical spelling and keyed digest (fabgate/badge).

    For a badge that was enrolled by a tap on a gate only the digest is known: `spelling` is empty, and `key_id` names
    the badge key of the site that made the digest. After a change of keys such a badge must be tapped again.
    """

    PERSONAL, LOAN, CLASS, COMPANY = "personal", "loan", "class", "company"
    KINDS = (PERSONAL, LOAN, CLASS, COMPANY)
    RETURNED, LOST, LEFT, REPLACED, OVER = "returned", "lost", "left", "replaced", "over"
    #: Why an assignment ended; `over` means that it reached its end date, as a loan does.
    END_REASONS: ClassVar = (RETURNED, LOST, LEFT, REPLACED, OVER)

    spelling = models.CharField(max_length=40, blank=True)
    digest = models.CharField(max_length=64)
    #: Set only for a badge without a spelling; all other digests are recomputed when the key changes.
    key_id = models.CharField(max_length=64, blank=True)
    #: The number printed on it.
    number = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=8, default=PERSONAL, choices=[(kind, kind) for kind in KINDS])
    member = models.ForeignKey(Member, null=True, blank=True, on_delete=models.PROTECT, related_name="badges")
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.PROTECT, related_name="badges")
    since = models.DateTimeField(default=timezone.now)
    #: When it ends automatically, such as tonight for a loan.
    until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    end_reason = models.CharField(max_length=8, blank=True, choices=[(reason, reason) for reason in END_REASONS])

    class Meta:
        """A badge, and a printed number, has one holder at a time."""

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
        """Return the holder's id in rosters and sessions: a member's, or else a group's."""
        return self.member_id or (self.group.roster_id if self.group else "")

    def is_stale(self, key_id: str) -> bool:
        """Return whether it must be tapped again to be accepted: its digest was made with another key than `key_id`."""
        return not self.spelling and self.key_id != key_id

    @classmethod
    def assigned(cls, now: datetime) -> models.QuerySet[Badge]:
        """Return the current assignments; `now` only decides which loans have ended.

        `since` and `ended_at` are not compared with `now`. If the clock was set back, they may lie in the future, and
        the badge would appear in rosters twice, or not at all.
        """
        return cls.objects.filter(Q(until=None) | Q(until__gt=now), ended_at=None)

    @classmethod
    def lost(cls) -> models.QuerySet[Badge]:
        """Return the lost badges, so that a gate can say that one is lost when it is tapped.

        Each badge appears once, by its last assignment: a badge that was found and assigned again is not lost.
        """
        later = cls.objects.filter(digest=OuterRef("digest"), pk__gt=OuterRef("pk"))
        return cls.objects.filter(~Exists(later), end_reason=cls.LOST)

    def end(self, reason: str, by: str, at: datetime) -> None:
        """End the assignment. The caller rebuilds the rosters."""
        self.ended_at, self.ended_by, self.end_reason = at, by, reason
        self.save(update_fields=["ended_at", "ended_by", "end_reason"])

    @classmethod
    def of_other_keys(cls, key: bytes) -> list[Badge]:
        """Return the badges whose digests were made with another key than `key`, with the right ones, not saved.

        Badges without a spelling keep theirs.
        """
        stale = {}
        # Runs with every change of people and usually finds nothing, so it creates no model instances.
        for pk, spelling, digest in cls.objects.exclude(spelling="").values_list("pk", "spelling", "digest").iterator():
            fresh = badge.digest(badge.parse(spelling), key)
            if digest != fresh:
                stale[pk] = fresh
        rows = cls.objects.in_bulk(stale)
        for pk, row in rows.items():
            row.digest = stale[pk]
        return list(rows.values())


class BadgeForm(models.Model):
    """A shorter form of a badge, as readers give it that shorten numbers (members/access/short_forms.py), with its digest.

    `form` names it (fabgate/badge/short_forms.py); "" is an enrolled badge that is itself a short form of another's.
    """

    #: Gates accept it as this badge; refuse it, since another badge has it too; the badge was not returned, or lost; or
    #: the workshop has no such readers any more, or the badge was returned. What gates report later is found in all.
    ACCEPTED, SHARED, OUT, OFF = "accepted", "shared", "out", "off"
    STATES = (ACCEPTED, SHARED, OUT, OFF)
    #: The states of badges that somebody has.
    KNOWN = (ACCEPTED, SHARED)

    badge = models.ForeignKey(Badge, on_delete=models.CASCADE, related_name="forms")
    form = models.CharField(max_length=40, blank=True)
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=[(state, state) for state in STATES])

    class Meta:
        """Each form once for each badge; forms are looked up by their digests."""

        constraints = [models.UniqueConstraint(fields=["badge", "form"], name="badge_form_once")]
        indexes = [models.Index(fields=["digest"], name="badge_form_digest")]

    def __str__(self) -> str:
        return f"{self.form} of {self.badge}"
