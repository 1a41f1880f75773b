"""Sums of a month by class and by payer. They are remembered, and only payers whose sessions changed are rated again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

from django.core.cache import cache

from fabgate.collector.billing import month as months
from fabgate.collector.billing import rating, rules, terms
from fabgate.collector.billing.month import Sum
from fabgate.collector.models import BillingTerms, Change, LedgerLine

#: By payer, then by class.
Sums = Mapping[str, Mapping[str, Sum]]
#: Seconds after which a month is rated again in any case.
_LASTS_S: Final = 3_600
#: If more lines than these were added to the ledger, the whole month is rated again.
_MOST_LINES: Final = 500
#: The changes in the audit log on which prices depend.
_VERBS: Final = frozenset(
    {
        *("billing.started", "machine.updated", "member.plan"),
        *("plan.added", "plan.updated", "tariff.added", "tariff.removed"),
    }
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a month comes to."""

    payers: Sums

    @property
    def classes(self) -> dict[str, Sum]:
        """Return the sum of each class, all classes named."""
        return {kind: added(found[kind] for found in self.payers.values() if kind in found) for kind in rating.CLASSES}

    @property
    def by_payer(self) -> dict[str, Sum]:
        """Return the sum of each payer."""
        return {payer: added(found.values()) for payer, found in self.payers.items()}


class _Newest(NamedTuple):
    """The newest rows of the ledger, and of the audit log: their ids and times."""

    line: tuple[int, datetime] | None
    change: tuple[int, datetime] | None


def of(month: date, found: BillingTerms) -> Summary:
    """Return the sums of a month.

    Each change of a session is in the ledger, and each change of a rule, plan or machine in the audit log. So only what
    was added to them since the last time can change anything.
    """
    newest, key = _newest(), f"billing-{found.started_at.timestamp()}-{month:%Y-%m}"
    remembered: tuple[_Newest, Sums] | None = cache.get(key)
    if remembered is not None and remembered[0] == newest:
        return Summary(remembered[1])
    # By session. It is large, so it is kept apart and read only here.
    payer_of: dict[str, str] | None = cache.get(f"{key}-payers") if remembered is not None else None
    changed = None if remembered is None or payer_of is None else _changed_payers(remembered[0], payer_of)
    if remembered is None or payer_of is None or changed is None:
        sums, payer_of = _rated(month, found, ())
    elif changed:
        again, payer_of_again = _rated(month, found, changed)
        sums = {**{payer: own for payer, own in remembered[1].items() if payer not in changed}, **again}
        payer_of = {session: payer for session, payer in payer_of.items() if payer not in changed} | payer_of_again
    else:
        sums = remembered[1]
    cache.set(f"{key}-payers", payer_of, _LASTS_S)
    cache.set(key, (newest, sums), _LASTS_S)
    return Summary(sums)


def _newest() -> _Newest:
    return _Newest(
        LedgerLine.objects.order_by("-pk").values_list("pk", "at").first(),
        Change.objects.order_by("-pk").values_list("pk", "at").first(),
    )


def _changed_payers(before: _Newest, payer_of: Mapping[str, str]) -> set[str] | None:
    """Return the payers whose sessions changed since `before`; None if everything may have changed.

    `payer_of` are the payers of the sessions then: a session may have another one now.
    """
    if before.line is None or before.change is None:
        return None
    (line, line_at), (change, change_at) = before.line, before.change
    # After a restore, other rows may have these ids.
    if not (
        LedgerLine.objects.filter(pk=line, at=line_at).exists()
        and Change.objects.filter(pk=change, at=change_at).exists()
    ):
        return None
    if any(verb in _VERBS for verb in Change.objects.filter(pk__gt=change).values_list("verb", flat=True)):
        return None
    columns = "session", "payer", "used_by"
    added_lines = list(LedgerLine.objects.filter(pk__gt=line).order_by("pk").values_list(*columns)[: _MOST_LINES + 1])
    if len(added_lines) > _MOST_LINES:
        return None
    now = {payer or user for _session, payer, user in added_lines}
    return now | {payer_of[session] for session, _payer, _user in added_lines if session in payer_of}


def _rated(month: date, found: BillingTerms, payers: Collection[str]) -> tuple[Sums, dict[str, str]]:
    """Rate a month; with `payers`, only their sessions. Return the sums, and the payer of each session."""
    terms_ = terms.for_rating(found)
    lookup = rules.Lookup(terms_.rules)
    sums, payer_of = {}, {}
    for payer, facts in months.by_payer(month, terms_.zone, payers=payers).items():
        own: dict[str, Sum] = {}
        for rated in rating.rate(facts, terms_, lookup=lookup):
            own[rated.kind] = own.get(rated.kind, Sum()).plus(rated)
            payer_of[rated.facts.session] = payer
        sums[payer] = own
    return sums, payer_of


def added(sums: Iterable[Sum]) -> Sum:
    """Return the sum of sums."""
    return Sum(*map(sum, zip(Sum(), *sums, strict=True)))
