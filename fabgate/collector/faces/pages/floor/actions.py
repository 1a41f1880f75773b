"""Locks, stops and extends machines, and reports the result to the user. Nothing here can switch power on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import wire
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.floor import stations
from fabgate.collector.faces.pages.floor.closing_mails import Outcome
from fabgate.collector.faces.pages.floor.stations import Station, forgotten_locks, moment
from fabgate.collector.ground.models import Account, Gate, Machine
from fabgate.collector.members.machines import commands, locks
from fabgate.collector.members.people import display_names
from fabgate.collector.recording.broker import announcing
from fabgate.errors import UsageError

#: Shown when a command has been sent. Its outcome appears live.
SENT: Final[Mapping[str, Any]] = {
    "stop": gettext_lazy("Stop command sent to %(where)s. A running job finishes first if the machine's rules say so."),
    "extend": gettext_lazy("More time requested for %(where)s."),
    "identify": gettext_lazy("%(where)s blinks and beeps for ten seconds."),
    "fetch-roster": gettext_lazy("%(where)s is fetching its roster."),
    "clear-fault": gettext_lazy("%(where)s is restarting its badge reader."),
}


def may_unlock(account: Account, machine: Machine, *, is_forgotten: bool = False) -> bool:
    """Return whether the account may remove the lock: the desk only locks that it set, maintainers all.

    It is unknown who set a forgotten lock, so the desk may not remove it.
    """
    return account.role != Account.DESK or (machine.locked_by == account.name and not is_forgotten)


def unlockable(account: Account, shown: Iterable[Station]) -> set[str]:
    """Return the ids of the locks of these stations that the account may remove, including forgotten ones."""
    ids: set[str] = set()
    for station in shown:
        if may_unlock(account, station.machine):
            ids.add(station.machine.lock_id)
        if may_unlock(account, station.machine, is_forgotten=True):
            ids.update(station.forgotten)
    return ids - {""}


def is_kept(machine: Machine, lock_id: str) -> bool:
    """Return whether a gate of the machine has a lock with this id that the database does not contain."""
    return any(lock_id in forgotten_locks(gate) for gate in machine.gates.all())


def notify_lock(request: HttpRequest, verb: str, about: wire.Lock, machine: Machine, gates: list[Gate]) -> None:
    """Send a new or removed lock to the gates, and show the user the result."""
    if verb == "unlock":
        status = _("%(machine)s is no longer locked.")
    elif about.when == "idle" and any(station.may_be_on for station in stations.of(machine, datetime.now(UTC))):
        status = _("%(machine)s will lock when idle.")
    else:
        status = _("%(machine)s is locked.")
    status %= {"machine": machine}
    try:
        is_sent = locks.notify(verb, about, gates, account_of(request).name, timeout_s=announcing.PAGE_S)
    except UsageError as error:  # the lock itself is stored; a gate's keys are missing
        messages.warning(request, f"{status} {error}")
        return
    if not gates:
        messages.warning(request, _("%(status)s The machine has no gate.") % {"status": status})
    elif not is_sent:
        text = _("%(status)s The message broker is offline; the gate will be updated when the broker is back.")
        messages.warning(request, text % {"status": status})
    elif offline := [gate for gate in gates if not gate.is_online(datetime.now(UTC))]:
        text = _("%(status)s %(gates)s. The gate will be updated when it is back.")
        messages.warning(request, text % {"status": status, "gates": ", ".join(dict.fromkeys(map(_offline, offline)))})
    else:
        messages.success(request, _("%(status)s Its gate has been notified.") % {"status": status})


def send_command(request: HttpRequest, gate: Gate, verb: str, *, seconds: int | None = None) -> None:
    """Send a command to a gate, and show the user the result."""
    where = gate.machine or gate
    if not gate.is_online(datetime.now(UTC)) or not gate.boot:
        messages.error(request, _("%(gate)s. The gate cannot receive commands now.") % {"gate": _offline(gate)})
        return
    try:
        command = commands.send(gate, verb, account_of(request).name, seconds=seconds, timeout_s=announcing.PAGE_S)
    except commands.AlreadySent as error:
        asked_by = display_names.account_names([error.order.actor]).get(error.order.actor, _("Someone"))
        text = _("%(who)s has just requested more time for %(where)s. Wait for the gate's answer before you add more.")
        messages.warning(request, text % {"where": where, "who": asked_by})
        return
    if command.outcome == commands.NOT_SENT:
        messages.error(
            request, _("The message broker is offline: nothing was sent to %(where)s. Try again.") % {"where": where}
        )
    else:
        messages.success(request, SENT[verb] % {"where": where})


def report_mails(request: HttpRequest, chosen: Sequence[Station], outcomes: Sequence[Outcome]) -> None:
    """Show for each chosen machine whether an e-mail was sent, or why not."""
    problems = {outcome.station.key: outcome.problem for outcome in outcomes}
    for station in chosen:
        about = {"machine": station.machine, "who": station.who or _("an unknown person")}
        problem = problems.get(station.key)
        if problem == "":
            messages.success(request, _("%(machine)s: e-mail sent to %(who)s.") % about)
        elif problem:
            text = _("%(machine)s: the e-mail to %(who)s could not be sent: %(why)s.")
            messages.error(request, text % {**about, "why": problem})
        elif station.who and station.who.member and station.who.member.email:
            messages.info(request, _("%(machine)s: %(who)s already got an e-mail within the last hour.") % about)
        else:
            messages.warning(request, _("%(machine)s: %(who)s has no e-mail address.") % about)
    if not chosen:
        messages.info(request, _("Everything is off already; no e-mail was sent."))


def requested_verb(request: HttpRequest, *known: str) -> str:
    """Return the requested command. Raises UsageError for one that is not in `known`."""
    verb = request.POST.get("verb", "")
    if verb not in known:
        raise UsageError(_("Choose one of: %(known)s.") % {"known": ", ".join(known)})
    return verb


def _offline(gate: Gate) -> str:
    """Return since when a gate has been offline. The text names the machine, by which people know the gate."""
    where = gate.machine or gate
    if gate.seen_at is None:
        return _("The gate of %(machine)s has never been online") % {"machine": where}
    return _("The gate of %(machine)s has been offline since %(at)s") % {"machine": where, "at": moment(gate.seen_at)}
