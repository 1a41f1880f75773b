"""The arguments of the verbs for statements and archives."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

_STATEMENT: Final = (
    "The statement of a closed month never changes; that of an open month is provisional. PDF and CSV are in the language"
    " of the payer."
)
_SEND: Final = (
    "Each statement is sent once. Payers without an e-mail address are listed. If a statement could not be sent, run the"
    " verb again."
)
_WORKSHOP: Final = (
    "Statements show them: the sender, and how they are paid. In euros, with an IBAN, they have a QR code that banking apps"
    " read. '' empties a detail. Statements of closed months keep the details that they were closed with."
)
_ARCHIVE: Final = (
    "The files of charges and lines have ids only, and are identical each time. Names are in a separate file, because they"
    " can be erased. Check the files with 'sha256sum -c'."
)
_ERASE: Final = (
    "Names, addresses and reasons in the statements of closed months, and words and answers of contests, are erased for"
    " good; ids, times and amounts stay. Keep the names for as long as the law requires of your accounting."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    statement = add(
        "bill-statement",
        "billing.statements",
        "show a payer's statement of a month, or save it",
        "show_statement",
        about=_STATEMENT,
        example="2027-01 m-117 --pdf statement.pdf",
    )
    shared.month(statement)
    shared.payer(statement)
    form = statement.add_mutually_exclusive_group()
    form.add_argument("--pdf", metavar="FILE", help="save it as PDF")
    form.add_argument("--csv", metavar="FILE", help="save it as CSV")
    shared.as_json(form)
    send = add(
        "bill-send",
        "billing.statements",
        "send the statements of a closed month by e-mail",
        "send_statements",
        about=_SEND,
        example="2027-01",
    )
    shared.month(send)
    send.add_argument("--payer", metavar="ID", help="send only this payer's statement, even if it was sent before")
    shared.actor(send)
    workshop = add(
        "bill-workshop",
        "billing.workshop",
        "set the workshop's details on statements; without options, show them",
        "workshop",
        about=_WORKSHOP,
        example="--iban 'FR76 3000 6000 0112 3456 7890 189' --due-days 30",
    )
    for name, metavar, about in (
        ("name", "NAME", "the legal name"),
        ("address", "TEXT", "the postal address, with line breaks"),
        ("contact", "TEXT", "an e-mail address or a telephone number, for questions"),
        ("registration-number", "NUMBER", "in France the SIREN or the SIRET"),
        ("vat-number", "NUMBER", "the VAT number"),
        ("account-holder", "NAME", "the name of the account; without it the legal name"),
        ("iban", "IBAN", "the account on which statements are paid"),
        ("bic", "BIC", "its bank; not needed in the SEPA area"),
        ("due-days", "DAYS", "how many days after a month was closed its statements are due"),
        ("payment-text", "TEXT", "other means and conditions"),
        ("payments-kept", "TEXT", "where payments are recorded"),
    ):
        workshop.add_argument(f"--{name}", metavar=metavar, help=about)
    shared.actor(workshop)
    archive = add(
        "bill-archive",
        "billing.statements",
        "save the charges and lines of a closed month",
        "save_archive",
        about=_ARCHIVE,
        example="2027-01 --to /var/backups/billing",
    )
    shared.month(archive)
    archive.add_argument(
        "--to", required=True, metavar="FOLDER", help="the folder for the files; it is created if needed"
    )
    erase = add(
        "bill-erase-names",
        "billing.statements",
        "erase names in statements and words of contests",
        "erase_names",
        about=_ERASE,
        example="--before 2017-01",
    )
    erase.add_argument("--before", required=True, metavar="MONTH", help="the first month that keeps its names")
    shared.actor(erase)
