"""Assigns a badge that a gate refused because it is unknown, or one on the reader at the desk.

Of a badge that was tapped on a gate only the digest is known. It works like any other badge, but its spelling is unknown,
and it must be tapped again if the site's badge key is changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import forms
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import gates_informed
from fabgate.collector.faces.pages.access_control import see_other
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.people import search, shortcuts
from fabgate.collector.faces.pages.people.badges import card_form, giving, short_forms
from fabgate.collector.faces.pages.people.person import action_forms
from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.models import Badge, BadgeForm, Gate, Member, Refusal
from fabgate.collector.members.access.eligibility import BADGE_LOST
from fabgate.collector.members.people import badges, blocks, display_names
from fabgate.collector.members.people.badges import Card
from fabgate.collector.members.people.display_names import Holder
from fabgate.errors import UsageError

_DIGEST: Final = re.compile("[0-9a-f]{64}")
#: The reasons with which gates refuse unknown and lost badges.
UNASSIGNED: Final = frozenset({"unknown-badge", BADGE_LOST})
#: How long unknown badges are listed.
RECENT: Final = timedelta(days=7)
#: The most unknown badges in the list.
_MOST: Final = 30
#: Column -> its value, in the list of unknown badges.
_SORTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "-when": lambda row: row["refusal"].about,
    "where": lambda row: str(row["where"]),
    "holder": lambda row: row["holder"] and str(row["holder"].who),
    "-times": lambda row: row["times"],
}
#: The most people who are offered as holders.
_OFFERED: Final = 8


class EnrolForm(forms.Form):
    """The new holder, and the end of the loan."""

    member = forms.ModelChoiceField(
        Member.objects.all(),
        error_messages={
            "required": gettext_lazy("Choose a person."),
            "invalid_choice": gettext_lazy("Choose a person."),
        },
    )
    number = LineField(label=gettext_lazy("Printed number"), max_length=40, required=False)
    kind = forms.ChoiceField(
        label=gettext_lazy("Type"),
        choices=[(Badge.PERSONAL, gettext_lazy("personal")), (Badge.LOAN, gettext_lazy("lent until this evening"))],
        initial=Badge.PERSONAL,
        widget=forms.RadioSelect,
    )


def enrol(request: HttpRequest) -> HttpResponse:
    """List unknown badges, or assign one."""
    card = requested_card(request)
    if card is None:
        sorting = Sorting(request.GET, _SORTS, "-when")
        rows = sorting.sorted(unknown_badges(_MOST if sorting.is_default else None), _SORTS)[:_MOST]
        return render(request, "people/unknown.html", {"rows": rows, "sorting": sorting})
    form = EnrolForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        member, kind = form.cleaned_data["member"], form.cleaned_data["kind"]
        until = badges.end_of(blocks.today()) if kind == Badge.LOAN else None
        number = form.cleaned_data["number"].strip()
        try:
            row, change = giving.assign(request, card, member, kind=kind, number=number, until=until)
        except badges.Taken as error:
            form.add_error(None, action_forms.not_free(error))
        else:
            text = _("Lent until this evening.") if until else _("Badge assigned.")
            gates_informed.report_change(request, text, change)
            short_forms.warn(request, row)
            return shortcuts.redirect_to_person(member)
    q = request.GET.get("q", "").strip()[:100]
    offered = search.filtered(Member.objects.all(), q, search.ALL, "").order_by("folded", "pk")
    context = {
        "form": form,
        "card": card,
        "read_as": people_labels.badge_kind(card.spelling),
        "q": q,
        "offered": search.list_rows(list(offered[:_OFFERED])) if q else [],
        "held": card.carried(),
        "shared_by": short_forms.holders(card.digest),
        "earlier": last_holder(card),
        "refusals": _refusals(card.digest),
    }
    return render(request, "people/enrol.html", context, status=200 if request.method == "GET" else 400)


def tap(request: HttpRequest, pk: str) -> HttpResponse:
    """Wait for the next unknown badge at a gate, and assign it to a person."""
    member = shortcuts.get_member(pk)
    gate = get_object_or_404(Gate.objects.select_related("machine"), name=request.GET.get("gate", "")[:63])
    newest = Refusal.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    after = request.GET.get("after", "")
    if not (after.isascii() and after.isdecimal() and len(after) < 19):
        query = request.GET.copy()
        query["after"] = str(newest)
        return see_other(f"{request.path}?{query.urlencode()}")
    fresh = Refusal.objects.filter(gate=gate, pk__gt=int(after)).order_by("pk")
    found = fresh.filter(member="").last()
    known = fresh.exclude(member="").last()
    card = Card.tapped(found.badge) if found else None
    context = {
        "member": member,
        "where": gate.machine or gate,
        "kind": Badge.LOAN if request.GET.get("kind") == Badge.LOAN else Badge.PERSONAL,
        "is_heard": gate.is_online(datetime.now(UTC)),
        "found": found,
        "held": card.carried() if card else None,
        "earlier": last_holder(card) if card else None,
        "other": Member.objects.filter(pk=known.member).first() if known else None,
    }
    return render(request, "people/tap.html", context)


def requested_card(request: HttpRequest) -> Card | None:
    """Return the badge that the request names: ?badge= is a digest that a gate refused, ?typed= what a reader typed.

    Raises UsageError for a digest that no gate has refused, and for text that is not one badge.
    """
    digest, typed = request.GET.get("badge", ""), request.GET.get("typed", "").strip()
    if digest:
        if not _DIGEST.fullmatch(digest) or not Refusal.objects.filter(member="", badge=digest).exists():
            raise UsageError(_("No gate has refused this badge. Tap it on a gate, and choose it from the list."))
        known = Badge.objects.filter(digest=digest).exclude(spelling="").first()
        return Card.of(known) if known else Card.tapped(digest)
    if not typed:
        return None
    found = card_form.readings(typed)
    certain = found if len(found) == 1 else card_form.known_here(found)
    if len(certain) != 1:
        raise UsageError(
            card_form.not_a_badge(typed)
            if not found
            else _("These digits can be read as several badges. Tap the badge on a gate instead.")
        )
    return Card.spelled(next(iter(certain.values())))


def last_holder(card: Card) -> Holder | None:
    """Return the last holder of a badge that has no holder now."""
    found = display_names.last_holders([card.digest]).get(card.digest)
    return found if found is not None and found.until is not None else None


def unknown_badges(most: int | None) -> list[dict[str, Any]]:
    """Return the unassigned badges that gates refused recently, newest first; all of them if `most` is None."""
    taken = Badge.objects.filter(ended_at=None).values("digest")
    rows = (
        Refusal.between(timezone.now() - RECENT)
        .filter(member="")
        .exclude(badge__in=taken)
        .exclude(badge__in=BadgeForm.objects.filter(state__in=BadgeForm.KNOWN).values("digest"))
        .values("badge")
        .annotate(last=Max("pk"), times=Count("pk"))
        .order_by("-last")[:most]
    )
    found = [dict(row) for row in rows]
    last = Refusal.objects.select_related("gate", "machine").in_bulk([row["last"] for row in found])
    holders = display_names.last_holders(str(row["badge"]) for row in found)
    return [
        {
            **row,
            "refusal": last[row["last"]],
            "where": last[row["last"]].where,
            "holder": holders.get(str(row["badge"])),
        }
        for row in found
        if not UNASSIGNED.isdisjoint(last[row["last"]].reasons) and _DIGEST.fullmatch(str(row["badge"]))
    ]


def _refusals(digest: str) -> list[dict[str, Any]]:
    rows = (
        Refusal.objects.filter(member="", badge=digest).select_related("gate", "machine").order_by("-about", "-id")[:3]
    )
    return [{"row": row, "where": row.where} for row in rows]
