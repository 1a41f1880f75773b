"""How a statement is paid: what is due by statement, until when, and to whom. Pure.

Payments themselves are not kept here: the till and the accounting have them.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from fabgate.collector.money.billing.statements.compose import Statement

#: Of EPC069-12 (European Payments Council, quick response code for a credit transfer), version 002.
_VERSION: Final = "002"
_UTF_8: Final = "1"
LONGEST_NAME: Final = 70
_LONGEST_REFERENCE: Final = 140
_MOST_BYTES: Final = 331
_MOST_MINOR: Final = 99_999_999_999
_EURO: Final = "EUR"


class Payment(NamedTuple):
    """What a statement asks for."""

    #: What is due by statement, with VAT; 0 or less: nothing is to be paid. None: a VAT code has no rate.
    amount_minor: int | None
    #: The number of the statement.
    reference: str
    #: None while the month is open, and without a number of days.
    due_on: date | None
    holder: str
    iban: str
    bic: str
    #: Other means and conditions, in the workshop's own words.
    text: str
    #: Where payments are kept, in the workshop's own words, or "".
    kept: str

    @property
    def is_due(self) -> bool:
        """Return whether anything is to be paid, as far as that is known."""
        return self.amount_minor is None or self.amount_minor > 0


def of(statement: Statement) -> Payment:
    """Return how a statement is paid."""
    head, workshop = statement.head, statement.words.workshop
    days = workshop.get("due_days")
    due_on = None
    if head.closed_at is not None and days is not None:
        due_on = head.closed_at.astimezone(ZoneInfo(head.zone)).date() + timedelta(days=int(days))
    return Payment(
        amount_minor=statement.to_pay_minor,
        reference=head.number,
        due_on=due_on,
        holder=workshop.get("account_holder", "").strip() or workshop.get("name", ""),
        iban=workshop.get("iban", ""),
        bic=workshop.get("bic", ""),
        text=workshop.get("payment_text", ""),
        kept=workshop.get("payments_kept", ""),
    )


def epc_text(statement: Statement) -> str | None:
    """Return the text of the EPC QR code of a final statement; None where nothing is to be paid by a transfer in euros.

    None, too, for a reference or a whole text beyond the limits of the standard.
    """
    found, head = of(statement), statement.head
    amount = found.amount_minor
    if head.currency != _EURO or head.closed_at is None or not found.iban or amount is None:
        return None
    if not 0 < amount <= _MOST_MINOR or len(found.reference) > _LONGEST_REFERENCE:
        return None
    euros = f"{_EURO}{Decimal(amount).scaleb(-head.digits):.2f}"
    name = found.holder[:LONGEST_NAME].strip()
    # The purpose and the structured reference (ISO 11649) are empty; the text of the transfer names the statement.
    lines = ("BCD", _VERSION, _UTF_8, "SCT", found.bic, name, found.iban, euros, "", "", found.reference)
    text = "\n".join(lines)
    return text if len(text.encode()) <= _MOST_BYTES else None
