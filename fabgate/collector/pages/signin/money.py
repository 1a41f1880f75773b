"""Which changes concern money: those for which the password is asked for again (docs/decisions/0090).

They are recognised by what is written, not by who writes it: the middleware looks at each change before it is logged
(db/audit.py), so that a view cannot forget to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import models

from fabgate.collector.api.programs import interface
from fabgate.collector.models import (
    Account,
    Admission,
    ApiKey,
    BillingTerms,
    ClosedMonth,
    Gate,
    Group,
    Machine,
    ManualLine,
    Member,
    Payer,
    Plan,
    PrepaidChange,
    PrepaidEntry,
    Sink,
    TariffRule,
    UsageSession,
    VatRate,
    Waiver,
    Workshop,
)
from fabgate.collector.pages import rights


def _kind(model: type[models.Model]) -> str:
    """Return what the log calls a model."""
    return model._meta.model_name or ""  # noqa: SLF001 (Django's name for it)


#: Tables of which the log has only changes that concern money. A session is in the log when it is corrected.
_TABLES: Final = frozenset(
    map(
        _kind,
        (
            *(Admission, BillingTerms, ClosedMonth, ManualLine, Payer, Plan, PrepaidChange, PrepaidEntry),
            *(Sink, TariffRule, UsageSession, VatRate, Waiver, Workshop),
        ),
    )
)
#: Of the other tables, the values that concern money, as the log names them.
_VALUES: Final[Mapping[str, frozenset[str]]] = {
    _kind(Member): frozenset({"payer", "plan", "since"}),  # "since" is the first day of a plan
    _kind(Group): frozenset({"payer"}),
    _kind(Machine): frozenset({"category"}),  # rules apply to categories
    _kind(Gate): frozenset({"machine"}),  # what its sessions cost
    _kind(ApiKey): frozenset({"scopes"}),
    # Who may change money, and about whose money they may decide. "expires_at" is that of a one-time link.
    _kind(Account): frozenset({"role", "member", "is_active", "expires_at"}),
}


def is_concerned(kind: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a change, as the log has it, concerns money."""
    if kind in _TABLES:
        return True
    changed = [name for name in _VALUES.get(kind, ()) if (before.get(name) or None) != (after.get(name) or None)]
    if not changed:
        return False
    if kind == _kind(Gate):
        return "machine" in before  # a new gate has no sessions
    if kind == _kind(ApiKey):
        return interface.CHARGES_READ in after.get("scopes", ())
    if kind == _kind(Account):
        return after.get("is_active") is not False and _is_or_was_powerful(key, before)
    return True


def may_change(role: str) -> bool:
    """Return whether accounts of a role may change money."""
    return role in rights.money_roles()


def _is_or_was_powerful(name: str, before: Mapping[str, Any]) -> bool:
    """Return whether an account may change money, or could before the change."""
    roles = {before.get("role"), *Account.objects.filter(name=name).values_list("role", flat=True)}
    return not rights.money_roles().isdisjoint(roles)
