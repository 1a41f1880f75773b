"""Whose badge is this? One that a gate refused because nobody has it, or one on the reader at the desk.

Of a badge that was tapped on a gate only its digest is known here: it opens machines like any other, but nobody can
spell it, and it must be tapped again should the site's badge key ever change.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import forms
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.access.eligibility import BADGE_LOST
from fabgate.collector.models import Badge, Gate, Member, Refusal
from fabgate.collector.pages.access_control import see_other
from fabgate.collector.pages.name_field import LineField
from fabgate.collector.pages.people import cards, desk_forms, find, telling
from fabgate.collector.people import badges, blocks, display_names
from fabgate.collector.people.badges import Card
from fabgate.collector.people.display_names import Holder
from fabgate.errors import UsageError

_DIGEST: Final = re.compile("[0-9a-f]{64}")
#: The words with which a gate refuses a badge that it does not know, and one that was reported lost.
NOBODYS: Final = frozenset({"unknown-badge", BADGE_LOST})
#: Unknown badges are listed for so long.
RECENT: Final = timedelta(days=7)
_MOST: Final = 30
#: So many people are offered.
_OFFERED: Final = 8


class EnrolForm(forms.Form):
    """Whose the badge is, and for how long."""

    member = forms.ModelChoiceField(
        Member.objects.all(),
        error_messages={
            "required": gettext_lazy("Choose whose it is."),
            "invalid_choice": gettext_lazy("Choose whose it is."),
        },
    )
    number = LineField(label=gettext_lazy("Number printed on it"), max_length=40, required=False)
    kind = forms.ChoiceField(
        label=gettext_lazy("It is"),
        choices=[(Badge.PERSONAL, gettext_lazy("their own")), (Badge.LOAN, gettext_lazy("lent until this evening"))],
        initial=Badge.PERSONAL,
        widget=forms.RadioSelect,
    )


def enrol(request: HttpRequest) -> HttpResponse:
    """Show the badges that nobody has; or of one, whose it could be."""
    card = card_of(request)
    if card is None:
        return render(request, "people/unknown.html", {"rows": unknown()})
    form = EnrolForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        member, kind = form.cleaned_data["member"], form.cleaned_data["kind"]
        until = badges.end_of(blocks.today()) if kind == Badge.LOAN else None
        number = form.cleaned_data["number"].strip()
        try:
            _row, change = badges.give(
                card, member, actor=telling.actor(request), kind=kind, number=number, until=until
            )
        except badges.Taken as error:
            form.add_error(None, desk_forms.taken(error.row))
        else:
            text = _("Lent until this evening.") if until else _("The badge is theirs from now on.")
            telling.tell(request, text, change)
            return telling.to_person(member)
    q = request.GET.get("q", "").strip()[:100]
    offered = find.narrowed(Member.objects.all(), q, find.ALL, "").order_by("folded", "pk")
    context = {
        "form": form,
        "card": card,
        "q": q,
        "offered": find.shown(list(offered[:_OFFERED])) if q else [],
        "held": card.carried(),
        "earlier": earlier(card),
        "refusals": _refusals(card.digest),
    }
    return render(request, "people/enrol.html", context, status=200 if request.method == "GET" else 400)


def tap(request: HttpRequest, pk: str) -> HttpResponse:
    """Wait for the next unknown badge at a gate, and give it to a person."""
    member = telling.member_of(pk)
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
        "is_heard": gate.is_heard(datetime.now(UTC)),
        "found": found,
        "held": card.carried() if card else None,
        "earlier": earlier(card) if card else None,
        "other": Member.objects.filter(pk=known.member).first() if known else None,
    }
    return render(request, "people/tap.html", context)


def card_of(request: HttpRequest) -> Card | None:
    """Return the badge that a page is about: ?badge= as a gate told of it, or ?typed= as a reader did.

    Raises UsageError for one that no gate has refused, and for what is no badge.
    """
    digest, typed = request.GET.get("badge", ""), request.GET.get("typed", "").strip()
    if digest:
        if not _DIGEST.fullmatch(digest) or not Refusal.objects.filter(member="", badge=digest).exists():
            raise UsageError(_("No gate has refused such a badge. Tap it on a gate, and choose it from the list."))
        known = Badge.objects.filter(digest=digest).exclude(spelling="").first()
        return Card.of(known) if known else Card.tapped(digest)
    if not typed:
        return None
    found = cards.readings(typed)
    certain = found if len(found) == 1 else cards.seen(found)
    if len(certain) != 1:
        raise UsageError(
            cards.why_not(typed) if not found else _("These digits can be several badges. Tap it on a gate.")
        )
    return Card.spelled(next(iter(certain.values())))


def earlier(card: Card) -> Holder | None:
    """Return who had a badge last, where nobody has it now."""
    found = display_names.holding([card.digest]).get(card.digest)
    return found if found is not None and found.until is not None else None


def unknown() -> list[dict[str, Any]]:
    """Return the badges that gates refused lately and that nobody has, the last one first."""
    taken = Badge.objects.filter(ended_at=None).values("digest")
    rows = (
        Refusal.between(timezone.now() - RECENT)
        .filter(member="")
        .exclude(badge__in=taken)
        .values("badge")
        .annotate(last=Max("pk"), times=Count("pk"))
        .order_by("-last")[:_MOST]
    )
    found = [dict(row) for row in rows]
    last = Refusal.objects.select_related("gate", "machine").in_bulk([row["last"] for row in found])
    holders = display_names.holding(str(row["badge"]) for row in found)
    return [
        {
            **row,
            "refusal": last[row["last"]],
            "where": last[row["last"]].where,
            "holder": holders.get(str(row["badge"])),
        }
        for row in found
        if not NOBODYS.isdisjoint(last[row["last"]].reasons) and _DIGEST.fullmatch(str(row["badge"]))
    ]


def _refusals(digest: str) -> list[dict[str, Any]]:
    rows = (
        Refusal.objects.filter(member="", badge=digest).select_related("gate", "machine").order_by("-about", "-id")[:3]
    )
    return [{"row": row, "where": row.where} for row in rows]
