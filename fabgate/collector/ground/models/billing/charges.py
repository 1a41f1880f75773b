"""Charges: what each session costs whom, and the months that are closed."""

from __future__ import annotations

from django.db import models

from fabgate.collector.ground.models.billing.tariffs import TariffRule


class ChargeTerms(models.Model):
    """The rule and the plan by which charges were made, as they were then. Rows never change."""

    #: SHA-256 of the snapshot, in hexadecimal digits.
    digest = models.CharField(max_length=64, unique=True)
    snapshot = models.JSONField()

    def __str__(self) -> str:
        return self.digest[:12]


class Charge(models.Model):
    """What one session costs one payer, also if that is nothing.

    While its month is open it is *provisional*: other facts replace it. In a closed month it is final and never changes;
    what is wrong then gets a reversal and a new charge in the open month.
    """

    #: UUIDv5 of the facts, the price and the charge that it follows (money/billing/charges/record.py).
    id = models.CharField(max_length=36, primary_key=True)
    session = models.CharField(max_length=64, db_index=True)
    #: The first day of the month in which it is charged, and of the month in which the session ended.
    month = models.DateField()
    of_month = models.DateField()
    payer = models.CharField(max_length=200)
    used_by = models.CharField(max_length=200)
    machine = models.CharField(max_length=63)
    plan = models.CharField(max_length=60, blank=True)
    purpose = models.CharField(max_length=16)
    #: One of money/billing/rating.py, CLASSES.
    kind = models.CharField(max_length=12)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    #: Negative in a reversal, like the amount.
    counted_ms = models.BigIntegerField()
    running_ms = models.BigIntegerField()
    #: What it uses of free time, and of the daily cap.
    free_ms = models.BigIntegerField(default=0)
    cap_minor = models.BigIntegerField(default=0)
    amount_minor = models.BigIntegerField(default=0)
    #: The rule and the terms that gave the price; a charge without a price names neither.
    rule = models.ForeignKey(TariffRule, null=True, on_delete=models.PROTECT, related_name="charges", db_index=False)
    terms = models.ForeignKey(ChargeTerms, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    #: A digest of what the price depends on: other facts of a session whose month is closed get a reversal.
    facts = models.CharField(max_length=32)
    #: The id of the charge that it reverses, or "".
    reverses = models.CharField(max_length=36, blank=True)
    #: The position in the ledger with which a session of a closed month became known; 0 for one of its own month.
    known = models.BigIntegerField(default=0)

    class Meta:
        """Charges are read by month and payer; a charge is reversed at most once."""

        indexes = [models.Index(fields=["month", "payer"], name="charge_of_payer")]
        constraints = [
            models.UniqueConstraint(fields=["reverses"], condition=~models.Q(reverses=""), name="charge_reversed_once")
        ]

    def __str__(self) -> str:
        return f"{self.session}: {self.payer} {self.kind} {self.amount_minor}"


class Waiver(models.Model):
    """A session that costs nothing, because a person decided so."""

    session = models.CharField(max_length=64, unique=True)
    reason = models.CharField(max_length=200)
    author = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.session


class ManualLine(models.Model):
    """What a person charges a payer besides sessions, such as material or a course; a credit is negative."""

    #: The first day of the month in which it is charged: that of its day, or the first month that was open then.
    month = models.DateField()
    #: The day that it is about.
    day = models.DateField()
    payer = models.CharField(max_length=200)
    text = models.CharField(max_length=200)
    amount_minor = models.BigIntegerField()
    vat_code = models.CharField(max_length=20, blank=True)
    #: The session that it is about, or "".
    session = models.CharField(max_length=64, blank=True)
    author = models.CharField(max_length=200)
    at = models.DateTimeField()
    #: The number of the line of a closed month that it takes back, or NULL.
    reverses = models.BigIntegerField(null=True)

    class Meta:
        """Lines are read by month and payer."""

        indexes = [models.Index(fields=["month", "payer"], name="manual_line_of_payer")]

    def __str__(self) -> str:
        return f"{self.payer}: {self.text} {self.amount_minor}"


class ClosedMonth(models.Model):
    """A month whose charges are final. Months are closed one after the other."""

    #: The first day.
    month = models.DateField(primary_key=True)
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=200)
    #: Why it was closed although something was open.
    reason = models.CharField(max_length=200, blank=True)
    #: The plans and the categories of machines on that day: late sessions are rated with them.
    terms = models.JSONField()
    charges = models.IntegerField()
    lines = models.IntegerField()
    amount_minor = models.BigIntegerField()
    #: How many entries of prepaid ledgers count in the month.
    entries = models.IntegerField(default=0)
    #: Over the month before, the terms, and all charges, lines and prepaid entries of the month, in hexadecimal digits.
    sha256 = models.CharField(max_length=64)
    #: What all its statements show: the workshop, and the titles of machines (money/billing/statements/issue.py).
    printed = models.JSONField(default=dict)
    #: The SHA-256 of each file of its archive, without names (money/billing/statements/archive.py).
    archive = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class BillingProgress(models.Model):
    """How far charges follow the ledger. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    #: The last line of the ledger that charges know.
    position = models.BigIntegerField(default=0)
    #: A digest of rules, plans and categories: others change the charges of open months.
    terms = models.CharField(max_length=64, blank=True)
    #: The newest pulse with which charges were up to date.
    pulse = models.BigIntegerField(default=-1)

    class Meta:
        """There is only one row."""

        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_billing_progress")]

    def __str__(self) -> str:
        return str(self.position)
