"""Keeps the VAT rate of each code.

A rate that charges or lines of a closed month have never changes, so a closed month comes to the same totals for ever
(docs/decisions/0129). A later rate is that of another code.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Charge, ManualLine, TariffRule, VatRate
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.tariffs.typed_rule import LONGEST_VAT_CODE, is_vat_code
from fabgate.errors import UsageError

#: How many decimals a rate has at most; the column has as many.
DIGITS: Final = 4


def known() -> dict[str, Decimal]:
    """Return the rate of each code in percent, in the order of the codes."""
    return {row.code: _plain(row.percent) for row in VatRate.objects.order_by("code")}


def codes() -> list[str]:
    """Return the codes of rules, lines and rates; "" is there if prices without a code are."""
    used = (
        model.objects.order_by().values_list("vat_code", flat=True).distinct() for model in (TariffRule, ManualLine)
    )
    return sorted({*known(), *(code for found in used for code in found)})


@transaction.atomic
def set_rate(code: str, percent: Decimal, *, actor: str) -> bool:
    """Set the rate of a code, and return whether that changes anything. The code "" is that of prices without one.

    Raises UsageError where VAT is not applicable, for a code or a rate that cannot be, and for another rate than before
    of a code that a closed month has.
    """
    if terms.get().includes_vat is None:
        raise UsageError(_("found a VAT rate, wanted none: VAT is not applicable to this workshop (art. 293 B CGI)"))
    if code and not is_vat_code(code):
        text = _("VAT code: found '%(found)s', wanted at most %(most)d visible characters, without spaces around them")
        raise UsageError(text % {"found": code[:60], "most": LONGEST_VAT_CODE})
    if not (percent.is_finite() and 0 <= percent < 100 and percent == round(percent, DIGITS)):
        text = _(
            "found the VAT rate %(found)s, wanted at least 0 and below 100 percent, with at most %(digits)d decimals"
        )
        raise UsageError(text % {"found": str(percent)[:20], "digits": DIGITS})
    terms.lock_charges()  # or else a month could be closed between the question and the answer
    row = VatRate.objects.filter(code=code).first()
    if row is not None and row.percent == percent:
        return False
    if row is not None:
        _refuse_final(row)
    verb, row = ("vat-rate.changed", row) if row is not None else ("vat-rate.added", VatRate(code=code))
    with audit.change(actor, verb, row):
        row.percent = percent
        row.save()
    return True


@transaction.atomic
def remove(code: str, *, actor: str) -> bool:
    """Remove the rate of a code, and return whether there was one. Raises UsageError if a closed month has the code."""
    terms.lock_charges()
    row = VatRate.objects.filter(code=code).first()
    if row is None:
        return False
    _refuse_final(row)
    with audit.change(actor, "vat-rate.removed", row):
        VatRate.objects.filter(pk=row.pk).delete()  # unlike row.delete(), this keeps the id for the log
    return True


def read_percent(typed: str) -> Decimal:
    """Return a typed rate, such as ``20`` or ``5.5``. Raises UsageError; `set_rate` checks whether it can be a rate."""
    try:
        return Decimal(typed.strip().replace(",", "."))
    except InvalidOperation:
        text = _("found the VAT rate '%(found)s', wanted a number of percent such as 20 or 5.5")
        raise UsageError(text % {"found": typed[:20]}) from None


def is_final(code: str) -> bool:
    """Return whether charges or lines of a closed month have a code: then its rate never changes."""
    if (first := terms.first_open_day()) is None:
        return False
    charges = Charge.objects.filter(month__lt=first, rule__vat_code=code)
    return charges.exists() or ManualLine.objects.filter(month__lt=first, vat_code=code).exists()


def _refuse_final(row: VatRate) -> None:
    if is_final(row.code):
        text = _(
            "closed months have charges or lines at %(percent)s %% with the VAT code '%(code)s': their totals cannot change."
            " Make a new code for another rate"
        )
        raise UsageError(text % {"percent": _plain(row.percent), "code": row.code})


def _plain(percent: Decimal) -> Decimal:
    """Return a rate without zeros at its end, and without an exponent."""
    return Decimal(f"{percent.normalize():f}")
