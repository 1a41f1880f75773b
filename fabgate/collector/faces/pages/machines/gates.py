"""Moves a gate to another machine, and says under which address gates reach this collector."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.machines import views
from fabgate.collector.faces.pages.machines.forms import MoveForm
from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.machines import enrol_gate


def own_address(request: HttpRequest) -> str:
    """Return the collector's address as this browser reaches it, such as ``https://collector.lan``."""
    address = request.build_absolute_uri("/").rstrip("/")
    return address.replace("http://", "https://", 1) if settings.ENVIRONMENT.https else address


def move(request: HttpRequest, name: str) -> HttpResponse:
    """Move an existing gate to this machine."""
    machine = get_object_or_404(Machine, name=name)
    form = MoveForm(request.POST, machine=machine)
    if not form.is_valid():
        return views.page(request, machine, move=form)
    change = enrol_gate.assign(form.cleaned_data["moved"], machine, actor=account_of(request).name)
    return views.saved(request, machine, "gates", list(Gate.objects.filter(name__in=change.rosters)))
