"""Which tables and columns concern money, and what was written in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps

from fabgate.collector.ground.models import Account

#: Every row of these tables.
MONEY = {
    *("BillingTerms", "ClosedMonth", "Correction", "ManualLine", "Payer", "PayerReference", "Plan", "PlanChange"),
    *("Admission", "PrepaidChange", "PrepaidEntry", "Sink", "SinkLetter", "TariffRule", "VatRate", "Waiver"),
    "Workshop",
    "JoinCode",  # with it a gate gets keys, with which it writes sessions
}
#: Of these tables, the columns that concern money, and those that do not.
MIXED: dict[str, tuple[set[str], set[str]]] = {
    "Member": (
        {"payer_id"},
        {
            *("id", "name", "lang", "level", "valid_until", "grace_days", "supervised", "email", "note", "category"),
            *("minor", "joined_on", "left_on", "folded"),
        },
    ),
    "Group": ({"payer_id"}, {"id", "name", "kind", "note", "ended_on", "folded"}),
    "Machine": (
        {"category"},
        {
            *("id", "name", "title", "note", "rules", "preset", "retired_at", "lifted", "lock_back", "lock_id"),
            *("lock_reason", "lock_when", "locked_at", "locked_by"),
        },
    ),
    "Gate": (
        {"machine_id"},
        {
            *("id", "name", "token_hash", "boot", "journal", "head", "head_at", "mark", "version", "online", "seen_at"),
            *("state", "state_since", "session", "session_member", "energised_ms", "running_ms", "ran_at", "causes"),
            *("clock_off_ms", "earliest_at", "hints", "problems", "quarantine_dropped", "reader", "synced"),
            *("reported_roster", "roster_confirmed_at", "roster_version", "senses_work", "too_much_at"),
        },
    ),
    "Account": (
        {"role", "member_id", "is_active"},
        {"id", "name", "display_name", "email", "lang", "password", "last_login", "created_at"},
    ),
    "OneTimeLink": (
        {"account_id"},
        {"id", "token_hash", "purpose", "made_by", "created_at", "expires_at", "used_at"},
    ),
    "ApiKey": (
        {"scopes"},
        {
            *("id", "name", "prefix", "token_hash", "made_by_id", "created_at", "expires_at"),
            *("last_used_at", "revoked_at"),
        },
    ),
    # How a review is settled decides what the session costs; that somebody opens one asks for such a decision.
    "Review": (
        {"settled_by"},
        {"id", "session_id", "why", "note", "opened_at", "settled_at", "decision"},
    ),
    "Contest": (
        {"decision"},
        {
            *("id", "kind", "key", "payer", "month", "text", "amount_minor", "words", "member", "author", "at"),
            *("answer", "answered_at", "answered_by", "erased_at"),
        },
    ),
}
#: What concerns no money, or only follows from the tables above, as charges do.
FREE = {
    *(
        "Badge",
        "BadgeForm",
        "BillingProgress",
        "Block",
        "Boot",
        "BrokerAccount",
        "Change",
        "Charge",
        "ChargeTerms",
        "Collector",
    ),
    *("Entry", "FailedSignIn", "FetchingBoot", "FormerToken", "Grant", "Heartbeat", "Hole", "IssuedStatement"),
    *("JoinAttempt", "Journal", "LedgerLine", "Opening"),
    *("Order", "Pulse", "Quarantine", "Refusal", "RosterLimit", "ServedRoster", "SignIn", "SpecialDay"),
    *("StatementMail", "Training", "UsageDay", "UsageMonth", "UsageSession", "Verification"),
}
#: What is written although nobody changed anything: who was seen, and wrong passwords.
ALWAYS_WRITTEN = {"SignIn", "FailedSignIn"}
MODELS = {model.__name__: model for model in apps.get_app_config("collector").get_models()}
#: Who may change money, in the words of who_may_do_what.md; and who else reads what everybody did and pays.
POWERFUL = {"manager", "desk", "accountant", "maintainer"}
TRUSTED = POWERFUL | {"auditor"}
Rows = dict[str, dict[Any, dict[str, Any]]]


def stored() -> Rows:
    return {
        name: {row[model._meta.pk.attname]: row for row in model._default_manager.values()}
        for name, model in MODELS.items()
    }


def written(before: Rows, after: Rows) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield table, column and row of each value that was written; of a new row, what is not empty."""
    for table, rows in after.items():
        for pk in rows.keys() | before[table].keys():
            was, became = before[table].get(pk, {}), rows.get(pk, {})
            for column in was.keys() | became.keys():
                if (was.get(column) or None) != (became.get(column) or None):
                    yield table, column, {**was, **became}


def concerns_money(table: str, column: str, row: dict[str, Any]) -> bool:
    if table not in MIXED:
        return table in MONEY
    if column not in MIXED[table][0]:
        return False
    if table == "Account":
        return row["role"] in TRUSTED and (column != "is_active" or row["is_active"])
    if table == "OneTimeLink":
        return Account.objects.get(pk=row["account_id"]).role in TRUSTED
    return True
