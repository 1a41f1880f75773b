"""The rules of a machine as people type them: ``limit_s=7200``."""

from __future__ import annotations

import difflib
import json
import shlex
from datetime import datetime
from typing import Any, Final, get_args

import msgspec

from fabgate import days, wire
from fabgate.collector.ground.models import Machine

#: Rules that `lock` and `unlock` set: a lock has an id by which it is lifted.
_NOT_HERE: Final = frozenset({"lock", "lifted"})
_FIELDS: Final = {
    field.name: field for field in msgspec.structs.fields(wire.MachineRules) if field.name not in _NOT_HERE
}
_BOOLEANS: Final = {
    **dict.fromkeys(("yes", "oui", "on", "true"), True),
    **dict.fromkeys(("no", "non", "off", "false"), False),
}


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
            except days.UnlikelyDay as error:
                wrong.add(name)
                mistakes.append(f"{name}: found {value!r}, {error}")
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
    return " ".join(shlex.quote(f"{name}={value_text(value)}") for name, value in rules.items())


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
        return days.read_moment(text).isoformat()
    return text


def _wanted(name: str) -> str:
    kinds = get_args(_FIELDS[name].type) or (_FIELDS[name].type,)
    if bool in kinds:
        return "yes or no"
    return "a whole number of seconds" if int in kinds else "a moment such as 2027-03-01 or 2027-03-01T18:00"


def value_text(value: Any) -> str:
    """Return a value as people type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
