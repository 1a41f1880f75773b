"""Names of what a change is about, such as a person, a machine or a grant, instead of internal ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    Badge,
    Block,
    Change,
    Collector,
    Grant,
    Machine,
    Member,
    OneTimeLink,
    Payer,
    Review,
    Training,
    UsageSession,
)
from fabgate.collector.members.people import display_names
from fabgate.collector.money.paper.figures import NOTHING

#: Kinds with a name in addition to the key in the log; both are shown.
_NAMED: Final[dict[str, Callable[[set[str]], dict[str, str]]]] = {
    "account": lambda keys: dict(Account.objects.filter(name__in=keys).values_list("name", "display_name")),
    "machine": lambda keys: dict(Machine.objects.filter(name__in=keys).values_list("name", "title")),
    "member": lambda keys: dict(Member.objects.filter(pk__in=keys).values_list("pk", "name")),
    "payer": lambda keys: {key: str(who) for key, who in display_names.names_of(keys).items()},
    "training": lambda keys: dict(Training.objects.filter(name__in=keys).values_list("name", "title")),
}


class Subjects:
    """The names of the subjects of some changes, loaded at once."""

    def __init__(self, changes: Iterable[Change]) -> None:
        keys: dict[str, set[str]] = {}
        for change in changes:
            keys.setdefault(change.kind, set()).add(change.key)
        self._named = {kind: find(keys[kind]) for kind, find in _NAMED.items() if kind in keys}
        self._numbered = {kind: find(keys[kind]) for kind, find in _NUMBERED.items() if kind in keys}

    def name_and_key(self, change: Change) -> tuple[str, str]:
        """Return the name of a change's subject, and its key if it has a separate name.

        Both are empty for opening hours, because the change itself contains everything.
        """
        kind, key = change.kind, change.key
        if kind in _NAMED:
            name = self._named[kind].get(key)
            return (name, key) if name and name != key else (key, "")
        if kind in _NUMBERED:
            return self._numbered[kind].get(key, ""), ""
        return ("", "") if key.isdecimal() and kind in _SELF_DESCRIBING else (key, "")


#: Kinds whose changes describe themselves.
_SELF_DESCRIBING: Final = frozenset({"opening", "specialday"})


def matching(typed: str) -> Q:
    """Return the condition for changes whose subject matches `typed` by key or name."""
    members = Member.objects.filter(folded__contains=folded(typed))
    payers = Payer.objects.filter(
        Q(folded__contains=folded(typed)) | Q(member__in=members) | Q(group__folded__contains=folded(typed))
    )
    machines = Machine.objects.filter(Q(title__icontains=typed) | Q(name__icontains=typed))
    trainings = Training.objects.filter(Q(title__icontains=typed) | Q(name__icontains=typed))
    named = {
        "member": members.values_list("pk", flat=True),
        "machine": machines.values_list("name", flat=True),
        "payer": payers.values_list("pk", flat=True),
        "training": trainings.values_list("name", flat=True),
        "account": Account.objects.filter(display_name__icontains=typed).values_list("name", flat=True),
    }
    numbered = {
        "badge": Badge.objects.filter(member__in=members),
        "block": Block.objects.filter(member__in=members),
        "grant": Grant.objects.filter(Q(member__in=members) | Q(training__in=trainings)),
    }
    condition = Q(key__icontains=typed)
    for kind, keys in named.items():
        condition |= Q(kind=kind, key__in=list(keys[:_MAX_KEYS]))
    for kind, rows in numbered.items():
        newest = rows.order_by("-pk").values_list("pk", flat=True)[:_MAX_KEYS]
        condition |= Q(kind=kind, key__in=[str(pk) for pk in newest])
    return condition


#: At most this many objects of a kind are searched for.
_MAX_KEYS: Final = 500


def _badges(keys: set[str]) -> dict[str, str]:
    rows = {str(row.pk): row for row in Badge.objects.filter(pk__in=_numbers(keys)).select_related("group")}
    people = display_names.names_of(row.holder for row in rows.values())
    return {key: str(people.get(row.holder, row.holder)) for key, row in rows.items()}


def _blocks(keys: set[str]) -> dict[str, str]:
    rows = Block.objects.filter(pk__in=_numbers(keys)).select_related("member")
    return {str(row.pk): row.member.name or row.member.pk for row in rows}


def _grants(keys: set[str]) -> dict[str, str]:
    rows = Grant.objects.filter(pk__in=_numbers(keys)).select_related("member", "training")
    return {str(row.pk): f"{row.training}, {row.member.name or row.member.pk}" for row in rows}


def _keys(keys: set[str]) -> dict[str, str]:
    return {str(row.pk): row.name for row in ApiKey.objects.filter(pk__in=_numbers(keys))}


def _links(keys: set[str]) -> dict[str, str]:
    rows = OneTimeLink.objects.filter(pk__in=_numbers(keys)).select_related("account")
    return {str(row.pk): str(row.account or gettext("the first manager")) for row in rows}


def _reviews(keys: set[str]) -> dict[str, str]:
    rows = {str(row.pk): row.session_id for row in Review.objects.filter(pk__in=_numbers(keys))}
    sessions = _sessions(set(rows.values()))
    return {key: sessions.get(session, session) for key, session in rows.items()}


def _sessions(keys: set[str]) -> dict[str, str]:
    rows = list(UsageSession.objects.filter(pk__in=keys).select_related("machine", "gate"))
    people = display_names.names_of(row.used_by for row in rows)
    return {row.pk: f"{people.get(row.used_by, NOTHING)}, {row.machine or row.gate}" for row in rows}


def _collector(keys: set[str]) -> dict[str, str]:
    return {str(row.pk): row.site for row in Collector.objects.filter(pk__in=_numbers(keys))}


_NUMBERED: Final[dict[str, Callable[[set[str]], dict[str, str]]]] = {
    "apikey": _keys,
    "badge": _badges,
    "block": _blocks,
    "collector": _collector,
    "onetimelink": _links,
    "grant": _grants,
    "review": _reviews,
    "usagesession": _sessions,
}


def _numbers(keys: Iterable[str]) -> list[int]:
    return [int(key) for key in keys if key.isdecimal() and len(key) < 19]
