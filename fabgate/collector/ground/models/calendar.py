"""Opening hours of the workshop, of a category of machines or of one machine. members/access/opening_hours.py applies them."""

from __future__ import annotations

from datetime import time
from typing import Final

from django.db import models
from django.db.models import Q

from fabgate.collector.ground.models.machines import Machine

#: ISO weekdays, 1 is Monday.
WEEK: Final = (1, 2, 3, 4, 5, 6, 7)


class Scope(models.Model):
    """What the hours apply to: one machine, a category, or (with neither) all machines."""

    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    category = models.CharField(max_length=60, blank=True)

    class Meta:
        """An abstract model."""

        abstract = True


class Opening(Scope):
    """Weekly hours in the site's time zone. A `to` that is not after `start` is on the next day."""

    #: ISO weekdays on which the hours begin.
    days = models.JSONField(default=list)
    start = models.TimeField()
    to = models.TimeField()

    class Meta:
        """For a machine or a category, not both."""

        constraints = [models.CheckConstraint(condition=Q(machine=None) | Q(category=""), name="opening_of_one_scope")]

    def __str__(self) -> str:
        return f"{','.join(map(str, self.days))} {hours(self.start, self.to)}"


class SpecialDay(Scope):
    """Hours that replace the usual ones on one day; without hours the workshop or machine is closed.

    A day may have several rows, one for each span of hours; a closed one overrides them.
    """

    day = models.DateField(db_index=True)
    start = models.TimeField(null=True, blank=True)
    to = models.TimeField(null=True, blank=True)
    #: Shown to people, such as "1 May" or "Open late tonight".
    note = models.CharField(max_length=120, blank=True)

    class Meta:
        """For a machine or a category, not both; hours have a start and an end."""

        constraints = [
            models.CheckConstraint(condition=Q(machine=None) | Q(category=""), name="special_day_of_one_scope"),
            models.CheckConstraint(
                condition=Q(start=None, to=None) | Q(start__isnull=False, to__isnull=False),
                name="special_day_has_both_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {hours(self.start, self.to)}"

    @property
    def is_closed(self) -> bool:
        """Whether the workshop or machine is closed on that day."""
        return self.start is None


def hours(start: time | None, to: time | None) -> str:
    """Return hours as text, such as 08:00-18:00."""
    return "closed" if start is None or to is None else f"{start:%H:%M}-{to:%H:%M}"
