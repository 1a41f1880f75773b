"""Routes of big displays. Managers make and revoke their links; an auditor may read the list."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.big_displays import display, links
from fabgate.collector.faces.pages.roles import KEYED, Asks, Right, reads, writes

urlpatterns = [
    path("display/<str:token>", display.display, name="display"),
    path("display/<str:token>/events", display.events, name="display-events"),
    path("floor/displays", links.links, name="floor-displays"),
    path("floor/displays/<int:pk>/revoke", links.revoke, name="floor-displays-revoke"),
]
RIGHTS: Final = {
    # The token in the address is the key: no account is looked up, and no cookie is read or set.
    "display": KEYED,
    "display-events": KEYED,
    "floor-displays": Right(get=reads(), post=writes(), asks_password=Asks.ALWAYS),
    "floor-displays-revoke": Right(get=frozenset(), post=writes()),
}
