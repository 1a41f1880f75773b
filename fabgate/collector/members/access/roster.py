"""Builds and stores the roster that each gate is served; recording/broker/announcing.py tells the gates of it.

Rosters are built from the machine and from who may use it (members/access/eligibility.py) whenever one of them changes,
and at every start: no version ever has two contents, even after an older copy was restored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from django.conf import settings
from django.db import connection, transaction

from fabgate import wire
from fabgate.badge import key_mark
from fabgate.collector.ground import authorities
from fabgate.collector.ground.base import data_folder, roster_gzip
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import audit, bulk, pulse
from fabgate.collector.ground.models import Badge, Collector, Gate, Pulse, RosterLimit
from fabgate.collector.members.access import short_forms
from fabgate.collector.members.access.eligibility import BADGE_LOST, OUTSIDE_HOURS, People
from fabgate.collector.members.access.opening_hours import Calendar
from fabgate.collector.members.access.prices import Prices, days, zones
from fabgate.collector.members.access.short_forms import Derived
from fabgate.seal import Keys

_ROSTER = """
INSERT INTO collector_servedroster (gate_id, body) VALUES (%s, %s)
ON CONFLICT (gate_id) DO UPDATE SET body = excluded.body"""

log = logging.getLogger(__name__)

#: How many times rosters are built without the pulse lock; after that others wait.
TRIES: Final = 3
#: The topics of changes that rosters are built from. Their pulses are numbered in the order of commits, so a plan
#: includes every change up to its pulse.
_DECIDING: Final = (Pulse.CHANGE, Pulse.ROSTER)


def badge_keys(env: Environment) -> Keys:
    """Return the site's badge keys, the one in use first."""
    return Keys.load(env.badge_key_file)


def badge_key(env: Environment) -> bytes:
    """Return the key with which badges are digested."""
    return next(iter(badge_keys(env).by_id.values()))


def gate_keys(env: Environment, gate: str) -> Keys:
    """Return the keys that seal messages to `gate`. Raises UsageError if there are none."""
    return Keys.load(env.gate_directory(gate) / data_folder.SEAL_KEYS)


def rebuild(
    gates: Iterable[Gate] | None = None, *, only_changed: bool = False, planned: Plan | None = None
) -> list[Gate]:
    """Rebuild the rosters of `gates` (default: all with a machine); return the gates, each with its new version.

    With `only_changed`, gates whose roster stays the same are left out. `planned` is a plan for these gates; it is used
    unless something has changed since.
    """
    with transaction.atomic():
        wanted = Gate.objects.filter(machine__isnull=False).select_related("machine").order_by("name")
        if gates is not None:
            wanted = wanted.filter(pk__in=[gate.pk for gate in gates])
        # Built without the pulse lock: with many people this takes seconds, and ingest would wait.
        for _ in range(TRIES):
            if planned is not None and planned.is_up_to_date():
                break
            planned = plan(wanted.all(), only_changed=only_changed)
        pulse.check_constraints()
        pulse.lock()  # before the gates (ground/db/pulse.py)
        held = {gate.pk: gate for gate in wanted.select_for_update(of=("self",), no_key=True).order_by("pk")}
        if planned is None or not planned.is_up_to_date():
            # Someone else has changed something meanwhile. With the lock held, nothing can change any more.
            planned = plan(sorted(held.values(), key=lambda gate: gate.name), only_changed=only_changed)
        short_forms.keep(planned.short)
        built, served, limits = [], [], []
        for drafted in planned.drafts:
            gate = held[drafted.gate]
            draft = drafted.at_least(max(gate.roster_version, gate.reported_roster) + 1)
            gate.roster_version = draft.roster.version
            gate.save(update_fields=["roster_version"])
            served.append((gate.pk, draft.stored))
            longest_s = wire.longest_s(draft.roster.machine)
            limits.append(RosterLimit(gate=gate, version=gate.roster_version, longest_s=longest_s))
            built.append(gate)
        save_rosters(served)
        RosterLimit.objects.bulk_create(
            limits, update_conflicts=True, unique_fields=["version", "gate"], update_fields=["longest_s"]
        )
        pulse.notify({Pulse.ROSTER: {gate.name for gate in built}}, datetime.now(UTC))
    return built


@dataclass(frozen=True, slots=True)
class _Draft:
    """A roster for a gate (by id), and its stored form."""

    gate: int
    roster: wire.Roster
    stored: bytes

    @classmethod
    def of(cls, gate: int, roster: wire.Roster) -> _Draft:
        return cls(gate, roster, roster_gzip.pack(wire.encode(roster)))

    def at_least(self, version: int) -> _Draft:
        """Return this draft, with its version raised to `version` if it is lower."""
        if version <= self.roster.version:
            return self
        return self.of(self.gate, msgspec.structs.replace(self.roster, version=version))


@dataclass(frozen=True, slots=True)
class Plan:
    """Rosters for gates, with all changes up to the pulse `seen`."""

    seen: int
    #: The day at the site, and in billing, for which they were built.
    days: tuple[date, ...]
    drafts: list[_Draft]
    #: The short forms of badges that these rosters contain.
    short: Derived

    def is_up_to_date(self) -> bool:
        """Return whether it is still the same day, and no change was committed since."""
        return days(zones(), datetime.now(UTC)) == self.days and Pulse.newest(*_DECIDING) == self.seen


def plan(gates: Iterable[Gate], *, only_changed: bool = False) -> Plan:
    """Build the rosters of `gates` from their present fields; with `only_changed`, only those that differ.

    Call it before the pulse lock is taken; the gates may be saved only after that (ground/db/pulse.py).
    """
    env: Environment = settings.ENVIRONMENT
    (kid, key), collector = next(iter(badge_keys(env).by_id.items())), Collector.get(env.site)
    seen = Pulse.newest(*_DECIDING)
    if stale := Badge.of_other_keys(badge_key(env)):
        with audit.changes(audit.acting(), "badge.keyed", stale):
            Badge.objects.bulk_update(stale, ["digest"], batch_size=300)
    text = authorities.in_rosters(env)
    now = datetime.now(ZoneInfo(env.tz))
    built_for, people = days(zones(), now), People(now)
    short = short_forms.derived(tuple(collector.badge_forms.split()), badge_key(env), now)
    short.add_to(people.badges)
    calendar, prices = Calendar(people.today), Prices(people.members, people.groups, now)
    drafts = []
    for gate in gates:
        found = _build(gate, people, short, calendar, prices, env, (kid, key_mark(key)), collector.collector)
        found = msgspec.structs.replace(found, authorities=text)
        if only_changed and wire.encode(found) == gate.roster:
            continue
        version = max(gate.roster_version + 1, gate.reported_roster + 1, time.time_ns() // 1_000_000)
        drafts.append(_Draft.of(gate.pk, msgspec.structs.replace(found, version=version)))
    return Plan(seen, built_for, drafts, short)


class _Named(msgspec.Struct):
    """What `knows_authorities` reads of a roster: the rest is skipped."""

    authorities: str = ""


def knows_authorities(gate: Gate) -> bool:
    """Return whether a gate has reported that it has each authority of the collector.

    It reports the roster that it is served, this roster names them, and its status does not lack one.
    """
    body = gate.roster
    if not body or not gate.knows_roster:
        return False
    named = msgspec.json.decode(body, type=_Named).authorities
    is_missing = any(problem.startswith(f"{authorities.MISSING}:") for problem in gate.problems)
    return named == authorities.in_rosters(settings.ENVIRONMENT) and not is_missing


def applied(rosters: Mapping[str, int]) -> Applied:
    """Return which gates already use the rosters (gate's name → version) that a change built."""
    gates = list(Gate.objects.filter(name__in=rosters).select_related("machine").order_by("name"))
    return Applied(gates, [gate for gate in gates if gate.reported_roster < rosters[gate.name]])


def versions(gates: Iterable[Gate]) -> dict[str, int]:
    """Return the versions of the gates' rosters, for ``Change.rosters``."""
    return {gate.name: gate.roster_version for gate in gates}


@dataclass(frozen=True, slots=True)
class Applied:
    """Which gates apply a change: those of `gates` that are not `waiting`."""

    gates: list[Gate]
    waiting: list[Gate]

    @property
    def count(self) -> int:
        """Return how many gates apply it."""
        return len(self.gates) - len(self.waiting)


def _build(
    gate: Gate,
    people: People,
    short: Derived,
    calendar: Calendar,
    prices: Prices,
    env: Environment,
    badge_key: tuple[str, str],
    collector: str,
) -> wire.Roster:
    """Build the roster of `gate`; `badge_key` is the id of the key, and its mark.

    It lists every member and group, also those without a badge, former members and ended groups: a gate keeps the old
    entry of a missing member, as if the export were broken.
    """
    machine = gate.machine
    assert machine is not None
    found = [
        *((one.id, one.given_name, one.lang, people.eligibility(one, machine)) for one in people.members),
        *((name, one.name, env.lang, people.group_eligibility(one, machine)) for name, one in people.groups.items()),
    ]
    hours = calendar.windows(machine)
    priced, price_lists = prices.at(machine)
    members, barred = [], []
    for id_, name, lang, standing in found:
        # An empty list of windows would mean always; without opening hours in a week, a member is barred.
        shut_out = [OUTSIDE_HOURS] if hours == [] and not standing.comes_at_all_hours else []
        hands = people.badges[id_]
        if standing.is_barred or shut_out:
            barred.append(
                wire.Barred(
                    badges=[digest for badges in hands.values() for digest in badges],
                    reasons=[*standing.reasons, *shut_out],
                    id=id_,
                    lang=lang,
                    at_all_hours=standing.comes_at_all_hours,
                )
            )
            continue
        # A loan ends on its own day, so it has a row of its own, after that of the holder's other badges.
        for lent_until in sorted(hands or [None], key=lambda last: (last is not None, last)):
            until = standing.until(lent_until)
            members.append(
                wire.Member(
                    id=id_,
                    badges=hands[lent_until],
                    name=name,
                    lang=lang,
                    level=standing.level,
                    grant=str(standing.grant.pk) if standing.grant else None,
                    valid_until=until.last_day.isoformat() if until.last_day else None,
                    grace_days=until.grace_days,
                    until_reason=until.reason,
                    windows=[] if standing.comes_at_all_hours else hours or [],
                    supervised=standing.is_supervised,
                    price_list=price_lists.get(id_, 0),
                    low_credit=standing.has_low_credit,
                )
            )
    barred += [wire.Barred(badges=[digest], reasons=[BADGE_LOST], lang=lang) for digest, lang in people.lost]
    barred += short.barred(env.lang, [digest for digest, _lang in people.lost], BADGE_LOST)
    return wire.Roster(
        version=gate.roster_version,
        site=env.site,
        gate=gate.name,
        tz=env.tz,
        badge_key_id=badge_key[0],
        badge_key_mark=badge_key[1],
        collector=collector,
        machine=machine.wire_rules(),
        members=members,
        refusals=barred,
        hours=hours or [],
        prices=priced,
    )


def save_rosters(rows: Sequence[tuple[int, bytes]]) -> None:
    """Store the rosters of gates, given as (gate's id, content)."""
    if connection.vendor == "sqlite":
        bulk.many(_ROSTER, rows)
        return
    import psycopg  # noqa: PLC0415 (only where PostgreSQL is used)

    # The bytes are sent separately: a megabyte inside the statement, as hexadecimal digits, takes five times as long.
    with psycopg.Cursor(connection.connection) as cursor:
        for row in rows:
            cursor.execute(_ROSTER, row, prepare=False)
