"""Prepaid credit: which payers prepay, and their ledger."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class PrepaidChange(models.Model):
    """From a month on, a payer prepays, or no longer does. Only money/billing/prepaid/modes.py writes these rows."""

    #: Its id, as sessions store it; empty: all payers without a row of their own.
    payer = models.CharField(max_length=200, blank=True)
    #: The first day of the month.
    since = models.DateField()
    prepays = models.BooleanField()

    class Meta:
        """A payer has one mode in a month."""

        constraints = [
            models.UniqueConstraint(fields=["payer", "since"], name="prepaid_change_once"),
        ]

    def __str__(self) -> str:
        return f"{self.payer or 'everybody'}: {'prepaid' if self.prepays else 'billed'} from {self.since:%Y-%m}"


class PrepaidEntry(models.Model):
    """One line of a payer's prepaid ledger. Rows are only added (money/billing/prepaid/ledger.py)."""

    #: Paid in; refunded; the reversal of a credit, in full; and the total of a closed month.
    CREDIT, REFUND, TAKEN_BACK, USED = "credit", "refund", "taken-back", "used"
    KINDS: ClassVar = [
        (CREDIT, _("Credit")),
        (REFUND, _("Refund")),
        (TAKEN_BACK, _("Credit reversed")),
        (USED, _("Used in the month")),
    ]
    CASH, CARD, CHEQUE, TRANSFER = "cash", "card", "cheque", "transfer"
    METHODS: ClassVar = [(CASH, _("Cash")), (CARD, _("Card")), (CHEQUE, _("Cheque")), (TRANSFER, _("Transfer"))]
    LONGEST_TILL_NUMBER: ClassVar = 40

    #: Its id, as sessions store it.
    payer = models.CharField(max_length=200)
    kind = models.CharField(max_length=12)
    #: In the currency's smallest unit; above 0 it raises the balance.
    amount_minor = models.BigIntegerField()
    #: How it was paid; empty for the total of a month.
    method = models.CharField(max_length=12, blank=True)
    #: The number of the till's own receipt, or of a cheque.
    till_number = models.CharField(max_length=LONGEST_TILL_NUMBER, blank=True)
    #: Why it was paid or reversed.
    reason = models.CharField(max_length=200, blank=True)
    #: The credit that is reversed.
    takes_back = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="taken_back_by")
    #: The day on which it counts, in the zone of billing: never one of a month that was closed before. What a month cost
    #: counts on its last day.
    day = models.DateField()
    author = models.CharField(max_length=200)
    at = models.DateTimeField()
    #: Names the form that was sent, so that it counts once.
    form_key = models.CharField(max_length=36, blank=True)

    class Meta:
        """A form is stored once, and a month is used up once; entries are read by payer, or by day."""

        constraints = [
            models.UniqueConstraint(fields=["form_key"], condition=~models.Q(form_key=""), name="prepaid_form_once"),
            models.UniqueConstraint(
                fields=["payer", "day"], condition=models.Q(kind="used"), name="prepaid_month_used_once"
            ),
        ]
        indexes = [
            models.Index(fields=["payer", "day", "id", "amount_minor"], name="prepaid_of_payer"),
            models.Index(fields=["day", "id"], name="prepaid_of_day"),
        ]

    def __str__(self) -> str:
        return f"{self.payer}: {self.kind} {self.amount_minor}"


class Admission(models.Model):
    """A manager lets gates admit who a payer pays for, although sessions in review may have used up the credit.

    Gates then leave out the sessions that were in review at that moment, each until it is decided. Rows are only added
    (money/billing/prepaid/admissions.py).
    """

    #: Its id, as sessions store it.
    payer = models.CharField(max_length=200, db_index=True)
    reason = models.CharField(max_length=200)
    author = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.payer}: admitted"
