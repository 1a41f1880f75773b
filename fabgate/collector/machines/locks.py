"""Locks and unlocks machines.

A lock is state: it is stored with the machine, and every later roster contains it. A sealed command brings it to an
online gate sooner; the command names the roster version to which it belongs.
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
from fabgate.collector.models.machines import MAX_LIFTED
from fabgate.collector.people import names
from fabgate.collector.people.blocks import today
from fabgate.collector.people.display_names import names_of
from fabgate.display import COLUMNS, ELLIPSIS
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

#: The length of the database column; nobody at a machine would read more.
MAX_REASON: Final = Machine._meta.get_field("lock_reason").max_length or 0  # noqa: SLF001 (Django's name for it)
MAX_LOCK_ID: Final = 64


def lock(args: argparse.Namespace) -> int:
    """Lock the machine of a gate."""
    mistakes: list[str] = []
    reason = _reason(args.reason, mistakes)
    back = _back(args.back, mistakes)
    machine = _machine_of(args.gate, mistakes)
    set_lock, gates = lock_machine(machine, args.when, reason, back, actor=audit.cli_actor(args.actor))
    if is_cut(reason, back):
        lines = 1 if back else 2
        sys.stderr.write(f"note: the display has room for {lines * COLUMNS} letters of the reason; it cuts the rest\n")
    return _report("lock", set_lock, machine, gates, args)


def unlock(args: argparse.Namespace) -> int:
    """Lift the lock. This never switches anything on: it lets members start again."""
    machine = _machine_of(args.gate, [])
    lifted, gates = unlock_machine(machine, args.lock, actor=audit.cli_actor(args.actor))
    return _report("unlock", lifted, machine, gates, args)


def lock_machine(machine: Machine, when: str, reason: str, back: str, *, actor: str) -> tuple[wire.Lock, list[Gate]]:
    """Lock a machine; return the lock, and the gates with new rosters. The caller notifies them."""
    with audit.change(actor, "machine.locked", machine, reason=reason) as change:
        machine = _locked_row(machine)
        found = machine.set_lock(when, reason, back, by=actor, at=change.at)
        machine.save()
        gates = _rebuilt(machine, change)
    return found, gates


def reason_text(reason: str) -> str:
    """Return a lock's reason in the language of the page."""
    return display.reason_in(translations.for_language(get_language()), reason)


def display_lines(reason: str, back: str, lang: str) -> tuple[str, ...]:
    """Return the lines that the machine's display will show, in a language."""
    return display.locked(translations.for_language(lang), reason, back or None)


def is_cut(reason: str, back: str) -> bool:
    """Return whether the display cannot show all of the reason: it has two lines, or one if a date follows."""
    return ELLIPSIS in "".join(display_lines(reason, back, translations.SOURCE_LANG)) and ELLIPSIS not in reason


def unlock_machine(machine: Machine, lock_id: str | None, *, actor: str) -> tuple[wire.Lock, list[Gate]]:
    """Lift a machine's lock, or a lock of which only the id is known. Raises UsageError."""
    with audit.change(actor, "machine.unlocked", machine) as change:
        machine = _locked_row(machine)
        if machine.retired_at is not None and (not lock_id or lock_id == machine.lock_id):
            text = _("%(machine)s is retired, and stays locked; bring it back on its page first")
            raise UsageError(text % {"machine": machine.name})
        lifted = _list_as_lifted(machine, lock_id) if lock_id else machine.lift_lock()
        if lifted is None:
            raise UsageError(_("%(machine)s is not locked; there is nothing to lift") % {"machine": machine.name})
        machine.save()
        gates = _rebuilt(machine, change)
    return lifted, gates


def notify(verb: str, about: wire.Lock, gates: list[Gate], actor: str, *, timeout_s: float = roster.PATIENCE_S) -> bool:
    """Notify `gates` of a lock: all by rosters, those that are online by a command; return whether that was sent."""
    # Gates that missed their heartbeats get the command, too: they may still receive it, and then cut the power at
    # once.
    online = [gate for gate in gates if gate.online and gate.boot]
    commands.store_waiting((gate for gate in gates if gate not in online), verb, actor, reason=about.reason)
    stored = [commands.store(gate, verb, actor, reason=about.reason, lock=about) for gate in online]
    return commands.publish(gates, stored, timeout_s=timeout_s)


def _locked_row(machine: Machine) -> Machine:
    """Return the current row, locked."""
    return Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)


def _rebuilt(machine: Machine, change: Change) -> list[Gate]:
    gates = roster.rebuild(machine.gates.all())
    change.rosters = roster.versions(gates)
    pulse.notify({Pulse.LOCK: {gate.name for gate in gates}}, change.at)
    return gates


def _list_as_lifted(machine: Machine, lock_id: str) -> wire.Lock:
    """List as lifted a lock that this database does not contain, because it was restored from an older copy."""
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
        mistakes.append(f"--reason: found {text[:40]!r}, wanted a reason for members, such as 'Belt broken'")
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
        mistakes.append(f"--back: found {text[:40]!r}, wanted a date such as 2027-03-01, or no --back")
        return ""
    if day < today():
        mistakes.append(f"--back: found {text}, which is past, wanted today or a later day")
    return day.isoformat()


def _machine_of(name: str, mistakes: list[str]) -> Machine:
    """Return the machine of a gate. Raises UsageError with `mistakes`, and with a line for a missing machine."""
    gate = Gate.objects.filter(name=name).select_related("machine").first()
    if gate is None or gate.machine is None:
        known = ", ".join(Gate.objects.filter(machine__isnull=False).order_by("name").values_list("name", flat=True))
        mistakes.append(f"found no gate {name!r} with a machine, wanted one of: {known or '(there is none yet)'}")
    if gate is None or gate.machine is None or mistakes:
        raise UsageError("\n".join(mistakes))
    return gate.machine


def _report(verb: str, about: wire.Lock, machine: Machine, gates: list[Gate], args: argparse.Namespace) -> int:
    who = audit.cli_actor(args.actor)  # as in the audit log, and distinct from the account of that name
    log.info("%s of %s by %s: %s", verb, machine.name, who, about.reason)
    now, is_told = datetime.now(UTC), notify(verb, about, gates, who) if gates else False
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
        parts.append(roster.describe([gate for gate in gates if gate not in silent], is_announced=is_told))
    parts += [f"{gate} does not answer, and will be updated when it is back" for gate in silent]
    sys.stdout.write(f"{'; '.join(parts)}\n")
    return 0


def _used(gates: list[Gate], now: datetime) -> list[str]:
    """Return who uses the machine, by the last reports of its gates."""
    people = names_of(gate.session_member for gate in gates)
    return [
        f"{people.get(gate.session_member, 'somebody')} "
        + ("is using it now" if gate.is_heard(now) else f"was using it when {gate} last reported")
        for gate in gates
    ]
