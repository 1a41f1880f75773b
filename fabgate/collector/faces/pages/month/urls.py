"""Routes of billing. Managers, accountants and auditors read them; managers and accountants change them.

What changes money asks for the password again if it was typed long ago.
"""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.ids import SESSION
from fabgate.collector.faces.pages.month import decisions, export, overview, payers, plans, start, vat
from fabgate.collector.faces.pages.month.sinks import listing as listing_of_sinks
from fabgate.collector.faces.pages.month.sinks import one
from fabgate.collector.faces.pages.month.statements import sending, views, workshop
from fabgate.collector.faces.pages.month.tariffs import listing, new, simulator
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes
from fabgate.collector.ground.models import Account

_READ: Final = reads(Account.ACCOUNTANT)
_WRITE: Final = writes(Account.ACCOUNTANT)
_CHANGE: Final = Right(get=_WRITE, post=_WRITE, asks_password=Asks.ALWAYS)

urlpatterns = [
    path("month", overview.month, name="month"),
    path("month/export.csv", export.as_csv, name="month-csv"),
    path("month/export.xlsx", export.as_xlsx, name="month-xlsx"),
    path("month/start", start.start, name="month-start"),
    path("month/tariffs", listing.tariffs, name="month-tariffs"),
    path("month/tariffs/new", new.new, name="month-tariffs-new"),
    path("month/tariffs/<int:pk>/remove", listing.remove, name="month-tariffs-remove"),
    path("month/vat", vat.change, name="month-vat"),
    path("month/plans", plans.plans, name="month-plans"),
    path("month/plans/new", plans.new, name="month-plans-new"),
    path("month/plans/<int:pk>", plans.plan, name="month-plans-edit"),
    path("month/try", simulator.simulator, name="month-try"),
    path("month/sinks", listing_of_sinks.sinks, name="month-sinks"),
    path("month/sinks/<slug:name>", one.sink, name="month-sink"),
    path("month/workshop", workshop.workshop, name="month-workshop"),
    path("month/archive/<str:name>", views.archived, name="month-archive"),
    path("month/statements", sending.listing, name="month-statements"),
    path(f"month/statement-send/<{SESSION}:pk>", sending.one, name="month-statement-send"),
    path(f"month/statement/<{SESSION}:pk>", views.statement, name="month-statement"),
    path(f"month/statement-pdf/<{SESSION}:pk>", views.as_pdf, name="month-statement-pdf"),
    path(f"month/statement-csv/<{SESSION}:pk>", views.as_csv, name="month-statement-csv"),
    path("month/close", decisions.close, name="month-close"),
    path("month/lines/<int:pk>/remove", decisions.remove_line, name="month-line-remove"),
    path(f"month/payer/<{SESSION}:pk>", payers.payer, name="month-payer"),
    path(f"month/line/<{SESSION}:pk>", decisions.add_line, name="month-line"),
    path(f"month/waive/<{SESSION}:pk>", decisions.waive, name="month-waive"),
    path(f"month/session/<{SESSION}:pk>", payers.session, name="month-session"),
]
RIGHTS: Final = {
    "month": Right(get=_READ),
    "month-csv": Right(get=_READ),
    "month-xlsx": Right(get=_READ),
    "month-start": _CHANGE,
    "month-tariffs": Right(get=_READ),
    "month-tariffs-new": _CHANGE,
    "month-tariffs-remove": Right(get=frozenset(), post=_WRITE, asks_password=Asks.ALWAYS),
    "month-vat": _CHANGE,
    "month-plans": Right(get=_READ),
    "month-plans-new": _CHANGE,
    "month-plans-edit": _CHANGE,
    # Only what was typed is sent; nothing is stored.
    "month-try": Right(get=_READ, post=_WRITE),
    "month-sinks": Right(get=_READ),
    "month-sink": Right(get=_READ, post=_WRITE, asks_password=Asks.ALWAYS),
    "month-workshop": Right(get=_WRITE, post=_WRITE, asks_password=Asks.ALWAYS),
    "month-archive": Right(get=_READ),
    "month-statements": Right(get=_READ, post=_WRITE),
    "month-statement-send": Right(get=_WRITE, post=_WRITE),
    "month-statement": Right(get=_READ),
    "month-statement-pdf": Right(get=_READ),
    "month-statement-csv": Right(get=_READ),
    "month-close": _CHANGE,
    "month-line-remove": Right(get=frozenset(), post=_WRITE, asks_password=Asks.ALWAYS),
    "month-payer": Right(get=_READ),
    "month-line": _CHANGE,
    "month-waive": _CHANGE,
    "month-session": Right(get=_READ),
}
