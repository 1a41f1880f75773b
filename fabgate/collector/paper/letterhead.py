"""The sender of a document: the workshop's name, and the lines below it."""

from __future__ import annotations

from dataclasses import dataclass

from fabgate.collector.billing.statements import words
from fabgate.collector.billing.statements.compose import Words
from fabgate.collector.paper.statements import rows


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The workshop's name, and lines such as its address and numbers."""

    name: str
    lines: tuple[str, ...] = ()


def current() -> Letterhead:
    """Return the letterhead of new documents: that of statements, in the active language."""
    workshop = words.workshop()
    shown = Words(payer={}, people={}, why={}, machines={}, workshop=workshop)
    return Letterhead(workshop["name"], tuple(rows.workshop_lines(shown)))
