"""What may be done to a machine from a page, and what is said of it afterwards? Nothing here can switch power on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import wire
from fabgate.collector.access import roster
from fabgate.collector.machines import commands, locks
from fabgate.collector.models import Account, Gate, Machine
from fabgate.collector.pages.access_control import account_of
from fabgate.collector.pages.floor import stations
from fabgate.collector.pages.floor.closing_mails import Outcome
from fabgate.collector.pages.floor.stations import Station, forgotten_locks, moment
from fabgate.collector.people import display_names
from fabgate.errors import UsageError

#: What is said when an order was sent; what the gate makes of it is told live.
SENT: Final[Mapping[str, Any]] = {
    "stop": gettext_lazy("%(where)s was told to stop. A running job ends first, if its rules say so."),
    "extend": gettext_lazy("%(where)s was told to go on for longer."),
    "identify": gettext_lazy("%(where)s was told to blink and beep for ten seconds."),
    "fetch-roster": gettext_lazy("%(where)s was told to fetch its roster."),
    "clear-fault": gettext_lazy("%(where)s was told to try its badge reader again."),
}


def may_unlock(account: Account, machine: Machine, *, is_forgotten: bool = False) -> bool:
    """Whether this person may take the lock off: the desk only what it set itself; a maintainer knows the machine.

    Of a lock that is forgotten here nobody knows who set it.
    """
    return account.role != Account.DESK or (machine.locked_by == account.name and not is_forgotten)


def unlockable(account: Account, found: Iterable[Station]) -> set[str]:
    """Return the ids of the locks of these stations that this person may take off, those that are forgotten here too."""
    ids: set[str] = set()
    for station in found:
        if may_unlock(account, station.machine):
            ids.add(station.machine.lock_id)
        if may_unlock(account, station.machine, is_forgotten=True):
            ids.update(station.forgotten)
    return ids - {""}


def is_kept(machine: Machine, lock_id: str) -> bool:
    """Whether a gate of the machine keeps the lock of that id, which nobody here knows."""
    return any(lock_id in forgotten_locks(gate) for gate in machine.gates.all())


def tell_lock(request: HttpRequest, verb: str, about: wire.Lock, machine: Machine, gates: list[Gate]) -> None:
    """Tell the gates of a lock that was set or taken off, and the person what is true now."""
    if verb == "unlock":
        said = _("%(machine)s is not locked any more.")
    elif about.when == "idle" and any(station.may_be_on for station in stations.of(machine, datetime.now(UTC))):
        said = _("%(machine)s locks once it is idle.")
    else:
        said = _("%(machine)s is locked.")
    said %= {"machine": machine}
    try:
        is_told = locks.tell(verb, about, gates, account_of(request).name, timeout_s=roster.PAGE_S)
    except UsageError as error:  # the lock itself stands: a gate's keys are missing
        messages.warning(request, f"{said} {error}")
        return
    if not gates:
        messages.warning(request, _("%(said)s No gate stands beside it.") % {"said": said})
    elif not is_told:
        text = _("%(said)s The broker is away just now: its gate hears of it when they are back.")
        messages.warning(request, text % {"said": said})
    elif silent := [gate for gate in gates if not gate.is_heard(datetime.now(UTC))]:
        text = _("%(said)s %(gates)s: it hears of it when it is back.")
        messages.warning(request, text % {"said": said, "gates": ", ".join(map(_silent, silent))})
    else:
        messages.success(request, _("%(said)s Its gate was told.") % {"said": said})


def give(request: HttpRequest, gate: Gate, verb: str, *, seconds: int | None = None) -> None:
    """Send an order to a gate, and say what is true now."""
    where = gate.machine or gate
    if not gate.is_heard(datetime.now(UTC)) or not gate.boot:
        messages.error(request, _("%(gate)s. No order reaches it now.") % {"gate": _silent(gate)})
        return
    try:
        order = commands.give(gate, verb, account_of(request).name, seconds=seconds, timeout_s=roster.PAGE_S)
    except commands.Asked as error:
        asked_by = display_names.signing_in([error.order.actor]).get(error.order.actor, _("Somebody"))
        text = _(
            "%(where)s was told to go on for longer a moment ago, by %(who)s: that counts once. See what its gate answers;"
            " then it can be given still more."
        )
        messages.warning(request, text % {"where": where, "who": asked_by})
        return
    if order.outcome == commands.NOT_SENT:
        messages.error(
            request, _("The broker is away just now: nothing was sent to %(where)s. Try again.") % {"where": where}
        )
    else:
        messages.success(request, SENT[verb] % {"where": where})


def tell_mails(request: HttpRequest, chosen: Sequence[Station], outcomes: Sequence[Outcome]) -> None:
    """Say of each machine that was chosen whether somebody was written to, and why not."""
    became = {outcome.station.key: outcome.problem for outcome in outcomes}
    for station in chosen:
        about = {"machine": station.machine, "who": station.who or _("nobody known")}
        problem = became.get(station.key)
        if problem == "":
            messages.success(request, _("%(machine)s: a mail was sent to %(who)s.") % about)
        elif problem:
            text = _("%(machine)s: no mail could be sent to %(who)s: %(why)s.")
            messages.error(request, text % {**about, "why": problem})
        elif station.who and station.who.member and station.who.member.email:
            messages.info(request, _("%(machine)s: %(who)s was written to within the hour.") % about)
        else:
            messages.warning(request, _("%(machine)s: no e-mail address is known of %(who)s.") % about)
    if not chosen:
        messages.info(request, _("It is off already: nobody was written to."))


def verb_in(request: HttpRequest, *known: str) -> str:
    """Return which order was asked for. Raises UsageError."""
    verb = request.POST.get("verb", "")
    if verb not in known:
        raise UsageError(_("Wanted one of: %(known)s.") % {"known": ", ".join(known)})
    return verb


def _silent(gate: Gate) -> str:
    if gate.seen_at is None:
        return _("%(gate)s was not heard yet") % {"gate": gate.name}
    return _("%(gate)s is silent since %(at)s") % {"gate": gate.name, "at": moment(gate.seen_at)}
