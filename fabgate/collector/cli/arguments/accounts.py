"""The arguments of the verbs for accounts."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

#: The roles of ground/models/accounts.py, repeated here because models can be imported only once Django is set up.
ROLES: Final = ("manager", "desk", "trainer", "maintainer", "accountant", "auditor", "member")


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    add(
        "first-link",
        "accounts",
        "print the link with which the first manager signs in",
        "show_first_link",
        makes=True,
    )
    account = add(
        "account-add",
        "accounts",
        "make an account, and print the link that sets its password",
        "add",
        example="ada --role desk",
    )
    account.add_argument("name", metavar="NAME", help="the username")
    account.add_argument("--role", required=True, choices=ROLES, help="what the account may do")
    link = add("account-link", "accounts", "print a link that sets a new password", "link", example="ada")
    link.add_argument("name", metavar="NAME", help="the username")
    for verb in (account, link):
        shared.actor(verb)
    add("accounts", "accounts", "list the accounts", "show")
