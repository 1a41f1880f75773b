"""Groups, which are classes or companies: their members, badges, machines and payer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from django import forms
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.credit.account import card_of
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.machines_field import MachinesField
from fabgate.collector.faces.pages.forms.member_field import find_member, member_text
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.people import search, shortcuts
from fabgate.collector.faces.pages.people.badges import giving, short_forms
from fabgate.collector.faces.pages.people.payers.forms import GroupPayerForm, refuse_payer
from fabgate.collector.faces.pages.people.person import action_forms
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.faces.pages.words import names
from fabgate.collector.faces.pages.words import people_labels as words
from fabgate.collector.ground.db import audit, duplicate, member_lock
from fabgate.collector.ground.models import Account, Badge, Group, Machine, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import badges, blocks
from fabgate.collector.money.billing.prepaid import modes

#: The most wrong lines that an error lists.
_MOST_ERRORS: Final = 20


class GroupForm(GroupPayerForm):
    """A class or a company. Its members are typed as lines of text, so that a list can be pasted."""

    people = forms.CharField(
        label=gettext_lazy("Members of the group"),
        max_length=100_000,
        required=False,
        widget=forms.Textarea({"rows": 4}),
        help_text=gettext_lazy("Members' numbers or names, one per line."),
    )

    class Meta:
        """The fields that are columns of the row."""

        model = Group
        fields = ("name", "kind", "machines", "note")
        labels = {
            "name": gettext_lazy("Name"),
            "kind": gettext_lazy("Type"),
            "machines": gettext_lazy("Machines available with the group's badges"),
            "note": gettext_lazy("Note"),
        }
        help_texts = {"machines": gettext_lazy("A class always needs a supervisor.")}
        field_classes = {"name": LineField}
        widgets = {"note": forms.Textarea({"rows": 2})}

    field_order = ("name", "kind", "payer", "people", "machines", "note")

    def __init__(self, *args: Any, is_manager: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self._is_manager = is_manager
        if not is_manager:
            del self.fields["payer"]
        if self.instance.pk:
            self.initial["people"] = "\n".join(map(member_text, self.instance.members.order_by("folded", "pk")))
        self.fields["kind"] = forms.ChoiceField(
            label=self.fields["kind"].label, choices=list(words.GROUP_KINDS.items()), widget=forms.RadioSelect
        )
        self.fields["machines"] = MachinesField(
            self.instance.machines if self.instance.pk else None,
            label=self.fields["machines"].label,
            help_text=self.fields["machines"].help_text,
        )

    def clean_people(self) -> list[Member]:
        """Return the members. Raises ValidationError for each line that matches no member, or several."""
        found, wrong = _people(str(self.cleaned_data["people"]))
        if wrong:
            raise forms.ValidationError(wrong)
        return found

    @classmethod
    def members_named(cls, data: QueryDict) -> list[Member]:
        """Return also the members of the group."""
        found = super().members_named(data)
        with suppress(forms.ValidationError):
            found += _people(cls.base_fields["people"].clean(data.get("people", "")))[0]
        return found

    def clean(self) -> dict[str, Any]:
        """Let only managers choose the payer, and machines for people without training and supervision."""
        cleaned = super().clean() or self.cleaned_data
        refuse_payer(self)
        if not self._is_manager and cleaned.get("kind") == Group.COMPANY:
            was_company = self.instance.pk and self.instance.kind == Group.COMPANY
            had = set(self.instance.machines.all()) if was_company else set()
            if set(cleaned.get("machines") or ()) - had:
                text = _(
                    "A company's badges give access to machines without a supervisor, so only a manager may choose the machines."
                )
                self.add_error("machines", text)
        return cleaned


def _people(text: str) -> tuple[list[Member], list[str]]:
    """Return the members that lines name, and an error for each line that matches no member, or several."""
    wanted = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    found, wrong = names.by_number(wanted), list[str]()
    for line in wanted:
        try:
            found[line] = found.get(line) or find_member(line)
        except forms.ValidationError as error:
            wrong += error.messages
        if len(wrong) == _MOST_ERRORS:
            break
    return list({found[line].pk: found[line] for line in wanted if line in found}.values()), wrong


def groups(request: HttpRequest) -> HttpResponse:
    """List the groups, closed ones last, or in another order."""
    rows = Group.objects.select_related("payer__member").order_by("name")
    shown = [
        {
            "group": row,
            "kind": words.GROUP_KINDS[row.kind],
            "people": row.members.count(),
            "badges": row.badges.filter(ended_at=None).count(),
            "is_over": _is_over(row),
        }
        for row in rows
    ]
    shown.sort(key=lambda row: bool(row["is_over"]))
    sorting = Sorting(request.GET, _SORTS)
    return render(request, "people/groups.html", {"rows": sorting.sorted(shown, _SORTS), "sorting": sorting})


#: Column -> its value, in the list of groups.
_SORTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "name": lambda row: row["group"].name,
    "kind": lambda row: str(row["kind"]),
    "payer": lambda row: row["group"].payer and str(row["group"].payer),
    "-people": lambda row: row["people"],
    "-badges": lambda row: row["badges"],
    "state": lambda row: row["is_over"],
}


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a group, its members and badges."""
    return _page(request, get_object_or_404(Group.objects.select_related("payer__member"), pk=pk))


def new(request: HttpRequest) -> HttpResponse:
    """Add a group."""
    return _save(request, None)


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a group."""
    return _save(request, get_object_or_404(Group, pk=pk))


def payer(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose the payer of a group."""
    group = get_object_or_404(Group, pk=pk)
    concerned = GroupPayerForm.members_named(request.POST)
    with transaction.atomic():
        member_lock.take(concerned)
        held = stale_form.locked(group)
        form = GroupPayerForm(request.POST, instance=held, auto_id="payer_%s")
        _refuse_own_bill(request, held)
        if is_saved := not form.has_conflicts() and form.is_valid():
            _refuse_own_bill(request, form.instance)
            with audit.change(shortcuts.actor(request), "group.updated", held) as change:
                form.choose_payer(shortcuts.actor(request))
                form.instance.save(update_fields=["payer"])
                if modes.are_in_use():
                    change.rosters = roster.versions(roster.rebuild(only_changed=True))
    if not is_saved:
        return _page(request, group, status=form.status, payer_form=form)
    gates_informed.report_change(request, _("Saved."), change)
    return see_other(reverse("people-group", args=[pk]))


def _refuse_own_bill(request: HttpRequest, group: Group) -> None:
    """Raise errors.SelfDecision if the signed-in person is a member of the group, or its present or new payer."""
    refuse_self_decision(request, group.roster_id, group.payer_id_or_own)


def give(request: HttpRequest, pk: int) -> HttpResponse:
    """Assign a badge to a group, which lends it to its members."""
    group = get_object_or_404(Group, pk=pk)
    _refuse_own_bill(request, group)
    if _is_over(group):
        raise errors.Conflict(_("This group is closed. Reopen it first."))
    form = action_forms.GiveForm(request.POST, auto_id="give_%s", holder=group.roster_id)
    if form.is_valid():
        kind = Badge.CLASS if group.kind == Group.CLASS else Badge.COMPANY
        number = form.cleaned_data["number"]
        try:
            row, change = giving.assign(request, form.card, group, kind=kind, number=number)
        except badges.Taken as error:
            form.add_error("typed", action_forms.not_free(error))
        else:
            gates_informed.report_change(request, _("Badge assigned."), change)
            short_forms.warn(request, row)
            return see_other(reverse("people-group", args=[pk]))
    return _page(request, group, give_form=form)


def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a group, which disables its badges, or reopen it, as the form says."""
    group = get_object_or_404(Group, pk=pk)
    is_over = request.POST.get("over") == "1"
    if not is_over:
        _refuse_own_bill(request, group)  # its badges work again
    with transaction.atomic():
        held = stale_form.locked(group)
        if is_over == _is_over(held):
            raise errors.Conflict(_("Someone else changed this in the meantime. Check the group and try again."))
        with audit.change(shortcuts.actor(request), "group.ended" if is_over else "group.begun", held) as change:
            held.ended_on = blocks.today() if is_over else None
            held.save(update_fields=["ended_on"])
            change.rosters = roster.versions(roster.rebuild(only_changed=True))
    text = _("Group closed: its badges no longer give access to any machine.") if is_over else _("Group reopened.")
    gates_informed.report_change(request, text, change)
    return see_other(reverse("people-group", args=[pk]))


def _save(request: HttpRequest, group: Group | None) -> HttpResponse:
    is_manager = account_of(request).role == Account.MANAGER
    if group is not None:
        _refuse_own_bill(request, group)
    if request.method == "GET":
        form = GroupForm(instance=group, is_manager=is_manager)
        return render(request, "people/group_edit.html", {"form": form, "group": group})
    verb = "group.added" if group is None else "group.updated"
    is_saved, status, concerned = False, None, GroupForm.members_named(request.POST)
    try:
        with transaction.atomic():
            member_lock.take(concerned)
            form = GroupForm(request.POST, instance=group and stale_form.locked(group), is_manager=is_manager)
            if is_saved := not form.has_conflicts() and form.is_valid():
                with audit.change(shortcuts.actor(request), verb, form.instance) as change:
                    saved = form.save(commit=False)
                    form.choose_payer(shortcuts.actor(request))
                    # Only these fields, because someone may have closed the group in the meantime.
                    saved.save(
                        update_fields=["name", "kind", *(["payer"] if is_manager else []), "note"] if group else None
                    )
                    form.save_m2m()
                    saved.members.set(form.cleaned_data["people"])
                    _refuse_own_bill(request, saved)
                    change.rosters = roster.versions(roster.rebuild(only_changed=True))
    except IntegrityError as error:
        if not duplicate.is_there(error):
            raise
        form.add_error("name", _("A group with this name has just been added."))
        is_saved, status = False, 409
    if is_saved:
        gates_informed.report_change(request, _("Saved."), change)
        return see_other(reverse("people-group", args=[saved.pk]))
    return render(request, "people/group_edit.html", {"form": form, "group": group}, status=status or form.status)


def _open_to_all() -> list[tuple[Machine, datetime]]:
    """Return the machines that are open to everybody whom a roster knows, also with a group's badge, and until when."""
    now, machines = timezone.localtime(), Machine.objects.filter(retired_at=None).order_by("title", "name")
    return [(machine, until) for machine in machines if (until := machine.open_until(now)) is not None]


def _page(request: HttpRequest, group: Group, *, status: int = 400, **bound: Any) -> HttpResponse:
    carried = list(group.badges.filter(ended_at=None).order_by("number", "since"))
    short = short_forms.of(carried)
    context = {
        "live_src": reverse("people-group", args=[group.pk]),
        "group": group,
        "kind": words.GROUP_KINDS[group.kind],
        "is_over": _is_over(group),
        "is_own": not self_and_groups(account_of(request)).isdisjoint({group.roster_id, group.payer_id_or_own}),
        "people": search.list_rows(list(group.members.order_by("folded", "pk"))),
        "machines": group.machines.order_by("title", "name"),
        "open_to_all": _open_to_all() if carried else [],
        "badges": [
            {
                "row": row,
                "read_as": words.badge_kind(row.spelling),
                "short": short.get(row.pk),
                "is_stale": row.is_stale(badges.key_id()),
            }
            for row in carried
        ],
        "known": gates_informed.of(("group", group.name), *(("badge", str(row.pk)) for row in group.badges.all())),
        "give_form": action_forms.GiveForm(auto_id="give_%s"),
        **card_of(group.payer_id_or_own, account_of(request), user=group.roster_id),
        "payer_form": GroupPayerForm(instance=group, auto_id="payer_%s"),
        **bound,
    }
    return render(request, "people/group.html", context, status=status if bound else 200)


def _is_over(group: Group) -> bool:
    return group.ended_on is not None and group.ended_on <= blocks.today()
