"""The links of a report's lines and bars: to their sessions, or to the people of a category."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from fabgate.collector.faces.pages.use import periods
from fabgate.collector.faces.pages.use.periods import Period
from fabgate.collector.faces.pages.use.reports import sums

#: The value of the category filter for members without a category; a category may be a dash but not a blank.
NO_CATEGORY: Final = " "


def of_line(line: sums.Line, by: str, period: Period, chosen: Mapping[str, Any]) -> str:
    """Return the link of a line, or "" if its sessions cannot be listed. `chosen` are the filters of the report."""
    if by == sums.CATEGORY:
        query = {"first": period.first, "last": period.last, "by": sums.MEMBER, "machine": chosen["machine"]}
        return f"{reverse('use-usage')}?{urlencode({**query, 'category': line.category or NO_CATEGORY})}"
    machine = chosen["machine"] or (line.machine_id or "")
    if (by != sums.MEMBER and not machine) or (by != sums.MACHINE and not line.member):
        return ""  # a gate without a machine, or sessions without a member
    return _sessions(period.first, period.last, chosen, machine=machine, member=line.member or chosen["member"])


def of_bar(first: date, last: date, chosen: Mapping[str, Any]) -> str:
    """Return the link of a bar, or "" if its sessions cannot be listed."""
    machine, member = chosen["machine"], chosen["member"]
    if (last - first).days + 1 > periods.MOST_DAYS and not (machine or member):
        return ""
    return _sessions(first, last, chosen, machine=machine, member=member)


def _sessions(first: date, last: date, chosen: Mapping[str, Any], *, machine: Any, member: str) -> str:
    if chosen["category"]:
        return ""  # the list of sessions has no such filter
    query = {"machine": machine, "member": member, "period": periods.OWN, "first": first, "last": last}
    return f"{reverse('use')}?{urlencode({name: value for name, value in query.items() if value})}"
