"""The headers with which the script of an open page asks for some regions of it again, after a change.

Without the header the whole page is rendered. A view may ignore the header and render everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

#: Ids of regions, and names of gates, separated by spaces.
REGIONS: Final = "X-Live"
GATES: Final = "X-Live-Gates"
#: Beyond this many gates the script asks for whole regions, which costs little more.
MOST_GATES: Final = 20


@dataclass(frozen=True, slots=True)
class Requested:
    """What to render: some `regions` (None: the whole page), of some `gates` (None: of all)."""

    regions: frozenset[str] | None = None
    gates: frozenset[str] | None = None

    def wants(self, region: str) -> bool:
        """Return whether to render a region."""
        return self.regions is None or region in self.regions


def is_refresh(request: HttpRequest) -> bool:
    """Return whether an open page asks for parts of itself, without the layout around them."""
    return REGIONS in request.headers


def requested(request: HttpRequest) -> Requested:
    """Return what to render. Unknown names are ignored: a gate may have been removed in the meantime."""
    if not is_refresh(request):
        return Requested()
    gates = frozenset(request.headers.get(GATES, "").split())
    return Requested(
        regions=frozenset(request.headers[REGIONS].split()), gates=gates if 0 < len(gates) <= MOST_GATES else None
    )
