"""What the desk reads about short forms: which readers' numbers a badge also has, and which of them gates refuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from fabgate.collector.ground.models import Badge, BadgeForm
from fabgate.collector.members.access import short_forms
from fabgate.collector.members.people import display_names, reasons

#: How many badges of an imported list are named.
_MOST_WARNINGS: Final = 5


@dataclass(frozen=True, slots=True)
class Forms:
    """The short forms of one badge: those that gates accept, and why they refuse the others, as texts."""

    accepted: list[str]
    warnings: list[str]


def of(rows: Collection[Badge]) -> dict[int, Forms]:
    """Return the short forms of these assigned badges, by their ids; badges without any are missing."""
    spellings = {row.pk: row.spelling for row in rows}
    forms = list(BadgeForm.objects.filter(badge__in=spellings, state__in=BadgeForm.KNOWN).order_by("form", "pk"))
    sharers = _sharers({one.digest for one in forms if one.state == BadgeForm.SHARED})
    accepted: dict[int, list[str]] = defaultdict(list)
    refused: dict[int, dict[tuple[str, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in forms:
        spelling = short_forms.shown(spellings[one.badge_id], one.form)
        if one.state == BadgeForm.SHARED:
            others = tuple(who for pk, who in sharers[one.digest].items() if pk != one.badge_id)
            refused[one.badge_id][others].append(spelling or _("this number"))
        else:
            accepted[one.badge_id].append(spelling)
    return {
        pk: Forms(accepted[pk], [_warning(forms, who) for who, forms in refused[pk].items()])
        for pk in accepted.keys() | refused.keys()
    }


def holders(digest: str) -> list[str]:
    """Return whose badges have this short form, if gates refuse it because several have it."""
    is_shared = BadgeForm.objects.filter(digest=digest, state=BadgeForm.SHARED).exists()
    return list(_sharers([digest])[digest].values()) if is_shared else []


def warn(request: HttpRequest, *rows: Badge) -> None:
    """Say which short forms of badges that were just assigned gates refuse, and because of whom."""
    for found in of(rows).values():
        for text in found.warnings:
            messages.warning(request, text)


def shared() -> set[int]:
    """Return the ids of badges of which gates refuse a short form."""
    return set(BadgeForm.objects.filter(state=BadgeForm.SHARED).values_list("badge", flat=True))


def warn_of_new(request: HttpRequest, before: Collection[int]) -> None:
    """Say which short forms gates refuse since `before`, of the first badges."""
    warn(request, *Badge.objects.filter(pk__in=shared() - set(before)).order_by("pk")[:_MOST_WARNINGS])


def _warning(forms: list[str], who: tuple[str, ...]) -> str:
    text = _(
        "Gates refuse %(forms)s: a reader that gives this number cannot tell this badge from that of %(who)s. Replace"
        " one of these badges."
    )
    return text % {"forms": _(" or ").join(forms), "who": _(" and ").join(who)}


def _sharers(digests: Iterable[str]) -> dict[str, dict[int, str]]:
    """Return whose badges have these short forms, by the ids of their assignments."""
    rows = (
        BadgeForm.objects.filter(digest__in=set(digests))
        .exclude(state=BadgeForm.OFF)
        .select_related("badge__group")
        .order_by("badge")
    )
    people = display_names.names_of(one.badge.holder for one in rows)
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for one in rows:
        who = str(people[one.badge.holder])
        if one.badge.end_reason:
            who = _("%(who)s (%(why)s)") % {"who": who, "why": reasons.given_up(one.badge.end_reason)}
        found[one.digest][one.badge_id] = who
    return found
