"""Routes of the wall of badges; none unless the workshop is simulated."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.urls import URLPattern, path

from fabgate.collector.faces.pages.roles import ALL, OPEN, OWN, Right
from fabgate.collector.faces.pages.wall import views
from fabgate.collector.ground.models import Account

urlpatterns: list[URLPattern] = []
RIGHTS: Final[dict[str, Right]] = {}
if settings.ENVIRONMENT.simulated:
    urlpatterns += [
        path("enter/<str:token>", views.enter, name="wall-enter"),
        path("wall", views.wall, name="wall"),
        path("wall/now", views.now, name="wall-now"),
        path("wall/do", views.do, name="wall-do"),
    ]
    RIGHTS.update(
        {
            "wall-enter": Right(get=OPEN.get, is_open=True),
            "wall": Right(get=OWN.get),
            "wall-now": Right(get=OWN.get),
            "wall-do": Right(get=frozenset(), post=ALL - {Account.AUDITOR}),
        }
    )
