"""What is a program told that bills sessions, and in which order? Rows in the order of commit, never changed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from fabgate.collector.models.usage import UsageSession


class LedgerLine(models.Model):
    """What a session said when it ended, and again each time that it says something else; the newest line holds.

    The ids follow the order of commit (sessions/ledger.py), so a reader that has read up to an id misses none below it.
    """

    #: It ended; entries that came later changed it; a person put it right; a person contested it, or settled what was
    #: in doubt, so that only `review` is another one; it turned out not to have ended.
    ENDED, CHANGED, CORRECTED, REVIEWED, WITHDRAWN = "ended", "changed", "corrected", "reviewed", "withdrawn"
    KINDS: ClassVar = (ENDED, CHANGED, CORRECTED, REVIEWED, WITHDRAWN)

    session = models.ForeignKey(UsageSession, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=10, choices=[(kind, kind) for kind in KINDS])
    at = models.DateTimeField()
    #: Of what a person did: who, and why.
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
        """Return the lines beyond a position, in their order."""
        return cls.objects.filter(pk__gt=position).select_related("session__machine", "session__gate").order_by("pk")
