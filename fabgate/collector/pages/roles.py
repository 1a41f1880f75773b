"""How is a right written down? One row a route: who may read it, and who may change something through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from fabgate.collector.models import Account, Group

ALL: Final = frozenset(role for role, _label in Account.ROLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Who may GET a route, and who may POST to it. Nobody in `post`: there is nothing to post.

    `is_open` needs no sign-in. `is_keyed` is for programs and gates: the view itself asks for their key or token.
    """

    get: frozenset[str]
    post: frozenset[str] = frozenset()
    is_open: bool = False
    is_keyed: bool = False

    def may(self, role: str, method: str) -> bool:
        """Return whether `role` may use `method` (GET or POST) here."""
        return role in (self.get if method == "GET" else self.post)


def reads(*roles: str) -> frozenset[str]:
    """Return who reads what these roles read: a manager and an auditor read everything."""
    return frozenset({Account.MANAGER, Account.AUDITOR, *roles})


def writes(*roles: str) -> frozenset[str]:
    """Return who changes what these roles change: a manager changes everything, an auditor nothing."""
    found = frozenset({Account.MANAGER, *roles})
    assert Account.AUDITOR not in found, "an auditor changes nothing"
    return found


def barred_from(account: Account) -> str | None:
    """Return the member of whom `account` decides nothing: nobody is judge in their own cause.

    None for who is no member, and for a manager: somebody has to decide in a workshop of one, and the log shows it.
    """
    return None if account.role == Account.MANAGER else account.member_id


def own_causes(account: Account) -> frozenset[str]:
    """Return of whom, as sessions name them, `account` decides nothing: its member, and that member's groups.

    A group is theirs if they belong to it or pay for it, also after it has ended (docs/decisions/0068).
    """
    own = barred_from(account)
    if own is None:
        return frozenset()
    groups = Group.objects.filter(Q(members=own) | Q(payer=own))
    return frozenset({own, *(group.roster_id for group in groups)})


#: Pages that are each person's own: of everybody who is signed in.
OWN: Final = Right(get=ALL, post=ALL)
#: Anybody may read it, and send it; there is nobody yet to ask for rights.
OPEN: Final = Right(get=ALL, post=ALL, is_open=True)
#: A gate with its token, a program with its key, or a monitor.
KEYED: Final = Right(get=ALL, post=ALL, is_keyed=True)
