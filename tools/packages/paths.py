"""Says where a package has what docs/install-by-hand.md puts elsewhere."""

from __future__ import annotations

from typing import Final

GATE: Final = "usr/lib/fabgate-gate"
COLLECTOR: Final = "usr/lib/fabgate-collector"
_BY_HAND: Final = {
    "fabgate-gate": {"/opt/fabgate/bin/fabgate": "/usr/bin/fabgate", "/usr/lib/fabgate/": f"/{GATE}/"},
    "fabgate-collector": {
        "/opt/fabgate/bin": f"/{COLLECTOR}/bin",
        "/opt/fabgate/share/": f"/{COLLECTOR}/share/",
        "/opt/fabgate-src/config/": "/usr/share/doc/fabgate-collector/examples/",
        "/usr/local/sbin/": "/usr/sbin/",
    },
}


def adapted(text: str, package: str) -> str:
    """Return a unit or a script with the paths of a package in place of those of an installation by hand."""
    for by_hand, packaged in _BY_HAND[package].items():
        text = text.replace(by_hand, packaged)
    return text
