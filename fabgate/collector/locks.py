"""How does a manager lock a machine, and how does its gate hear of it?

A lock is state: it is written on the machine, and every roster from then on carries it. The sealed command is only the
fast path, for a gate that is online now; it belongs to the roster version that it names.
"""

from __future__ import annotations

import argparse
import getpass
import logging
import sys
import uuid
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction

from fabgate import wire
from fabgate.collector import roster
from fabgate.collector.environ import Environment
from fabgate.collector.models import Gate, Machine
from fabgate.collector.mqtt import Outgoing
from fabgate.errors import UsageError

log = logging.getLogger(__name__)


def lock(args: argparse.Namespace) -> int:
    """Lock the machine of a gate."""
    with transaction.atomic():
        machine = _machine_of(args.gate)
        set_lock = machine.set_lock(args.when, args.reason, args.back or "")
        machine.save()
        gates = roster.rebuild(machine.gates.all())
    return _tell("lock", set_lock, machine, gates, args.actor)


def unlock(args: argparse.Namespace) -> int:
    """Take the lock off. This never switches anything on: it lets members begin again."""
    with transaction.atomic():
        machine = _machine_of(args.gate)
        lifted = machine.lift_lock()
        if lifted is None:
            raise UsageError(f"{machine.name} is not locked")
        machine.save()
        gates = roster.rebuild(machine.gates.all())
    return _tell("unlock", lifted, machine, gates, args.actor)


def _machine_of(name: str) -> Machine:
    gate = Gate.objects.filter(name=name).select_related("machine").first()
    if gate is None or gate.machine is None:
        known = ", ".join(Gate.objects.filter(machine__isnull=False).order_by("name").values_list("name", flat=True))
        raise UsageError(f"found no gate {name!r} with a machine, wanted one of: {known or '(there is none yet)'}")
    return gate.machine


def _tell(verb: str, about: wire.Lock, machine: Machine, gates: list[Gate], actor: str | None) -> int:
    who = actor or getpass.getuser()
    log.info("%s of %s by %s: %s", verb, machine.name, who, about.reason)
    commands = [_command(verb, about, gate, who) for gate in gates if gate.online and gate.boot]
    told = roster.announce(gates, commands)
    names = ", ".join(gate.name for gate in gates)
    sys.stdout.write(
        f"{machine.name} is {verb}ed; {names} {'told' if told else 'will know when asking for its roster next'}\n"
    )
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
