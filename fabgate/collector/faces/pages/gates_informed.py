"""Announces changes to the gates, and shows which already apply one, and which do not yet."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Change, Gate
from fabgate.collector.members.access import roster
from fabgate.collector.recording.broker import announcing

#: How many recent changes of an object are searched for one that changed a roster.
_RECENT: Final = 20
#: How many waiting gates are listed by name.
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class GatesInformed:
    """The state and text for a page; `counted` is the text without the names of gates."""

    state: str
    text: str
    counted: str
    change: Change


def of(*objects: tuple[str, str]) -> GatesInformed | None:
    """Return which gates apply the newest change of these objects (kind, key); None if it affects no gate."""
    keys: dict[str, list[str]] = defaultdict(list)
    for kind, key in objects:
        keys[kind].append(key)
    named = Q(pk=None)
    for kind, some in keys.items():  # one "in" for each kind: SQLite takes at most a thousand conditions
        named |= Q(kind=kind, key__in=some)
    recent = Change.objects.filter(named).order_by("-at", "-id")[:_RECENT]
    change = next((change for change in recent if change.rosters), None)
    return None if change is None else by(change)


def by(change: Change) -> GatesInformed | None:
    """Return which gates apply this change; None if it affects no gate."""
    found = roster.applied(change.rosters)
    if not found.gates:
        return None
    counted = _("Applied on %(known)d of %(all)d gates") % {"known": found.count, "all": len(found.gates)}
    if len(found.gates) == 1:
        counted = _("Applied on the gate") if found.count else _("Not yet applied on the gate")
    parts = [counted]
    parts += [_silent(gate) for gate in found.waiting[:_NAMED]]
    if (more := len(found.waiting) - _NAMED) > 0:
        parts.append(ngettext("and %d more", "and %d more", more) % more)
    return GatesInformed("ok" if not found.waiting else "warn", _("; ").join(parts), counted, change)


def report_change(request: HttpRequest, text: str, *changes: Change) -> None:
    """Show a message and announce the new rosters to the gates.

    Call it after the commit; it takes a few seconds at most.
    """
    messages.success(request, text)
    rosters = {name: version for change in changes for name, version in change.rosters.items()}
    gates = list(Gate.objects.filter(name__in=rosters).order_by("name"))
    if gates and not announcing.announce(gates, timeout_s=announcing.PAGE_S):
        messages.warning(
            request, _("The message broker is offline; the gates will be updated when they next fetch their roster.")
        )


def _silent(gate: Gate) -> str:
    """Return why a gate has not applied it yet. The text names the machine, by which people know the gate."""
    name = str(gate.machine or gate)
    if gate.seen_at is None:
        return _("%(gate)s has not reported yet") % {"gate": name}
    if gate.is_online(datetime.now(UTC)):
        return _("%(gate)s is being updated") % {"gate": name}
    seen = timezone.localtime(gate.seen_at)
    is_today = seen.date() == timezone.localdate()
    since = date_format(seen, "H:i" if is_today else "SHORT_DATETIME_FORMAT")
    return _("%(gate)s offline since %(at)s") % {"gate": name, "at": since}
