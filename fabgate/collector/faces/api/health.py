"""/healthz for monitors: 200, or 503 with what a person should check.

An offline gate is no problem: machines are switched off at night. Only their number is included; the floor page shows
which ones they are.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Q
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.models import Collector, Gate, Heartbeat, Verification
from fabgate.collector.ground.models.machines import TOO_MUCH_FOR
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.money.billing.charges import behind
from fabgate.collector.money.billing.charges.behind import Behind
from fabgate.mqtt import certificates

#: The longest time since a process's last heartbeat, in seconds.
HEARD_WITHIN_S: Final = {Heartbeat.INGEST: 60, Heartbeat.WORKER: 180}
#: The longest time until a change is charged, in seconds: to rate a million sessions again takes a few minutes.
CHARGED_WITHIN_S: Final = 900
#: With less free space the disk counts as full: SQLite also needs room to tidy up.
DISK_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Health:
    """The result: for each part of the collector what is wrong, as a text for people, or "" where all is well."""

    found: dict[str, Any]
    parts: dict[str, str]

    @property
    def troubles(self) -> tuple[str, ...]:
        """Return what is wrong."""
        return tuple(text for text in self.parts.values() if text)

    @property
    def is_well(self) -> bool:
        """Whether nothing needs to be checked."""
        return not self.troubles


@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 if all is well, otherwise 503 with the problems."""
    health = look(datetime.now(UTC))
    return JsonResponse(
        {"ok": health.is_well, "troubles": health.troubles, **health.found}, status=200 if health.is_well else 503
    )


def look(now: datetime) -> Health:
    """Check the collector."""
    free = shutil.disk_usage(settings.ENVIRONMENT.data).free
    found: dict[str, Any] = {"disk": {"free_bytes": free, "wanted_bytes": DISK_BYTES}}
    disk = "" if free >= DISK_BYTES else f"only {free // 1_000_000} MB are free in FABGATE_DATA"
    try:
        beats = {beat.name: beat for beat in Heartbeat.objects.all()}
        gates = of_gates(now)
        zone = Collector.zone_trouble(settings.ENVIRONMENT.tz)
        last, waiting = Verification.last(), behind.now()
    except (DatabaseError, InterfaceError):
        # The error may contain hosts and accounts, and this page is public: only the log of `web` has it.
        return Health({"database": {"ok": False}, **found}, {"database": "the database does not answer", "disk": disk})
    found |= {"database": {"ok": True}, "gates": gates}
    parts = {"disk": disk} | _of_gates(gates) | {"zone": f"web: {zone}" if zone else ""}
    ends = beats[Heartbeat.INGEST].broker_until if Heartbeat.INGEST in beats else None
    found["broker_certificate"] = {"ends": ends and ends.isoformat()}
    parts["broker_certificate"] = certificates.ending(ends, now, "broker's")
    found["copy"], parts["copy"] = _copy(data_folder.last_copied(settings.ENVIRONMENT.data), now)
    found["verification"], parts["verification"] = _verification(last, now)
    found["charges"], parts["charges"] = _charges(waiting, now)
    for name, within_s in HEARD_WITHIN_S.items():
        found[name], parts[name] = _process(name, beats.get(name), within_s, now)
    return Health(found, parts)


def _of_gates(gates: dict[str, int]) -> dict[str, str]:
    """Return the problems of all gates together: wrong clocks, too many messages, and copied or old SD cards."""
    wrong, loud = gates["wrong_clock"], gates["too_much"]
    clocks = f"the clock of {wrong} gate{'s' if wrong > 1 else ''} is wrong: the page Gates shows by how much"
    who = f"{loud} gates send" if loud > 1 else "1 gate sends"
    much = f"{who} more than a gate may: the page Gates shows which"
    cloned, old = gates["cloned"], gates["old_keys"]
    copied = f"two devices use the keys of {cloned} gate{'s' if cloned > 1 else ''}: the page Gates shows which"
    refused = (
        f"a device used old keys of {old} gate{'s' if old > 1 else ''}, and was refused: the page Gates shows which"
    )
    return {
        "clocks": clocks if wrong else "",
        "messages": much if loud else "",
        "clones": copied if cloned else "",
        "old_keys": refused if old else "",
    }


def of_gates(now: datetime) -> dict[str, int]:
    """Return the number of gates of machines in use, of those that are offline, and of those with a wrong clock.

    `too_much`, `cloned` and `old_keys` count all gates, with a machine or without: those that send too much, those whose keys
    two devices use, and those of which a device lately used old keys.
    """
    gates = Gate.objects.filter(machine__retired_at=None).exclude(machine=None)
    loud = Gate.objects.filter(too_much_at__gt=now - TOO_MUCH_FOR).count()
    cloned, old = clones.count(now)
    return {"too_much": loud, "cloned": cloned, "old_keys": old} | gates.aggregate(
        known=Count("id"),
        silent=Count("id", filter=Q(online=False)),
        wrong_clock=Count("id", filter=Q(clock_off_ms__isnull=False)),
    )


def _verification(last: Verification | None, now: datetime) -> tuple[dict[str, Any], str]:
    """Return when the books were last verified and how many findings there were, and the problem as a text or ""."""
    if last is None:
        return {"ended": None, "findings": None}, ""
    found = {"ended": last.ended_at.isoformat(), "findings": None if last.trouble else last.findings}
    if last.trouble:
        return found, "the books cannot be verified: the page Completeness says why"
    if last.findings:
        return found, "the books were altered: the page Completeness shows what"
    return found, "the books have not been verified for days: see the log of worker" if last.is_stale(now) else ""


def _copy(last: datetime | None, now: datetime) -> tuple[dict[str, Any], str]:
    """Return when the last copy was made, and the problem as a text or "". No copy yet is the doctor's to say."""
    if last is None:
        return {"made": None}, ""
    late = (
        f"the last copy of the collector was made {(now - last).days} days ago"
        if now - last > data_folder.COPY_LATE
        else ""
    )
    return {"made": last.isoformat()}, late


def _charges(waiting: Behind | None, now: datetime) -> tuple[dict[str, Any], str]:
    """Return since when changes are not charged, and the problem as a text or ""."""
    since = waiting.since if waiting is not None else None
    is_late = since is not None and (now - since).total_seconds() > CHARGED_WITHIN_S
    late = f"changes since {since:%Y-%m-%d %H:%M} UTC are not charged: see the log of worker" if is_late else ""
    return {"not_charged_since": since and since.isoformat()}, late


def _process(name: str, beat: Heartbeat | None, within_s: int, now: datetime) -> tuple[dict[str, Any], str]:
    """Return the state of a process, and its problem as a text or ""."""
    if beat is None:
        return {"heard_s": None, "within_s": within_s}, f"{name} has never run: start it"
    heard_s = max(0, int((now - beat.at).total_seconds()))
    found = {"heard_s": heard_s, "within_s": within_s}
    if heard_s > within_s:
        return found, f"the last heartbeat of {name} was {heard_s} s ago"
    return found, f"{name}: {beat.trouble}" if beat.trouble else ""
