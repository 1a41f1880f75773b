"""The steps that bring a database up to date."""

from typing import Final

#: All of them, in their order. A database with any other one is of a newer version, and a file with another name is left
#: from another version: both are refused. A list of the files would believe what an update left behind.
KNOWN: Final = (
    "0001_initial",
    "0002_sorted_lists",
    "0003_billing_tariffs",
    "0004_plan_changes",
    "0006_audit_chain",
    "0007_payers",
    "0008_charges",
    "0009_verification",
    "0010_prepaid",
    "0012_sinks",
    "0013_statements",
    "0014_log_older_terms",
    "0015_contests",
    "0016_erased_contests",
    "0017_badge_kinds",
    "0018_badge_forms",
    "0019_energy",
    "0020_charges_and_credit",
    "0021_sensing",
    "0022_lines_and_vat",
    "0023_vat_rates",
    "0024_how_to_pay",
    "0026_log_people_and_rights",
)
