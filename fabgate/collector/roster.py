"""What does one gate need to know, and in which version? The roster that is served to it, built here and kept.

Built from members, badges, blocks and the machine whenever one of them changes, and at every start: a version that a gate has
seen never comes again with other bytes, even after the database was restored from yesterday's copy.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from fabgate import wire
from fabgate.collector.environ import Environment
from fabgate.collector.models import Badge, Block, Gate, Member
from fabgate.collector.mqtt import Outgoing, publish_once
from fabgate.collector.store import nudge
from fabgate.errors import FabgateError
from fabgate.seal import Keys

log = logging.getLogger(__name__)

#: Why a member who is known but may not use this machine is refused.
NOT_TRAINED = "training-missing"


def badge_keys(env: Environment) -> Keys:
    """Return the site's badge keys; the first one is in use."""
    return Keys.load(env.badge_key_file)


def badge_key(env: Environment) -> bytes:
    """Return the key under which badges are digested."""
    return next(iter(badge_keys(env).by_id.values()))


def gate_keys(env: Environment, gate: str) -> Keys:
    """Return the keys that seal what is said to `gate`. Raises UsageError where there are none."""
    return Keys.load(env.gate_directory(gate) / "seal.keys")


def rebuild(gates: Iterable[Gate] | None = None) -> list[Gate]:
    """Build the rosters of `gates` (of all that have a machine) anew; return the gates, each with its new version."""
    env: Environment = settings.ENVIRONMENT
    kid = next(iter(badge_keys(env).by_id))
    with transaction.atomic():
        Badge.digest_again(badge_key(env))
        wanted = Gate.objects.filter(machine__isnull=False).select_related("machine")
        if gates is not None:
            wanted = wanted.filter(pk__in=[gate.pk for gate in gates])
        people = _People(datetime.now(ZoneInfo(env.tz)).date())
        built = []
        for gate in wanted.order_by("name"):
            now_ms = time.time_ns() // 1_000_000
            gate.roster_version = max(gate.roster_version + 1, gate.reported_roster + 1, now_ms)
            gate.roster = wire.encode(_build(gate, people, env, kid))
            gate.save(update_fields=["roster_version", "roster"])
            built.append(gate)
    return built


def announce(gates: Iterable[Gate], more: Iterable[Outgoing] = ()) -> bool:
    """Tell the gates that there is a roster to fetch; say whether the broker took it. They ask by themselves too."""
    env: Environment = settings.ENVIRONMENT
    nudges = [nudge(env.site, gate) for gate in gates]
    try:
        publish_once(env, [*more, *(Outgoing(p.topic, p.body, retain=True) for p in nudges)])
    except FabgateError as error:
        log.warning("the gates were not told: %s. They learn of it when they ask next", error)
        return False
    return True


def tell(gates: Sequence[Gate], more: Iterable[Outgoing] = ()) -> str:
    """Do the same, and return in words what became of it, such as ``laser-1, saw-1 told``."""
    if not gates:
        return "no gate yet"
    names = ", ".join(gate.name for gate in gates)
    return f"{names} {'told' if announce(gates, more) else 'will know when asking for its roster next'}"


class _People:
    """Every member with badges, blocks and machines, read once for all gates. `today` is the site's."""

    def __init__(self, today: date) -> None:
        self.members = list(Member.objects.order_by("id"))
        self.badges: dict[str, list[str]] = defaultdict(list)
        for member, digest in Badge.objects.order_by("spelling").values_list("member", "digest"):
            self.badges[member].append(digest)
        self.blocks: dict[str, list[str]] = defaultdict(list)
        for member, reason in Block.holding(today).values_list("member", "reason"):
            self.blocks[member].append(reason)
        self.machines: dict[str, set[int]] = defaultdict(set)
        for member, machine in Member.machines.through.objects.values_list("member", "machine"):
            self.machines[member].add(machine)


def _build(gate: Gate, people: _People, env: Environment, kid: str) -> wire.Roster:
    assert gate.machine is not None
    members, refusals = [], []
    for member in people.members:
        badges = people.badges[member.id]
        is_trained = gate.machine.pk in people.machines[member.id]
        blocks = people.blocks[member.id]
        if is_trained and not blocks:
            members.append(
                wire.Member(
                    id=member.id,
                    badges=badges,
                    name=member.given_name,
                    lang=member.lang,
                    level=member.level,
                    valid_until=member.valid_until.isoformat() if member.valid_until else None,
                    grace_days=member.grace_days,
                    supervised=member.supervised,
                )
            )
        elif badges or blocks:  # named without any badge too, so that the guard sees no vanished member
            reasons = [*blocks, *([] if is_trained else [NOT_TRAINED])]
            refusals.append(wire.Refusal(badges=badges, reasons=reasons, id=member.id, lang=member.lang))
    return wire.Roster(
        version=gate.roster_version,
        site=env.site,
        gate=gate.name,
        tz=env.tz,
        badge_key_id=kid,
        machine=gate.machine.wire_rules(),
        members=members,
        refusals=refusals,
    )
