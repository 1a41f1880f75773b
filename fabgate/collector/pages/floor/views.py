"""What happens in the workshop now, and what can be done about it from here? A page can never start a machine."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.machines import locks
from fabgate.collector.models import Gate, Machine
from fabgate.collector.pages import errors, live_regions, stale_form
from fabgate.collector.pages.access_control import account_of, back_to, see_other
from fabgate.collector.pages.floor import actions, closing_mails, extensions, stations
from fabgate.collector.pages.floor.forms import LockForm
from fabgate.collector.pages.floor.snapshot import Shown
from fabgate.collector.people import display_names, mails
from fabgate.errors import UsageError


def floor(request: HttpRequest) -> HttpResponse:
    """Show every machine, who is here, who was refused, and which orders were given."""
    shown = Shown(datetime.now(UTC), account_of(request), live_regions.asked(request))
    return render(request, "floor/floor.html", {"shown": shown})


def kiosk(request: HttpRequest) -> HttpResponse:
    """Show every machine on a big display, without surnames and without anything to press."""
    shown = Shown(datetime.now(UTC), account_of(request), live_regions.asked(request))
    return render(request, "floor/kiosk.html", {"shown": shown})


def closing(request: HttpRequest) -> HttpResponse:
    """List what is still on, and whom to ask, before the lights go out."""
    at = datetime.now(UTC)
    found = stations.now(at)
    written = {session: stations.moment(when) for session, when in closing_mails.lately(at).items()}
    still_on = [
        {"station": one, "mail": closing_mails.about(one), "written": one.gate and written.get(one.gate.session)}
        for one in found
        if one.is_in_use
    ]
    shown = {
        "still_on": still_on,
        "silent": [one for one in found if one.state == "silent"],
        "at": at,
        "can_send": mails.can_send(),
        "awaited": sum(bool(row["mail"]) and not row["written"] for row in still_on),
    }
    return render(request, "floor/closing.html", shown)


def write(request: HttpRequest) -> HttpResponse:
    """Write to whoever left a machine on, or to all of them, and say what became of it."""
    if not mails.can_send():
        raise UsageError(_("No mail server is set (FABGATE_SMTP_URL). Write from your own mail program."))
    at, named = datetime.now(UTC), request.POST.get("gate", "")
    chosen = [one for one in stations.now(at) if one.is_in_use and named in ("", one.key)]
    actions.tell_mails(request, chosen, closing_mails.write(chosen, at, account_of(request).name))
    return see_other(reverse("floor-closing"))


def lock(request: HttpRequest, name: str) -> HttpResponse:
    """Ask why and when, and lock a machine. A look shows what the display will say, and changes nothing."""
    machine = get_object_or_404(Machine, name=name, retired_at=None)
    if machine.lock is not None and not actions.may_unlock(account_of(request), machine):
        return _not_yours(request, machine)  # a lock in its place would be theirs to take off
    back = back_to(request, "floor")
    is_right = False
    if request.method == "GET":
        form = LockForm(initial=_standing(machine))
    elif "look" in request.POST:
        form = LockForm(request.POST, initial=_standing(machine))
        is_right = not form.is_overtaken() and form.is_valid()
    else:
        with transaction.atomic():
            machine = stale_form.held(machine)
            if machine.lock is not None and not actions.may_unlock(account_of(request), machine):
                return _not_yours(request, machine)
            form = LockForm(request.POST, initial=_standing(machine))
            is_right = not form.is_overtaken() and form.is_valid()
            if is_right:
                typed = form.cleaned_data["when"], form.reason, form.day
                about, gates = locks.set_on(machine, *typed, actor=account_of(request).name)
        if is_right:
            actions.tell_lock(request, "lock", about, machine, gates)
            return see_other(back)
    used = [station for station in stations.now(datetime.now(UTC)) if station.machine == machine and station.may_be_on]
    shown = {"form": form, "machine": machine, "back": back, "used": used}
    # Half of a word is no mistake: the page itself asks while it is typed.
    status = 200 if is_right or live_regions.is_asked_again(request) else form.status
    return render(request, "floor/lock.html", shown, status=status)


def unlock(request: HttpRequest, name: str) -> HttpResponse:
    """Take a lock off that the form names: members can begin again, and nothing starts by itself.

    A page may have lain open for an hour: a lock that was set meanwhile stays, and the answer says what it is for.
    """
    machine = get_object_or_404(Machine, name=name)
    if machine.retired_at is not None:
        text = _("%(machine)s is retired. Its sessions stay, and nobody can begin a new one.")
        raise errors.Conflict(text % {"machine": machine})
    named = request.POST.get("lock", "")
    with transaction.atomic():
        machine = stale_form.held(machine)
        is_forgotten = actions.is_kept(machine, named)
        if machine.lock is None and not is_forgotten:
            raise errors.Conflict(_("%(machine)s is not locked any more.") % {"machine": machine})
        if not actions.may_unlock(account_of(request), machine, is_forgotten=is_forgotten):
            return _not_yours(request, machine)
        if machine.lock_id != named and not is_forgotten:
            raise errors.Conflict(_another(machine))
        about, gates = locks.take_off(machine, named, actor=account_of(request).name)
    actions.tell_lock(request, "unlock", about, machine, gates)
    return see_other(back_to(request, "floor"))


def order(request: HttpRequest, name: str) -> HttpResponse:
    """Stop a session, give it more time, or let a gate show where it is.

    The button says of which session it is: a page may have lain open, and the next person is not to be stopped by it.
    """
    gate = get_object_or_404(Gate.objects.select_related("machine"), name=name)
    verb = actions.verb_in(request, "stop", "identify", *(extensions.choices(gate.machine) if gate.machine else ()))
    meant = request.GET.get("session", "")
    if verb != "identify" and meant and meant != gate.session:
        text = _("This page was about a session that has ended. Look at who uses %(machine)s now.")
        raise errors.Conflict(text % {"machine": gate.machine or gate})
    if seconds := extensions.seconds_of(verb):
        actions.give(request, gate, "extend", seconds=seconds)
    else:
        actions.give(request, gate, verb)
    return see_other(back_to(request, "floor"))


def _standing(machine: Machine) -> dict[str, str]:
    """Return the lock that is on, in words."""
    if machine.lock is None:
        return {"standing": ""}
    return {"standing": f"{locks.said(machine.lock_reason)} ({_locked_by(machine)})"}


def _not_yours(request: HttpRequest, machine: Machine) -> HttpResponse:
    """Say whose lock it is."""
    text = _("%(who)s locked it. Ask them, or a maintainer: they know why.") % {"who": _locked_by(machine)}
    return errors.page(request, 403, _("This lock is not yours"), text)


def _another(machine: Machine) -> str:
    """Say which lock is on by now, where a page names another one."""
    text = _(
        "This page was about an older lock. %(machine)s has another one since %(at)s, by %(who)s: “%(reason)s”. Look at"
        " the machine again before you unlock it."
    )
    at = stations.moment(machine.locked_at) if machine.locked_at else "?"
    return text % {"machine": machine, "at": at, "who": _locked_by(machine), "reason": locks.said(machine.lock_reason)}


def _locked_by(machine: Machine) -> str:
    return display_names.signing_in([machine.locked_by]).get(machine.locked_by, _("Somebody"))
