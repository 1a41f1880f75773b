"""Payers: their list, the record of each, and the organisations that pay."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.credit.account import card_of
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.lists.keyset import Key
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.people import shortcuts
from fabgate.collector.faces.pages.people.payers.record_form import PayerForm
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Group, Member, Payer
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.paper.figures import NOTHING

_SORTS: Final = ("name", "kind", "-people", "address")
NAME: Final = Coalesce("member__folded", "group__folded", "folded")
_NOW, _ORGANISATIONS, _NO_ADDRESS, _ENDED = "", "organisations", "no-address", "ended"
_WHICH: Final = (
    (_NOW, pgettext_lazy("payers", "All")),
    (_ORGANISATIONS, gettext_lazy("Organisations")),
    (_NO_ADDRESS, gettext_lazy("Without an address")),
    (_ENDED, gettext_lazy("Closed organisations")),
)
#: The most characters of an address in the list.
_LONGEST_ADDRESS: Final = 60
#: The most people that a payer's page lists.
_MOST_LISTED: Final = 200
#: The columns that the form writes.
_TYPED: Final = PayerForm.Meta.fields


class FindForm(forms.Form):
    """One search box, and which payers."""

    q = forms.CharField(
        label=gettext_lazy("Name or number"),
        max_length=100,
        required=False,
        widget=forms.TextInput({"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )
    which = forms.ChoiceField(label=gettext_lazy("Show"), choices=_WHICH, required=False)


def records(request: HttpRequest) -> HttpResponse:
    """List the payers by name, or in another order."""
    form = FindForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    q, which = str(wanted.get("q") or "").strip(), str(wanted.get("which") or _NOW)
    rows = _filtered(Payer.objects.select_related("member", "group"), q, which)
    sorting = Sorting(request.GET, _SORTS, "name")
    page = keyset.page(rows, _keys(sorting), request.GET)
    context = {
        "form": form,
        "page": page,
        "rows": _list_rows(page.rows),
        "sorting": sorting,
        "is_narrowed": bool(q or which),
    }
    return render(request, "people/payers.html", context, status=200 if form.is_valid() else 400)


def detail(request: HttpRequest, pk: str) -> HttpResponse:
    """Show a payer's record, and for whom it pays."""
    return _page(request, _get(pk))


def new(request: HttpRequest) -> HttpResponse:
    """Add an organisation."""
    form = PayerForm(request.POST if request.method == "POST" else None, instance=Payer())
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            payer = payers.add_organisation(form.save(commit=False), actor=shortcuts.actor(request))
            payers.set_references(payer, form.cleaned_data["references"], actor=shortcuts.actor(request))
        gates_informed.report_change(request, _("%(name)s added.") % {"name": payer})
        return see_other(reverse("people-payer-one", args=[payer.pk]))
    status = 400 if request.method == "POST" else 200
    return render(request, "people/payer_edit.html", {"form": form, "payer": None}, status=status)


def edit(request: HttpRequest, pk: str) -> HttpResponse:
    """Change a payer's record; that of a member or a group is added when it is first saved."""
    payer = _get(pk)
    refuse_self_decision(request, payer.pk)
    if request.method == "GET":
        return render(request, "people/payer_edit.html", {"form": PayerForm(instance=payer), "payer": payer})
    actor = shortcuts.actor(request)
    with transaction.atomic():
        held = payers.ensure(payer, actor=actor)
        form = PayerForm(request.POST, instance=held)
        if is_saved := not form.has_conflicts() and form.is_valid():
            with audit.change(actor, "payer.updated", held):
                form.instance.save(update_fields=_TYPED)
            payers.set_references(held, form.cleaned_data["references"], actor=actor)
        else:
            transaction.set_rollback(True)  # a row that was only added to be locked
    if not is_saved:
        return render(request, "people/payer_edit.html", {"form": form, "payer": _get(pk)}, status=form.status)
    gates_informed.report_change(request, _("Saved."))
    return see_other(reverse("people-payer-one", args=[pk]))


def end(request: HttpRequest, pk: str) -> HttpResponse:
    """End an organisation, or reopen it, as the form says."""
    payer = get_object_or_404(Payer.organisations(), pk=pk)
    refuse_self_decision(request, payer.pk)
    is_over, actor = request.POST.get("over") == "1", shortcuts.actor(request)
    with transaction.atomic():
        held = stale_form.locked(payer)
        if is_over == (held.ended_on is not None):
            raise errors.Conflict(_("Someone else changed this in the meantime. Check the payer and try again."))
        try:
            if is_over:
                payers.end(held, actor=actor)
            else:
                payers.reopen(held, actor=actor)
        except payers.StillPays as error:
            raise errors.Conflict(str(error)) from None
    text = _("%(name)s was closed: it can no longer be chosen as a payer.") if is_over else _("%(name)s reopened.")
    gates_informed.report_change(request, text % {"name": payer})
    return see_other(reverse("people-payer-one", args=[pk]))


def _get(pk: str) -> Payer:
    """Return a payer, or answer 404."""
    payer = payers.get(pk)
    if payer is None:
        raise Http404
    return payer


def _page(request: HttpRequest, payer: Payer) -> HttpResponse:
    people = Member.objects.filter(payer=payer.pk)
    context = {
        "payer": payer,
        "kind": people_labels.PAYER_KINDS[payer.kind],
        "own": payer.member or payer.group,
        "nothing": NOTHING,
        "people": people.order_by("folded", "pk")[:_MOST_LISTED],
        "not_listed": max(0, people.count() - _MOST_LISTED),
        "groups": Group.objects.filter(payer=payer.pk).order_by("folded", "pk"),
        "language": dict(settings.LANGUAGES).get(payer.lang_or_own or settings.ENVIRONMENT.lang),
        "references": [] if payer.is_new else payer.references.order_by("sink"),
        "has_month": terms.started() is not None,
        **card_of(payer.pk, account_of(request)),
        "is_own": payer.pk in self_and_groups(account_of(request)),
    }
    return render(request, "people/payer_one.html", context)


def _filtered(rows: QuerySet[Payer], q: str, which: str) -> QuerySet[Payer]:
    if q:
        words = Q()
        for word in folded(q).split():
            words &= Q(folded__contains=word) | Q(member__folded__contains=word) | Q(group__folded__contains=word)
        rows = rows.filter(words | Q(pk__icontains=q))
    if which == _ENDED:
        return rows.exclude(ended_on=None)
    rows = rows.filter(ended_on=None)
    if which == _ORGANISATIONS:
        return rows.filter(member=None, group=None)
    return rows.filter(address="") if which == _NO_ADDRESS else rows


def _keys(sorting: Sorting) -> list[Key]:
    """Return the keys by which payers are sorted for a column."""
    column = sorting.order.column
    if column == "kind":  # organisations, groups, members
        kind = Case(When(member__isnull=False, then=2), When(group__isnull=False, then=1), default=0)
        return [sorting.key(kind), Key(NAME)]
    if column == "people":
        return [sorting.key(_count(Member) + _count(Group)), Key(NAME)]
    if column == "address":  # those without one first
        return [sorting.key(Case(When(address="", then=0), default=1)), Key(NAME)]
    return [sorting.key(NAME)]


def _count(model: type[Member | Group]) -> Coalesce:
    """Return how many members or groups a payer pays for."""
    same = model._default_manager.filter(payer=OuterRef("pk")).order_by()  # noqa: SLF001 (Django's name for it)
    counted = same.values("payer").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))


def _list_rows(found: Any) -> list[dict[str, Any]]:
    ids = [payer.pk for payer in found]
    people, groups = (
        dict(model._default_manager.filter(payer__in=ids).order_by().values_list("payer").annotate(n=Count("pk")))  # noqa: SLF001 (as above)
        for model in (Member, Group)
    )
    return [
        {
            "payer": payer,
            "kind": people_labels.PAYER_KINDS[payer.kind],
            "people": people.get(payer.pk, 0),
            "groups": groups.get(payer.pk, 0),
            "address": Truncator(", ".join(payer.address.splitlines())).chars(_LONGEST_ADDRESS),
        }
        for payer in found
    ]
