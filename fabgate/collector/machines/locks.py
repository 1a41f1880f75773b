"""How does a manager lock a machine, and how does its gate hear of it?

A lock is state: it is written on the machine, and every roster from then on carries it. The sealed command is only the
fast path, for a gate that is online now; it belongs to the roster version that it names.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, date, datetime
from typing import Final

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from fabgate import display, translations, wire
from fabgate.collector.access import roster
from fabgate.collector.db import audit, pulse
from fabgate.collector.machines import commands
from fabgate.collector.models import Change, Gate, Machine, Pulse
from fabgate.collector.models.workshop import MAX_LIFTED
from fabgate.collector.people import names
from fabgate.collector.people.blocks import today
from fabgate.collector.people.display_names import called
from fabgate.display import COLUMNS, ELLIPSIS
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

#: What the database keeps; longer reasons are nobody's reading at a machine.
MAX_REASON: Final = Machine._meta.get_field("lock_reason").max_length or 0  # noqa: SLF001 (Django's name for it)
MAX_LOCK_ID: Final = 64


def lock(args: argparse.Namespace) -> int:
    """Lock the machine of a gate."""
    mistakes: list[str] = []
    reason = _reason(args.reason, mistakes)
    back = _back(args.back, mistakes)
    machine = _machine_of(args.gate, mistakes)
    set_lock, gates = set_on(machine, args.when, reason, back, actor=audit.cli_actor(args.actor))
    if is_cut(reason, back):
        lines = 1 if back else 2
        sys.stderr.write(f"note: the display has room for {lines * COLUMNS} letters of the reason; it cuts the rest\n")
    return _tell("lock", set_lock, machine, gates, args)


def unlock(args: argparse.Namespace) -> int:
    """Take the lock off. This never switches anything on: it lets members begin again."""
    machine = _machine_of(args.gate, [])
    lifted, gates = take_off(machine, args.lock, actor=audit.cli_actor(args.actor))
    return _tell("unlock", lifted, machine, gates, args)


def set_on(machine: Machine, when: str, reason: str, back: str, *, actor: str) -> tuple[wire.Lock, list[Gate]]:
    """Lock a machine; return the lock and the gates whose rosters carry it. The caller tells them."""
    with audit.change(actor, "machine.locked", machine, reason=reason) as change:
        machine = _again(machine)
        found = machine.set_lock(when, reason, back, by=actor, at=change.at)
        machine.save()
        gates = _rebuilt(machine, change)
    return found, gates


def said(reason: str) -> str:
    """Return a lock's reason in the language of whoever reads the page."""
    return display.reason_in(translations.for_language(get_language()), reason)


def shown(reason: str, back: str, lang: str) -> tuple[str, ...]:
    """Return the lines that the display beside the machine will show, in a language."""
    return display.locked(translations.for_language(lang), reason, back or None)


def is_cut(reason: str, back: str) -> bool:
    """Whether the display has no room for all of the reason; two lines, or one where a day stands below it."""
    return ELLIPSIS in "".join(shown(reason, back, translations.SOURCE_LANG)) and ELLIPSIS not in reason


def take_off(machine: Machine, lock_id: str | None, *, actor: str) -> tuple[wire.Lock, list[Gate]]:
    """Take a machine's lock off, or the one of that id that this database has forgotten. Raises UsageError."""
    with audit.change(actor, "machine.unlocked", machine) as change:
        machine = _again(machine)
        if machine.retired_at is not None and (not lock_id or lock_id == machine.lock_id):
            text = _("%(machine)s is retired, and stays locked; bring it back on its page first")
            raise UsageError(text % {"machine": machine.name})
        lifted = _forgotten(machine, lock_id) if lock_id else machine.lift_lock()
        if lifted is None:
            raise UsageError(_("%(machine)s is not locked; there is nothing to take off") % {"machine": machine.name})
        machine.save()
        gates = _rebuilt(machine, change)
    return lifted, gates


def tell(verb: str, about: wire.Lock, gates: list[Gate], actor: str, *, timeout_s: float = roster.PATIENCE_S) -> bool:
    """Tell `gates` of a lock, by their rosters and, those that did not say goodbye, by an order; say whether that was sent."""
    # Also to one that missed its heartbeats: it may be the collector that hears nothing, and the order would cut power.
    there = [gate for gate in gates if gate.online and gate.boot]
    commands.waits((gate for gate in gates if gate not in there), verb, actor, reason=about.reason)
    written = [commands.write(gate, verb, actor, reason=about.reason, lock=about) for gate in there]
    return commands.send(gates, written, timeout_s=timeout_s)


def _again(machine: Machine) -> Machine:
    """Return the row as it is now, for nobody else to change meanwhile."""
    return Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)


def _rebuilt(machine: Machine, change: Change) -> list[Gate]:
    gates = roster.rebuild(machine.gates.all())
    change.rosters = roster.versions(gates)
    pulse.notify({Pulse.LOCK: {gate.name for gate in gates}}, change.at)
    return gates


def _forgotten(machine: Machine, lock_id: str) -> wire.Lock:
    """Name a lock that this database does not know as lifted: it was set after the copy that was restored here."""
    if machine.lock_id == lock_id:
        lifted = machine.lift_lock()
        assert lifted is not None
        return lifted
    if not lock_id.isascii() or not lock_id.isalnum() or len(lock_id) > MAX_LOCK_ID:
        text = _("--lock: found '%(found)s', wanted the id of the lock that the gate's problem 'lock' names")
        raise UsageError(text % {"found": lock_id[:40]})
    machine.lifted = [*machine.lifted, lock_id][-MAX_LIFTED:]
    return wire.Lock(id=lock_id, when="idle", reason="")


def _reason(text: str, mistakes: list[str]) -> str:
    reason = names.line(text)
    if not reason or names.unseen(reason):
        mistakes.append(f"--reason: found {text[:40]!r}, wanted words that tell members why; such as 'Belt broken'")
    elif len(reason) > MAX_REASON:
        mistakes.append(
            f"--reason: found {len(reason)} letters, wanted at most {MAX_REASON}; the display has room for about"
            f" {2 * COLUMNS}"
        )
    return reason


def _back(text: str | None, mistakes: list[str]) -> str:
    if text is None:
        return ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        mistakes.append(f"--back: found {text[:40]!r}, wanted a date such as 2027-03-01, or leave it away")
        return ""
    if day < today():
        mistakes.append(f"--back: found {text}, which is past, wanted today or a later day")
    return day.isoformat()


def _machine_of(name: str, mistakes: list[str]) -> Machine:
    """Return the machine that stands beside a gate. Raises UsageError with `mistakes` and, if there is none, its own."""
    gate = Gate.objects.filter(name=name).select_related("machine").first()
    if gate is None or gate.machine is None:
        known = ", ".join(Gate.objects.filter(machine__isnull=False).order_by("name").values_list("name", flat=True))
        mistakes.append(f"found no gate {name!r} with a machine, wanted one of: {known or '(there is none yet)'}")
    if gate is None or gate.machine is None or mistakes:
        raise UsageError("\n".join(mistakes))
    return gate.machine


def _tell(verb: str, about: wire.Lock, machine: Machine, gates: list[Gate], args: argparse.Namespace) -> int:
    who = audit.cli_actor(args.actor)  # as the audit log has it: never taken for the account of that name
    log.info("%s of %s by %s: %s", verb, machine.name, who, about.reason)
    now, is_told = datetime.now(UTC), tell(verb, about, gates, who) if gates else False
    used = [gate for gate in gates if gate.state in Gate.BUSY]
    waits = verb == "lock" and about.when == "idle" and bool(used)
    if args.json:
        found = {
            "machine": machine.name,
            "lock": about.id,
            "state": "unlocked" if verb == "unlock" else "locks-once-idle" if waits else "locked",
            "used_by": [{"gate": gate.name, "member": gate.session_member or None} for gate in used],
            "gates": [{"gate": gate.name, "told": is_told, "heard": gate.is_heard(now)} for gate in gates],
        }
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    parts = [f"{machine} locks once it is idle" if waits else f"{machine} is {verb}ed"]
    parts += _used(used, now) if verb == "lock" else []
    silent = [gate for gate in gates if is_told and not gate.is_heard(now)]
    if len(silent) < len(gates) or not gates:
        parts.append(roster.words([gate for gate in gates if gate not in silent], is_told=is_told))
    parts += [f"{gate} is silent and hears of it when it is back" for gate in silent]
    sys.stdout.write(f"{'; '.join(parts)}\n")
    return 0


def _used(gates: list[Gate], now: datetime) -> list[str]:
    """Return who uses the machine, or did when its gate was heard last."""
    people = called(gate.session_member for gate in gates)
    return [
        f"{people.get(gate.session_member, 'somebody')} "
        + ("is using it now" if gate.is_heard(now) else f"was using it when {gate} was heard last")
        for gate in gates
    ]
