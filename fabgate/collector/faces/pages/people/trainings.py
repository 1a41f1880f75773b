"""Trainings: the list, one training, the matrix of people and trainings, and grants to several people at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django import forms
from django.db import IntegrityError, transaction
from django.db.models import Model, Prefetch, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.faces.pages import gates_informed
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.machines_field import MachinesField
from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.people import prerequisites, search, shortcuts
from fabgate.collector.faces.pages.people.person import action_forms
from fabgate.collector.faces.pages.roles import barred_from
from fabgate.collector.faces.pages.words import people_labels as words
from fabgate.collector.faces.pages.words.people_labels import Chip
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.db import audit, duplicate
from fabgate.collector.ground.models import Account, Grant, Group, Machine, Member, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks
from fabgate.collector.members.people import many_grants as grants
from fabgate.collector.members.people.display_names import numbered
from fabgate.collector.members.people.trainings import without_access, without_prerequisites
from fabgate.errors import UsageError

#: The most people who are granted a training at once.
_MOST: Final = 200


class _TrainersField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """Accounts, with their usernames: two people may have one name."""

    def label_from_instance(self, account: Model) -> str:
        """Return the name of an account as it is ticked."""
        assert isinstance(account, Account)
        return numbered(account.display_name, account.name) if account.display_name else account.name


class TrainingForm(stale_form.StaleCheck, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """A training, the machines it gives access to, and its prerequisite."""

    class Meta:
        """The fields in the order of the form."""

        model = Training
        fields = ("title", "machines", "trainers", "prerequisite", "expires_after_days", "description")
        labels = {
            "title": gettext_lazy("Training"),
            "machines": gettext_lazy("Machines"),
            "trainers": gettext_lazy("Trainers"),
            "prerequisite": gettext_lazy("Requires"),
            "expires_after_days": gettext_lazy("Valid for (days)"),
            "description": gettext_lazy("Description"),
        }
        help_texts = {
            "trainers": gettext_lazy(
                "These people and managers may grant and revoke this training. If no one is selected, every"
                " trainer may."
            ),
            "expires_after_days": gettext_lazy("Leave empty if the training never expires."),
            "prerequisite": gettext_lazy("For example the safety tour. Without it, this training gives no access."),
        }
        field_classes = {"title": LineField}
        widgets = {"machines": forms.CheckboxSelectMultiple, "description": forms.Textarea({"rows": 3})}

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["title"].required = True
        others = Training.objects.exclude(pk=self.instance.pk).order_by("title", "name")
        self.fields["prerequisite"] = forms.ModelChoiceField(
            others,
            label=self.fields["prerequisite"].label,
            help_text=self.fields["prerequisite"].help_text,
            required=False,
            empty_label=_("None"),
        )
        self.fields["machines"] = MachinesField(
            self.instance.machines if self.instance.pk else None,
            label=self.fields["machines"].label,
        )
        # Trainers who can no longer sign in stay listed: without any, every trainer could grant the training.
        named = self.instance.trainers.values("pk") if self.instance.pk else []
        trainers = Account.objects.filter(Q(role=Account.TRAINER, is_active=True) | Q(pk__in=named))
        self.fields["trainers"] = _TrainersField(
            trainers.order_by("display_name", "name"),
            label=self.fields["trainers"].label,
            help_text=self.fields["trainers"].help_text,
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )
        self.fields["expires_after_days"].widget.attrs |= {"min": 1, "max": 36500}

    def clean_title(self) -> str:
        """Refuse a title that differs from another training's only in case, accents or spaces."""
        title = str(self.cleaned_data["title"])
        if "title" not in self.changed_data:  # so that two such trainings from before this check can still be edited
            return title
        for other in Training.objects.exclude(pk=self.instance.pk):
            if folded(str(other)) == folded(title):
                text = _("There is already a training “%(title)s”. Choose a title that cannot be confused with it.")
                raise forms.ValidationError(text % {"title": other})
        return title

    def clean_expires_after_days(self) -> int | None:
        """Refuse a validity that is too short or too long."""
        days: int | None = self.cleaned_data["expires_after_days"]
        if days is not None and not 1 <= days <= 36500:
            raise forms.ValidationError(_("Enter 1 to 36500 days, or leave the field empty."))
        return days

    def clean_prerequisite(self) -> Training | None:
        """Refuse a circle of prerequisites, which no one could complete."""
        first: Training | None = self.cleaned_data["prerequisite"]
        at = first
        seen = {self.instance.pk}
        while at is not None:
            if at.pk in seen:
                text = _(
                    "%(first)s already requires %(this)s. If each required the other, no one could complete either."
                )
                raise forms.ValidationError(text % {"first": first, "this": self.instance})
            seen.add(at.pk)
            at = at.prerequisite
        return first


@dataclass(frozen=True, slots=True)
class Holding:
    """A member's grant of a training."""

    member: Member
    grant: Grant
    chip: Chip
    is_over: bool


def trainings(request: HttpRequest) -> HttpResponse:
    """List the trainings."""
    machines = Prefetch("machines", Machine.objects.order_by("title", "name"))
    rows = Training.objects.select_related("prerequisite").prefetch_related(machines).order_by("title", "name")
    counts: dict[int, int] = defaultdict(int)
    for _member, training in held(blocks.today()):
        counts[training] += 1
    shown = [{"training": row, "machines": list(row.machines.all()), "held": counts[row.pk]} for row in rows]
    sorting = Sorting(request.GET, _SORTS)
    return render(request, "people/trainings.html", {"rows": sorting.sorted(shown, _SORTS), "sorting": sorting})


#: Column -> its value, in the list of trainings.
_SORTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "training": lambda row: str(row["training"]),
    "requires": lambda row: str(row["training"].prerequisite or ""),
    "valid": lambda row: row["training"].expires_after_days,
    "-people": lambda row: row["held"],
}
#: The highest first.
_STAGES: Final = (Grant.INSTRUCTOR, Grant.AUTONOMOUS, Grant.SUPERVISED, Grant.SUSPENDED)
#: Column -> its value, in the list of people with a training. Expired ones come after all stages.
_HOLDER_SORTS: Final[Mapping[str, Callable[[Holding], Any]]] = {
    "name": lambda holding: holding.member.name or holding.member.pk,
    "stage": lambda holding: (holding.is_over, _STAGES.index(holding.grant.stage)),
    "-since": lambda holding: holding.grant.since,
    "until": lambda holding: holding.grant.last_day,
    "trainer": lambda holding: holding.grant.trainer,
}


def new(request: HttpRequest) -> HttpResponse:
    """Add a training."""
    form = TrainingForm(request.POST or None)
    status = 200 if request.method == "GET" else 400
    if request.method == "POST" and form.is_valid():
        form.instance.name = _free_name(form.cleaned_data["title"])
        training = form.instance
        try:
            with audit.change(shortcuts.actor(request), "training.added", training) as change:
                form.save()
                change.rosters = roster.versions(roster.rebuild(only_changed=True))
        except IntegrityError as error:
            if not duplicate.is_there(error):
                raise
            text = _("A training with this title has just been added. If yours is different, choose another title.")
            form.add_error("title", text)
            status = 409
        else:
            text = _("%(training)s added. Grant it to the people who have completed it.")
            gates_informed.report_change(request, text % {"training": training}, change)
            return see_other(reverse("people-training", args=[training.pk]))
    return render(request, "people/training_edit.html", {"form": form, "training": None}, status=status)


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a training."""
    training = get_object_or_404(Training, pk=pk)
    if request.method == "GET":
        form = TrainingForm(instance=training)
        return render(request, "people/training_edit.html", {"form": form, "training": training})
    with transaction.atomic():
        row = stale_form.locked(training)
        form = TrainingForm(request.POST, instance=row)
        if is_saved := not form.has_conflicts() and form.is_valid():
            before = without_access(training=training)
            with audit.change(shortcuts.actor(request), "training.updated", row) as change:
                form.save()
                change.rosters = roster.versions(roster.rebuild(only_changed=True))
            lost = without_access(training=training) - before
    if is_saved:
        gates_informed.report_change(request, _("Saved."), change)
        prerequisites.warn_of_changed(request, row, lost)
        return see_other(reverse("people-training", args=[pk]))
    return render(request, "people/training_edit.html", {"form": form, "training": training}, status=form.status)


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a training and the people who have it."""
    training = get_object_or_404(Training.objects.select_related("prerequisite"), pk=pk)
    today = blocks.today()
    by_member: dict[str, list[Grant]] = defaultdict(list)
    for grant in Grant.begun_by(today).filter(training=training, member__left_on=None).select_related("member"):
        by_member[grant.member_id].append(grant)
    shown = [Grant.applicable(grants, today) or grants[-1] for grants in by_member.values()]
    found = [
        Holding(grant.member, grant, words.stage(grant.stage), is_over=not grant.holds_on(today)) for grant in shown
    ]
    sorting = Sorting(request.GET, _HOLDER_SORTS)
    holders = sorting.sorted(sorted(found, key=lambda one: (one.is_over, one.member.folded)), _HOLDER_SORTS)
    context = {
        "training": training,
        "machines": training.machines.order_by("title", "name"),
        "trainers": training.trainers.order_by("display_name", "name"),
        "opens": training.opens.order_by("title", "name"),
        "holders": holders,
        "sorting": sorting,
        "known": gates_informed.of(("training", training.name)),
    }
    return render(request, "people/training.html", context)


def matrix(request: HttpRequest) -> HttpResponse:
    """Show the matrix of people and trainings; grant a training to several people."""
    form = action_forms.GrantForm(request.POST or None, auto_id="grant_%s", account=account_of(request))
    if request.method == "POST" and form.is_valid():
        own = barred_from(account_of(request))
        if own not in request.POST.getlist("member"):
            return _grant_all(request, form)
        text = _("%(name)s: someone else at the desk must do this for you. Nothing has been changed.")
        form.add_error(None, text % {"name": account_of(request).member})
    finder = search.FindForm(request.GET or None)
    wanted = finder.cleaned_data if finder.is_bound and finder.is_valid() else {}
    q = str(wanted.get("q") or "").strip()
    rows = search.filtered(Member.objects.all(), q, search.STAYED, str(wanted.get("category") or ""))
    if group := _group(request.GET.get("group", "")):
        rows = rows.filter(groups=group)
    page = keyset.page(rows, [search.BY_NAME], request.GET)
    columns = list(Training.objects.order_by("title", "name"))
    today = blocks.today()
    stages = held(today, [member.pk for member in page.rows])
    shown = [
        {"member": member, "cells": [stages.get((member.pk, training.pk)) for training in columns]}
        for member in page.rows
    ]
    chosen = set(request.POST.getlist("member"))
    context = {
        "form": form,
        "finder": finder,
        "page": page,
        "rows": shown,
        "columns": columns,
        "q": q,
        "group": group,
        "groups": Group.objects.filter(ended_on=None).order_by("name"),
        "chosen": chosen,
        "stages": [*(words.stage(stage) for stage in Grant.STAGES), words.expired()],
    }
    return render(request, "people/matrix.html", context, status=200 if request.method == "GET" else 400)


def held(today: date, members: list[str] | None = None) -> dict[tuple[str, int], Chip]:
    """Return the chip for each grant that holds today, by member and training; with `members`, also expired ones."""
    rows = Grant.begun_by(today).filter(member__left_on=None)
    if members is not None:
        rows = rows.filter(member__in=members)
    by_both: dict[tuple[str, int], list[Grant]] = defaultdict(list)
    for grant in rows:
        by_both[grant.member_id, grant.training_id].append(grant)
    found: dict[tuple[str, int], Chip] = {}
    for key, both in by_both.items():
        deciding = Grant.applicable(both, today)
        if deciding is not None:
            found[key] = words.stage(deciding.stage)
        elif members is not None:
            found[key] = words.expired()
    return found


def _grant_all(request: HttpRequest, form: action_forms.GrantForm) -> HttpResponse:
    ids = list(dict.fromkeys(request.POST.getlist("member")))
    if not ids:
        raise UsageError(_("Select the people who attended, and send the form again."))
    if len(ids) > _MOST:
        raise UsageError(_("At most %(n)d people at once.") % {"n": _MOST})
    people = Member.objects.in_bulk(ids)
    if unknown := [pk for pk in ids if pk not in people]:
        raise UsageError(_("No member has the number %(number)s.") % {"number": unknown[0][:64]})
    typed = form.cleaned_data
    if gone := [one for one in people.values() if one.left_on is not None and one.left_on <= typed["since"]]:
        text = _("%(name)s left on %(day)s. Readmit them first.")
        raise UsageError(text % {"name": gone[0].name or gone[0].pk, "day": words.day(gone[0].left_on)})
    given = grants.grant_to_many(
        [people[pk] for pk in ids],
        typed["training"],
        typed["stage"],
        actor=account_of(request),
        since=typed["since"],
        until=typed["until"],
        trainer=typed["trainer"],
    )
    if changed := [one.change for one in given if one.change is not None]:
        text = ngettext("%(training)s granted to %(n)d person.", "%(training)s granted to %(n)d people.", len(changed))
        gates_informed.report_change(request, text % {"training": typed["training"], "n": len(changed)}, *changed)
    without = without_prerequisites([one.grant for one in given if one.change is not None])
    kept = [(words.KEPT[why], [one.member for one in given if one.kept == why]) for why in grants.KEPT]
    kept = [(text, members) for text, members in kept if members]
    if kept or without:
        # A page lists them, because a message has room for a few names only. Reloading it changes nothing.
        context = {
            "training": typed["training"],
            "stage": words.stage(typed["stage"]),
            "kept": kept,
            "without": [(grant.member, prerequisites.named(missing)) for grant, missing in without],
        }
        return render(request, "people/granted.html", context)
    return see_other(reverse("people-training", args=[typed["training"].pk]))


def _group(text: str) -> Group | None:
    wanted = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    return Group.objects.filter(pk=wanted).first()


def _free_name(title: str) -> str:
    """Return an unused short name for the command line."""
    base = slugify(title)[:55] or "training"
    taken = set(Training.objects.filter(name__startswith=base).values_list("name", flat=True))
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, 9999))) if name not in taken)
