"""Routes and rights of signing in and out."""

from __future__ import annotations

from typing import Final

from django.urls import path

from fabgate.collector.faces.pages.roles import OPEN, OWN, Right
from fabgate.collector.faces.pages.signin import views

urlpatterns = [
    path("sign-in", views.sign_in, name="sign-in"),
    path("sign-out", views.sign_out, name="sign-out"),
    path("welcome/<str:token>", views.welcome, name="welcome"),
]
RIGHTS: Final = {
    "sign-in": OPEN,
    "sign-out": Right(get=frozenset(), post=OWN.post),
    "welcome": OPEN,
}
