"""The routes: those for programs are here, and each area of pages has its own list."""

from __future__ import annotations

from django.urls import include, path

from fabgate.collector.faces.api import gate_roster, health, joins, metrics
from fabgate.collector.faces.api.programs import routes
from fabgate.collector.faces.pages import rights
from fabgate.join import messages

urlpatterns = [
    path("api/v1/gates/<slug:gate>/roster", gate_roster.gate_roster, name="gate-roster"),
    path(messages.BEGIN[1:], joins.begin, name="join-begin"),
    path(messages.AGREE[1:], joins.agree, name="join-agree"),
    path(messages.FINISH[1:], joins.finish, name="join-finish"),
    path("api/v1/", include(routes.urlpatterns)),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", metrics.metrics, name="metrics"),
    *(path("", include(area.urlpatterns)) for area in rights.areas()),
]
handler400 = "fabgate.collector.faces.pages.errors.bad_request"
handler403 = "fabgate.collector.faces.pages.errors.forbidden"
handler404 = "fabgate.collector.faces.pages.errors.not_found"
handler500 = "fabgate.collector.faces.pages.errors.server_error"
