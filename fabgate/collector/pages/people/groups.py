"""Which classes and companies come together, on which badges, and who pays for them?"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.access import roster
from fabgate.collector.base import duplicate
from fabgate.collector.db import audit
from fabgate.collector.models import Account, Badge, Group, Member
from fabgate.collector.pages import errors, gates_informed, stale_form
from fabgate.collector.pages.access_control import account_of, refuse_own_cause, see_other
from fabgate.collector.pages.machines_field import MachinesField
from fabgate.collector.pages.member_field import MemberField, meant, written
from fabgate.collector.pages.name_field import LineField
from fabgate.collector.pages.people import desk_forms, find, telling, words
from fabgate.collector.pages.people.payer_forms import GroupPayerForm, refuse_payer
from fabgate.collector.pages.use import names
from fabgate.collector.people import badges, blocks

#: Lines that are told at once.
MOST_TOLD: Final = 20


class GroupForm(stale_form.Watched, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """A class or a company. Who belongs to it is a list of lines, so that it can be pasted."""

    payer = MemberField(
        label=gettext_lazy("Who pays"),
        help_text=gettext_lazy("A member, such as the school, by number or name. Empty: the group itself."),
    )
    people = forms.CharField(
        label=gettext_lazy("Who belongs to it"),
        max_length=100_000,
        required=False,
        widget=forms.Textarea({"rows": 4}),
        help_text=gettext_lazy("Members' numbers or names, one a line."),
    )

    class Meta:
        """In the order in which a desk asks."""

        model = Group
        fields = ("name", "kind", "payer", "machines", "note")
        labels = {
            "name": gettext_lazy("Name"),
            "kind": gettext_lazy("It is a"),
            "machines": gettext_lazy("Its own badges open"),
            "note": gettext_lazy("Note"),
        }
        help_texts = {"machines": gettext_lazy("A class is always supervised.")}
        field_classes = {"name": LineField}
        widgets = {"note": forms.Textarea({"rows": 2})}

    field_order = ("name", "kind", "payer", "people", "machines", "note")

    def __init__(self, *args: Any, is_manager: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self._is_manager = is_manager
        if is_manager:
            self.initial["payer"] = written(self.instance.payer)
        else:
            del self.fields["payer"]
        if self.instance.pk:
            self.initial["people"] = "\n".join(map(written, self.instance.members.order_by("folded", "pk")))
        self.fields["kind"] = forms.ChoiceField(
            label=self.fields["kind"].label, choices=list(words.GROUP_KINDS.items()), widget=forms.RadioSelect
        )
        self.fields["machines"] = MachinesField(
            self.instance.machines if self.instance.pk else None,
            label=self.fields["machines"].label,
            help_text=self.fields["machines"].help_text,
        )

    def clean_people(self) -> list[Member]:
        """Return who belongs to it; tell of every line by which nobody, or more than one, is meant."""
        lines = str(self.cleaned_data["people"]).splitlines()
        wanted = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        found, wrong = names.by_number(wanted), []
        for line in wanted:
            try:
                found[line] = found.get(line) or meant(line)
            except forms.ValidationError as error:
                wrong += error.messages
            if len(wrong) == MOST_TOLD:
                break
        if wrong:
            raise forms.ValidationError(wrong)
        return list({found[line].pk: found[line] for line in wanted}.values())

    def clean(self) -> dict[str, Any]:
        """Leave who pays, and machines for people who are neither trained nor supervised, to a manager."""
        cleaned = super().clean() or self.cleaned_data
        refuse_payer(self)
        if not self._is_manager and cleaned.get("kind") == Group.COMPANY:
            was_company = self.instance.pk and self.instance.kind == Group.COMPANY
            had = set(self.instance.machines.all()) if was_company else set()
            if set(cleaned.get("machines") or ()) - had:
                text = _("A company's badges open machines without a supervisor: only a manager may choose those.")
                self.add_error("machines", text)
        return cleaned


def groups(request: HttpRequest) -> HttpResponse:
    """List the groups; those that are over at the end."""
    today = blocks.today()
    rows = Group.objects.select_related("payer").order_by("name")
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
    return render(request, "people/groups.html", {"rows": shown, "today": today})


def one(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a group, who belongs to it and its badges."""
    return _page(request, get_object_or_404(Group.objects.select_related("payer"), pk=pk))


def new(request: HttpRequest) -> HttpResponse:
    """Write a group down."""
    return _save(request, None)


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a group."""
    return _save(request, get_object_or_404(Group, pk=pk))


def payer(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose who pays for a group."""
    group = get_object_or_404(Group, pk=pk)
    with transaction.atomic():
        held = stale_form.held(group)
        form = GroupPayerForm(request.POST, instance=held, auto_id="payer_%s")
        _refuse_own_bill(request, held)
        if is_saved := not form.is_overtaken() and form.is_valid():
            _refuse_own_bill(request, form.instance)
            with audit.change(telling.actor(request), "group.updated", held) as change:
                form.instance.save(update_fields=["payer"])
    if not is_saved:
        return _page(request, group, status=form.status, payer_form=form)
    telling.tell(request, _("Saved."), change)
    return see_other(reverse("people-group", args=[pk]))


def _refuse_own_bill(request: HttpRequest, group: Group) -> None:
    """Raise errors.OwnCause where the person who asks belongs to a group, pays for it, or would pay for it."""
    refuse_own_cause(request, group.roster_id, group.payer_id_or_own)


def give(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a group a badge that it hands out itself."""
    group = get_object_or_404(Group, pk=pk)
    if _is_over(group):
        raise errors.Conflict(_("This group is over. Begin it again first."))
    form = desk_forms.GiveForm(request.POST, auto_id="give_%s", holder=group.roster_id)
    if form.is_valid():
        kind = Badge.CLASS if group.kind == Group.CLASS else Badge.COMPANY
        number = form.cleaned_data["number"]
        try:
            _row, change = badges.give(form.card, group, actor=telling.actor(request), kind=kind, number=number)
        except badges.Taken as error:
            form.add_error("typed", desk_forms.taken(error.row))
        else:
            telling.tell(request, _("The badge is theirs from now on."), change)
            return see_other(reverse("people-group", args=[pk]))
    return _page(request, group, give_form=form)


def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a group: its badges open nothing from now on. Or begin it again. The form says which of the two."""
    group = get_object_or_404(Group, pk=pk)
    is_over = request.POST.get("over") == "1"
    with transaction.atomic():
        held = stale_form.held(group)
        if is_over == _is_over(held):
            raise errors.Conflict(_("Somebody else was faster: look at the group again."))
        with audit.change(telling.actor(request), "group.ended" if is_over else "group.begun", held) as change:
            held.ended_on = blocks.today() if is_over else None
            held.save(update_fields=["ended_on"])
            change.rosters = roster.versions(roster.rebuild(only_changed=True))
    text = _("The group is over: its badges open nothing any more.") if is_over else _("The group goes on.")
    telling.tell(request, text, change)
    return see_other(reverse("people-group", args=[pk]))


def _save(request: HttpRequest, group: Group | None) -> HttpResponse:
    is_manager = account_of(request).role == Account.MANAGER
    if request.method == "GET":
        form = GroupForm(instance=group, is_manager=is_manager)
        return render(request, "people/group_edit.html", {"form": form, "group": group})
    verb = "group.added" if group is None else "group.updated"
    is_saved, status = False, None
    try:
        with transaction.atomic():
            form = GroupForm(request.POST, instance=group and stale_form.held(group), is_manager=is_manager)
            if is_saved := not form.is_overtaken() and form.is_valid():
                with audit.change(telling.actor(request), verb, form.instance) as change:
                    saved = form.save(commit=False)
                    # Of one that is there only these: a group that was ended meanwhile has ended.
                    saved.save(
                        update_fields=["name", "kind", *(["payer"] if is_manager else []), "note"] if group else None
                    )
                    form.save_m2m()
                    saved.members.set(form.cleaned_data["people"])
                    change.rosters = roster.versions(roster.rebuild(only_changed=True))
    except IntegrityError as error:
        if not duplicate.is_there(error):
            raise
        form.add_error("name", _("Somebody has just written down a group of this name."))
        is_saved, status = False, 409
    if is_saved:
        telling.tell(request, _("Saved."), change)
        return see_other(reverse("people-group", args=[saved.pk]))
    return render(request, "people/group_edit.html", {"form": form, "group": group}, status=status or form.status)


def _page(request: HttpRequest, group: Group, *, status: int = 400, **bound: Any) -> HttpResponse:
    carried = group.badges.filter(ended_at=None).order_by("number", "since")
    context = {
        "live_src": reverse("people-group", args=[group.pk]),
        "group": group,
        "kind": words.GROUP_KINDS[group.kind],
        "is_over": _is_over(group),
        "people": find.shown(list(group.members.order_by("folded", "pk"))),
        "machines": group.machines.order_by("title", "name"),
        "badges": [{"row": row, "is_stale": row.is_stale(badges.key_id())} for row in carried],
        "known": gates_informed.of(("group", group.name), *(("badge", str(row.pk)) for row in group.badges.all())),
        "give_form": desk_forms.GiveForm(auto_id="give_%s"),
        "payer_form": GroupPayerForm(instance=group, auto_id="payer_%s"),
        **bound,
    }
    return render(request, "people/group.html", context, status=status if bound else 200)


def _is_over(group: Group) -> bool:
    return group.ended_on is not None and group.ended_on <= blocks.today()
