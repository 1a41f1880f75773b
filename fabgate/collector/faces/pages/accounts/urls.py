"""Routes and rights of accounts: for managers; an auditor may read them."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.accounts import views
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes

urlpatterns = [
    path("accounts", views.accounts, name="accounts"),
    path("accounts/new", views.new, name="accounts-new"),
    path("accounts/<int:pk>", views.detail, name="accounts-one"),
    path("accounts/<int:pk>/link", views.link, name="accounts-link"),
    path("accounts/<int:pk>/mail", views.mail, name="accounts-mail"),
]
RIGHTS: Final = {
    "accounts": Right(get=reads()),
    "accounts-new": Right(get=writes(), post=writes(), asks_password=Asks.IF_MONEY_CHANGES),
    "accounts-one": Right(get=reads(), post=writes(), asks_password=Asks.IF_MONEY_CHANGES),
    "accounts-link": Right(get=frozenset(), post=writes(), asks_password=Asks.IF_MONEY_CHANGES),
    "accounts-mail": Right(get=frozenset(), post=writes(), asks_password=Asks.IF_MONEY_CHANGES),
}
