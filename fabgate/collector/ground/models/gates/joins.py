"""Codes by which new gates join, and who used them (docs/decisions/0148)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models


class JoinCode(models.Model):
    """A code for one gate. What the gate will be is here until it has joined."""

    #: How long a gate may begin with it.
    VALID: Final = timedelta(minutes=15)
    #: How long a gate that knew the code may repeat a step.
    REPEATED: Final = timedelta(hours=24)
    #: Then the row and its attempts are deleted, with what was agreed; the log keeps who joined from where.
    KEPT: Final = VALID + REPEATED
    #: How many attempts may be begun.
    MOST_ATTEMPTS: Final = 5

    #: The two characters that name it; not unique, because they are used again.
    name = models.CharField(max_length=2)
    #: The eight characters that travel over no network.
    secret = models.CharField(max_length=8)
    gate = models.CharField(max_length=63)
    #: Whether the gate exists, and its card is replaced.
    replaces = models.BooleanField(default=False)
    machine = models.CharField(max_length=63)
    #: Title and preset of the machine, if it does not exist yet.
    title = models.CharField(max_length=120, blank=True)
    preset = models.CharField(max_length=20, blank=True)
    #: The build (members/machines/builds.py), and what only this gate has of it, such as the address of its plug.
    build = models.CharField(max_length=30)
    build_values = models.JSONField(default=dict, blank=True)
    #: The collector's address for the gate, such as https://collector.lan.
    address = models.CharField(max_length=300)
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} for {self.gate}"

    @property
    def valid_until(self) -> datetime:
        """Return until when a gate may begin with it."""
        return self.made_at + self.VALID

    @property
    def agreed(self) -> JoinAttempt | None:
        """Return the attempt of the gate that knew the code."""
        return self.attempts.filter(state__in=(JoinAttempt.AGREED, JoinAttempt.FINISHED)).first()

    @property
    def is_closed(self) -> bool:
        """Return whether there were too many attempts for another one."""
        return self.attempts.count() >= self.MOST_ATTEMPTS

    @classmethod
    def forget_old(cls, now: datetime) -> int:
        """Delete old codes with their attempts; return how many codes."""
        return cls.objects.filter(made_at__lt=now - cls.KEPT).delete()[1].get("collector.JoinCode", 0)


class JoinAttempt(models.Model):
    """One exchange with a code: it is counted before the gate gets an answer."""

    #: The gate has proved nothing yet; it does not know the code; it knows it; it has its files.
    BEGUN, WRONG, AGREED, FINISHED = "begun", "wrong", "agreed", "finished"

    code = models.ForeignKey(JoinCode, on_delete=models.CASCADE, related_name="attempts")
    exchange = models.CharField(max_length=32, unique=True)
    at = models.DateTimeField()
    #: The client's IP address.
    address = models.CharField(max_length=45)
    state = models.CharField(max_length=8, default=BEGUN)
    #: What both sides agreed on (fabgate/join/exchange.py), as hex.
    agreement = models.CharField(max_length=64)
    #: What the gate offered, as it was sealed.
    offer = models.TextField(blank=True)
    serial = models.CharField(max_length=200, blank=True)
    agreed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.code_id} from {self.address}: {self.state}"
