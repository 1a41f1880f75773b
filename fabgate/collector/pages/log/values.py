"""What does a change say, field by field, so that a person reads it: names for numbers, words for what machines call things?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from django.conf import settings
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy, ngettext

from fabgate import wire
from fabgate.collector.machines import locks, presets
from fabgate.collector.models import Account, Change, Machine, OneTimeLink, Training
from fabgate.collector.models.calendar import WEEK
from fabgate.collector.pages.formatting import NOTHING, duration
from fabgate.collector.pages.keys.views import SCOPES
from fabgate.collector.pages.log import fields
from fabgate.collector.pages.log.labels import VERBS, value
from fabgate.collector.pages.machines import words as rule_words
from fabgate.collector.pages.people import words as people_words
from fabgate.collector.pages.use import labels as use_words
from fabgate.collector.pages.use import periods
from fabgate.collector.pages.use.reports.usage import GROUPS
from fabgate.collector.people import display_names, reasons

#: Which fields name somebody, and which name who did it.
_PEOPLE: Final = frozenset({"member", "members", "payer"})
_ACTORS: Final = frozenset(
    {"actor", "ended_by", "lifted_by", "locked_by", "made_by", "revoked_by", "settled_by", "trainer", "trainers"}
)
_MACHINES: Final = frozenset({"machine", "machines"})
_TRAININGS: Final = frozenset({"prerequisite", "training", "trainings"})
#: Durations, in milliseconds.
_LASTING_MS: Final = frozenset({"time"})
#: Numbers that programs look things up by, which nobody reads.
UNSAID: Final = frozenset({"id", "lock_id"})
#: The words of a field, whatever it is a field of; one with the kind before it is only meant there.
_WORDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "badge.kind": people_words.KINDS,
    "block.reason": people_words.BLOCKS,
    "by": dict(GROUPS),
    "decision": use_words.DECISIONS,
    "end_reason": reasons.GIVEN_UP,
    "form": {"csv": "CSV", "xlsx": "XLSX"},
    "group.kind": people_words.GROUP_KINDS,
    "lang": dict(settings.LANGUAGES),
    "level": people_words.LEVELS,
    "lock_when": {"idle": gettext_lazy("when idle"), "now": gettext_lazy("at once")},
    "password": {"old": gettext_lazy("another one"), "new": gettext_lazy("a new one")},
    "period": dict(periods.PRESETS),
    "preset": presets.TITLES,
    "purpose": use_words.PURPOSES,
    "collector.reason": {**reasons.REFUSED, **reasons.ENDED},
    "role": dict(Account.ROLES),
    "scopes": SCOPES,
    "stage": {name: word for name, (_state, word) in people_words.STAGES.items()},
    "what": {
        "sessions": gettext_lazy("sessions"),
        "usage": gettext_lazy("usage"),
        "refusals": gettext_lazy("refusals"),
    },
    "why": {name: short for name, (short, _long) in use_words.REVIEWS.items()},
}
#: Why something was done, where it is the code that says so.
_REASONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "account": {
        OneTimeLink.FIRST: gettext_lazy("the first manager"),
        OneTimeLink.INVITE: gettext_lazy("invitation"),
        OneTimeLink.RESET: gettext_lazy("new password"),
    },
    "apikey": {verb: VERBS[verb] for verb in ("account.deactivated", "collector.restored")},
    "badge": reasons.GIVEN_UP,
    "block": people_words.BLOCKS,
}
_BY_ITSELF: Final[Mapping[str, Any]] = {
    "import": gettext_lazy("by an import"),
    "its day came": gettext_lazy("its day came"),
    "its time came": gettext_lazy("its time came"),
    "left": gettext_lazy("person left"),
}


class Names:
    """What everything is called that some changes name by a number: read once for all of them."""

    def __init__(self, changes: Iterable[Change]) -> None:
        people, actors = set(), set()
        for change in changes:
            actors.add(change.actor)
            for told in (change.before, change.after):
                people |= {str(one) for name in _PEOPLE & told.keys() for one in _each(told[name])}
                people |= {f"{wire.GROUP_PREFIX}{told['group']}"} if told.get("group") else set()
                actors |= {str(one) for name in _ACTORS & told.keys() for one in _each(told[name])}
        self._people = display_names.told_apart(people)
        self._actors = display_names.signing_in(actors)
        self._accounts = {str(account.pk): str(account) for account in Account.objects.only("name", "display_name")}
        self._machines = _by_both(Machine.objects.only("name", "title"))
        self._trainings = _by_both(Training.objects.only("name", "title"))

    def actor(self, name: str) -> str:
        """Return who did it."""
        return self._actors.get(name, name)

    def named(self, field: str, one: Any) -> str | None:
        """Return what a field of this name names; None where it is no field that names something."""
        text = str(one)
        if field in _PEOPLE:
            return str(self._people.get(text, text))
        if field == "group":
            return str(self._people.get(f"{wire.GROUP_PREFIX}{text}", text))
        if field == "made_by" and text in self._accounts:
            return self._accounts[text]
        if field in _ACTORS:
            return str(_BY_ITSELF.get(text) or self._actors.get(text, text))
        if field in _MACHINES:
            return self._machines.get(text, text)
        return self._trainings.get(text, text) if field in _TRAININGS else None


_PLACES: Final = {name: place for place, name in enumerate(fields.FIELDS)}


def told(change: Change, names: Names) -> list[tuple[str, str, str]]:
    """Return each field that a change touched: what it is called, and both values in words; rules one by one.

    What a new thing was before says nothing, nor what it has not got.
    """
    before, after = change.before, change.after
    found: list[tuple[str, str, str]] = []
    # In the order of our own list of names, because PostgreSQL keeps none.
    for name in sorted({**before, **after}, key=lambda name: (_PLACES.get(name, len(_PLACES)), name)):
        was, became = before.get(name), after.get(name)
        if name in UNSAID or (not before and not became):
            continue
        if name == "rules":
            found += _rules(was or {}, became or {}, is_new=not before)
        else:
            said = _said(change.kind, name, was, names) if before else ""
            found.append((fields.called(name), said, _said(change.kind, name, became, names)))
    return [(name, was, became) for name, was, became in found if was != became]


def reason(change: Change) -> str:
    """Return why it was done: in words, where it is a program that named it, or else as somebody wrote it."""
    known = _REASONS.get(change.kind, {})
    return str(known.get(change.reason) or _BY_ITSELF.get(change.reason) or locks.said(change.reason))


def _said(kind: str, field: str, found: Any, names: Names) -> str:
    if field == "lifted":
        n = len(found or ())
        return ngettext("%(n)d lock", "%(n)d locks", n) % {"n": n} if n else NOTHING
    if found in (None, "", [], {}):
        return NOTHING
    if field in _LASTING_MS and str(found).isdecimal():
        return duration(int(found))
    if isinstance(found, list):
        return ", ".join(_one(kind, field, one, names) for one in found)
    return _one(kind, field, found, names)


def _one(kind: str, field: str, found: Any, names: Names) -> str:
    if (named := names.named(field, found)) is not None:
        return named
    if field == "lock_reason":
        return locks.said(str(found))
    if field == "days" and found in WEEK:
        return str(WEEKDAYS[found - 1])
    known = _WORDS.get(f"{kind}.{field}") or _WORDS.get(field, {})
    return str(known[found]) if isinstance(found, str) and found in known else value(found)


def _rules(before: dict[str, Any], after: dict[str, Any], *, is_new: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the rules that are others now; of a new machine those that make a difference."""
    was, now = (msgspec.convert(found, wire.MachineRules) for found in (before, after))
    for name, label in rule_words.RULES.items():
        if is_new and name not in rule_words.telling(now):
            continue
        if is_new or getattr(was, name) != getattr(now, name):
            said = "" if is_new else rule_words.rule(name, getattr(was, name))
            yield str(label), said, rule_words.rule(name, getattr(now, name))


def _each(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _by_both(rows: Iterable[Machine | Training]) -> dict[str, str]:
    """Return what things are called, by their number and by their name: changes have either."""
    return {key: str(row) for row in rows for key in (str(row.pk), row.name)}
