"""The days and hours of peaks, in the active language."""

from __future__ import annotations

from collections.abc import Collection
from datetime import time
from typing import Final

from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _

from fabgate.collector.money.paper.figures import NOTHING
from fabgate.pricing.tariffs import Peak

_WEEK: Final = 7


def days(found: Collection[int]) -> str:
    """Return weekdays, three or more neighbours as a span; 0 is Monday."""
    if len(found) == _WEEK:
        return _("all days")
    spans: list[list[int]] = []
    for day in sorted(found):
        if spans and spans[-1][-1] == day - 1:
            spans[-1].append(day)
        else:
            spans.append([day])
    return ", ".join(_span(span) for span in spans)


def _span(span: list[int]) -> str:
    first, last = str(WEEKDAYS_ABBR[span[0]]), str(WEEKDAYS_ABBR[span[-1]])
    if len(span) == 1:
        return first
    return f"{first}, {last}" if len(span) == 2 else f"{first}{NOTHING}{last}"


def hours(peak: Peak) -> str:
    """Return start and end; midnight at the end is 24:00."""
    end = "24:00" if peak.end == time() else f"{peak.end:%H:%M}"
    return f"{peak.start:%H:%M}{NOTHING}{end}"
