"""What a site bills by: its currency, and from which month. One row, made when somebody starts billing."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class BillingTerms(models.Model):
    """The terms of billing. Without this row nothing is billed, and no page shows a price."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    #: A code of ISO 4217, and its decimals; they never change once something was charged.
    currency = models.CharField(max_length=3)
    digits = models.PositiveSmallIntegerField()
    #: Whether prices include value added tax; NULL where it is not applicable (art. 293 B CGI).
    includes_vat = models.BooleanField(null=True)
    #: The time zone of days and months, as the site had it when billing was started.
    zone = models.CharField(max_length=63)
    #: The first day of the first month that is billed.
    first_month = models.DateField()
    #: Payers who prepay are warned when their credit is below this, in the smallest unit; 0: only when it is used up.
    low_credit_minor = models.PositiveIntegerField(default=0)
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """There is only one row."""

        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_billing_terms")]

    def __str__(self) -> str:
        return f"{self.currency} from {self.first_month:%Y-%m}"
