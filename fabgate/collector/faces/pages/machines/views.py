"""The list of machines, and the page of one: rules, access, gates, details, history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.floor import actions, stations
from fabgate.collector.faces.pages.floor.stations import Station
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.machines import history, week
from fabgate.collector.faces.pages.machines.forms import (
    AboutForm,
    MoveForm,
    NewMachineForm,
    RulesForm,
    TrainingsForm,
)
from fabgate.collector.faces.pages.words import machine_rules
from fabgate.collector.faces.pages.words.formatting import STATES
from fabgate.collector.ground.db import audit, duplicate
from fabgate.collector.ground.models import Account, Change, Gate, Machine, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import locks, presets
from fabgate.collector.recording.broker import announcing
from fabgate.display import RETIRED

#: How many people with individual access are listed by name.
_MOST: Final = 40
#: Column -> its value, in the list of machines.
_SORTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "machine": lambda row: str(row["machine"]),
    "now": lambda row: min((list(STATES).index(station.state) for station in row["stations"]), default=None),
    "category": lambda row: row["machine"].category,
    "kind": lambda row: str(row["preset"] or ""),
    "gate": lambda row: next((station.gate.name for station in row["stations"] if station.gate), ""),
}


def _with_trainings() -> QuerySet[Machine]:
    """Return the machines with their trainings, prefetched by title."""
    return Machine.objects.prefetch_related(Prefetch("trainings", Training.objects.order_by("title", "name")))


def machines(request: HttpRequest) -> HttpResponse:
    """List the machines with their current state, with the retired ones separately."""
    found = _with_trainings().order_by("title", "name")
    now: dict[int, list[Station]] = {}
    for station in stations.now(datetime.now(UTC)):
        now.setdefault(station.machine.pk, []).append(station)
    rows = [
        {
            "machine": machine,
            "stations": now.get(machine.pk, []),
            "preset": machine_rules.preset(machine),
            "open_until": machine.open_until(timezone.localtime()),
        }
        for machine in sorted(found, key=lambda one: (one.category.casefold(), str(one).casefold()))
        if machine.retired_at is None
    ]
    sorting = Sorting(request.GET, _SORTS)
    retired = [machine for machine in found if machine.retired_at is not None]
    shown = {"rows": sorting.sorted(rows, _SORTS), "sorting": sorting, "retired": retired}
    return render(request, "machines/list.html", shown)


def new(request: HttpRequest) -> HttpResponse:
    """Add a machine with the rules of a preset."""
    form = NewMachineForm(request.POST or None)
    status = 200 if request.method == "GET" else 400
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        machine = Machine(name=typed["name"], title=typed["title"], category=typed["category"], note=typed["note"])
        presets.apply(machine, typed["preset"])
        try:
            with audit.change(account_of(request).name, "machine.added", machine):
                machine.save()
        except IntegrityError as error:
            if not duplicate.is_there(error):
                raise
            form.add_error("name", _("A machine with this name has just been added."))
            status = 409
        else:
            messages.success(request, _("%(machine)s added. Now add its gate.") % {"machine": machine})
            return see_other(_address(machine, "gates"))
    shown = {"form": form, "cards": machine_rules.cards(None), "categories": categories()}
    return render(request, "machines/new.html", shown, status=status)


def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a machine; change its details."""
    machine = get_object_or_404(Machine, name=name)
    if request.method == "GET":
        return page(request, machine)
    with transaction.atomic():
        held = stale_form.locked(machine)
        form = AboutForm(request.POST, initial=_about(held))
        if is_right := not form.has_conflicts() and form.is_valid():
            with audit.change(account_of(request).name, "machine.updated", machine) as change:
                is_moved = held.category != form.cleaned_data["category"]
                for field in ("title", "category", "note"):
                    setattr(held, field, form.cleaned_data[field])
                held.save(update_fields=["title", "category", "note"])
                # Opening hours may depend on the category.
                gates = roster.rebuild(held.gates.all(), only_changed=True) if is_moved else []
                change.rosters = roster.versions(gates)
    return saved(request, machine, "about", gates) if is_right else page(request, machine, about=form)


def rules(request: HttpRequest, name: str) -> HttpResponse:
    """Change a machine's rules."""
    machine = get_object_or_404(Machine, name=name)
    with transaction.atomic():
        held = stale_form.locked(machine)
        may_open = account_of(request).role == Account.MANAGER
        form = RulesForm(request.POST, machine=held, may_open=may_open)
        if is_right := not form.has_conflicts() and form.is_valid():
            with audit.change(account_of(request).name, "machine.updated", machine) as change:
                held.rules = form.rules
                gates = _behaves(held, change)
    return saved(request, machine, "rules", gates) if is_right else page(request, machine, rules=form)


def preset(request: HttpRequest, name: str) -> HttpResponse:
    """Set a machine's rules to those of a preset."""
    machine = get_object_or_404(Machine, name=name)
    with audit.change(account_of(request).name, "machine.updated", machine) as change:
        held = stale_form.locked(machine)
        if (seen := request.POST.get(stale_form.SEEN)) and RulesForm(machine=held).changed_since(seen):
            raise errors.Conflict(_("Someone else changed this in the meantime. Check the machine and try again."))
        presets.apply(held, request.POST.get("preset", ""))
        gates = _behaves(held, change)
    return saved(request, machine, "rules", gates)


def trainings(request: HttpRequest, name: str) -> HttpResponse:
    """Choose the trainings that give access to a machine."""
    machine = get_object_or_404(Machine, name=name)
    with transaction.atomic():
        held = stale_form.locked(machine)
        form = TrainingsForm(request.POST, initial={"trainings": held.trainings.all()})
        if is_right := not form.has_conflicts() and form.is_valid():
            before = sorted(held.trainings.values_list("name", flat=True))
            chosen = set(form.cleaned_data["trainings"])
            others = [one for one in held.trainings.all() if one not in chosen]
            with audit.changes(account_of(request).name, "training.updated", [*chosen, *others]):
                held.trainings.remove(*others)  # unlike set(), never one that somebody adds meanwhile
                held.trainings.add(*chosen)
            after = sorted(held.trainings.values_list("name", flat=True))
            gates = roster.rebuild(held.gates.all(), only_changed=True)
            if before != after:
                was, now = {"trainings": before}, {"trainings": after}
                audit.record(
                    account_of(request).name,
                    "machine.updated",
                    held,
                    before=was,
                    after=now,
                    rosters=roster.versions(gates),
                )
    return saved(request, machine, "trainings", gates) if is_right else page(request, machine, trainings=form)


def retire(request: HttpRequest, name: str) -> HttpResponse:
    """Retire a machine, or return it to service.

    Its sessions are kept, and it stays locked until someone unlocks it.
    """
    machine = get_object_or_404(Machine, name=name)
    is_over = request.POST.get("retired") == "1"
    gates: list[Gate] = []
    with transaction.atomic():
        held = stale_form.locked(machine)
        if is_over == (held.retired_at is not None):
            raise errors.Conflict(_("Someone else changed this in the meantime. Check the machine and try again."))
        verb = "machine.retired" if is_over else "machine.returned"
        with audit.change(account_of(request).name, verb, held):
            held.retired_at = datetime.now(UTC) if is_over else None
            held.save(update_fields=["retired_at"])
        if is_over and held.lock is None:  # also if it has no gate: one may be assigned later
            gates = locks.lock_machine(held, "idle", RETIRED, "", actor=account_of(request).name)[1]
    if gates:
        announcing.announce(gates, timeout_s=announcing.PAGE_S)
    text = (
        _("%(machine)s is retired. Its sessions are kept; no new session can start.")
        if is_over
        else _("%(machine)s is back in service. If it is locked, unlock it when it is ready.")
    )
    messages.success(request, text % {"machine": machine})
    return see_other(_address(machine))


def page(request: HttpRequest, machine: Machine, **bound: Form) -> HttpResponse:
    """Return the machine's page. `bound` are forms with errors or conflicts, by name."""
    found = _with_trainings().get(pk=machine.pk)  # as stored, without the unsaved values of a form
    gates = list(found.gates.order_by("name"))
    beside = stations.of(found, datetime.now(UTC))
    overtaken = any(isinstance(form, stale_form.StaleCheck) and form.conflicts for form in bound.values())
    wrong = next((name for name, form in bound.items() if overtaken or (form.is_bound and form.errors)), "")
    by_hand = found.members.filter(left_on=None).order_by("folded", "id")
    objects = [("machine", found.name), *(("gate", gate.name) for gate in gates)]
    shown = {
        "live_src": _address(found),
        "machine": found,
        "stations": beside,
        "unlockable": actions.unlockable(account_of(request), beside),
        "gates": gates,
        "about": bound.get("about") or AboutForm(initial=_about(found)),
        "rules": bound.get("rules") or RulesForm(machine=found),
        "trainings": bound.get("trainings") or TrainingsForm(initial={"trainings": found.trainings.all()}),
        "open_until": found.open_until(timezone.localtime()),
        "by_hand": by_hand[:_MOST],
        "by_hand_more": max(0, by_hand.count() - _MOST),
        "by_group": found.groups.filter(ended_on=None).order_by("name"),
        "has_trainings": Training.objects.exists(),
        "move": bound.get("move") or MoveForm(machine=found),
        "wrong": wrong,
        "in_words": list(machine_rules.rules(found.wire_rules(), machine_rules.relevant_rules(found.wire_rules()))),
        "is_job_unfelt": machine_rules.is_job_unfelt(found.wire_rules(), gates),
        "preset": machine_rules.preset(found),
        "cards": machine_rules.cards(found),
        "categories": categories(),
        "week": week.ahead(found),
        "history": history.of(*objects),
        "known": gates_informed.of(*objects),
    }
    return render(request, "machines/one.html", shown, status=409 if overtaken else 400 if wrong else 200)


def saved(request: HttpRequest, machine: Machine, place: str, gates: list[Gate]) -> HttpResponse:
    """Announce the new rosters, and return to the part of the page that was saved."""
    if not gates:
        messages.success(request, _("Saved."))
    elif announcing.announce(gates, timeout_s=announcing.PAGE_S):
        messages.success(request, _("Saved. The machine's gates are being updated."))
    else:
        messages.warning(
            request,
            _(
                "Saved. The message broker is offline; the machine's gates will be updated when they next fetch their roster."
            ),
        )
    return see_other(_address(machine, place))


def categories() -> list[str]:
    """Return the categories in use."""
    return list(Machine.objects.exclude(category="").order_by("category").values_list("category", flat=True).distinct())


def _behaves(machine: Machine, change: Change) -> list[Gate]:
    machine.save(update_fields=["rules", "preset"])
    gates = roster.rebuild(machine.gates.all(), only_changed=True)
    change.rosters = roster.versions(gates)
    return gates


def _about(machine: Machine) -> dict[str, Any]:
    return {"title": machine.title, "category": machine.category, "note": machine.note}


def _address(machine: Machine, place: str = "") -> str:
    address = reverse("machines-one", args=[machine.name])
    return f"{address}#{place}" if place else address
