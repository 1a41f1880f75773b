"""Routes and rights of the pages about gates."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.gates import views
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes
from fabgate.collector.ground.models import Account

urlpatterns = [
    path("gates", views.gates, name="gates"),
    path("gates/<str:name>", views.detail, name="gates-one"),
    path("gates/<str:name>/order", views.order, name="gates-order"),
    path("gates/<str:name>/cut-off", views.cut_off, name="gates-cut-off"),
]
RIGHTS: Final = {
    "gates": Right(get=reads(Account.MAINTAINER)),
    "gates-one": Right(get=reads(Account.MAINTAINER)),
    "gates-order": Right(get=frozenset(), post=writes(Account.MAINTAINER)),
    # As for who lets a gate in.
    "gates-cut-off": Right(get=frozenset(), post=writes(), asks_password=Asks.ALWAYS),
}
