"""The ledger: each change of a session for billing programs, in the order of commits. Rows never change."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from fabgate.collector.ground.models.sessions.usage import UsageSession


class LedgerLine(models.Model):
    """A session as it was when it ended, and again after each later change; the newest line applies.

    Ids follow the order of commits (recording/sessions/ledger.py): a reader that has read up to an id misses nothing
    below it.
    """

    #: ended; changed by later entries; corrected by a person; contested or settled, so that only `review` changed;
    #: found not to have ended
    ENDED, CHANGED, CORRECTED, REVIEWED, WITHDRAWN = "ended", "changed", "corrected", "reviewed", "withdrawn"
    KINDS: ClassVar = (ENDED, CHANGED, CORRECTED, REVIEWED, WITHDRAWN)

    session = models.ForeignKey(UsageSession, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=10, choices=[(kind, kind) for kind in KINDS])
    at = models.DateTimeField()
    #: who made the correction or review, and why
    author = models.CharField(max_length=200, blank=True)
    why = models.CharField(max_length=200, blank=True)

    used_by = models.CharField(max_length=200)
    payer = models.CharField(max_length=200)
    purpose = models.CharField(max_length=16)
    category = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    counted_ms = models.BigIntegerField()
    running_ms = models.BigIntegerField()
    uncertainty_ms = models.BigIntegerField()
    reason = models.CharField(max_length=200, blank=True)
    review = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"{self.pk}: {self.session_id} {self.kind}"

    @classmethod
    def after(cls, position: int) -> models.QuerySet[LedgerLine]:
        """Return the lines after a position, in order."""
        return cls.objects.filter(pk__gt=position).select_related("session__machine", "session__gate").order_by("pk")
