"""Which changes concern money, or who gets at it: those for which the password is asked for again (docs/decisions/0090).

They are recognised by what is written, not by who writes it: the middleware looks at each change before it is logged
(ground/db/audit.py), so that a view cannot forget to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import models

from fabgate.collector.faces.pages import rights
from fabgate.collector.ground.models import (
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
    _kind(Gate): frozenset({"machine"}),  # what its sessions cost; a new gate gets keys, with which it writes sessions
    _kind(ApiKey): frozenset({"scopes"}),
    # Who may change money or read everything, and about whose money they may decide. "expires_at": of a one-time link.
    _kind(Account): frozenset({"role", "member", "is_active", "expires_at"}),
}


def is_concerned(kind: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether the password is asked for because of a change, as the log has it."""
    if kind in _TABLES:
        return True
    changed = [name for name in _VALUES.get(kind, ()) if (before.get(name) or None) != (after.get(name) or None)]
    if not changed:
        return False
    if kind == _kind(Account):
        return after.get("is_active") is not False and _is_or_was_trusted(key, before)
    return True


def _is_or_was_trusted(name: str, before: Mapping[str, Any]) -> bool:
    """Return whether an account has such a role, or had it before the change."""
    roles = {before.get("role"), *Account.objects.filter(name=name).values_list("role", flat=True)}
    return not rights.trusted_roles().isdisjoint(roles)
