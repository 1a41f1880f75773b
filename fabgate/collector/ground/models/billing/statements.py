"""Statements: their texts when the month was closed, the mails that were sent, and the sender."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models


class Workshop(models.Model):
    """The sender of statements: the workshop, as their head shows it. One row, created when it is first saved."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    #: The legal name.
    name = models.CharField(max_length=200)
    address = models.TextField(blank=True)
    #: An e-mail address, a telephone number or both, for questions about statements.
    contact = models.CharField(max_length=200, blank=True)
    #: In France a SIREN or a SIRET.
    registration_number = models.CharField(max_length=30, blank=True)
    vat_number = models.CharField(max_length=20, blank=True)
    #: How statements are paid: to which account, in how many days, and by which other means. The name is at most as long
    #: as a transfer allows.
    iban = models.CharField(max_length=34, blank=True)
    bic = models.CharField(max_length=11, blank=True)
    account_holder = models.CharField(max_length=70, blank=True)
    #: Days after the month was closed; NULL: no date is printed.
    due_days = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(366)])
    payment_text = models.CharField(max_length=300, blank=True)
    #: Where payments are kept: the sentence that is printed in the place of the usual one.
    payments_kept = models.CharField(max_length=200, blank=True)

    class Meta:
        """There is only one row."""

        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_workshop")]

    def __str__(self) -> str:
        return self.name


class IssuedStatement(models.Model):
    """The words of a payer's statement of a closed month, as they were when it was closed.

    The figures are those of the charges and lines, which never change. So names can be erased, and sums stay.
    """

    #: The values in the audit log: without the texts, which can be erased.
    DECIDED: ClassVar = frozenset({"id", "month", "payer", "erased_at"})

    month = models.DateField()
    payer = models.CharField(max_length=200)
    #: The total.
    amount_minor = models.BigIntegerField()
    #: Name, address and language of the payer, names of people, and reasons (money/billing/statements/words.py).
    words = models.JSONField(default=dict)
    #: When the words were erased.
    erased_at = models.DateTimeField(null=True)

    class Meta:
        """A payer has one statement of a month."""

        constraints = [models.UniqueConstraint(fields=["month", "payer"], name="statement_once")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}/{self.payer}"


class StatementMail(models.Model):
    """A statement that is sent by e-mail. It is stored before it is sent, so that nothing is sent twice."""

    #: To be sent by the worker; being sent, or perhaps sent if the process ended meanwhile; accepted by the server; not.
    WAITING, SENDING, SENT, FAILED = "waiting", "sending", "sent", "failed"
    STATES = (WAITING, SENDING, SENT, FAILED)

    statement = models.ForeignKey(IssuedStatement, on_delete=models.PROTECT, related_name="mails")
    email = models.EmailField()
    state = models.CharField(max_length=8, choices=[(state, state) for state in STATES])
    at = models.DateTimeField()
    author = models.CharField(max_length=200)
    #: Why it could not be sent.
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        """What waits is found at once."""

        indexes = [models.Index(fields=["state"], name="statement_mail_state")]

    def __str__(self) -> str:
        return f"{self.statement}: {self.email} {self.state}"
