"""Makes charges of rated sessions, and their ids: the same facts always have the same id, other money never. Pure."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from fabgate.collector.money.billing.rating import Facts, Plan, Rated
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.pricing import stored

#: Of this program alone, so that its ids are those of no other.
_NAMESPACE: Final = uuid.UUID("6f6b2f0c-6d6b-5c8e-9d55-0f5a3c1b7a11")
#: One spelling of every value: ids and seals depend on it.
_JSON: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)


class Record(NamedTuple):
    """A charge as it is stored, but for its terms; see ground/models/billing/charges.py."""

    id: str
    session: str
    month: date
    of_month: date
    payer: str
    used_by: str
    machine: str
    plan: str
    purpose: str
    kind: str
    started_at: datetime | None
    ended_at: datetime
    counted_ms: int
    running_ms: int
    free_ms: int
    cap_minor: int
    amount_minor: int
    rule_id: int | None
    terms: str
    facts: str
    reverses: str
    known: int


def digest_of(payer: str, facts: Facts) -> str:
    """Return a digest of what a person or an entry may change about a session, and on which its price depends."""
    values = (
        *(payer, facts.user, facts.purpose, _utc(facts.start), _utc(facts.end), facts.counted_ms, facts.running_ms),
        *(facts.in_review, facts.waived),
    )
    return hashlib.sha256(_bytes(values)).hexdigest()[:32]


def charge(
    payer: str, rated: Rated, *, month: date, of_month: date, terms: str, follows: str = "", known: int = 0
) -> Record:
    """Return the charge of a session. `follows` is the id of the charge that it replaces in the open month, or ""."""
    facts = rated.facts
    digest = digest_of(payer, facts)
    values = (
        *(facts.session, month.isoformat(), facts.machine, facts.plan, rated.kind, rated.free_ms, rated.cap_minor),
        *(rated.amount_minor, terms, digest, follows),
    )
    return Record(
        id=_uuid5(values),
        session=facts.session,
        month=month,
        of_month=of_month,
        payer=payer,
        used_by=facts.user,
        machine=facts.machine,
        plan=facts.plan,
        purpose=facts.purpose,
        kind=rated.kind,
        started_at=facts.start,
        ended_at=facts.end,
        counted_ms=facts.counted_ms,
        running_ms=facts.running_ms,
        free_ms=rated.free_ms,
        cap_minor=rated.cap_minor,
        amount_minor=rated.amount_minor,
        # Without a price, another rule gives the same id: it must leave the charge as it is.
        rule_id=rated.rule.id if rated.rule and rated.price else None,
        terms=terms,
        facts=digest,
        reverses="",
        known=known,
    )


def reversal(final: Record, month: date) -> Record:
    """Return the reversal of a final charge, in the open month: its figures, negative."""
    return final._replace(
        id=_uuid5(("reversal", final.id)),
        month=month,
        counted_ms=-final.counted_ms,
        running_ms=-final.running_ms,
        free_ms=-final.free_ms,
        cap_minor=-final.cap_minor,
        amount_minor=-final.amount_minor,
        reverses=final.id,
        known=0,
    )


def line_id(
    pk: int,
    month: date,
    payer: str,
    text: str,
    amount_minor: int,
    vat_code: str,
    session: str,
    author: str,
    at: datetime,
    day: date,
) -> str:
    """Return the id by which other programs know a line: after a restore, another line may have its number."""
    values = ("line", pk, month.isoformat(), payer, text, amount_minor, vat_code, session, author, _utc(at))
    return _uuid5((*values, day.isoformat()))


def usage_id(values: Sequence[Any]) -> str:
    """Return the id of an event about the usage of a session, for a billing program."""
    return _uuid5(("usage", *map(_plain, values)))


@lru_cache(maxsize=256)
def snapshot(rule: Rule | None, plan: Plan) -> tuple[str, Mapping[str, Any]]:
    """Return the digest and the values of the rule and the plan by which a session is rated."""
    values: dict[str, Any] = {"plan": {**asdict(plan), "discount_percent": str(plan.discount_percent)}}
    if rule is not None:
        values["rule"] = {
            "id": rule.id,
            "machine": rule.machine,
            "category": rule.category,
            "plan": rule.plan,
            "valid_from": rule.valid_from.isoformat(),
            "purposes": sorted(rule.purposes),
            "vat_code": rule.vat_code,
            "tariff": stored.to_json(rule.tariff),
        }
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest(), values


def line_of(record: Record) -> str:
    """Return a charge as one line of text, in which every value has one spelling: closed months are sealed with it."""
    return _text([value.isoformat() if type(value) is date else _plain(value) for value in record])


def _plain(value: Any) -> Any:
    return _utc(value) if isinstance(value, datetime) else value


def _text(values: Any) -> str:
    return _bytes(values).decode()


def _bytes(values: Any) -> bytes:
    """Return values as _JSON writes them. msgspec is six times faster, and leaves only letters beyond ASCII and DEL as they are."""
    text = msgspec.json.encode(values)
    return text if text.isascii() and b"\x7f" not in text else _JSON.encode(values).encode()


def _uuid5(values: Any) -> str:
    """Return the UUIDv5 of values (RFC 9562, 5.5); each session has one, and uuid.uuid5 takes three times as long."""
    found = hashlib.sha1(_NAMESPACE.bytes + _bytes(values), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(found[16], 16) & 3]
    return f"{found[:8]}-{found[8:12]}-5{found[13:16]}-{variant}{found[17:20]}-{found[20:32]}"


def _utc(moment: datetime | None) -> str:
    """Return a moment in UTC with its microseconds, so that equal moments have equal texts."""
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
