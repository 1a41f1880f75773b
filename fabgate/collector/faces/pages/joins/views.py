"""Makes a code for a new gate, and shows it with the line to paste, and who has used it from where."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.joins import package
from fabgate.collector.faces.pages.joins.forms import JoinForm
from fabgate.collector.faces.pages.machines.gates import own_address
from fabgate.collector.ground.models import Gate, JoinAttempt, JoinCode, Machine
from fabgate.collector.members.machines import builds, joins

#: State of an attempt -> its mark and its label.
_STATES: Final = {
    JoinAttempt.BEGUN: ("silent", gettext_lazy("began")),
    JoinAttempt.WRONG: ("bad", gettext_lazy("wrong code")),
    JoinAttempt.AGREED: ("warn", gettext_lazy("is joining")),
    JoinAttempt.FINISHED: ("ok", gettext_lazy("has joined")),
}


def new(request: HttpRequest) -> HttpResponse:
    """Make a code."""
    form = JoinForm(request.POST) if request.method == "POST" else JoinForm(initial=_initial(request))
    if not (form.is_bound and form.is_valid()):
        return render(request, "joins/new.html", {"form": form}, status=400 if form.is_bound else 200)
    typed = form.cleaned_data
    made = joins.make(
        typed["gate"],
        typed["machine"] or typed["name"],
        build=typed["build"],
        address=own_address(request),
        actor=account_of(request).name,
        now=datetime.now(UTC),
        replaces=typed["replaces"],
        new_machine=form.new_machine,
        build_values=form.build_values,
    )
    return see_other(reverse("joins-one", args=[made.pk]))


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a code while it is valid, and who has used it."""
    code = get_object_or_404(JoinCode, pk=pk)
    agreed, now = code.agreed, datetime.now(UTC)
    state = "open"
    if agreed is not None:
        state = agreed.state
    elif code.is_closed:
        state = "closed"
    elif now > code.valid_until:
        state = "over"
    shown = {
        "live_src": reverse("joins-one", args=[pk]),
        "code": code,
        "state": state,
        "text": joins.text_of(code),
        "line": package.line(settings.ENVIRONMENT.web_apt, code.address),
        "join": f"sudo fabgate join {package.host_of(code.address)}",
        "is_plug": code.build == builds.PLUG,
        "gate": Gate.objects.filter(name=code.gate).first() if state == JoinAttempt.FINISHED else None,
        "attempts": [(one, *_STATES[one.state]) for one in code.attempts.order_by("-pk")],
    }
    return render(request, "joins/one.html", shown)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """Return what need not be typed: the gate that gets new keys, or the machine from whose page one comes and its first gate."""
    gate = Gate.objects.filter(name=request.GET.get("gate", "")).select_related("machine").first()
    if gate is not None:
        of = gate.machine.name if gate.machine else ""
        return {"machine": of, "gate": gate.name, "replaces": True, "build": "standard"}
    machine = Machine.objects.filter(name=request.GET.get("machine", "")).first()
    name = f"{machine.name}-1" if machine and not machine.gates.exists() else ""
    return {"machine": machine.name if machine else "", "gate": name, "build": "standard"}
