"""What of an open page does its script ask for again? The regions that heard of a change, and of which gates it was.

Without the header a page is opened, and all of it is made. A view need not look: it may answer with more than was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

#: The ids of the regions, and the names of the gates, each with a space between.
REGIONS: Final = "X-Live"
GATES: Final = "X-Live-Gates"
#: So many gates at once are asked for by name; beyond that everything is made anew, and costs little more.
MOST_GATES: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted: some `regions`, or None where a page is opened; of some `gates` alone, or None where of all."""

    regions: frozenset[str] | None = None
    gates: frozenset[str] | None = None

    def wants(self, region: str) -> bool:
        """Whether a region is to be made."""
        return self.regions is None or region in self.regions


def is_asked_again(request: HttpRequest) -> bool:
    """Whether a page that is open already asks: what stands around it stays as it is."""
    return REGIONS in request.headers


def asked(request: HttpRequest) -> Asked:
    """Return what is wanted. Names that nothing has are no mistake: what they named may have gone meanwhile."""
    if not is_asked_again(request):
        return Asked()
    gates = frozenset(request.headers.get(GATES, "").split())
    return Asked(
        regions=frozenset(request.headers[REGIONS].split()), gates=gates if 0 < len(gates) <= MOST_GATES else None
    )
