"""A machine's rules in words: labels, values, and what its form says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import wire
from fabgate.collector.faces.pages.words import durations
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.machines import presets
from fabgate.collector.money.paper.figures import NOTHING

#: Rule -> label.
RULES: Final[Mapping[str, Any]] = {
    "mode": gettext_lazy("Mode of use"),
    "supervisor": gettext_lazy("Supervisor"),
    "sponsor": gettext_lazy("Guests on a supervisor's badge"),
    "handover": gettext_lazy("Hand over without switching off"),
    "attended": gettext_lazy("Must be attended"),
    "limit_s": gettext_lazy("Time limit"),
    "max_s": gettext_lazy("Longest session, with extensions"),
    "idle_off_s": gettext_lazy("Switches off when idle for"),
    "warn_s": gettext_lazy("Warning before switching off"),
    "grace_s": gettext_lazy("Grace period when the card is removed"),
    "finish": gettext_lazy("A job still running at the end"),
    "finish_max_s": gettext_lazy("Waits for a running job for at most"),
    "run_on_s": gettext_lazy("Run-on afterwards"),
    "warm_up_s": gettext_lazy("Warm-up"),
    "on_stale": gettext_lazy("When the gate's roster is too old"),
    "observe_until": gettext_lazy("Open to all members until"),
    "price_hint": gettext_lazy("Price on the display"),
}
WORDS: Final[Mapping[tuple[str, Any], Any]] = {
    ("mode", "tap"): gettext_lazy("Tap on, tap off"),
    ("mode", "hold"): gettext_lazy("The card stays in its holder"),
    ("mode", "timed"): gettext_lazy("A fixed time per tap"),
    ("mode", "audit"): gettext_lazy("Recorded only, never switched"),
    ("supervisor", "minors"): gettext_lazy("for minors, classes and people in training"),
    ("supervisor", "always"): gettext_lazy("for everyone"),
    ("finish", "wait"): gettext_lazy("may finish, if the gate senses it"),
    ("finish", "cut"): gettext_lazy("is cut off"),
    ("on_stale", "allow"): gettext_lazy("admit members of the last roster"),
    ("on_stale", "deny"): gettext_lazy("admit no one"),
}
#: What a form says below a rule.
HELP: Final[Mapping[str, Any]] = {
    "limit_s": gettext_lazy("A tap extends the session."),
    "max_s": gettext_lazy("A tap cannot extend the session beyond this."),
    "idle_off_s": gettext_lazy(
        "Leave empty to never switch off when idle. The gate needs a sensor that shows whether the machine is running."
    ),
    "warn_s": gettext_lazy(
        "The panel blinks and beeps for this long, but for at most a quarter of the time limit or idle time."
    ),
    "grace_s": gettext_lazy("Applies only in the mode “The card stays in its holder”."),
    "finish_max_s": gettext_lazy("After this time the power is cut."),
    "run_on_s": gettext_lazy("For example for a fan or a pump."),
    "warm_up_s": gettext_lazy("Begins when the power goes on. Idle time does not count during warm-up."),
    "handover": gettext_lazy("The next member taps, and the machine keeps running under their name."),
    "sponsor": gettext_lazy("The guest taps an unknown badge, then the supervisor taps within 30 seconds."),
    "attended": gettext_lazy(
        "If one badge uses two such machines at once, the sessions are marked for review. Do not tick this for a 3D printer that runs overnight."
    ),
    "on_stale": gettext_lazy("A roster is too old after seven days without the collector."),
    "observe_until": gettext_lazy(
        "Until then every known member has access, including blocked people and minors without a supervisor. Taps"
        " that would have been refused are recorded."
    ),
    "price_hint": gettext_lazy("Such as €0.20/min. Once a tariff applies here, its price is shown instead."),
}
#: The parts of the form, and their rules.
GROUPS: Final = (
    (gettext_lazy("Mode of use"), ("mode", "supervisor", "sponsor", "handover", "attended")),
    (gettext_lazy("Time limits"), ("limit_s", "max_s", "warn_s", "idle_off_s", "warm_up_s", "grace_s")),
    (gettext_lazy("End of a session"), ("finish", "finish_max_s", "run_on_s")),
    (gettext_lazy("Other settings"), ("on_stale", "observe_until", "price_hint")),
)
#: The rules on a preset's card.
MAIN: Final = ("mode", "limit_s", "idle_off_s", "finish")


def rule(name: str, found: Any) -> str:
    """Return the value of a rule in words."""
    if (name, found) in WORDS:
        return str(WORDS[name, found])
    if isinstance(found, bool):
        return _("yes") if found else _("no")
    if name.endswith("_s"):
        return _("never") if found is None else durations.in_words(found)
    if name == "observe_until":
        return _moment(found)
    return NOTHING if found in (None, "") else str(found)


def rules(found: wire.MachineRules, names: tuple[str, ...] = tuple(RULES)) -> Iterator[tuple[str, str]]:
    """Yield each rule as (label, value) in words."""
    for name in names:
        yield str(RULES[name]), rule(name, getattr(found, name))


def relevant_rules(found: wire.MachineRules) -> tuple[str, ...]:
    """Return the names of the rules worth showing; a run-on of zero seconds is not."""
    silent = {
        "grace_s": found.mode != "hold",
        "finish_max_s": found.finish != "wait",
        "run_on_s": not found.run_on_s,
        "warm_up_s": not found.warm_up_s,
        "observe_until": found.observe_until is None,
        "price_hint": found.price_hint is None,
    }
    return tuple(name for name in RULES if not silent.get(name))


def is_job_unfelt(found: wire.MachineRules, gates: list[Gate]) -> bool:
    """Return whether `finish` has no effect at the time limit: a gate cannot tell whether a job runs."""
    return found.finish == "wait" and found.mode != "audit" and any(gate.senses_work is False for gate in gates)


def preset(machine: Machine) -> str:
    """Return the title of the machine's preset; empty where none was chosen."""
    if machine.preset not in presets.TITLES:
        return ""
    title = str(presets.TITLES[machine.preset])
    wanted = presets.PRESETS[machine.preset]
    has_own = any(getattr(machine.wire_rules(), name) != value for name, value in wanted.items())
    return _("%(preset)s, customised") % {"preset": title} if has_own else title


def cards(machine: Machine | None) -> list[dict[str, Any]]:
    """Return every preset with its rules, the current one marked."""
    found = []
    for name, values in presets.PRESETS.items():
        would_be = msgspec.convert(values, wire.MachineRules)
        is_own = machine is not None and machine.preset == name
        found.append(
            {"name": name, "title": presets.TITLES[name], "rules": list(rules(would_be, MAIN)), "is_own": is_own}
        )
    return found


def _moment(found: datetime | str | None) -> str:
    moment = parse_datetime(found) if isinstance(found, str) else found
    if moment is None:
        return NOTHING
    return date_format(timezone.localtime(moment) if moment.tzinfo else moment, "SHORT_DATETIME_FORMAT")
