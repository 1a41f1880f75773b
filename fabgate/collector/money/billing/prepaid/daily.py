"""The credits and refunds of a day, by method, to compare with the till."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import NamedTuple

from fabgate.collector.ground.models import PrepaidEntry


class Sum(NamedTuple):
    """Sums of one method, in minor units; refunds are negative."""

    entries: int = 0
    in_minor: int = 0
    out_minor: int = 0

    @property
    def net_minor(self) -> int:
        """Return by how much the till should have changed."""
        return self.in_minor + self.out_minor


class Day(NamedTuple):
    """The entries of a day in the order in which they were made, and the sum of each method that occurs."""

    entries: list[PrepaidEntry]
    methods: dict[str, Sum]

    @property
    def total(self) -> Sum:
        """Return the sum of all methods."""
        return Sum(*map(sum, zip(Sum(), *self.methods.values(), strict=True)))


def of(day: date) -> Day:
    """Return the entries of a day, in the zone of billing."""
    entries = list(PrepaidEntry.objects.filter(day=day).exclude(kind=PrepaidEntry.USED).order_by("pk"))
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for entry in entries:
        found = sums[entry.method]
        found[0] += 1
        # a reversed credit counts as never paid in
        is_out = entry.kind == PrepaidEntry.REFUND
        found[2 if is_out else 1] += entry.amount_minor
    known = [method for method, _name in PrepaidEntry.METHODS]
    return Day(entries, {method: Sum(*sums[method]) for method in known if method in sums})
