"""Contests: what a member or payer finds wrong about money, and the answer."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Contest(models.Model):
    """A final charge, a line or a prepaid entry that a member contests, until and after it is answered.

    A session whose charge is not final goes to review instead (Review).
    """

    SESSION, LINE, ENTRY = "session", "line", "entry"
    KINDS = (SESSION, LINE, ENTRY)
    #: The audit log has digests of these texts, because they can be erased (ground/db/audit.py).
    ERASABLE: ClassVar = frozenset({"words", "answer"})
    #: The answer: it stands; it was taken back with the answer; it was settled in another way, which the answer names.
    KEPT, REVERSED, OTHERWISE = "kept", "reversed", "otherwise"
    DECISIONS = (KEPT, REVERSED, OTHERWISE)

    kind = models.CharField(max_length=8, choices=[(kind, kind) for kind in KINDS])
    #: The id of the session, or the number of the line or the entry.
    key = models.CharField(max_length=64)
    #: Who pays for it, as sessions store payers.
    payer = models.CharField(max_length=200)
    #: The first day of the month in which it is charged.
    month = models.DateField()
    #: The text and the amount when it was contested: a line of an open month can be removed.
    text = models.CharField(max_length=200, blank=True)
    amount_minor = models.BigIntegerField()
    #: What is wrong, in the words of the member.
    words = models.CharField(max_length=200)
    member = models.CharField(max_length=64)
    author = models.CharField(max_length=200)
    at = models.DateTimeField()
    decision = models.CharField(max_length=12, blank=True, choices=[(decision, decision) for decision in DECISIONS])
    answer = models.CharField(max_length=200, blank=True)
    answered_by = models.CharField(max_length=200, blank=True)
    answered_at = models.DateTimeField(null=True)
    #: When words and answer were erased.
    erased_at = models.DateTimeField(null=True)

    class Meta:
        """A thing has one contest at a time; its contests are read with it, and those of a member by date."""

        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"], condition=models.Q(answered_at__isnull=True), name="contest_open_once"
            )
        ]
        indexes = [
            models.Index(fields=["kind", "key"], name="contest_of_thing"),
            models.Index(fields=["member", "at"], name="contest_of_member"),
            models.Index(fields=["month"], condition=models.Q(answered_at__isnull=True), name="contest_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.decision or 'open'}"

    @property
    def is_open(self) -> bool:
        """Return whether nobody has answered yet."""
        return self.answered_at is None

    @classmethod
    def waiting(cls) -> models.QuerySet[Contest]:
        """Return the contests that nobody has answered, the oldest first."""
        return cls.objects.filter(answered_at__isnull=True).order_by("at", "pk")
