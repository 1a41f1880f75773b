"""The arguments of the verbs for credit."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

_PREPAID: Final = (
    "Charges of payers who prepay are deducted from their credit. Once the credit is used up, gates refuse everyone they"
    " pay for at machines with a price. The setting applies to whole months that are not closed."
)
_CREDIT: Final = (
    "Gates accept everyone for whom the payer pays again at once. The verb prints an acknowledgement; receipts come from"
    " the till or the accounting."
)
_REFUND: Final = (
    "You can refund at most the balance. If a credit was entered by mistake, reverse it in full with --entry, and add the"
    " correct one."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    mode = add(
        "bill-prepaid",
        "billing.prepaid",
        "set from which month a payer prepays; without a payer, list the settings",
        "set_mode",
        about=_PREPAID,
        example="m-117 --from 2027-01",
    )
    who = mode.add_mutually_exclusive_group()
    shared.payer(who, is_optional=True)
    who.add_argument("--everybody", action="store_true", help="all payers without a setting of their own")
    mode.add_argument("--off", action="store_true", help="bill by statement from that month on")
    mode.add_argument("--from", dest="since", metavar="MONTH", help="the first month (default: this one)")
    mode.add_argument(
        "--warn-below", metavar="AMOUNT", help="warn payers whose credit is below this; 0: only when it is used up"
    )
    credit = add(
        "bill-credit",
        "billing.prepaid",
        "add credit that a payer paid in",
        "credit",
        about=_CREDIT,
        example="m-117 20.00 --method cash --till 4711",
    )
    shared.payer(credit)
    credit.add_argument("amount", metavar="AMOUNT", help="in the currency's main unit, such as 20.00")
    credit.add_argument("--again", action="store_true", help="add it although an identical credit exists")
    refund = add(
        "bill-refund",
        "billing.prepaid",
        "refund credit, or reverse a credit that was entered by mistake",
        "refund",
        about=_REFUND,
        example="m-117 12.50 --method transfer --reason 'Left the workshop'",
    )
    shared.payer(refund, is_optional=True)
    refund.add_argument("amount", metavar="AMOUNT", nargs="?", help="at most the balance")
    refund.add_argument("--entry", type=int, metavar="NUMBER", help="the number of the credit to reverse, in full")
    refund.add_argument("--reason", required=True, metavar="TEXT", help="why")
    for verb, is_needed in ((credit, True), (refund, False)):
        verb.add_argument(
            "--method", required=is_needed, choices=("cash", "card", "cheque", "transfer"), help="how it was paid"
        )
        verb.add_argument("--till", metavar="NUMBER", help="the number on the till's receipt, or on the cheque")
    for verb in (mode, credit, refund):
        shared.actor(verb)
    balance = add(
        "bill-balance",
        "billing.prepaid",
        "print the balance of a payer, or of all",
        "balance",
        example="m-117 --at 2027-01-31",
    )
    shared.payer(balance, is_optional=True)
    balance.add_argument("--at", metavar="DATE", help="at the end of this day (default: all that is on record)")
    of_day = add(
        "bill-credits",
        "billing.prepaid",
        "print the credits and refunds of a day, by method",
        "credits_of_day",
        example="2027-01-31",
    )
    of_day.add_argument("day", metavar="DAY", nargs="?", help="such as 2027-01-31 (default: today)")
    for verb in (balance, of_day):
        shared.as_json(verb)
