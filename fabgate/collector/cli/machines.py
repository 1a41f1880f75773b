"""Sets the rules of machines, and locks and unlocks them: ``machine-set``, ``lock`` and ``unlock``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from django.db import transaction

from fabgate import wire
from fabgate.collector.cli.days import read_day
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import locks, presets
from fabgate.collector.members.machines import rules as machine_rules
from fabgate.collector.members.people import names
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.display_names import names_of
from fabgate.collector.recording.broker import announcing
from fabgate.display import COLUMNS
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

_MAX_TITLE: Final = Machine._meta.get_field("title").max_length or 0  # noqa: SLF001 (Django's name for it)


def set_rules(args: argparse.Namespace) -> int:
    """Change a machine's rules and title, rebuild its rosters and notify its gates; or print its rules."""
    with transaction.atomic():
        machine, mistakes = Machine.objects.select_for_update(no_key=True).filter(name=args.name).first(), []
        if machine is None:
            known = ", ".join(Machine.objects.order_by("name").values_list("name", flat=True))
            mistakes.append(f"found no machine {args.name!r}, wanted one of: {known or '(there is none yet)'}")
        title = None if args.title is None else names.line(args.title)
        if title is not None and (len(title) > _MAX_TITLE or names.unseen(title)):
            mistakes.append(f"--title: found {title[:40]!r}…, wanted at most {_MAX_TITLE} visible characters")
        before = (machine.rules, machine.preset, machine.title) if machine else ()
        if machine is not None and args.preset:
            presets.apply(machine, args.preset)
        rules = machine_rules.changed(machine.rules if machine else {}, args.rules, mistakes)
        if mistakes or machine is None:
            raise UsageError("\n".join(mistakes))
        machine.rules, machine.title = rules, machine.title if title is None else title
        is_new = (machine.rules, machine.preset, machine.title) != before
        gates = []
        if is_new:
            with audit.change(audit.cli_actor(None), "machine.updated", machine) as change:
                machine.save()
                gates = roster.rebuild(machine.gates.all())
                change.rosters = roster.versions(gates)
    for name in sorted(rules):
        sys.stdout.write(f"{name}={machine_rules.value_text(rules[name])}\n")
    about = "every other rule has its default" if rules else "every rule has its default"
    sys.stdout.write(
        f"{machine}: {about}; {announcing.announce_and_describe(gates) if is_new else 'nothing changed'}\n"
    )
    return 0


def lock(args: argparse.Namespace) -> int:
    """Lock the machine of a gate."""
    mistakes: list[str] = []
    reason = _reason(args.reason, mistakes)
    back = _back(args.back, mistakes)
    machine = _machine_of(args.gate, mistakes)
    set_lock, gates = locks.lock_machine(machine, args.when, reason, back, actor=audit.cli_actor(args.actor))
    if locks.is_cut(reason, back):
        lines = 1 if back else 2
        sys.stderr.write(f"note: the display has room for {lines * COLUMNS} letters of the reason; it cuts the rest\n")
    return _report("lock", set_lock, machine, gates, args)


def unlock(args: argparse.Namespace) -> int:
    """Lift the lock. This never switches anything on: it lets members start again."""
    machine = _machine_of(args.gate, [])
    lifted, gates = locks.unlock_machine(machine, args.lock, actor=audit.cli_actor(args.actor))
    return _report("unlock", lifted, machine, gates, args)


def _reason(text: str, mistakes: list[str]) -> str:
    reason = names.line(text)
    if not reason or names.unseen(reason):
        mistakes.append(f"--reason: found {text[:40]!r}, wanted a reason for members, such as 'Belt broken'")
    elif len(reason) > locks.MAX_REASON:
        mistakes.append(
            f"--reason: found {len(reason)} letters, wanted at most {locks.MAX_REASON}; the display has room for about"
            f" {2 * COLUMNS}"
        )
    return reason


def _back(text: str | None, mistakes: list[str]) -> str:
    if text is None:
        return ""
    try:
        day = read_day(text, "--back", "a date such as 2027-03-01, or no --back")
    except UsageError as error:
        mistakes.append(str(error))
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
    now, is_notified = datetime.now(UTC), locks.notify(verb, about, gates, who) if gates else False
    used = [gate for gate in gates if gate.state in Gate.BUSY]
    waits = verb == "lock" and about.when == "idle" and bool(used)
    if args.json:
        found = {
            "machine": machine.name,
            "lock": about.id,
            "state": "unlocked" if verb == "unlock" else "locks-once-idle" if waits else "locked",
            "used_by": [{"gate": gate.name, "member": gate.session_member or None} for gate in used],
            "gates": [{"gate": gate.name, "notified": is_notified, "heard": gate.is_online(now)} for gate in gates],
        }
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    parts = [f"{machine} locks once it is idle" if waits else f"{machine} is {verb}ed"]
    parts += _used(used, now) if verb == "lock" else []
    silent = [gate for gate in gates if is_notified and not gate.is_online(now)]
    if len(silent) < len(gates) or not gates:
        parts.append(announcing.describe([gate for gate in gates if gate not in silent], is_announced=is_notified))
    parts += [f"{gate} does not answer, and will be updated when it is back" for gate in silent]
    sys.stdout.write(f"{'; '.join(parts)}\n")
    return 0


def _used(gates: list[Gate], now: datetime) -> list[str]:
    """Return who uses the machine, by the last reports of its gates."""
    people = names_of(gate.session_member for gate in gates)
    return [
        f"{people.get(gate.session_member, 'somebody')} "
        + ("is using it now" if gate.is_online(now) else f"was using it when {gate} last reported")
        for gate in gates
    ]
