"""The result of the last verification of the books (verify/)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models


class Verification(models.Model):
    """When the books were compared, and what was found; only the last run is kept."""

    #: After this long without a run a person should check why.
    STALE: Final = timedelta(days=4)

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    #: Why the books could not be compared; empty if they were.
    trouble = models.CharField(max_length=500, blank=True)
    findings = models.BigIntegerField(default=0)
    #: The first findings, as processes/verify/findings.py writes them.
    shown = models.JSONField(default=list)
    #: How many rows were compared, by table.
    compared = models.JSONField(default=dict)
    notes = models.JSONField(default=list)
    #: The head of the audit log, as text.
    head = models.CharField(max_length=90, blank=True)

    class Meta:
        """There is only one row."""

        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_verification")]

    def __str__(self) -> str:
        return self.trouble or f"{self.findings} findings"

    @classmethod
    def last(cls) -> Verification | None:
        """Return the last run."""
        return cls.objects.filter(id=1).first()

    def is_stale(self, now: datetime) -> bool:
        """Return whether the last run was too long ago."""
        return now - self.ended_at > self.STALE
