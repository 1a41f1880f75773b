"""How does a manager lock a machine, and how does its gate hear of it?

A lock is state: it is written on the machine, and every roster from then on carries it. The sealed command is only the
fast path, for a gate that is online now; it belongs to the roster version that it names.
"""

from __future__ import annotations

import argparse
import getpass
import logging
import sys
import textwrap
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from fabgate import wire
from fabgate.collector import roster
from fabgate.collector.blocks import today
from fabgate.collector.environ import Environment
from fabgate.collector.models import Gate, Machine
from fabgate.collector.models.workshop import MAX_LIFTED
from fabgate.collector.mqtt import Outgoing
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

#: What the database keeps; longer reasons are nobody's reading at a machine.
MAX_REASON: Final = Machine._meta.get_field("lock_reason").max_length or 0  # noqa: SLF001 (Django's name for it)
MAX_LOCK_ID: Final = 64
#: A gate's display has two lines of so many letters for the reason, or one where a day stands below it.
_COLUMNS: Final = 20


def lock(args: argparse.Namespace) -> int:
    """Lock the machine of a gate."""
    mistakes: list[str] = []
    reason = _reason(args.reason, mistakes)
    back = _back(args.back, mistakes)
    with transaction.atomic():
        machine = _machine_of(args.gate, mistakes)
        set_lock = machine.set_lock(args.when, reason, back)
        machine.save()
        gates = roster.rebuild(machine.gates.all())
    lines = 1 if back else 2
    if len(textwrap.wrap(reason, _COLUMNS)) > lines:
        sys.stderr.write(f"note: the display has room for {lines * _COLUMNS} letters of the reason; it cuts the rest\n")
    return _tell("lock", set_lock, machine, gates, args.actor)


def unlock(args: argparse.Namespace) -> int:
    """Take the lock off. This never switches anything on: it lets members begin again."""
    with transaction.atomic():
        machine = _machine_of(args.gate, [])
        lifted = _forgotten(machine, args.lock) if args.lock else machine.lift_lock()
        if lifted is None:
            raise UsageError(f"{machine.name} is not locked; there is nothing to take off")
        machine.save()
        gates = roster.rebuild(machine.gates.all())
    return _tell("unlock", lifted, machine, gates, args.actor)


def _forgotten(machine: Machine, lock_id: str) -> wire.Lock:
    """Name a lock that this database does not know as lifted: it was set after the copy that was restored here."""
    if machine.lock_id == lock_id:
        lifted = machine.lift_lock()
        assert lifted is not None
        return lifted
    if not lock_id.isascii() or not lock_id.isalnum() or len(lock_id) > MAX_LOCK_ID:
        raise UsageError(
            f"--lock: found {lock_id[:40]!r}, wanted the id of the lock that the gate's problem 'lock' names"
        )
    machine.lifted = [*machine.lifted, lock_id][-MAX_LIFTED:]
    return wire.Lock(id=lock_id, when="idle", reason="")


def _reason(text: str, mistakes: list[str]) -> str:
    reason = " ".join(text.split())
    if not reason or not reason.isprintable():
        mistakes.append(f"--reason: found {text[:40]!r}, wanted words that tell members why; such as 'Belt broken'")
    elif len(reason) > MAX_REASON:
        mistakes.append(
            f"--reason: found {len(reason)} letters, wanted at most {MAX_REASON}; the display has room for about"
            f" {2 * _COLUMNS}"
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


def _tell(verb: str, about: wire.Lock, machine: Machine, gates: list[Gate], actor: str | None) -> int:
    who = actor or getpass.getuser()
    log.info("%s of %s by %s: %s", verb, machine.name, who, about.reason)
    commands = [_command(verb, about, gate, who) for gate in gates if gate.online and gate.boot]
    sys.stdout.write(f"{machine} is {verb}ed; {roster.tell(gates, commands)}\n")
    return 0


def _command(verb: str, about: wire.Lock, gate: Gate, actor: str) -> Outgoing:
    env: Environment = settings.ENVIRONMENT
    topics = wire.GateTopics(env.site, gate.name)
    now = datetime.now(UTC)
    body = wire.encode(
        wire.Command(
            id=uuid.uuid4().hex,
            verb=verb,
            boot=gate.boot,
            actor=actor,
            issued=now,
            expires=now + timedelta(seconds=wire.COMMAND_LIFE_S),
            reason=about.reason,
            roster=gate.roster_version,
            lock=about,
        )
    )
    seal = roster.gate_keys(env, gate.name).seal(wire.PURPOSE_COMMAND, topics.account, body)
    return Outgoing(topics.topic("command"), body, expiry_s=wire.COMMAND_LIFE_S, seal=seal)
