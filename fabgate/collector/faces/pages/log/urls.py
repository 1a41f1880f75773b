"""The route of the audit log, and who may read it."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.log import views
from fabgate.collector.faces.pages.roles import Right, reads

urlpatterns = [path("log", views.log, name="log")]
RIGHTS: Final = {"log": Right(get=reads())}
