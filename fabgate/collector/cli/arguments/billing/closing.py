"""The arguments of the verbs that waive sessions, add lines, and close and verify months."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

_CLOSE: Final = (
    "Months are closed one after the other, once they are over. The charges of a closed month never change: a later"
    " correction adds a reversal and a new charge to the open month. If entries are missing or sessions wait for a"
    " review, --reason is needed."
)
_LINE: Final = "It is charged in the open month. A negative amount is a reduction, such as part of a session: name it with --session."
_VERIFY: Final = (
    "Each closed month has a SHA-256 over the month before, its terms, charges, lines and prepaid entries. Note the last"
    " one: it vouches for all months before."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    close = add(
        "bill-close",
        "billing.closing",
        "close a month, which makes its charges final",
        "close",
        about=_CLOSE,
        example="2027-01",
    )
    shared.month(close)
    close.add_argument("--reason", metavar="TEXT", help="why the month is closed anyway, if something is open")
    waive = add(
        "bill-waive",
        "billing.closing",
        "let a session cost nothing",
        "waive",
        example="01975c3e-7a2f-7cc0-8000-5f4dcc3b5aa7 --reason 'The machine was faulty'",
    )
    waive.add_argument("session", metavar="SESSION", help="the session's id")
    waive.add_argument("--withdraw", action="store_true", help="withdraw the waiver")
    line = add(
        "bill-line",
        "billing.closing",
        "charge a payer for something besides sessions",
        "add_line",
        about=_LINE,
        example="m-117 12.50 'Plywood, 9 mm'",
    )
    shared.payer(line)
    line.add_argument("amount", metavar="AMOUNT", help="in the currency's main unit, such as 12.50")
    line.add_argument("text", metavar="TEXT", help="what it is for")
    line.add_argument("--day", metavar="DAY", help="the day that it is about, such as 2027-01-31; today without it")
    line.add_argument("--session", metavar="ID", help="the session that it is about")
    line.add_argument("--vat-code", metavar="CODE", help="the code of your accounting")
    remove = add(
        "bill-line-remove",
        "billing.closing",
        "remove a line of the open month",
        "remove_line",
        example="7 --reason 'Entered twice'",
    )
    remove.add_argument("line", type=int, metavar="LINE", help="its number, as bill-line printed it")
    for verb in (waive, remove):
        verb.add_argument("--reason", required=True, metavar="TEXT", help="why")
    for verb in (close, waive, line, remove):
        shared.actor(verb)
    verify = add(
        "verify-periods",
        "billing.closing",
        "check that closed months have not been altered",
        "verify",
        about=_VERIFY,
    )
    shared.as_json(verify)
