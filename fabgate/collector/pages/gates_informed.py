"""Which gates decide by a change already, and which do not know of it yet? Said in words, on the page that made it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.access import roster
from fabgate.collector.models import Change, Gate

#: Of so many changes of an object the newest that touched a roster is looked for.
_RECENT: Final = 20
#: So many gates that do not know yet are named.
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Known:
    """What the page shows below what was changed: colour and words; `counted` names no gate."""

    state: str
    text: str
    counted: str
    change: Change


def of(*objects: tuple[str, str]) -> Known | None:
    """Return who knows the newest change of any of these objects (kind, key); None where no gate is concerned."""
    keys: dict[str, list[str]] = defaultdict(list)
    for kind, key in objects:
        keys[kind].append(key)
    named = Q(pk=None)
    for kind, some in keys.items():  # a list, because SQLite takes no more than a thousand conditions
        named |= Q(kind=kind, key__in=some)
    recent = Change.objects.filter(named).order_by("-at", "-id")[:_RECENT]
    change = next((change for change in recent if change.rosters), None)
    return None if change is None else by(change)


def by(change: Change) -> Known | None:
    """Return who knows this change."""
    found = roster.known_by(change.rosters)
    if not found.gates:
        return None
    counted = ngettext(
        "Known by %(known)d of the %(all)d gate that it concerns",
        "Known by %(known)d of the %(all)d gates that it concerns",
        len(found.gates),
    )
    counted %= {"known": found.count, "all": len(found.gates)}
    parts = [counted]
    parts += [_silent(gate) for gate in found.waiting[:_NAMED]]
    if (more := len(found.waiting) - _NAMED) > 0:
        parts.append(ngettext("and %d more", "and %d more", more) % more)
    return Known("ok" if not found.waiting else "warn", _("; ").join(parts), counted, change)


def _silent(gate: Gate) -> str:
    """Return why a gate does not know yet. It is called what the machine beside it is: that is what people know."""
    name = str(gate.machine or gate)
    if gate.seen_at is None:
        return _("%(gate)s not heard yet") % {"gate": name}
    if gate.is_heard(datetime.now(UTC)):
        return _("%(gate)s is being told") % {"gate": name}
    seen = timezone.localtime(gate.seen_at)
    is_today = seen.date() == timezone.localdate()
    said = date_format(seen, "H:i" if is_today else "SHORT_DATETIME_FORMAT")
    return _("%(gate)s silent since %(at)s") % {"gate": name, "at": said}
