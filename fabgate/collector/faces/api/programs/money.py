"""What every answer about money says: the currency, and how far charges follow the sessions."""

from __future__ import annotations

from typing import Any, Final

from ninja import Field

from fabgate.collector.ground.models import BillingProgress
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import behind
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.money.billing.vat.amounts import Amounts

CURRENCY: Final = Field(description="The code of ISO 4217; null until billing is started.")
INCLUDES_VAT: Final = Field(
    description="Whether amounts include VAT; null where it is not applicable (art. 293 B CGI), and as above."
)
DIGITS: Final = Field(description="The decimals of the currency: 2 for EUR, where 1250 is 12.50; null as above.")
POSITION: Final = Field(
    ge=0, description="Charges follow `/sessions` up to this `position`; they follow decisions of people at once."
)
PAYER_NAME: Final = Field(description="The name that statements have now: the payer's legal name, or the member's.")
_UNKNOWN: Final = "null if a VAT code has no rate."
NET: Final = Field(description=f"The sum without VAT; {_UNKNOWN}")
VAT: Final = Field(description=f"The VAT, rounded once for each payer, settlement and VAT code; {_UNKNOWN}")
GROSS: Final = Field(description=f"The sum with VAT; {_UNKNOWN}")
VAT_PERCENT: Final = Field(
    description="The rate of the VAT code, such as 5.5; null without one, and for an amount of 0."
)


def vat_percents() -> dict[str, str]:
    """Return the rate of each VAT code, as the API shows it."""
    return {code: str(percent) for code, percent in rates.known().items()}


def split(found: Amounts) -> dict[str, int | None]:
    """Return amounts without VAT, of VAT, and with VAT."""
    return {name: getattr(found, name) for name in ("net_minor", "vat_minor", "gross_minor")}


NOT_CHARGED_SINCE: Final = Field(
    description="Since when changes of sessions, rules or plans may be missing from the amounts; null when everything is"
    " charged. Ask again in a moment."
)


def terms_of_money() -> dict[str, Any]:
    """Return the currency of the site, its decimals, and whether amounts include VAT."""
    found = terms.started()
    return {name: getattr(found, name, None) for name in ("currency", "digits", "includes_vat")}


def progress() -> dict[str, Any]:
    """Return how far charges follow the sessions. Call it before charges are read: they may follow further, never less."""
    waiting = behind.now()
    return {
        "position": BillingProgress.objects.values_list("position", flat=True).first() or 0,
        "not_charged_since": waiting.since if waiting is not None else None,
    }
