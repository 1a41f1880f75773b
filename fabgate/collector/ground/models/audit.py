"""The audit log: who changed what, when, and the values before and after.

Only ground/db/audit.py adds rows, each sealed together with all before it (ground/db/chains.py); none is changed.
"""

from __future__ import annotations

from django.db import models


class Change(models.Model):
    """One change of one object by one person: the fields that changed, before and after."""

    at = models.DateTimeField()
    #: An account's name, or cli:user.
    actor = models.CharField(max_length=200)
    #: What was done, such as member.updated or grant.revoked.
    verb = models.CharField(max_length=40)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.CharField(max_length=200, blank=True)
    #: Gate name → version of the roster that carries the change; it is in force once the gate reports that version.
    rosters = models.JSONField(default=dict)
    #: The place in the log from 1 up, without gaps, and the seal (ground/db/chains.py). NULL means that the collector
    #: did not write the row.
    number = models.BigIntegerField(null=True)
    seal = models.BinaryField(null=True)

    class Meta:
        """The log is read by time, author or verb, and the history of an object by its name."""

        indexes = [
            models.Index(fields=["at", "id"], name="change_at"),
            models.Index(fields=["kind", "key", "at"], name="change_of"),
            models.Index(fields=["actor", "at", "id"], name="change_by"),
            models.Index(fields=["verb", "at", "id"], name="change_what"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.key} by {self.actor}"
