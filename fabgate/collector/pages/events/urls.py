"""Where does a page hear that something has changed?"""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.pages.events import views
from fabgate.collector.pages.roles import ALL, Right

urlpatterns = [path("floor/events", views.events, name="floor-events")]
#: It says which kind of thing has changed and where, never what it says now: pages ask for that, with their own rights.
RIGHTS: Final = {"floor-events": Right(get=ALL)}
