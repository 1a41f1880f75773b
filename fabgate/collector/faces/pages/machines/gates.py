"""Adds a gate to a machine, or moves one. The new gate's keys are shown once, to a manager."""

from __future__ import annotations

import base64
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.machines import views
from fabgate.collector.faces.pages.machines.forms import GateForm, MoveForm
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.machines import enrol_gate, gate_archive
from fabgate.collector.recording.broker.accounts import passwords

#: The commands that copy the archive to the Pi, and unpack it there. How that gate was installed is not known here: after an
#: installation by hand /usr/local/bin/fabgate is a link to the program, and the package has /usr/bin/fabgate.
COPY: Final = "scp {archive} pi@{gate}.local:"
INSTALL: Final = """sudo mkdir -p /etc/fabgate
sudo tar -xzf {archive} -C /etc/fabgate && rm {archive}
sudo runuser -u fabgate -- fabgate check /etc/fabgate/gate.yaml
sudo systemctl enable fabgate-gate
sudo systemctl restart fabgate-gate
sudo runuser -u fabgate -- fabgate status"""
#: The commands that create the gate's account, on the broker's computer. mosquitto_passwd wants the file to be root's, and
#: the broker wants it to be its own.
BROKER: Final = """sudo chown root: /etc/mosquitto/fabgate.passwd
sudo mosquitto_passwd -b /etc/mosquitto/fabgate.passwd {account} {password}
sudo chown mosquitto: /etc/mosquitto/fabgate.passwd
sudo systemctl restart mosquitto"""


def add(request: HttpRequest, name: str) -> HttpResponse:
    """Add a gate, and show its keys in this response only."""
    machine = get_object_or_404(Machine, name=name)
    form = GateForm(request.POST)
    if not form.is_valid():
        return views.page(request, machine, gate=form)
    try:
        made = enrol_gate.enrol(form.cleaned_data["gate"], machine.name, actor=account_of(request).name)
    except enrol_gate.AlreadyEnrolled:
        form.add_error("gate", _("Someone has just added this gate. Its keys were shown once, to that person."))
        return views.page(request, machine, is_late=True, gate=form)
    env: Environment = settings.ENVIRONMENT
    address = own_address(request)
    # With a broker of our own the password is that of the gate's account; otherwise nobody stores it.
    texts = {gate_archive.PASSWORD: f"{passwords.new_password()}\n"} | made.texts
    password = texts[gate_archive.PASSWORD].strip()
    packed = gate_archive.pack(made.gate, env, texts, address=address)
    named = {"gate": made.gate.name, "archive": f"fabgate-{made.gate.name}.tar.gz"}
    shown = {
        **named,
        "machine": machine,
        # the archive is inside the page, so it is handed out once and stored nowhere
        "archive_url": f"data:application/gzip;base64,{base64.b64encode(packed).decode()}",
        "files": texts.items(),
        "yaml": gate_archive.gate_yaml(made.gate.name, machine, env, address),
        "copy": COPY.format(**named),
        "install": INSTALL.format(**named),
    }
    if not env.broker_control:
        account = wire.GateTopics(env.site, made.gate.name).account
        shown["broker"] = BROKER.format(account=account, password=password)
    return render(request, "machines/gate.html", shown)


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
