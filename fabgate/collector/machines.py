"""How does a machine behave? ``machine-set`` changes its rules, and the gates that stand beside it are told."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from typing import Any

import msgspec
from django.db import transaction

from fabgate import wire
from fabgate.collector import roster
from fabgate.collector.models import Machine
from fabgate.errors import UsageError

#: Locks have verbs of their own, and an id to be lifted by.
_NOT_HERE = frozenset({"lock", "lifted"})


def command(args: argparse.Namespace) -> int:
    """Change a machine's rules and title, rebuild its rosters and tell its gates."""
    with transaction.atomic():
        machine = Machine.objects.filter(name=args.name).first()
        if machine is None:
            known = ", ".join(Machine.objects.order_by("name").values_list("name", flat=True))
            raise UsageError(f"found no machine {args.name!r}, wanted one of: {known or '(there is none yet)'}")
        machine.rules = changed(machine.rules, args.rules)
        if args.title is not None:
            machine.title = args.title
        machine.save()
        gates = roster.rebuild(machine.gates.all())
    told = roster.announce(gates)
    for name, value in sorted(machine.rules.items()):
        sys.stdout.write(f"{name}={json.dumps(value)}\n")
    names = ", ".join(gate.name for gate in gates) or "no gate yet"
    sys.stdout.write(f"{machine}: {names} {'told' if told or not gates else 'will know when asking next'}\n")
    return 0


def changed(rules: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """Return `rules` with ``name=value`` changes; an empty value goes back to the default. Raises UsageError."""
    known = {field.name for field in msgspec.structs.fields(wire.MachineRules)} - _NOT_HERE
    found, mistakes = dict(rules), []
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}=…?" if near else f"wanted RULE=VALUE with one of {', '.join(sorted(known))}"
            mistakes.append(f"found {change!r}; {hint}")
        elif value == "":
            found.pop(name, None)
        else:
            found[name] = _value(value)
    if mistakes:
        raise UsageError("\n".join(mistakes))
    try:
        mistakes = wire.machine_mistakes(msgspec.convert(found, wire.MachineRules))
    except msgspec.ValidationError as error:
        raise UsageError(f"the rules mean nothing: {error}") from error
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
