"""Routes of sessions and reports. Accountants change them; managers and auditors read them."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.ids import SESSION
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes
from fabgate.collector.faces.pages.use import completeness, refusals, review
from fabgate.collector.faces.pages.use.exports import tables
from fabgate.collector.faces.pages.use.moment import views
from fabgate.collector.faces.pages.use.reports import usage
from fabgate.collector.faces.pages.use.sessions import detail, listing
from fabgate.collector.ground.models import Account

_READ: Final = reads(Account.ACCOUNTANT)
_WRITE: Final = writes(Account.ACCOUNTANT)

urlpatterns = [
    path("use", listing.sessions, name="use"),
    path("use/usage", usage.usage, name="use-usage"),
    path("use/refusals", refusals.refusals, name="use-refusals"),
    path("use/moment", views.moment, name="use-moment"),
    path("use/review", review.review, name="use-review"),
    path("use/complete", completeness.records, name="use-complete"),
    path("use/complete/verification.pdf", completeness.verification, name="use-complete-pdf"),
    path("use/export.csv", tables.as_csv, name="use-export-csv"),
    path("use/export.xlsx", tables.as_xlsx, name="use-export-xlsx"),
    # Last, because a session's id may be any text.
    path(f"use/<{SESSION}:pk>", detail.session, name="use-session"),
]
RIGHTS: Final = {
    "use": Right(get=_READ),
    "use-usage": Right(get=_READ),
    "use-refusals": Right(get=_READ),
    "use-moment": Right(get=_READ),
    "use-review": Right(get=_READ, post=_WRITE, asks_password=Asks.ALWAYS),
    "use-complete": Right(get=_READ),
    "use-complete-pdf": Right(get=_READ),
    "use-export-csv": Right(get=_READ),
    "use-export-xlsx": Right(get=_READ),
    "use-session": Right(get=_READ, post=_WRITE, asks_password=Asks.ALWAYS),
}
