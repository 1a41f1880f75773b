"""Words for what would be lost: those of the pages."""

from __future__ import annotations

from typing import Final

from fabgate.collector.faces.pages.log import labels

#: What people enter about money (processes/rollback/lost.py).
KINDS: Final = {"credit": "credit", "refund": "refund", "taken-back": "reversal of a credit", "line": "line"}


def verb(name: str) -> str:
    """Return the words of the log for a change; one that only a newer version knows is shown as it is stored."""
    return labels.verb(name)
