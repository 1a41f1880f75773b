"""Routes of the floor, and who may use them."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.floor import views
from fabgate.collector.faces.pages.roles import Right, reads, writes
from fabgate.collector.ground.models import Account

urlpatterns = [
    path("floor", views.floor, name="floor"),
    path("floor/closing", views.closing, name="floor-closing"),
    path("floor/closing/write", views.send_mails, name="floor-write"),
    path("floor/machines/<str:name>/lock", views.lock, name="floor-lock"),
    path("floor/machines/<str:name>/unlock", views.unlock, name="floor-unlock"),
    path("floor/gates/<str:name>/order", views.command, name="floor-order"),
]
_SEES: Final = (Account.DESK, Account.TRAINER, Account.MAINTAINER)
_ACTS: Final = (Account.DESK, Account.MAINTAINER)
RIGHTS: Final = {
    "floor": Right(get=reads(*_SEES)),
    "floor-closing": Right(get=reads(*_SEES)),
    "floor-write": Right(get=frozenset(), post=writes(*_ACTS)),
    "floor-lock": Right(get=writes(*_ACTS), post=writes(*_ACTS)),
    # The desk removes only locks that it set: see actions.may_unlock.
    "floor-unlock": Right(get=frozenset(), post=writes(*_ACTS)),
    "floor-order": Right(get=frozenset(), post=writes(*_ACTS)),
}
