"""Corrections and reviews: what people changed about sessions afterwards, and what they still have to check."""

from __future__ import annotations

from django.db import models

from fabgate.collector.ground.models.sessions import words
from fabgate.collector.ground.models.sessions.usage import UsageSession


class Correction(models.Model):
    """A corrected value of a session. Rows are only added; the newest one for a field applies."""

    MEMBER, PAYER, PURPOSE, TIME = "member", "payer", "purpose", "time"
    FIELDS = (MEMBER, PAYER, PURPOSE, TIME)

    session = models.ForeignKey(UsageSession, on_delete=models.PROTECT, related_name="corrections")
    field = models.CharField(max_length=8, choices=[(field, field) for field in FIELDS])
    #: stored as text; a time is whole milliseconds
    old = models.CharField(max_length=200, blank=True)
    new = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=200)
    author = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.session_id}: {self.field} {self.old!r} → {self.new!r}"


class Review(models.Model):
    """A session that a person has to check, and their decision.

    Opened by ingest (recording/sessions/rows.py), or by the member who contests the session: then `note` is their own
    text until it is settled.
    """

    CONTESTED = words.CONTESTED
    #: Settled by entries that arrived later.
    RESOLVED = "resolved"
    #: A person's decision: the figures stand, a correction has the right value, or it is decided in the member's
    #: favour.
    ACCEPTED, CORRECTED, FAVOUR = "accepted", "corrected", "favour"

    session = models.OneToOneField(UsageSession, on_delete=models.PROTECT, related_name="review_case")
    #: The session's `doubt`: journal-lost, time-above-clock, running-above-time, longer-than-allowed, before-first,
    #: overlap, no-start, restored-image, counter-above-end, uncertain, undated, earlier-holder, clock; or contested.
    #: Until the review is settled this is also the session's `review`.
    why = models.CharField(max_length=40)
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=200, blank=True)
    decision = models.CharField(max_length=16, blank=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        """The queue of reviews that are not settled."""

        indexes = [
            models.Index(fields=["opened_at"], condition=models.Q(settled_at__isnull=True), name="review_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.session_id}: {self.why}{'' if self.settled_at is None else ' (settled)'}"

    @property
    def is_contested(self) -> bool:
        """Return whether a member contested the session and has no answer yet."""
        return self.why == self.CONTESTED and self.settled_at is None

    @classmethod
    def waiting(cls) -> models.QuerySet[Review]:
        """Return the reviews that are not settled, the oldest first."""
        queue = cls.objects.filter(settled_at=None).select_related("session__machine", "session__gate")
        return queue.order_by("opened_at", "id")
