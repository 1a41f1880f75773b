"""The sums of sessions by day and by month; recording/sessions/sums.py keeps them up to date."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.db import models
from django.db.models import QuerySet

from fabgate.collector.ground.models.machines import Gate


class UsageSums(models.Model):
    """Sums of the sessions that ended on a day of the site, by machine, member and category: a year is few rows.

    Ingest and corrections update them in the transaction that changes a session; they can be rebuilt
    (recording/sessions/sums.py).
    """

    #: The day on which the sessions ended; for months, the first day.
    day = models.DateField()
    #: The machine's id, 0 if the gate had none: NULL would not be equal to itself in the unique constraint.
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
    #: Wh of those sessions whose energy is known, and their number; NULL, like 0, if there is none.
    energy_wh = models.BigIntegerField(null=True)
    measured = models.BigIntegerField(null=True)

    class Meta:
        """Two tables with the same columns: daily and monthly sums do not mix."""

        abstract = True

    def __str__(self) -> str:
        return f"{self.day}: {self.used_by} on {self.machine_key}"

    @classmethod
    def between(cls, first: date, last: date) -> QuerySet[Self]:
        """Return the rows of the days from `first` to `last`, both included, without those that became empty."""
        return cls._default_manager.filter(day__gte=first, day__lte=last, sessions__gt=0)


class UsageDay(UsageSums):
    """The sums of one day."""

    class Meta:
        """One row for each day, machine, gate, member and category; read by ranges of days."""

        constraints = [
            models.UniqueConstraint(fields=["day", "machine_key", "gate", "used_by", "category"], name="usage_day_once")
        ]


class UsageMonth(UsageSums):
    """The sums of one calendar month, under its first day: at most a fifth as many rows as its days have."""

    class Meta:
        """One row for each month, machine, gate, member and category; read by ranges of months."""

        constraints = [
            models.UniqueConstraint(
                fields=["day", "machine_key", "gate", "used_by", "category"], name="usage_month_once"
            )
        ]
