"""Routes and rights of API keys: for managers; an auditor may read them."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.keys import views
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes

urlpatterns = [
    path("accounts/keys", views.keys, name="accounts-keys"),
    path("accounts/keys/<int:pk>/revoke", views.revoke, name="accounts-keys-revoke"),
]
RIGHTS: Final = {
    "accounts-keys": Right(get=reads(), post=writes(), asks_password=Asks.ALWAYS),
    "accounts-keys-revoke": Right(get=frozenset(), post=writes()),
}
