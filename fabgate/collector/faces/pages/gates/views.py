"""The list of gates, and the page of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.floor import actions, recent_commands
from fabgate.collector.faces.pages.floor.stations import forgotten_locks
from fabgate.collector.faces.pages.gates import broker, health
from fabgate.collector.faces.pages.gates.health import Health
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.ground.models import Boot, Gate, Hole, Journal, Order, Quarantine
from fabgate.collector.members.machines.keys import revoke_gate
from fabgate.collector.members.people import computable_badges, display_names
from fabgate.collector.recording.entries import completeness
from fabgate.collector.recording.intake import quarantine

#: How many boots, commands and quarantined messages of a gate are shown, newest first.
MOST: Final = 10
_VERBS: Final = ("identify", "fetch-roster", "clear-fault")
#: The states of checks, the worst first.
_WORST_FIRST: Final = ("bad", "silent", "warn", "ok")
#: Column -> its value, in the list of gates. A first click on a check shows the worst first.
_SORTS: Final[Mapping[str, Callable[[Health], Any]]] = {
    "gate": lambda health: health.gate.name,
    "connection": lambda health: _WORST_FIRST.index(health.connection.state),
    "roster": lambda health: _WORST_FIRST.index(health.roster.state),
    "journal": lambda health: _WORST_FIRST.index(health.records.state),
    "clock": lambda health: _WORST_FIRST.index(health.clock.state),
    "reader": lambda health: _WORST_FIRST.index(health.reader.state),
    "-problems": lambda health: len(health.problems) + health.lost + health.quarantined,
}


def gates(request: HttpRequest) -> HttpResponse:
    """List the gates, those with problems first, or in another order."""
    at = datetime.now(UTC)
    found = health.of(Gate.objects.select_related("machine").order_by("name"), at)
    found.sort(key=lambda one: one.is_ok)
    sorting = Sorting(request.GET, _SORTS)
    shown = {
        "found": sorting.sorted(found, _SORTS),
        "sorting": sorting,
        "well": sum(one.is_ok for one in found),
        "certificate": broker.certificate(at),
    }
    return render(request, "gates/list.html", shown)


def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a gate: its state, and how complete its journal is."""
    at = datetime.now(UTC)
    gate = get_object_or_404(Gate.objects.select_related("machine"), name=name)
    rows = list(gate.journals.order_by("-id"))
    own, ended = health.of([gate], at)[0], revoke_gate.cut_off(gate)
    shown = {
        "gate": gate,
        "health": own,
        "cut_off": ended,
        "to_replace": computable_badges.find(at) if ended else None,
        "cut_off_by": display_names.account_names([ended.actor])[ended.actor] if ended else "",
        "devices": [*own.cards.returned, own.cards.newest] if own.cards.is_cloned else [],
        "is_reachable": gate.is_online(at) and bool(gate.boot) and not own.is_cut_off,
        "forgotten": forgotten_locks(gate) if gate.machine else [],
        "missing": [_hole(hole) for hole in _lost(gate)],
        "awaited": _awaited(rows),
        "journals": rows,
        "clones": [journal for journal in rows if journal.cloned],
        "boots": Boot.objects.filter(gate=gate).order_by("-journal", "-seq")[:MOST],
        "orders": recent_commands.described(Order.objects.filter(gate=gate), MOST, at),
        "quarantine": Quarantine.objects.filter(gate=gate).defer("body").order_by("-last_at", "-id")[:MOST],
        "quota": {"rows": quarantine.MOST_ROWS, "bytes": quarantine.MOST_BYTES, "days": quarantine.KEPT.days},
        "verbs": [(verb, recent_commands.VERBS[verb]) for verb in _VERBS],
    }
    return render(request, "gates/one.html", shown)


def order(request: HttpRequest, name: str) -> HttpResponse:
    """Send a gate a command: identify, fetch its roster, or reset its reader."""
    verb = actions.requested_verb(request, *_VERBS)
    gate = get_object_or_404(Gate.objects.select_related("machine"), name=name)
    actions.send_command(request, gate, verb)
    return see_other(reverse("gates-one", args=[gate.name]))


def cut_off(request: HttpRequest, name: str) -> HttpResponse:
    """End the token of a gate, its account at the broker and its codes."""
    gate = get_object_or_404(Gate, name=name)
    revoke_gate.revoke(gate.name, actor=account_of(request).name)
    return see_other(reverse("gates-one", args=[gate.name]) + "#gate-cards")


def _lost(gate: Gate) -> Any:
    return (
        Hole.objects.filter(journal__gate=gate, state=Hole.LOST).select_related("journal").order_by("journal", "first")
    )


def _hole(hole: Hole) -> dict[str, Any]:
    return {"numbers": health.numbers(hole.first, hole.last), "journal": hole.journal.name, "since": hole.found_at}


def _awaited(rows: list[Journal]) -> list[dict[str, Any]]:
    """Return the ranges that are missing: gaps before later entries, and entries not delivered yet."""
    found = completeness.awaited(rows)
    return [
        {"numbers": health.numbers(first, end), "journal": journal.name}
        for journal in rows
        for first, end in found[journal.pk]
    ]
