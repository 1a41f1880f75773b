"""Routes of the start page, and of the choice of language and colours."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.home import views
from fabgate.collector.faces.pages.roles import ALL, OPEN, Right

urlpatterns = [
    path("", views.home, name="home"),
    path("theme", views.theme, name="theme"),
    path("language", views.language, name="language"),
]
RIGHTS: Final = {
    "home": Right(get=ALL),
    # Open to all, because the sign-in page offers them, too.
    "theme": Right(get=frozenset(), post=OPEN.post, is_open=True),
    "language": Right(get=frozenset(), post=OPEN.post, is_open=True),
}
