"""Locks and unlocks machines.

A lock is state: it is stored with the machine, and every later roster contains it. A sealed command brings it to an
online gate sooner; the command names the roster version to which it belongs.
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from fabgate import display, translations, wire
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Change, Gate, Machine, Pulse
from fabgate.collector.ground.models.machines import MAX_LIFTED
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import commands
from fabgate.collector.recording.broker import announcing
from fabgate.display import ELLIPSIS
from fabgate.errors import UsageError

#: The length of the database column; nobody at a machine would read more.
MAX_REASON: Final = Machine._meta.get_field("lock_reason").max_length or 0  # noqa: SLF001 (Django's name for it)
MAX_LOCK_ID: Final = 64


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
            raise UsageError(_("%(machine)s is not locked; there is nothing to unlock") % {"machine": machine.name})
        machine.save()
        gates = _rebuilt(machine, change)
    return lifted, gates


def notify(
    verb: str, about: wire.Lock, gates: list[Gate], actor: str, *, timeout_s: float = announcing.PATIENCE_S
) -> bool:
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
        text = _("--lock: found '%(found)s', wanted the lock id that the gate reports in its problem 'lock'")
        raise UsageError(text % {"found": lock_id[:40]})
    machine.lifted = [*machine.lifted, lock_id][-MAX_LIFTED:]
    return wire.Lock(id=lock_id, when="idle", reason="")
