"""How a right is declared: one row for each route, with the roles that may read and those that may change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from django.db.models import Q

from fabgate.collector.ground.models import Account, Group, Member

ALL: Final = frozenset(role for role, _label in Account.ROLES)


class Asks(Enum):
    """When a POST needs a password that was typed recently (docs/decisions/0090)."""

    NEVER = "never"
    #: The form has other fields too: only if it changes what faces/pages/password/money.py names.
    IF_MONEY_CHANGES = "if money changes"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """The roles that may GET a route, and those that may POST to it; an empty `post` means the route takes no POST.

    `is_open` needs no sign-in. `is_keyed` is for programs and gates, whose key or token the view checks itself.
    `asks_password`: whether a POST changes money and so needs a password that was typed recently.
    """

    get: frozenset[str]
    post: frozenset[str] = frozenset()
    is_open: bool = False
    is_keyed: bool = False
    asks_password: Asks = Asks.NEVER

    def may(self, role: str, method: str) -> bool:
        """Return whether `role` may use `method` (GET or POST) here."""
        return role in (self.get if method == "GET" else self.post)


def reads(*roles: str) -> frozenset[str]:
    """Return these roles, and manager and auditor, who may read everything."""
    return frozenset({Account.MANAGER, Account.AUDITOR, *roles})


def writes(*roles: str) -> frozenset[str]:
    """Return these roles, and the manager, who may change everything; an auditor may not."""
    found = frozenset({Account.MANAGER, *roles})
    assert Account.AUDITOR not in found, "an auditor changes nothing"
    return found


def barred_from(account: Account) -> str | None:
    """Return the member about whom `account` may not decide: its own (docs/decisions/0068).

    It is None for an account without a member, and for managers: in a workshop of one person someone must decide, and
    the log shows it.
    """
    return None if account.role == Account.MANAGER else account.member_id


def self_and_groups(account: Account) -> frozenset[str]:
    """Return the ids, as in sessions, about whose money `account` may not decide: its member, their groups and payers.

    The groups are those of which they are a member or the payer, including closed ones; the payers are those of the
    member and of such groups (docs/decisions/0068, 0089).
    """
    own = barred_from(account)
    if own is None:
        return frozenset()
    groups = list(Group.objects.filter(Q(members=own) | Q(payer=own)))
    payers = {*Member.objects.filter(pk=own).values_list("payer", flat=True), *(group.payer_id for group in groups)}
    return frozenset({own, *(group.roster_id for group in groups), *filter(None, payers)})


#: For everyone who is signed in: pages about their own account.
OWN: Final = Right(get=ALL, post=ALL)
#: Pages without sign-in.
OPEN: Final = Right(get=ALL, post=ALL, is_open=True)
#: For a gate with its token, a program with its key, or a monitor.
KEYED: Final = Right(get=ALL, post=ALL, is_keyed=True)
