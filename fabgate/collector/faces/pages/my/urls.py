"""Routes for members: their own sessions and badges."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.ids import SESSION
from fabgate.collector.faces.pages.my import credit, statements, views
from fabgate.collector.faces.pages.roles import ALL, Right
from fabgate.collector.ground.models import Account

urlpatterns = [
    path("my-minutes", views.minutes, name="my-minutes"),
    path("my-minutes/credit", credit.credit, name="my-minutes-credit"),
    path("my-minutes/lost", views.lost, name="my-minutes-lost"),
    path("my-minutes/statements", statements.listing, name="my-statements"),
    path("my-minutes/statements/<str:month>", statements.statement, name="my-statement"),
    path("my-minutes/statements/<str:month>/pdf", statements.as_pdf, name="my-statement-pdf"),
    path("my-minutes/statements/<str:month>/csv", statements.as_csv, name="my-statement-csv"),
    # A session's id may be any text.
    path(f"my-minutes/sessions/<{SESSION}:pk>", views.contest, name="my-minutes-contest"),
]
# Auditors change nothing, not even their own data.
_OWN: Final = ALL - {Account.AUDITOR}
RIGHTS: Final = {
    "my-minutes": Right(get=ALL),
    "my-minutes-credit": Right(get=ALL),
    "my-statements": Right(get=ALL),
    "my-statement": Right(get=ALL),
    "my-statement-pdf": Right(get=ALL),
    "my-statement-csv": Right(get=ALL),
    "my-minutes-lost": Right(get=frozenset(), post=_OWN),
    "my-minutes-contest": Right(get=ALL, post=_OWN),
}
