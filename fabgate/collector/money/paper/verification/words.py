"""The names of the tables of the books, and of the problems of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy

#: Table → how its rows are called.
TABLES: Final[Mapping[str, Any]] = {
    "entry": gettext_lazy("Entries of gates"),
    "journal": gettext_lazy("Journals"),
    "hole": gettext_lazy("Gaps"),
    "quarantine": gettext_lazy("Messages in quarantine"),
    "boot": gettext_lazy("Starts of gates"),
    "gate": gettext_lazy("Gates"),
    "usagesession": gettext_lazy("Sessions"),
    "correction": gettext_lazy("Corrections"),
    "review": gettext_lazy("Reviews of sessions"),
    "ledgerline": gettext_lazy("Lines of the ledger"),
    "usageday": gettext_lazy("Sums by day"),
    "usagemonth": gettext_lazy("Sums by month"),
    "refusal": gettext_lazy("Refused badges"),
    "member": gettext_lazy("Members"),
    "group": gettext_lazy("Groups"),
    "badge": gettext_lazy("Badges"),
    "training": gettext_lazy("Trainings"),
    "grant": gettext_lazy("Granted trainings"),
    "block": gettext_lazy("Blocks of members"),
    "machine": gettext_lazy("Machines"),
    "opening": gettext_lazy("Opening hours"),
    "specialday": gettext_lazy("Special days"),
    "account": gettext_lazy("Accounts"),
    "onetimelink": gettext_lazy("One-time links"),
    "apikey": gettext_lazy("API keys"),
    "workshop": gettext_lazy("Letterhead"),
    "collector": gettext_lazy("Settings in the database"),
    "sink": gettext_lazy("Programs that get charges"),
    "closedmonth": gettext_lazy("Closed months"),
    "charge": gettext_lazy("Charges of open months"),
    "chargeterms": gettext_lazy("Rules and plans used for charges"),
    "billingterms": gettext_lazy("Terms of billing"),
    "tariffrule": gettext_lazy("Tariff rules"),
    "vatrate": gettext_lazy("VAT rates"),
    "plan": gettext_lazy("Plans"),
    "planchange": gettext_lazy("Plans of members"),
    "payer": gettext_lazy("Payers"),
    "payerreference": gettext_lazy("References of payers"),
    "waiver": gettext_lazy("Waived sessions"),
    "manualline": gettext_lazy("Lines of statements"),
    "prepaidchange": gettext_lazy("Changes of settlement"),
    "admission": gettext_lazy("Admissions until a decision"),
    "prepaidentry": gettext_lazy("Prepaid entries"),
    "contest": gettext_lazy("Contests"),
    "issuedstatement": gettext_lazy("Statements of closed months"),
    "change": gettext_lazy("Rows of the audit log"),
    "audithead": gettext_lazy("Head of the audit log (file .audit-head)"),
}
#: The lines of the list of what was compared that count several tables.
GROUPED: Final = (
    (
        gettext_lazy("Prices, plans, payers"),
        frozenset({"billingterms", "tariffrule", "vatrate", "plan", "planchange", "payer", "payerreference"}),
    ),
    (
        gettext_lazy("People, rights, machines, settings"),
        frozenset(
            {
                *("member", "group", "badge", "training", "grant", "block", "machine", "gate", "opening", "specialday"),
                *("account", "onetimelink", "apikey", "workshop", "collector", "sink"),
            }
        ),
    ),
)
PROBLEMS: Final[Mapping[str, Any]] = {
    "changed": gettext_lazy("changed"),
    "missing": gettext_lazy("missing"),
    "added": gettext_lazy("added"),
    "unchecked": gettext_lazy("could not be compared"),
}
