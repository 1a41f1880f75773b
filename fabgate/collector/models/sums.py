"""What do the sessions of a day, and of a month, add up to? How they are kept is in sessions/sums.py."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.db import models
from django.db.models import QuerySet

from fabgate.collector.models.workshop import Gate


class UsageSums(models.Model):
    """The sums of what ended on the site's own days: by machine, member and category, so that a year is few rows.

    Ingest and corrections keep them in the transaction that changes a session (sessions/sums.py); they can be built again.
    """

    #: The day on which the sessions ended, or the first of the days of which this is the sum.
    day = models.DateField()
    #: The machine's row, 0 where the gate had none: NULL would not be the same twice.
    machine_key = models.BigIntegerField()
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="+", db_index=False)
    used_by = models.CharField(max_length=200)
    category = models.CharField(max_length=60, blank=True)
    sessions = models.BigIntegerField()
    counted_ms = models.BigIntegerField()
    running_ms = models.BigIntegerField()
    uncertainty_ms = models.BigIntegerField()
    uncertain = models.BigIntegerField()
    about = models.BigIntegerField()

    class Meta:
        """Two tables of the same columns: sums of different days do not mix."""

        abstract = True

    def __str__(self) -> str:
        return f"{self.day}: {self.used_by} on {self.machine_key}"

    @classmethod
    def between(cls, first: date, last: date) -> QuerySet[Self]:
        """Return the rows of the days from `first` to `last`, both included; those that became empty left out."""
        return cls._default_manager.filter(day__gte=first, day__lte=last, sessions__gt=0)


class UsageDay(UsageSums):
    """The sums of one day."""

    class Meta:
        """One row a day and who used what; read by periods of days."""

        constraints = [
            models.UniqueConstraint(fields=["day", "machine_key", "gate", "used_by", "category"], name="usage_day_once")
        ]


class UsageMonth(UsageSums):
    """The sums of one calendar month, under its first day: a fifth of the rows that its days have, and less."""

    class Meta:
        """One row a month and who used what; read by periods of whole months."""

        constraints = [
            models.UniqueConstraint(
                fields=["day", "machine_key", "gate", "used_by", "category"], name="usage_month_once"
            )
        ]
