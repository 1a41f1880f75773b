"""The VAT of a statement by code, in the active language, and what the statement comes to with it."""

from __future__ import annotations

from typing import Final, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.money.billing.prepaid.words import PREPAID, RECEIVABLE
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.billing.vat.amounts import Amounts, Part
from fabgate.collector.money.paper.figures import NOTHING, Money, percentage

#: In the table of VAT, if a statement is settled in both ways.
_SETTLED: Final = {PREPAID: gettext_lazy("from credit"), RECEIVABLE: gettext_lazy("due by statement")}


class VatRow(NamedTuple):
    """The amounts of a VAT code, or of all of them: without VAT, VAT, with VAT. A dash is what is not known."""

    code: str
    percent: str
    net: str
    vat: str
    gross: str
    is_total: bool = False


def columns() -> list[str]:
    """Return the labels of the columns of `rows`."""
    return [_("VAT code"), _("Rate"), _("Without VAT"), _("VAT"), _("With VAT")]


def rows(statement: Statement) -> list[VatRow]:
    """Return the amounts by VAT code, the total last; nothing where VAT is not applicable, or no code and rate is known."""
    settled, head = statement.settled, statement.head
    parts = [(settlement, part) for settlement, found in settled.items() for part in found.parts]
    is_known = any(part.vat_code or part.vat_percent is not None for _settlement, part in parts)
    if head.includes_vat is None or not parts or (head.includes_vat and not is_known):
        return []
    money = Money(head.currency, head.digits)
    shown = []
    for settlement, part in parts:
        code = part.vat_code or _("without a code")
        if len(settled) > 1:
            code = f"{code}, {_SETTLED[settlement]}"
        percent = NOTHING if part.vat_percent is None else percentage(part.vat_percent)
        shown.append(VatRow(code, percent, *_split(part, money)))
    return [*shown, VatRow(_("Total"), "", *_split(statement.vat, money), is_total=True)]


def _split(part: Part | Amounts, money: Money) -> tuple[str, str, str]:
    def shown(amount: int | None) -> str:
        return NOTHING if amount is None else money.minor(amount)

    return shown(part.net_minor), shown(part.vat_minor), shown(part.gross_minor)


def note(statement: Statement) -> str:
    """Return that the amounts by VAT codes do not bind, or why there is no total with VAT; "" without such amounts."""
    if not rows(statement):
        return ""
    if codes := statement.vat.without_rate:
        shown = ", ".join(code or str(_("without a code")) for code in codes)
        text = ngettext(
            "This VAT code has no rate yet, so its VAT is not known: %(codes)s.",
            "These VAT codes have no rate yet, so their VAT is not known: %(codes)s.",
            len(codes),
        )
        return text % {"codes": shown}
    return _("VAT is for information only: the amounts in the accounting system are authoritative.")


def whole(statement: Statement) -> str:
    """Return what a statement comes to: with VAT if that is known."""
    gross_minor = statement.vat.gross_minor
    money = Money(statement.head.currency, statement.head.digits)
    if gross_minor is not None:
        return money.minor(gross_minor)
    return _("%(amount)s without VAT") % {"amount": money.minor(statement.amount_minor)}
