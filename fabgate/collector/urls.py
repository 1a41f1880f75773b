"""The routes: those for programs are here, and each area of pages has its own list."""

from __future__ import annotations

from django.urls import include, path

from fabgate.collector.api import gate_roster, health, metrics
from fabgate.collector.api.programs import routes
from fabgate.collector.pages import rights

urlpatterns = [
    path("api/v1/gates/<slug:gate>/roster", gate_roster.gate_roster, name="gate-roster"),
    path("api/v1/", include(routes.urlpatterns)),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", metrics.metrics, name="metrics"),
    *(path("", include(area.urlpatterns)) for area in rights.areas()),
]
handler400 = "fabgate.collector.pages.errors.bad_request"
handler403 = "fabgate.collector.pages.errors.forbidden"
handler404 = "fabgate.collector.pages.errors.not_found"
handler500 = "fabgate.collector.pages.errors.server_error"
