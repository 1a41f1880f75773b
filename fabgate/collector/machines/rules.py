"""The rules of a machine: ``machine-set`` changes them, and notifies its gates."""

from __future__ import annotations

import argparse
import difflib
import json
import shlex
import sys
from datetime import datetime
from typing import Any, Final, get_args

import msgspec
from django.db import transaction

from fabgate import wire
from fabgate.collector.access import roster
from fabgate.collector.db import audit
from fabgate.collector.machines import presets
from fabgate.collector.models import Machine
from fabgate.collector.people import names
from fabgate.errors import UsageError

#: Rules that `lock` and `unlock` set: a lock has an id by which it is lifted.
_NOT_HERE: Final = frozenset({"lock", "lifted"})
_FIELDS: Final = {
    field.name: field for field in msgspec.structs.fields(wire.MachineRules) if field.name not in _NOT_HERE
}
_BOOLEANS: Final = {
    **dict.fromkeys(("yes", "oui", "on", "true"), True),
    **dict.fromkeys(("no", "non", "off", "false"), False),
}
_MAX_TITLE: Final = Machine._meta.get_field("title").max_length or 0  # noqa: SLF001 (Django's name for it)


def command(args: argparse.Namespace) -> int:
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
        rules = changed(machine.rules if machine else {}, args.rules, mistakes)
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
        sys.stdout.write(f"{name}={_shown(rules[name])}\n")
    about = "every other rule has its default" if rules else "every rule has its default"
    sys.stdout.write(f"{machine}: {about}; {roster.announce_and_describe(gates) if is_new else 'nothing changed'}\n")
    return 0


def changed(rules: dict[str, Any], changes: list[str], mistakes: list[str]) -> dict[str, Any]:
    """Return `rules` with the ``name=value`` changes; an empty value restores the default. Adds to `mistakes`."""
    new_rules, wrong = dict(rules), set()
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in _FIELDS:
            near = difflib.get_close_matches(name, _FIELDS, 1)
            hint = f"did you mean {near[0]}=…?" if near else f"wanted RULE=VALUE with one of {', '.join(_FIELDS)}"
            mistakes.append(f"found {change!r}; {hint}")
        elif value == "":
            new_rules.pop(name, None)
        else:
            try:
                new_rules[name] = _value(name, value)
            except ValueError:
                wrong.add(name)
                mistakes.append(f"{name}: found {value!r}, wanted {_wanted(name)}")
    parsed = msgspec.convert(new_rules, wire.MachineRules)
    problems = wire.machine_mistakes(parsed)
    if "warn_s" in new_rules:
        problems += wire.warning_mistakes(parsed).values()
    without_grace = wire.holder_mistake(parsed)
    if without_grace is not None:
        problems.append(without_grace)
    # a limit that could not be read is not compared with the others
    mistakes.extend(
        text for text in problems if not any(f"({name})" in text or text.startswith(name) for name in wrong)
    )
    return new_rules


def in_force(machine: Machine) -> dict[str, Any]:
    """Return every rule of a machine, defaults included, without its lock; rules without a value are left out."""
    wire_rules = machine.wire_rules()
    rules = {name: msgspec.to_builtins(getattr(wire_rules, name)) for name in _FIELDS}
    return {name: value for name, value in rules.items() if value is not None}


def as_arguments(rules: dict[str, Any]) -> str:
    """Return rules as ``RULE=VALUE …``, the arguments of ``machine-set`` and ``gate-add``."""
    return " ".join(shlex.quote(f"{name}={_shown(value)}") for name, value in rules.items())


def _value(name: str, text: str) -> Any:
    """Return a value as the roster stores it. Raises ValueError."""
    kinds = get_args(_FIELDS[name].type) or (_FIELDS[name].type,)
    if bool in kinds:
        if text.lower() not in _BOOLEANS:
            raise ValueError(text)
        return _BOOLEANS[text.lower()]
    if int in kinds:
        return int(text)
    if (name, text) == ("supervisor", "never"):
        return "minors"  # "never" means the same as "minors" (docs/decisions/0042)
    if datetime in kinds:
        return datetime.fromisoformat(text).isoformat()
    return text


def _wanted(name: str) -> str:
    kinds = get_args(_FIELDS[name].type) or (_FIELDS[name].type,)
    if bool in kinds:
        return "yes or no"
    return "a whole number of seconds" if int in kinds else "a moment such as 2027-03-01 or 2027-03-01T18:00"


def _shown(value: Any) -> str:
    """Return a value as people type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
