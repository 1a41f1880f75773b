"""The VAT rates by which a workshop's totals with and without tax are made (money/billing/vat/amounts.py)."""

from __future__ import annotations

from django.db import models


class VatRate(models.Model):
    """The rate of one VAT code. Only money/billing/vat/rates.py writes these rows."""

    #: As rules and lines have it; "" is that of prices without a code.
    code = models.CharField(max_length=20, unique=True, blank=True)
    percent = models.DecimalField(max_digits=6, decimal_places=4)

    def __str__(self) -> str:
        return f"{self.code or 'no code'}: {self.percent.normalize():f} %"
