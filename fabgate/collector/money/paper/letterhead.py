"""The sender of a document: the workshop's name, and the lines below it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from fabgate.collector.money.billing.statements import words
from fabgate.collector.money.billing.statements.compose import Words


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The workshop's name, and lines such as its address and numbers."""

    name: str
    lines: tuple[str, ...] = ()


def current() -> Letterhead:
    """Return the letterhead of new documents: that of statements, in the active language."""
    workshop = words.workshop()
    shown = Words(payer={}, people={}, why={}, machines={}, workshop=workshop)
    return Letterhead(workshop["name"], tuple(workshop_lines(shown)))


def workshop_lines(words: Words) -> list[str]:
    """Return the lines below the name of the workshop."""
    workshop = words.workshop
    contact = [
        workshop.get("contact", ""),
        *(
            f"{label} {workshop[name]}"
            for name, label in (("registration_number", _("Registration number")), ("vat_number", _("VAT number")))
            if workshop.get(name)
        ),
    ]
    found = [", ".join(workshop.get("address", "").splitlines()), " · ".join(filter(None, contact))]
    return [line for line in found if line]
