"""The arguments of the verbs that explain the cost of a month or a session, and list payers."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

_MONTH: Final = (
    "Each session that ended in the month is in exactly one class; the classes add up to all sessions. docs/billing.md"
    " explains them. The verb changes nothing."
)
_PAYERS: Final = (
    "Members, groups and organisations that pay for others, or whose details are recorded. Everyone else pays for"
    " themselves. They are changed on the page People, Payers."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    month = add(
        "bill-month",
        "billing.month",
        "print what a month comes to, for each payer",
        "show_month",
        about=_MONTH,
        example="2027-01",
    )
    shared.month(month)
    form = month.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="exact figures, as CSV")
    form.add_argument("--json", dest="form", action="store_const", const="json", help="exact figures, as JSON")
    form.add_argument(
        "--to",
        metavar="FOLDER",
        help="save it for a spreadsheet, with names: XLSX, and CSV of payers and lines, in the site's language",
    )
    session = add(
        "bill-session",
        "billing.month",
        "explain what a session costs, step by step",
        "show_session",
        example="01975c3e-7a2f-7cc0-8000-5f4dcc3b5aa7",
    )
    session.add_argument("session", metavar="SESSION", help="the session's id")
    shared.as_json(session)
    payers = add(
        "bill-payers",
        "billing.payers",
        "list the payers that have a record",
        "show_payers",
        about=_PAYERS,
        example="--json",
    )
    payers.add_argument("--json", action="store_true", help="print JSON, with addresses and references")
