"""The fields of a change as text, with names instead of ids and labels instead of codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec
from django.conf import settings
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate import wire
from fabgate.collector.faces.pages.keys.views import SCOPES
from fabgate.collector.faces.pages.log import fields
from fabgate.collector.faces.pages.log.labels import VERBS, value
from fabgate.collector.faces.pages.use import periods
from fabgate.collector.faces.pages.use.reports.usage import GROUPS
from fabgate.collector.faces.pages.words import machine_rules, people_labels, session_labels, tariff_phrases
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    Change,
    Contest,
    Machine,
    OneTimeLink,
    PrepaidEntry,
    Training,
)
from fabgate.collector.ground.models.calendar import WEEK
from fabgate.collector.members.machines import locks, presets
from fabgate.collector.members.people import display_names, reasons
from fabgate.collector.money.billing import terms
from fabgate.collector.money.paper.figures import NOTHING, Money, duration
from fabgate.pricing import stored

#: Fields that name people, and fields that name the author.
_PEOPLE: Final = frozenset({"member", "members", "payer"})
_ACTORS: Final = frozenset(
    {
        "actor",
        "answered_by",
        "author",
        "closed_by",
        "ended_by",
        "lifted_by",
        "locked_by",
        "made_by",
        "revoked_by",
        "settled_by",
        "trainer",
        "trainers",
    }
)
_MACHINES: Final = frozenset({"machine", "machines"})
_TRAININGS: Final = frozenset({"prerequisite", "training", "trainings"})
#: Fields with durations in milliseconds.
_LASTING_MS: Final = frozenset({"time"})
#: Internal fields that are not shown.
HIDDEN: Final = frozenset(
    {
        *("id", "lock_id", "journals", "ledger_after", "ledger_digest", "ledger_last", "terms", "printed", "archive"),
        *audit.SECRETS.values(),
    }
)
#: What one-time links are for.
_LINKS: Final = {
    OneTimeLink.FIRST: gettext_lazy("the first manager"),
    OneTimeLink.INVITE: gettext_lazy("invitation"),
    OneTimeLink.RESET: gettext_lazy("new password"),
}
#: The labels of a field's values; "kind.field" applies to that kind only.
_LABELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "badge.kind": people_labels.KINDS,
    "block.reason": people_labels.BLOCKS,
    "by": dict(GROUPS),
    "contest.decision": {
        Contest.KEPT: gettext_lazy("amount kept"),
        Contest.REVERSED: gettext_lazy("amount taken back"),
        Contest.OTHERWISE: gettext_lazy("settled in another way"),
    },
    "contest.kind": {
        Contest.SESSION: gettext_lazy("session"),
        Contest.LINE: gettext_lazy("line"),
        Contest.ENTRY: gettext_lazy("credit"),
    },
    "decision": session_labels.DECISIONS,
    "end_reason": reasons.GIVEN_UP,
    "form": {"csv": "CSV", "xlsx": "XLSX"},
    "group.kind": people_labels.GROUP_KINDS,
    "lang": dict(settings.LANGUAGES),
    "level": people_labels.LEVELS,
    "lock_when": {"idle": gettext_lazy("when idle"), "now": gettext_lazy("at once")},
    "method": dict(PrepaidEntry.METHODS),
    "password": {"old": gettext_lazy("the previous one"), "new": gettext_lazy("a new one")},
    "onetimelink.purpose": _LINKS,
    "period": dict(periods.PRESETS),
    "prepaidentry.kind": dict(PrepaidEntry.KINDS),
    "preset": presets.TITLES,
    "purpose": session_labels.PURPOSES,
    "purposes": session_labels.PURPOSES,
    "collector.reason": {**reasons.REFUSED, **reasons.ENDED},
    "role": dict(Account.ROLES),
    "scopes": {
        **SCOPES,
        ApiKey.MACHINES: gettext_lazy("Show the machines on a big display"),
        ApiKey.FIRST_NAMES: gettext_lazy("Show first names on a big display"),
    },
    "stage": {name: word for name, (_state, word) in people_labels.STAGES.items()},
    "what": {
        "sessions": gettext_lazy("sessions"),
        "usage": gettext_lazy("reports"),
        "refusals": gettext_lazy("refusals"),
        "month": gettext_lazy("charges of a month"),
    },
    "why": {name: short for name, (short, _long) in session_labels.REVIEWS.items()},
}
#: Labels of reasons that the code gives.
_REASONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "account": _LINKS,
    "onetimelink": {"collector.restored": VERBS["collector.restored"]},
    "apikey": {verb: VERBS[verb] for verb in ("account.deactivated", "collector.restored")},
    "badge": reasons.GIVEN_UP,
    "block": people_labels.BLOCKS,
}
_AUTOMATIC: Final[Mapping[str, Any]] = {
    "import": gettext_lazy("by an import"),
    "undone": gettext_lazy("added by mistake"),
    "its day came": gettext_lazy("on the planned date"),
    "its time came": gettext_lazy("when it expired"),
    "left": gettext_lazy("person left"),
}


class Names:
    """The names for the ids in some changes, loaded at once."""

    def __init__(self, changes: Iterable[Change]) -> None:
        people, actors = set(), set()
        for change in changes:
            actors.add(change.actor)
            for values in (change.before, change.after):
                people |= {str(one) for name in _PEOPLE & values.keys() for one in _each(values[name])}
                people |= {f"{wire.GROUP_PREFIX}{values['group']}"} if values.get("group") else set()
                actors |= {str(one) for name in _ACTORS & values.keys() for one in _each(values[name])}
        self._people = display_names.unique_names(people)
        self._actors = display_names.account_names(actors)
        self._accounts = {str(account.pk): str(account) for account in Account.objects.only("name", "display_name")}
        self._machines = _by_id_and_name(Machine.objects.only("name", "title"))
        self._trainings = _by_id_and_name(Training.objects.only("name", "title"))

    @cached_property
    def money(self) -> Money | None:
        """Return the currency of billing; None before billing has started."""
        found = terms.started()
        return None if found is None else Money.of(found)

    def actor(self, name: str) -> str:
        """Return the name of an author."""
        return self._actors.get(name, name)

    def name(self, field: str, value: Any) -> str | None:
        """Return the name for the id in a field; None if the field contains no id."""
        text = str(value)
        if field in _PEOPLE:
            return str(self._people.get(text, text))
        if field == "group":
            return str(self._people.get(f"{wire.GROUP_PREFIX}{text}", text))
        if field in {"account", "made_by"} and text in self._accounts:
            return self._accounts[text]
        if field in _ACTORS:
            return str(_AUTOMATIC.get(text) or self._actors.get(text, text))
        if field in _MACHINES:
            return self._machines.get(text, text)
        return self._trainings.get(text, text) if field in _TRAININGS else None


_PLACES: Final = {name: place for place, name in enumerate(fields.FIELDS)}


def changed_fields(change: Change, names: Names) -> list[tuple[str, str, str]]:
    """Return (field, old value, new value) as text for each changed field; machine rules one by one.

    Fields that are empty before and after are left out, and a new object has no old values.
    """
    before, after = change.before, change.after
    changed: list[tuple[str, str, str]] = []
    # Sorted, because PostgreSQL does not keep the order of JSON keys.
    for name in sorted({**before, **after}, key=lambda name: (_PLACES.get(name, len(_PLACES)), name)):
        was, became = before.get(name), after.get(name)
        if name in HIDDEN or (not before and not became):
            continue
        if name == "rules":
            changed += _rules(was or {}, became or {}, is_new=not before)
        else:
            old = _text(change.kind, name, was, names) if before else ""
            changed.append((fields.field_name(name), old, _text(change.kind, name, became, names)))
    return [(name, was, became) for name, was, became in changed if was != became]


def reason(change: Change) -> str:
    """Return the reason: the label of a reason that the code gave, otherwise the typed text."""
    known = _REASONS.get(change.kind, {})
    return str(known.get(change.reason) or _AUTOMATIC.get(change.reason) or locks.reason_text(change.reason))


def _text(kind: str, field: str, found: Any, names: Names) -> str:
    if field == "lifted":
        n = len(found or ())
        return ngettext("%(n)d lock", "%(n)d locks", n) % {"n": n} if n else NOTHING
    if found in (None, "", [], {}):
        return NOTHING
    if field in _LASTING_MS and str(found).isdecimal():
        return duration(int(found))
    if isinstance(found, list):
        return ", ".join(_single(kind, field, item, names) for item in found)
    return _single(kind, field, found, names)


def _single(kind: str, field: str, found: Any, names: Names) -> str:
    if (name := names.name(field, found)) is not None:
        return name
    if field == "lock_reason":
        return locks.reason_text(str(found))
    if field.endswith("_minor") and (money := names.money) is not None:
        return money.minor(found)
    if field == "tariff" and (money := names.money) is not None:
        return " · ".join(tariff_phrases.prices(stored.from_json(found), money))
    if kind == "contest" and field in Contest.ERASABLE:
        return _("a text, kept with the contest")
    if field == "days" and found in WEEK:
        return str(WEEKDAYS[found - 1])
    known = _LABELS.get(f"{kind}.{field}") or _LABELS.get(field, {})
    return str(known[found]) if isinstance(found, str) and found in known else value(found)


def _rules(before: dict[str, Any], after: dict[str, Any], *, is_new: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the changed rules; for a new machine, those that are relevant."""
    was, now = (msgspec.convert(found, wire.MachineRules) for found in (before, after))
    for name, label in machine_rules.RULES.items():
        if is_new and name not in machine_rules.relevant_rules(now):
            continue
        if is_new or getattr(was, name) != getattr(now, name):
            old = "" if is_new else machine_rules.rule(name, getattr(was, name))
            yield str(label), old, machine_rules.rule(name, getattr(now, name))


def _each(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _by_id_and_name(rows: Iterable[Machine | Training]) -> dict[str, str]:
    """Return titles by id and by name, as changes hold either."""
    return {key: str(row) for row in rows for key in (str(row.pk), row.name)}
