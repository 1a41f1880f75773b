"""The VAT codes of charges."""

from __future__ import annotations

from fabgate.collector.ground.models import ChargeTerms


def by_terms() -> dict[str, str]:
    """Return the VAT code of all terms by which charges were made, by the digest of the terms.

    Terms never change. A charge keeps them, and its amount, when its rule is removed, until its session is rated again.
    """
    rows = ChargeTerms.objects.values_list("digest", "snapshot")
    return {digest: snapshot.get("rule", {}).get("vat_code", "") for digest, snapshot in rows}
