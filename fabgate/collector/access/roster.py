"""What does one gate need to know, and in which version? The roster that is served to it, built here and kept.

Built from the machine and from who may use it (access/eligibility.py) whenever one of them changes, and at every start: a version
that a gate has seen never comes again with other bytes, even after the database was restored from yesterday's copy.
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
from fabgate.collector.access.eligibility import BADGE_LOST, OUTSIDE_HOURS, People
from fabgate.collector.access.opening_hours import Calendar
from fabgate.collector.base import roster_gzip
from fabgate.collector.base.environ import Environment
from fabgate.collector.broker.link import Outgoing, publish_once
from fabgate.collector.broker.publication import nudge
from fabgate.collector.db import bulk, pulse
from fabgate.collector.models import Badge, Collector, Gate, Pulse, RosterLimit
from fabgate.errors import FabgateError
from fabgate.seal import Keys

_ROSTER = """
INSERT INTO collector_servedroster (gate_id, body) VALUES (%s, %s)
ON CONFLICT (gate_id) DO UPDATE SET body = excluded.body"""

log = logging.getLogger(__name__)

#: So long a command waits for the broker. A page has less patience (PAGE_S): somebody looks at it.
PATIENCE_S: Final = 5.0
PAGE_S: Final = 2.0
#: So often rosters are built beside others' changes; after that others wait.
TRIES: Final = 3
#: Each change of what rosters are built from is told by one of these, and they are numbered in the order of their
#: commits: who finds no newer one has built from all that there is.
_DECIDING: Final = (Pulse.CHANGE, Pulse.ROSTER)


def badge_keys(env: Environment) -> Keys:
    """Return the site's badge keys; the first one is in use."""
    return Keys.load(env.badge_key_file)


def badge_key(env: Environment) -> bytes:
    """Return the key under which badges are digested."""
    return next(iter(badge_keys(env).by_id.values()))


def gate_keys(env: Environment, gate: str) -> Keys:
    """Return the keys that seal what is said to `gate`. Raises UsageError where there are none."""
    return Keys.load(env.gate_directory(gate) / "seal.keys")


def rebuild(
    gates: Iterable[Gate] | None = None, *, only_changed: bool = False, planned: Plan | None = None
) -> list[Gate]:
    """Build the rosters of `gates` (of all that have a machine) anew; return the gates, each with its new version.

    With `only_changed` a gate whose roster would say the same keeps it, and is not returned. What was `planned` for these
    gates is taken where nobody has changed anything since.
    """
    with transaction.atomic():
        wanted = Gate.objects.filter(machine__isnull=False).select_related("machine").order_by("name")
        if gates is not None:
            wanted = wanted.filter(pk__in=[gate.pk for gate in gates])
        # Before the lock: of many people this takes seconds, and the ingest waits for whoever has it.
        for _ in range(TRIES):
            if planned is not None and planned.is_up_to_date():
                break
            planned = plan(wanted.all(), only_changed=only_changed)
        pulse.check_constraints()
        pulse.lock()  # before the gates, as ingest does; whoever changes two things has it since the first
        held = {gate.pk: gate for gate in wanted.select_for_update(of=("self",), no_key=True).order_by("pk")}
        if planned is None or not planned.is_up_to_date():
            # Somebody has changed something meanwhile, and may have built without what we change. Nobody does now.
            planned = plan(sorted(held.values(), key=lambda gate: gate.name), only_changed=only_changed)
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
    """A roster as a gate (its row's id) is to be served it, and as it is stored."""

    gate: int
    roster: wire.Roster
    stored: bytes

    @classmethod
    def of(cls, gate: int, roster: wire.Roster) -> _Draft:
        return cls(gate, roster, roster_gzip.pack(wire.encode(roster)))

    def at_least(self, version: int) -> _Draft:
        """Return it as one that is not below `version`."""
        if version <= self.roster.version:
            return self
        return self.of(self.gate, msgspec.structs.replace(self.roster, version=version))


@dataclass(frozen=True, slots=True)
class Plan:
    """What gates are to be served, as of what everybody knows by then."""

    seen: int
    #: For which day of the site.
    day: date
    drafts: list[_Draft]

    def is_up_to_date(self) -> bool:
        """Whether the plan still holds: it is the same day, and no change was committed since."""
        today = datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)).date()
        return today == self.day and Pulse.newest(*_DECIDING) == self.seen


def plan(gates: Iterable[Gate], *, only_changed: bool = False) -> Plan:
    """Build what `gates`, each as it is given, are to be served; with `only_changed`, where it would say something else.

    Before the order of telling is taken (pulse.lock), by whoever must not change `gates` until they hold it.
    """
    env: Environment = settings.ENVIRONMENT
    kid, collector = next(iter(badge_keys(env).by_id)), Collector.get(env.site).collector
    seen = Pulse.newest(*_DECIDING)
    Badge.digest_again(badge_key(env))
    people = People(datetime.now(ZoneInfo(env.tz)))
    calendar = Calendar(people.today)
    drafts = []
    for gate in gates:
        found = _build(gate, people, calendar, env, kid, collector)
        if only_changed and wire.encode(found) == gate.roster:
            continue
        version = max(gate.roster_version + 1, gate.reported_roster + 1, time.time_ns() // 1_000_000)
        drafts.append(_Draft.of(gate.pk, msgspec.structs.replace(found, version=version)))
    return Plan(seen, people.today, drafts)


def announce(gates: Iterable[Gate], more: Iterable[Outgoing] = (), *, timeout_s: float = PATIENCE_S) -> bool:
    """Tell the gates that there is a roster to fetch; say whether the broker took it. They ask by themselves too."""
    env: Environment = settings.ENVIRONMENT
    nudges = [nudge(env.site, gate) for gate in gates]
    try:
        messages = [*more, *(Outgoing(p.topic, p.body, retain=True) for p in nudges)]
        publish_once(env, messages, timeout_s=timeout_s)
    except FabgateError as error:
        log.warning("the gates were not told: %s. They learn of it when they ask next", error)
        return False
    return True


def tell(gates: Sequence[Gate]) -> str:
    """Do the same, and return in words what became of it, such as ``laser-1, saw-1 told``."""
    return words(gates, is_told=announce(gates) if gates else False)


def words(gates: Sequence[Gate], *, is_told: bool) -> str:
    """Return in a command's words whether `gates` were told."""
    if not gates:
        return "no gate yet"
    names = ", ".join(gate.name for gate in gates)
    whose = "its roster" if len(gates) == 1 else "their rosters"
    return f"{names} {'told' if is_told else f'will know when asking for {whose} next'}"


def known_by(rosters: Mapping[str, int]) -> Known:
    """Return which gates decide by the rosters (gate's name → version) that were built for a change."""
    gates = list(Gate.objects.filter(name__in=rosters).select_related("machine").order_by("name"))
    return Known(gates, [gate for gate in gates if gate.reported_roster < rosters[gate.name]])


def versions(gates: Iterable[Gate]) -> dict[str, int]:
    """Return the rosters of `gates` as a change keeps them (``Change.rosters``)."""
    return {gate.name: gate.roster_version for gate in gates}


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a change has reached: `waiting` are those of the `gates` that do not decide by it yet."""

    gates: list[Gate]
    waiting: list[Gate]

    @property
    def count(self) -> int:
        """Return how many decide by it."""
        return len(self.gates) - len(self.waiting)


def _build(gate: Gate, people: People, calendar: Calendar, env: Environment, kid: str, collector: str) -> wire.Roster:
    """Build what `gate` is to be served.

    It names every member and every group: those without a badge, those who left and the groups that are over too. A
    gate's guard takes who is missing for the victim of a broken export, and they keep what they had.
    """
    machine = gate.machine
    assert machine is not None
    found = [
        *((one.id, one.given_name, one.lang, people.standing(one, machine)) for one in people.members),
        *((name, one.name, env.lang, people.group_standing(one, machine)) for name, one in people.groups.items()),
    ]
    hours = calendar.windows(machine)
    members, refusals = [], []
    for id_, name, lang, standing in found:
        # No window at all would mean always: whoever finds no open hour in the whole week is refused.
        shut_out = [OUTSIDE_HOURS] if hours == [] and not standing.comes_at_all_hours else []
        hands = people.badges[id_]
        if standing.is_barred or shut_out:
            refusals.append(
                wire.Refusal(
                    badges=[digest for badges in hands.values() for digest in badges],
                    reasons=[*standing.reasons, *shut_out],
                    id=id_,
                    lang=lang,
                    at_all_hours=standing.comes_at_all_hours,
                )
            )
            continue
        # What is lent ends by itself, whatever else they have: it has a row of its own, behind that of their own badges.
        for lent_until in sorted(hands or [None], key=lambda last: (last is not None, last)):
            until, grace_days = standing.until(lent_until)
            members.append(
                wire.Member(
                    id=id_,
                    badges=hands[lent_until],
                    name=name,
                    lang=lang,
                    level=standing.level,
                    basis=str(standing.grant.pk) if standing.grant else None,
                    valid_until=until.isoformat() if until else None,
                    grace_days=grace_days,
                    windows=[] if standing.comes_at_all_hours else hours or [],
                    supervised=standing.is_supervised,
                )
            )
    refusals += [wire.Refusal(badges=[digest], reasons=[BADGE_LOST], lang=lang) for digest, lang in people.lost]
    return wire.Roster(
        version=gate.roster_version,
        site=env.site,
        gate=gate.name,
        tz=env.tz,
        badge_key_id=kid,
        collector=collector,
        machine=machine.wire_rules(),
        members=members,
        refusals=refusals,
        hours=hours or [],
    )


def save_rosters(rows: Sequence[tuple[int, bytes]]) -> None:
    """Store what gates (their rows) are served from now on."""
    if connection.vendor == "sqlite":
        bulk.many(_ROSTER, rows)
        return
    import psycopg  # noqa: PLC0415 (only where PostgreSQL is used)

    # Apart from the statement, as bytes: written into it as hexadecimal digits, a megabyte takes five times as long.
    with psycopg.Cursor(connection.connection) as cursor:
        for row in rows:
            cursor.execute(_ROSTER, row, prepare=False)
