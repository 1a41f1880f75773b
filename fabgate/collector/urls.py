"""Which page is behind which path?"""

from __future__ import annotations

from django.urls import path

from fabgate.collector import views

urlpatterns = [
    path("api/v1/gates/<slug:gate>/roster", views.gate_roster),
    path("healthz", views.healthz),
]
