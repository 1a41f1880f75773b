"""Finds people by name, number, e-mail, printed badge number, or by reading the badge on a USB reader."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, Final

from django import forms
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Length
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from fabgate.collector.faces.pages.access_control import see_other
from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.lists.keyset import Key
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.people.badges import card_form
from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models import Badge, BadgeForm, Block, Member
from fabgate.collector.members.people import badges, blocks, display_names
from fabgate.collector.members.people.badges import Card
from fabgate.collector.members.people.display_names import Holder

#: The columns by which the list can be sorted. The database sorts at most as many rows as there are members.
_SORTS: Final = ("name", "number", "membership", "category", "email")
BY_NAME: Final = Key("folded")
_FOREVER: Final = date(9999, 12, 31)
#: `NOW` depends on the end date: people in their days of grace may still use machines, but are listed under `OVER`, so
#: that they are asked for payment. `STAYED`, everyone who has not left, cannot be chosen.
NOW, OVER, BLOCKED, MINOR, LEFT, ALL, STAYED = "", "over", "blocked", "minor", "left", "all", "stayed"
_STATES: Final = (
    (NOW, gettext_lazy("Members now")),
    (OVER, gettext_lazy("Membership expired")),
    (BLOCKED, gettext_lazy("Blocked people")),
    (MINOR, gettext_lazy("Minors")),
    (LEFT, gettext_lazy("Former members")),
    (ALL, gettext_lazy("Everyone")),
)


class FindForm(forms.Form):
    """One search box, and two filters."""

    q = forms.CharField(label=gettext_lazy("Name, number, e-mail or badge"), max_length=100, required=False)
    state = forms.ChoiceField(label=gettext_lazy("Who"), choices=_STATES, required=False)
    category = forms.ChoiceField(label=gettext_lazy("Category"), required=False)

    def __init__(self, *args: Any, is_first: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["q"].widget.attrs |= {"type": "search", "autocomplete": "off", "spellcheck": "false"}
        if is_first:  # focused at once, because a USB reader types into it
            self.fields["q"].widget.attrs |= {
                "autofocus": True,
                "placeholder": _("Type, or hold a badge on the reader"),
            }
        known = Member.objects.exclude(category="").order_by("category").values_list("category", flat=True).distinct()
        choices = [("", pgettext("category", "Any")), *((one, one) for one in known)]
        self.fields["category"] = forms.ChoiceField(
            label=self.fields["category"].label, choices=choices, required=False
        )


def people(request: HttpRequest) -> HttpResponse:
    """List people by name, or in another order; a search with one result opens that person's page."""
    form = FindForm(_with_state(request.GET), is_first=True)
    wanted = form.cleaned_data if form.is_bound and form.is_valid() else {}
    q = str(wanted.get("q") or "").strip()
    digests = badges_typed(q) if q else set()
    held = badges_held(digests)
    state, category = str(wanted.get("state") or NOW), str(wanted.get("category") or "")
    rows = filtered(Member.objects.all(), q, state, category, held)
    sorting = Sorting(request.GET, _SORTS, "name")
    page = keyset.page(rows, keys(sorting), request.GET)
    earlier = None if held else _earlier(digests)
    if q and len(page.rows) == 1 and not page.before and not page.after and earlier is None:
        return see_other(reverse("people-one", args=[page.rows[0].pk]))
    unassigned_badge = _unassigned_badge(q) if q and not page.rows else None
    context = {
        "form": form,
        "page": page,
        "sorting": sorting,
        "rows": list_rows(page.rows),
        "unassigned_badge": unassigned_badge,
        "q": q,
        "earlier": earlier,
    }
    context["is_narrowed"] = bool(q or category or state != ALL)
    context["has_people"] = bool(page.rows) or Member.objects.exists()
    context["group"] = next((row.group for row in held if row.group), None)
    return render(request, "people/list.html", context, status=400 if form.is_bound and form.errors else 200)


def keys(sorting: Sorting) -> list[Key]:
    """Return the keys by which people are sorted for a column; people without a value come last."""
    column = sorting.order.column
    if column == "number":  # 9 before 10
        return [sorting.key(Length("pk")), sorting.key("pk")]
    if column == "membership":  # one without an end lasts longest
        return [sorting.key(Coalesce("valid_until", Value(_FOREVER))), BY_NAME]
    if column == "payer":
        payer = Coalesce("payer__member__folded", "payer__group__folded", "payer__folded", Value(""))
        return [Key(Case(When(payer=None, then=1), default=0)), sorting.key(payer), BY_NAME]
    if column in {"category", "email"}:
        return [Key(Case(When(**{column: ""}, then=1), default=0)), sorting.key(column), BY_NAME]
    return [sorting.key("folded")]


def _with_state(query: QueryDict) -> QueryDict | None:
    """Return the form's data.

    A search without a state covers everyone, because most searches are for people who left.
    """
    if query.get("state") or not query.get("q", "").strip():
        return query or None
    asked = query.copy()
    asked["state"] = ALL
    return asked


def badges_typed(q: str) -> set[str]:
    """Return the digests of the badges that a text may mean, as a spelling or as a printed number."""
    bearer = badges.with_number(q)
    typed = {Card.spelled(one).digest for one in card_form.readings(q).values()}
    return typed if bearer is None else typed | {bearer.digest}


def badges_held(digests: Collection[str]) -> list[Badge]:
    """Return the current assignments of these badges."""
    by_form = BadgeForm.objects.filter(digest__in=digests, state__in=BadgeForm.KNOWN).values("badge")
    held = Badge.objects.filter(Q(digest__in=digests) | Q(pk__in=by_form), ended_at=None)
    return list(held.select_related("group").order_by("-pk"))


def filtered(rows: QuerySet[Member], q: str, state: str, category: str, held: Sequence[Badge] = ()) -> QuerySet[Member]:
    """Return those of `rows` that match."""
    today = blocks.today()
    if holders := [row.member_id for row in held if row.member_id]:
        return rows.filter(pk__in=holders)
    if q:
        words_of = Q()
        for word in folded(q).split():
            words_of &= Q(folded__contains=word)
        rows = rows.filter(words_of | Q(pk__icontains=q) | Q(email__icontains=q))
    is_blocked = Exists(Block.active(today).filter(member=OuterRef("pk")).order_by())
    left = Q(left_on__isnull=False, left_on__lte=today)
    if state == LEFT:
        rows = rows.filter(left)
    elif state != ALL:
        rows = rows.exclude(left)
    if state == BLOCKED:
        rows = rows.filter(is_blocked)
    elif state == MINOR:
        rows = rows.filter(minor=True)
    elif state in {NOW, OVER}:
        over = Q(valid_until__isnull=False, valid_until__lt=today)
        rows = rows.filter(over if state == OVER else ~over)
    return rows.filter(category=category) if category else rows


def list_rows(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Return the rows of a list of members."""
    today = blocks.today()
    blocked: dict[str, list[str]] = {}
    for block in Block.active(today).filter(member__in=[member.pk for member in members]):
        blocked.setdefault(block.member_id, []).append(block.reason)
    theirs: dict[str | None, list[Badge]] = {}
    for row in Badge.objects.filter(member__in=[member.pk for member in members], ended_at=None).order_by("since"):
        theirs.setdefault(row.member_id, []).append(row)
    return [
        {
            "member": member,
            "chips": people_labels.membership_chips(member, today, blocked.get(member.pk, ())),
            "badges": theirs.get(member.pk, []),
        }
        for member in members
    ]


def _earlier(digests: Collection[str]) -> Holder | None:
    """Return the last holder of these badges, if they have no holder now."""
    ended = [
        (holder.until, holder) for holder in display_names.last_holders(digests).values() if holder.until is not None
    ]
    return max(ended, key=itemgetter(0))[1] if ended else None


def _unassigned_badge(q: str) -> str:
    """Return the text if it is a badge that was never assigned, otherwise ""."""
    found = card_form.readings(q)
    return q if found and (len(found) == 1 or card_form.known_here(found)) else ""
