"""Routes of contests. Members contest what they pay; managers and accountants answer, and auditors read."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.contests import answering, mine
from fabgate.collector.faces.pages.roles import ALL, Asks, Right, reads, writes
from fabgate.collector.ground.models import Account

urlpatterns = [
    path("my-minutes/contest/<slug:kind>/<int:pk>", mine.contest, name="my-contest"),
    path("month/contests/<int:pk>", answering.contest, name="month-contest"),
]
RIGHTS: Final = {
    # Auditors change nothing, not even their own data.
    "my-contest": Right(get=ALL, post=ALL - {Account.AUDITOR}),
    "month-contest": Right(get=reads(Account.ACCOUNTANT), post=writes(Account.ACCOUNTANT), asks_password=Asks.ALWAYS),
}
