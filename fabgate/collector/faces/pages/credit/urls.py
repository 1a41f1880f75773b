"""Routes of credit. The desk only adds credit; accountants and managers also refund and reverse it, and set who prepays.

Managers alone admit a payer until sessions in review are decided.
"""

from __future__ import annotations

from typing import Final

from django.urls import path, register_converter

from fabgate.collector.faces.pages.credit import balance, day, left, paper, paying, prepaying
from fabgate.collector.faces.pages.ids import MemberConverter
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes
from fabgate.collector.ground.models import Account

register_converter(MemberConverter, "payer")

urlpatterns = [
    path("credit/<payer:pk>", balance.balance, name="people-credit"),
    path("credit/<payer:pk>/add", paying.add, name="people-credit-add"),
    path("credit/<payer:pk>/refund", paying.refund, name="people-credit-refund"),
    path("credit/<payer:pk>/admit", paying.admit, name="people-credit-admit"),
    path("credit/entry/<int:pk>/take-back", paying.take_back, name="people-credit-take-back"),
    path("credit/entry/<int:pk>.pdf", paper.acknowledgement, name="people-credit-pdf"),
    path("month/credits", day.credits_of_day, name="month-credits"),
    path("month/credits.csv", day.as_csv, name="month-credits-csv"),
    path("month/credits/left", left.left, name="month-credits-left"),
    path("month/prepaid", prepaying.prepaying, name="month-prepaid"),
]
_READ: Final = reads(Account.ACCOUNTANT)
_WRITE: Final = writes(Account.ACCOUNTANT)
_DESK: Final = writes(Account.ACCOUNTANT, Account.DESK)
RIGHTS: Final = {
    "people-credit": Right(get=reads(Account.ACCOUNTANT, Account.DESK)),
    "people-credit-add": Right(get=_DESK, post=_DESK, asks_password=Asks.ALWAYS),
    "people-credit-refund": Right(get=_WRITE, post=_WRITE, asks_password=Asks.ALWAYS),
    "people-credit-admit": Right(get=writes(), post=writes(), asks_password=Asks.ALWAYS),
    "people-credit-take-back": Right(get=_WRITE, post=_WRITE, asks_password=Asks.ALWAYS),
    "people-credit-pdf": Right(get=reads(Account.ACCOUNTANT, Account.DESK)),
    "month-credits": Right(get=_READ),
    "month-credits-csv": Right(get=_READ),
    "month-credits-left": Right(get=_READ),
    "month-prepaid": Right(get=_READ, post=_WRITE, asks_password=Asks.ALWAYS),
}
