"""The route of the event stream."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.events import views
from fabgate.collector.faces.pages.roles import ALL, Right

urlpatterns = [path("floor/events", views.events, name="floor-events")]
#: Events name the kind of change and the gate, never the data: pages fetch that with their own rights.
RIGHTS: Final = {"floor-events": Right(get=ALL)}
