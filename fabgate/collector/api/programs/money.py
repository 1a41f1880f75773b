"""What every answer about money says: the currency, and how far charges follow the sessions."""

from __future__ import annotations

from typing import Any, Final

from ninja import Field

from fabgate.collector.billing import terms
from fabgate.collector.models import BillingProgress

CURRENCY: Final = Field(description="The code of ISO 4217; null until billing is started.")
INCLUDES_VAT: Final = Field(
    description="Whether amounts include VAT; null where it is not applicable (art. 293 B CGI), and as above."
)
DIGITS: Final = Field(description="The decimals of the currency: 2 for EUR, where 1250 is 12.50; null as above.")
POSITION: Final = Field(
    ge=0, description="Charges follow `/sessions` up to this `position`; they follow decisions of people at once."
)


def terms_of_money() -> dict[str, Any]:
    """Return the currency of the site, its decimals, and whether amounts include VAT."""
    found = terms.started()
    return {name: getattr(found, name, None) for name in ("currency", "digits", "includes_vat")}


def position() -> int:
    """Return the last position of the ledger that charges know."""
    return BillingProgress.objects.values_list("position", flat=True).first() or 0
