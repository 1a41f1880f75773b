"""The floor: what happens in the workshop now, and commands to its machines. No page can start a machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of, back_to, see_other
from fabgate.collector.faces.pages.events import live_regions
from fabgate.collector.faces.pages.floor import actions, closing_mails, extensions, stations
from fabgate.collector.faces.pages.floor.forms import LockForm
from fabgate.collector.faces.pages.floor.snapshot import Snapshot
from fabgate.collector.faces.pages.floor.stations import Station
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.words.formatting import STATES
from fabgate.collector.ground import mails
from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.machines import locks
from fabgate.collector.members.people import display_names
from fabgate.errors import UsageError

#: Column -> its value, in the lists at closing time.
_CLOSING: Final[Mapping[str, Callable[[Station], Any]]] = {
    "machine": lambda station: str(station.machine),
    "state": lambda station: list(STATES).index(station.state),
    "who": lambda station: str(station.who or ""),
    "since": lambda station: station.since or (station.gate and station.gate.seen_at),
}


def floor(request: HttpRequest) -> HttpResponse:
    """Show the machines, the people present, recent refusals and recent commands."""
    shown = Snapshot(datetime.now(UTC), account_of(request), live_regions.requested(request))
    return render(request, "floor/floor.html", {"shown": shown})


def closing(request: HttpRequest) -> HttpResponse:
    """List the machines still on, and who is using them, for closing time."""
    at = datetime.now(UTC)
    sorting = Sorting(request.GET, _CLOSING)
    every = sorting.sorted(stations.now(at), _CLOSING)
    mailed = {session: stations.moment(when) for session, when in closing_mails.recent(at).items()}
    still_on = [
        {"station": one, "mail": closing_mails.draft(one), "mailed": one.gate and mailed.get(one.gate.session)}
        for one in every
        if one.is_in_use
    ]
    shown = {
        "sorting": sorting,
        "still_on": still_on,
        "offline": [one for one in every if one.state == "silent"],
        "at": at,
        "can_send": mails.can_send(),
        "unsent": sum(bool(row["mail"]) and not row["mailed"] for row in still_on),
    }
    return render(request, "floor/closing.html", shown)


def send_mails(request: HttpRequest) -> HttpResponse:
    """E-mail the user of one machine that was left on, or of all of them."""
    if not mails.can_send():
        raise UsageError(_("No mail server is configured (FABGATE_SMTP_URL). Use your own e-mail program."))
    at, named = datetime.now(UTC), request.POST.get("gate", "")
    chosen = [one for one in stations.now(at) if one.is_in_use and named in ("", one.key)]
    actions.report_mails(request, chosen, closing_mails.send(chosen, at, account_of(request).name))
    return see_other(back_to(request, "floor-closing"))


def lock(request: HttpRequest, name: str) -> HttpResponse:
    """Lock a machine; with `look` in the form, only preview the display."""
    machine = get_object_or_404(Machine, name=name, retired_at=None)
    if machine.lock is not None and not actions.may_unlock(account_of(request), machine):
        return _not_yours(request, machine)  # by replacing the lock, they could then remove it
    back = back_to(request, "floor")
    is_right = False
    if request.method == "GET":
        form = LockForm(initial=_standing(machine))
    elif "look" in request.POST:
        form = LockForm(request.POST, initial=_standing(machine))
        is_right = not form.has_conflicts() and form.is_valid()
    else:
        with transaction.atomic():
            machine = stale_form.locked(machine)
            if machine.lock is not None and not actions.may_unlock(account_of(request), machine):
                return _not_yours(request, machine)
            form = LockForm(request.POST, initial=_standing(machine))
            is_right = not form.has_conflicts() and form.is_valid()
            if is_right:
                typed = form.cleaned_data["when"], form.reason, form.day
                about, gates = locks.lock_machine(machine, *typed, actor=account_of(request).name)
        if is_right:
            actions.notify_lock(request, "lock", about, machine, gates)
            return see_other(back)
    used = [station for station in stations.now(datetime.now(UTC)) if station.machine == machine and station.may_be_on]
    shown = {"form": form, "machine": machine, "back": back, "used": used}
    # The page previews while the user types, so an incomplete form is not an error.
    status = 200 if is_right or live_regions.is_refresh(request) else form.status
    return render(request, "floor/lock.html", shown, status=status)


def unlock(request: HttpRequest, name: str) -> HttpResponse:
    """Remove the lock that the form names. No machine starts by this.

    If the page is old and the lock has been replaced since, the new lock stays and the answer describes it.
    """
    machine = get_object_or_404(Machine, name=name)
    if machine.retired_at is not None:
        text = _("%(machine)s is retired. Its sessions are kept; no new session can start.")
        raise errors.Conflict(text % {"machine": machine})
    named = request.POST.get("lock", "")
    with transaction.atomic():
        machine = stale_form.locked(machine)
        is_forgotten = actions.is_kept(machine, named)
        if machine.lock is None and not is_forgotten:
            raise errors.Conflict(_("%(machine)s is no longer locked.") % {"machine": machine})
        if not actions.may_unlock(account_of(request), machine, is_forgotten=is_forgotten):
            return _not_yours(request, machine)
        if machine.lock_id != named and not is_forgotten:
            raise errors.Conflict(_another(machine))
        about, gates = locks.unlock_machine(machine, named, actor=account_of(request).name)
    actions.notify_lock(request, "unlock", about, machine, gates)
    return see_other(back_to(request, "floor"))


def command(request: HttpRequest, name: str) -> HttpResponse:
    """Stop or extend a session, or make a gate blink.

    The button names its session, so that an old page cannot stop the next person's session.
    """
    gate = get_object_or_404(Gate.objects.select_related("machine"), name=name)
    verb = actions.requested_verb(
        request, "stop", "identify", *(extensions.choices(gate.machine) if gate.machine else ())
    )
    session = request.GET.get("session", "")
    if verb != "identify" and session and session != gate.session:
        text = _("That session has ended. Check who is using %(machine)s now.")
        raise errors.Conflict(text % {"machine": gate.machine or gate})
    if seconds := extensions.seconds_of(verb):
        actions.send_command(request, gate, "extend", seconds=seconds)
    else:
        actions.send_command(request, gate, verb)
    return see_other(back_to(request, "floor"))


def _standing(machine: Machine) -> dict[str, str]:
    """Return the current lock as text."""
    if machine.lock is None:
        return {"standing": ""}
    return {"standing": f"{locks.reason_text(machine.lock_reason)} ({_locked_by(machine)})"}


def _not_yours(request: HttpRequest, machine: Machine) -> HttpResponse:
    """Return a page saying whose lock it is."""
    text = _("%(who)s locked this machine. Ask them or a maintainer to unlock it.") % {"who": _locked_by(machine)}
    return errors.page(request, 403, _("You cannot remove this lock"), text)


def _another(machine: Machine) -> str:
    """Return the error for a page that names a replaced lock."""
    text = _(
        "The lock has changed. %(machine)s has been locked since %(at)s by %(who)s: “%(reason)s”. Check "
        "the machine before you unlock it."
    )
    at = stations.moment(machine.locked_at) if machine.locked_at else "?"
    return text % {
        "machine": machine,
        "at": at,
        "who": _locked_by(machine),
        "reason": locks.reason_text(machine.lock_reason),
    }


def _locked_by(machine: Machine) -> str:
    return display_names.account_names([machine.locked_by]).get(machine.locked_by, _("Someone"))
