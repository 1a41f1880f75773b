"""Sinks: the progress of each accounting or billing program, and the result of each item."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Sink(models.Model):
    """How far a sink of sinks.yaml is (money/billing/sinks/engine.py). Its configuration and its secrets are in files."""

    #: As in sinks.yaml; also the name under which payers have a reference (PayerReference).
    name = models.SlugField(max_length=40, unique=True)
    #: The place of the last item that was sent, held or refused; "" at first (money/billing/sinks/feeds.py).
    cursor = models.CharField(max_length=64, blank=True)
    #: The keys of the items that were being sent. While they are stored here, it is not known whether they arrived.
    attempt = models.JSONField(default=list)
    #: The moment of the last restore that a person has reconciled. Items from before it may have been sent already.
    reconciled = models.DateTimeField(null=True)
    #: Raised by each decision of a person, so that a batch that is under way does not undo it.
    generation = models.PositiveIntegerField(default=0)
    #: What keeps it from sending, since when, how often it was tried, and when it is tried again.
    trouble = models.CharField(max_length=300, blank=True)
    troubled_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    #: When it last got something.
    sent_at = models.DateTimeField(null=True)

    #: What a person decides; the rest is progress.
    DECIDED: ClassVar = ("id", "name", "reconciled")

    def __str__(self) -> str:
        return self.name


class SinkLetter(models.Model):
    """What became of one item at one sink: a charge, a line, a month, or the usage of a session."""

    #: Accepted by the sink; refused by it for good; its payer has no reference there; left out by a person; to be sent
    #: again.
    SENT, DEAD, HELD, SKIPPED, DUE = "sent", "dead", "held", "skipped", "due"
    STATES: ClassVar = (SENT, DEAD, HELD, SKIPPED, DUE)

    sink = models.ForeignKey(Sink, on_delete=models.PROTECT, related_name="letters", db_index=False)
    #: The id by which the sink knows it: always the same for the same facts.
    key = models.CharField(max_length=64)
    #: Its place in the feed (money/billing/sinks/feeds.py).
    place = models.CharField(max_length=64)
    #: The month in which it is charged, or in which the session ended.
    month = models.DateField(null=True)
    #: The session, for usage; "" for the rest.
    session = models.CharField(max_length=64, blank=True)
    payer = models.CharField(max_length=200, blank=True)
    #: Minor units of a charge, milliseconds of usage.
    amount = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=[(state, state) for state in STATES])
    why = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    #: The item as it was sent, if it cannot be computed again.
    data = models.JSONField(null=True)

    class Meta:
        """A sink gets an item once."""

        constraints = [models.UniqueConstraint(fields=["sink", "key"], name="letter_once")]
        indexes = [
            # few are not sent; all of them are listed
            models.Index(fields=["sink", "state", "id"], condition=~models.Q(state="sent"), name="letter_left"),
            models.Index(fields=["sink", "month", "state", "amount"], name="letter_of_month"),
            models.Index(fields=["session", "sink"], condition=~models.Q(session=""), name="letter_of_session"),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.state}"
