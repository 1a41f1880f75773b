"""How are a machine's rules said, so that a volunteer reads what will happen? Seconds become minutes and hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate import wire
from fabgate.collector.machines import presets
from fabgate.collector.models import Machine
from fabgate.collector.pages.formatting import NOTHING

#: What each rule is called.
RULES: Final[Mapping[str, Any]] = {
    "mode": gettext_lazy("How it is used"),
    "supervisor": gettext_lazy("Supervisor"),
    "sponsor": gettext_lazy("Guests on a supervisor's badge"),
    "handover": gettext_lazy("Hand over without switching off"),
    "attended": gettext_lazy("Somebody must stay with it"),
    "limit_s": gettext_lazy("Time limit"),
    "max_s": gettext_lazy("Longest, with extensions"),
    "idle_off_s": gettext_lazy("Off when it stands still for"),
    "warn_s": gettext_lazy("Warning before it stops"),
    "grace_s": gettext_lazy("Grace when the card is taken out"),
    "finish": gettext_lazy("A job that runs at the end"),
    "finish_max_s": gettext_lazy("Waits for a job at most"),
    "run_on_s": gettext_lazy("Runs on afterwards"),
    "warm_up_s": gettext_lazy("Warms up for"),
    "on_stale": gettext_lazy("When the gate's list is too old"),
    "observe_until": gettext_lazy("Opening weeks until"),
    "price_hint": gettext_lazy("Price on the display"),
}
WORDS: Final[Mapping[tuple[str, Any], Any]] = {
    ("mode", "tap"): gettext_lazy("Tap on, tap off"),
    ("mode", "hold"): gettext_lazy("The card stays in its holder"),
    ("mode", "timed"): gettext_lazy("So much time a tap"),
    ("mode", "audit"): gettext_lazy("Only recorded, never switched"),
    ("supervisor", "minors"): gettext_lazy("for minors, classes and who is still learning"),
    ("supervisor", "always"): gettext_lazy("for everybody"),
    ("finish", "wait"): gettext_lazy("is never broken off"),
    ("finish", "cut"): gettext_lazy("is cut off"),
    ("on_stale", "allow"): gettext_lazy("it lets in whom it knew last"),
    ("on_stale", "deny"): gettext_lazy("it lets nobody in"),
}
#: Said first, and on a preset's card.
MAIN: Final = ("mode", "limit_s", "idle_off_s", "finish")


def rule(name: str, found: Any) -> str:
    """Return the value of a rule in words."""
    if (name, found) in WORDS:
        return str(WORDS[name, found])
    if isinstance(found, bool):
        return _("yes") if found else _("no")
    if name.endswith("_s"):
        return _("never") if found is None else lasting(found)
    if name == "observe_until":
        return _moment(found)
    return NOTHING if found in (None, "") else str(found)


def rules(found: wire.MachineRules, names: tuple[str, ...] = tuple(RULES)) -> Iterator[tuple[str, str]]:
    """Yield what each rule is called, and its value in words."""
    for name in names:
        yield str(RULES[name]), rule(name, getattr(found, name))


def telling(found: wire.MachineRules) -> tuple[str, ...]:
    """Return the rules that make a difference: a fan that runs on for no time is not worth a line."""
    silent = {
        "grace_s": found.mode != "hold",
        "finish_max_s": found.finish != "wait",
        "run_on_s": not found.run_on_s,
        "warm_up_s": not found.warm_up_s,
        "observe_until": found.observe_until is None,
        "price_hint": found.price_hint is None,
    }
    return tuple(name for name in RULES if not silent.get(name))


def preset(machine: Machine) -> str:
    """Return what kind of machine it is set up as; nothing where no preset was chosen."""
    if machine.preset not in presets.TITLES:
        return ""
    title = str(presets.TITLES[machine.preset])
    wanted = presets.PRESETS[machine.preset]
    has_own = any(getattr(machine.wire_rules(), name) != value for name, value in wanted.items())
    return _("%(preset)s, changed by hand") % {"preset": title} if has_own else title


def cards(machine: Machine | None) -> list[dict[str, Any]]:
    """Return every preset with what it sets, the one in use marked."""
    found = []
    for name, values in presets.PRESETS.items():
        would_be = msgspec.convert(values, wire.MachineRules)
        is_own = machine is not None and machine.preset == name
        found.append(
            {"name": name, "title": presets.TITLES[name], "rules": list(rules(would_be, MAIN)), "is_own": is_own}
        )
    return found


def lasting(seconds: int) -> str:
    """Return how long something lasts: 90 s, 15 min, 2 h, 1 h 30 min."""
    if seconds % 60:
        return _("%(n)d s") % {"n": seconds}
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return _("%(n)d min") % {"n": minutes}
    if hours >= 48 and not minutes and hours % 24 == 0:
        days = hours // 24
        return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}
    said = _("%(n)d h") % {"n": hours}
    return f"{said} {_('%(n)d min') % {'n': minutes}}" if minutes else said


def _moment(found: datetime | str | None) -> str:
    moment = parse_datetime(found) if isinstance(found, str) else found
    if moment is None:
        return NOTHING
    return date_format(timezone.localtime(moment) if moment.tzinfo else moment, "SHORT_DATETIME_FORMAT")
