"""How a statement is paid, and where payments are recorded, in the active language."""

from __future__ import annotations

from typing import Final, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.ground.formats import date_format
from fabgate.collector.money.billing.statements import payment
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper.figures import Money

#: Where payments are recorded, unless the workshop has words of its own.
PAYMENTS_KEPT: Final = gettext_lazy("Payments are recorded in the association's accounting, not in this system.")


class PaymentWords(NamedTuple):
    """How a statement is paid: pairs of a label and a value, and sentences."""

    facts: list[tuple[str, str]]
    sentences: list[str]


def due(statement: Statement) -> list[tuple[str, str]]:
    """Return the amount to pay and its due date; nothing for a statement that asks for no payment."""
    head, found = statement.head, payment.of(statement)
    if not found.is_due or not (statement.persons or statement.lines):
        return []
    amount = found.amount_minor
    unknown = _("not known yet: a VAT code has no rate")
    to_pay = unknown if amount is None else Money(head.currency, head.digits).minor(amount)
    return [
        (_("To pay"), to_pay),
        *([(_("Due date"), date_format(found.due_on, "DATE_FORMAT"))] if found.due_on else []),
    ]


def of(statement: Statement) -> PaymentWords | None:
    """Return how a statement is paid, and where payments are recorded; None for one on which nothing is charged."""
    head, found = statement.head, payment.of(statement)
    if not statement.persons and not statement.lines:
        return None
    kept = found.kept or str(PAYMENTS_KEPT)
    if not found.is_due:
        owed = []
        if head.closed_at is not None and found.amount_minor is not None and found.amount_minor < 0:
            amount = Money(head.currency, head.digits).minor(-found.amount_minor)
            owed = [_("The workshop owes you %(amount)s, and settles it outside this system.") % {"amount": amount}]
        return PaymentWords([], [_("No payment is due on this statement."), *owed, kept])
    facts = [
        *due(statement),
        (_("Account holder"), found.holder if found.iban else ""),
        (_("IBAN"), " ".join(found.iban[place : place + 4] for place in range(0, len(found.iban), 4))),
        (_("BIC"), found.bic),
        (_("Reference"), found.reference),
    ]
    early = "" if head.closed_at else _("Do not pay yet: the month is not closed, and the amount may change.")
    return PaymentWords([fact for fact in facts if fact[1]], [text for text in (early, found.text, kept) if text])


def code_label() -> str:
    """Return what the QR code of a statement is for."""
    return _("Scan this code with your banking app, which fills in the transfer.")
