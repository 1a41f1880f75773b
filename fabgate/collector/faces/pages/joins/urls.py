"""Routes and rights of joins. A code makes a gate, so only managers make and see one; an auditor sees who used it."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.joins import views
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes

urlpatterns = [
    path("joins/new", views.new, name="joins-new"),
    path("joins/<int:pk>", views.detail, name="joins-one"),
]
RIGHTS: Final = {
    "joins-new": Right(get=writes(), post=writes(), asks_password=Asks.ALWAYS),
    "joins-one": Right(get=reads()),
}
