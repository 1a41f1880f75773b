"""When is the workshop open, or one class of machines, or one machine? What follows from it is in access/opening_hours.py."""

from __future__ import annotations

from datetime import time
from typing import Final

from django.db import models
from django.db.models import Q

from fabgate.collector.models.workshop import Machine

#: ISO weekdays, 1 is Monday.
WEEK: Final = (1, 2, 3, 4, 5, 6, 7)


class Scope(models.Model):
    """For which machines hours are meant: one, or those of a category; neither is all of them."""

    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    category = models.CharField(max_length=60, blank=True)

    class Meta:
        """It has no table of its own."""

        abstract = True


class Opening(Scope):
    """Hours that come again every week, in the site's time zone. A `to` that is not after `start` is the next day's."""

    #: ISO weekdays on which they begin.
    days = models.JSONField(default=list)
    start = models.TimeField()
    to = models.TimeField()

    class Meta:
        """Of one machine or of one category, and not both."""

        constraints = [models.CheckConstraint(condition=Q(machine=None) | Q(category=""), name="opening_of_one_scope")]

    def __str__(self) -> str:
        return f"{','.join(map(str, self.days))} {hours(self.start, self.to)}"


class SpecialDay(Scope):
    """A day unlike the others: these hours in place of the usual ones, or, without hours, closed.

    Several rows of a day are several windows; one that is closed outweighs them.
    """

    day = models.DateField(db_index=True)
    start = models.TimeField(null=True, blank=True)
    to = models.TimeField(null=True, blank=True)
    #: What people read, such as "1 May" or "Open late tonight".
    note = models.CharField(max_length=120, blank=True)

    class Meta:
        """Of one machine or of one category; hours have both ends."""

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
        """Whether nothing is open on that day."""
        return self.start is None


def hours(start: time | None, to: time | None) -> str:
    """Return hours as a person writes them."""
    return "closed" if start is None or to is None else f"{start:%H:%M}-{to:%H:%M}"
