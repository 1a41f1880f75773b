"""Adds a gate to a machine, or moves one. The new gate's keys are shown once, to a manager."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from fabgate.collector.base.environ import Environment
from fabgate.collector.machines import enrol_gate as house
from fabgate.collector.models import Gate, Machine
from fabgate.collector.pages.access_control import account_of
from fabgate.collector.pages.machines import views
from fabgate.collector.pages.machines.forms import GateForm, MoveForm

#: Commands to run on the Pi afterwards.
COMMANDS: Final = """systemctl restart fabgate-gate
runuser -u fabgate -- /opt/fabgate/bin/fabgate status"""


def add(request: HttpRequest, name: str) -> HttpResponse:
    """Add a gate, and show its keys in this response only."""
    machine = get_object_or_404(Machine, name=name)
    form = GateForm(request.POST)
    if not form.is_valid():
        return views.page(request, machine, gate=form)
    try:
        made = house.enrol(form.cleaned_data["gate"], machine.name, actor=account_of(request).name)
    except house.AlreadyEnrolled:
        form.add_error("gate", _("Someone has just added this gate. Its keys were shown to them, once."))
        return views.page(request, machine, is_late=True, gate=form)
    address = request.build_absolute_uri("/")
    if settings.ENVIRONMENT.https:
        address = address.replace("http://", "https://", 1)
    shown = {
        "machine": machine,
        "gate": made.gate,
        "files": list(made.texts.items()),
        "yaml": _yaml(made.gate, address.rstrip("/")),
        "commands": COMMANDS,
    }
    return render(request, "machines/gate.html", shown)


def move(request: HttpRequest, name: str) -> HttpResponse:
    """Move an existing gate to this machine."""
    machine = get_object_or_404(Machine, name=name)
    form = MoveForm(request.POST, machine=machine)
    if not form.is_valid():
        return views.page(request, machine, move=form)
    with transaction.atomic():
        change = house.assign(form.cleaned_data["moved"], machine, actor=account_of(request).name)
    return views.saved(request, machine, "gates", list(Gate.objects.filter(name__in=change.rosters)))


def _yaml(gate: Gate, address: str) -> str:
    """Return the lines of gate.yaml for collector and broker."""
    env: Environment = settings.ENVIRONMENT
    return f"""roster: {{url: "{address}", token_file: token}}
gate_key_file: seal.keys
badge_key_file: badge.keys
mqtt:
  host: {env.mqtt_host}
  port: {env.mqtt_port}
  username: {env.site}/{gate.name}
  password_file: mqtt.password"""
