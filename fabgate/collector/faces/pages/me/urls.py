"""Routes of each person's own account."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.me import views
from fabgate.collector.faces.pages.roles import ALL, OWN, Right

_SEND = Right(get=frozenset(), post=ALL)

urlpatterns = [
    path("me", views.me, name="me"),
    path("me/password", views.password, name="me-password"),
    path("me/sign-ins", views.revoke, name="me-revoke"),
]
RIGHTS: Final = {"me": Right(get=ALL), "me-password": OWN, "me-revoke": _SEND}
