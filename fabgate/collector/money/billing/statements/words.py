"""The words of statements as they are now: names, addresses, and why something is waived, corrected, reversed or late.

They are read for many payers at once, because all statements of a month are made when it is closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Q, QuerySet

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import (
    Change,
    Charge,
    Contest,
    Correction,
    Group,
    Machine,
    Member,
    Payer,
    Review,
    Waiver,
    Workshop,
)
from fabgate.collector.ground.models.people import ORGANISATION_PREFIX
from fabgate.collector.money.billing import rating

_PAYER: Final = ("name", "address", "registration_number", "vat_number", "lang")
_WORKSHOP: Final = (
    *("name", "address", "contact", "registration_number", "vat_number"),
    *("iban", "bic", "account_holder", "due_days", "payment_text", "payments_kept"),
)


def workshop() -> dict[str, Any]:
    """Return the details of the workshop; before they are entered, the name of the site."""
    row = Workshop.objects.first()
    if row is None:
        return {"name": settings.ENVIRONMENT.site}
    return {name: value for name in _WORKSHOP if (value := getattr(row, name)) not in (None, "")}


def machines() -> dict[str, str]:
    """Return the titles of machines by their names."""
    return dict(Machine.objects.exclude(title="").order_by("name").values_list("name", "title"))


def of_payers(ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the words about each payer; empty ones are left out. Every payer has a language."""
    wanted = sorted(set(ids))
    called, langs = names(wanted), _languages(wanted)
    rows = {
        pk: dict(zip(_PAYER, values, strict=True))
        for pk, *values in statements.rows_among(Payer.objects.all(), "pk", wanted, *_PAYER)
    }
    found = {}
    for pk in wanted:
        words = rows.get(pk, {})
        words["name"] = words.get("name") or called.get(pk, "")
        words["lang"] = words.get("lang") or langs.get(pk) or settings.ENVIRONMENT.lang
        found[pk] = {name: value for name, value in words.items() if value}
    return found


def names(ids: Iterable[str]) -> dict[str, str]:
    """Return the names of members, groups and organisations by their ids; those without a name are missing."""
    wanted = sorted(set(ids))
    found = dict(statements.rows_among(Member.objects.exclude(name=""), "pk", wanted, "name"))
    if any(pk.startswith("group:") for pk in wanted):
        among = set(wanted)
        found |= {group.roster_id: group.name for group in Group.objects.all() if group.roster_id in among}
    organisations = [pk for pk in wanted if pk.startswith(ORGANISATION_PREFIX)]
    return found | dict(statements.rows_among(Payer.organisations(), "pk", organisations, "name"))


def reasons(month: date, *, payers: Collection[str] = ()) -> dict[str, dict[str, str]]:
    """Return why charges of a month are waived, corrected, reversed or late: by payer, then by the charge's id.

    It is what a person wrote last about the session. Charges about which nobody wrote anything are missing. With
    `payers`, only theirs.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    decided = Q(kind=rating.WAIVED) | ~Q(reverses="") | Q(known__gt=0) | ~Q(of_month=month)
    corrected = ~decided & Q(session__in=Correction.objects.values("session_id"))
    for rows, only_corrections in ((decided, False), (corrected, True)):
        charges = list(_of(month, payers).filter(rows).order_by("pk").values_list("payer", "pk", "session"))
        reasons = _reasons(sorted({session for _payer, _pk, session in charges}), only_corrections=only_corrections)
        for payer, pk, session in charges:
            if session in reasons:
                found[payer][pk] = reasons[session]
    return dict(found)


def contested(month: date, *, payers: Collection[str] = ()) -> dict[str, frozenset[str]]:
    """Return what of a month is contested and not answered, by payer: ids of charges, and numbers of lines as text."""
    found: dict[str, set[str]] = defaultdict(set)
    reviews = Review.objects.filter(why=Review.CONTESTED, settled_at=None).values("session_id")
    sessions = _of(month, payers).filter(kind=rating.IN_REVIEW, session__in=reviews)
    lines = Contest.waiting().filter(kind=Contest.LINE, month=month)
    if payers:
        lines = lines.filter(payer__in=payers)
    for payer, key in (*sessions.values_list("payer", "pk"), *lines.values_list("payer", "key")):
        found[payer].add(key)
    return {payer: frozenset(keys) for payer, keys in found.items()}


def _of(month: date, payers: Collection[str]) -> QuerySet[Charge]:
    rows = Charge.objects.filter(month=month)
    return rows.filter(payer__in=payers) if payers else rows


def _reasons(sessions: list[str], *, only_corrections: bool) -> dict[str, str]:
    """Return the newest reason of a person's decision about each session: a correction, or also a waiver or its end."""
    newest: dict[str, tuple[datetime, str]] = {}

    def note(session: str, at: datetime, text: str) -> None:
        if session not in newest or newest[session][0] <= at:
            newest[session] = (at, text)

    corrections = Correction.objects.order_by("pk")
    for row in statements.rows_among(corrections, "session_id", sessions, "at", "reason"):
        note(*row)
    if not only_corrections and sessions:
        for row in statements.rows_among(Waiver.objects.all(), "session", sessions, "at", "reason"):
            note(*row)
        among = set(sessions)
        withdrawn = Change.objects.filter(kind="waiver", verb="waiver.withdrawn")
        for at, before, reason in withdrawn.order_by("pk").values_list("at", "before", "reason"):
            if before.get("session") in among:
                note(before["session"], at, reason)
    return {session: text for session, (_at, text) in newest.items()}


def _languages(wanted: list[str]) -> Mapping[str, Any]:
    """Return the languages of the members among these payers who have one."""
    return dict(statements.rows_among(Member.objects.exclude(lang=""), "pk", wanted, "lang"))
