"""The QR code with which a banking app prepares the transfer (EPC069-12)."""

from __future__ import annotations

import segno

from fabgate.collector.money.billing.statements import payment
from fabgate.collector.money.billing.statements.compose import Statement


def of(statement: Statement) -> segno.QRCode | None:
    """Return the code; None where nothing is to be paid by a transfer in euros."""
    text = payment.epc_text(statement)
    # The standard wants level M, and version 13 at most: 331 bytes fit it.
    return None if text is None else segno.make_qr(text, error="m", boost_error=False, mode="byte", encoding="utf-8")
