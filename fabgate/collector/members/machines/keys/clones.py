"""Notices a second device that uses the keys of a gate: a copy of its SD card, or an old card (docs/decisions/0150).

Nothing is blocked because of it: nobody can see from here which of two devices is the gate.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q

from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import FetchingBoot, FormerToken, Gate, Pulse

log = logging.getLogger(__name__)

_BOOT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(slots=True)
class Found:
    """What was found of one gate."""

    #: Boots that fetched the roster after a later one had begun, in the order in which they began.
    returned: list[FetchingBoot] = field(default_factory=list)
    #: The boot that began last; None if the gate has not fetched its roster with the keys that it has now.
    newest: FetchingBoot | None = None
    #: Former tokens that were used after they had ended, the last one used first.
    former: list[FormerToken] = field(default_factory=list)

    @property
    def is_cloned(self) -> bool:
        """Whether two devices use the keys that the gate has now."""
        return bool(self.returned)

    @property
    def uses_its_keys(self) -> bool:
        """Whether the gate has fetched its roster with the keys that it has now."""
        return self.newest is not None

    def has_old_card(self, gate: Gate, now: datetime) -> bool:
        """Return whether a former token was used lately, and not by the gate that waits for its new keys."""
        last = self.former[0].used_at if self.former else None
        return last is not None and last > now - FormerToken.SHOWN and (self.uses_its_keys or not gate.token_hash)


def fetched(gate: Gate, boot: str, address: str, now: datetime) -> None:
    """Note that a device with the keys of `gate` fetched the roster, in the boot that it named ("": it named none)."""
    if not _BOOT.fullmatch(boot):
        return
    rows = list(FetchingBoot.objects.filter(gate=gate).order_by("pk"))
    own = next((row for row in rows if row.boot == boot), None)
    if own is None:
        with _noting(gate):
            values = {"address": address, "first_at": now, "last_at": now}
            FetchingBoot.objects.get_or_create(gate=gate, boot=boot, defaults=values)
            _forget_old(gate)
        return
    later = [row for row in rows if row.pk > own.pk]
    if later and _is_within(FetchingBoot.LATE, later[0].first_at, now):
        return  # It may have been sent before the next boot. A copy that is still in use asks again.
    seen = own.returned_at if later else own.last_at
    if seen is not None and _is_within(FetchingBoot.SEEN_EVERY, seen, now) and own.address == address:
        return
    is_news = bool(later) and own.returned_at is None
    own.address, own.last_at = address, now
    if later:
        own.returned_at = now
    with _noting(gate):
        if is_news:
            pulse.lock()  # before the rows, as in `keys_ended`
        values = {"address": own.address, "last_at": own.last_at, "returned_at": own.returned_at}
        FetchingBoot.objects.filter(pk=own.pk).update(**values)
        if is_news:
            pulse.notify({Pulse.FLOOR: {gate.name}}, now)
    if is_news:
        log.error("clone: two devices use the keys of %s: one at %s, one at %s", gate, address, later[-1].address)


def refused(name: str, token: str, address: str, now: datetime) -> None:
    """Note that a device was refused, if it used a token that the gate `name` had before."""
    known = FormerToken.objects.filter(gate__name=name, token_hash=Gate.hash_of(token))
    row = known.select_related("gate").first()
    if row is None or (
        row.used_at is not None and _is_within(FormerToken.SEEN_EVERY, row.used_at, now) and row.address == address
    ):
        return
    with _noting(row.gate):
        pulse.lock()
        FormerToken.objects.filter(pk=row.pk).update(used_at=now, address=address)
        pulse.notify({Pulse.FLOOR: {row.gate.name}}, now)
    log.warning("a device at %s was refused: it has keys of %s that are no longer valid", address, row.gate)


def keys_ended(gate: Gate, token_hash: str, now: datetime) -> None:
    """Remember that a token of a gate has ended, and forget who used it. Call it inside the transaction that ends it."""
    pulse.lock()  # before the rows of gates (ground/db/pulse.py)
    FetchingBoot.objects.filter(gate=gate).delete()
    FormerToken.objects.get_or_create(gate=gate, token_hash=token_hash, defaults={"ended_at": now})
    kept = FormerToken.objects.filter(gate=gate).order_by("-pk").values_list("pk", flat=True)[: FormerToken.KEPT]
    FormerToken.objects.filter(gate=gate).exclude(pk__in=list(kept)).delete()


def of(gates: Iterable[Gate]) -> dict[int, Found]:
    """Return what was found of each gate, by its id. Two queries for all of them."""
    found = {gate.pk: Found() for gate in gates}
    boots: dict[int, list[FetchingBoot]] = {}
    for boot in FetchingBoot.objects.filter(gate__in=found).order_by("pk"):
        boots.setdefault(boot.gate_id, []).append(boot)
    for gate, rows in boots.items():
        found[gate].newest = rows[-1]
        found[gate].returned = [row for row in rows if row.returned_at is not None]
    for token in FormerToken.objects.filter(gate__in=found).exclude(used_at=None).order_by("-used_at", "-pk"):
        found[token.gate_id].former.append(token)
    return found


def count(now: datetime) -> tuple[int, int]:
    """Return how many gates have a clone, and how many an old card that was used lately."""
    cloned = FetchingBoot.objects.exclude(returned_at=None).values("gate").distinct().count()
    used = FormerToken.objects.filter(used_at__gt=now - FormerToken.SHOWN)
    in_use = Q(gate__token_hash="") | Exists(FetchingBoot.objects.filter(gate=OuterRef("gate")))
    return cloned, used.filter(in_use).values("gate").distinct().count()


def _is_within(span: timedelta, since: datetime, now: datetime) -> bool:
    """Return whether `since` is at most `span` ago. A time to come is not: the clock was set back meanwhile."""
    return timedelta() <= now - since < span


def _forget_old(gate: Gate) -> None:
    """Delete the oldest boots of a gate; those that returned stay longer."""
    rows = FetchingBoot.objects.filter(gate=gate)
    newest = rows.order_by("-pk").values_list("pk", flat=True)[: FetchingBoot.KEPT]
    returned = rows.exclude(returned_at=None).order_by("-returned_at").values_list("pk", flat=True)[: FetchingBoot.KEPT]
    rows.exclude(pk__in=[*newest, *returned]).delete()


@contextmanager
def _noting(gate: Gate) -> Iterator[None]:
    """Write in a transaction, and go on if that fails: a gate gets its roster even if nothing can be noted."""
    try:
        with transaction.atomic():
            yield
    except DatabaseError as error:
        log.warning("who uses the keys of %s cannot be noted now: %s", gate, error)
