"""Routes and rights of machines and the calendar. Maintainers set machines up; only managers see secrets."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.machines import calendar, gates, views
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes
from fabgate.collector.ground.models import Account

urlpatterns = [
    path("machines", views.machines, name="machines"),
    path("machines/new", views.new, name="machines-new"),
    path("machines/calendar", calendar.calendar, name="machines-calendar"),
    path("machines/calendar/weekly", calendar.weekly, name="machines-calendar-weekly"),
    path("machines/calendar/special", calendar.special, name="machines-calendar-special"),
    path("machines/calendar/tonight", calendar.tonight, name="machines-calendar-tonight"),
    path("machines/calendar/remove", calendar.remove, name="machines-calendar-remove"),
    path("machines/<str:name>", views.detail, name="machines-one"),
    path("machines/<str:name>/rules", views.rules, name="machines-rules"),
    path("machines/<str:name>/preset", views.preset, name="machines-preset"),
    path("machines/<str:name>/trainings", views.trainings, name="machines-trainings"),
    path("machines/<str:name>/retire", views.retire, name="machines-retire"),
    path("machines/<str:name>/gates/move", gates.move, name="machines-gate-move"),
]
_SEES: Final = (Account.DESK, Account.TRAINER, Account.MAINTAINER)
_SETS_UP: Final = writes(Account.MAINTAINER)
_OPENS_LATE: Final = writes(Account.DESK, Account.MAINTAINER)
_NOBODY: Final = frozenset[str]()
RIGHTS: Final = {
    "machines": Right(get=reads(*_SEES)),
    "machines-new": Right(get=_SETS_UP, post=_SETS_UP, asks_password=Asks.IF_MONEY_CHANGES),
    "machines-one": Right(get=reads(*_SEES), post=_SETS_UP, asks_password=Asks.IF_MONEY_CHANGES),
    "machines-rules": Right(get=_NOBODY, post=_SETS_UP),
    "machines-preset": Right(get=_NOBODY, post=_SETS_UP),
    "machines-retire": Right(get=_NOBODY, post=_SETS_UP),
    # Only managers choose who has access; "open to all members" in RulesForm is also for them only.
    "machines-trainings": Right(get=_NOBODY, post=writes()),
    "machines-gate-move": Right(get=_NOBODY, post=_SETS_UP, asks_password=Asks.IF_MONEY_CHANGES),
    "machines-calendar": Right(get=reads(*_SEES)),
    "machines-calendar-weekly": Right(get=_NOBODY, post=_SETS_UP),
    "machines-calendar-special": Right(get=_NOBODY, post=_OPENS_LATE),
    "machines-calendar-tonight": Right(get=_NOBODY, post=_OPENS_LATE),
    "machines-calendar-remove": Right(get=_NOBODY, post=_SETS_UP),
}
