"""Which tables and columns are not compared with the audit log, each with the reason. All others are.

docs/verify.md names the same; tests/collector/processes/verify/test_logged.py compares both with the tables that there
are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Tables that another part compares, with what.
ELSEWHERE: Final[Mapping[str, str]] = {
    "entry": "the gates' chains (gates/entries.py)",
    "journal": "the entries (gates/entries.py)",
    "hole": "the entries (gates/entries.py)",
    "quarantine": "its own bytes (gates/entries.py)",
    "boot": "the entries (gates/entries.py)",
    "refusal": "the entries (gates/refusals.py)",
    "usagesession": "the entries and corrections (sessions.py)",
    "correction": "the audit log, with its session (decisions.py)",
    "review": "the audit log, with its session (decisions.py)",
    "ledgerline": "the sessions (ledger.py)",
    "usageday": "the sessions (sums.py)",
    "usagemonth": "the sessions (sums.py)",
    "charge": "the sessions, rated again (money/charges.py)",
    "chargeterms": "its own digest (money/prices.py)",
    "closedmonth": "its seal and the audit log (money/billing/closing.py)",
    "planchange": "the audit log, which has the plans of members (money/prices.py)",
    "payerreference": "the audit log, which has the references of payers (money/prices.py)",
    "change": "its numbers, seals and head (audit_log.py)",
}
#: Tables that are compared with nothing.
TABLES: Final[Mapping[str, str]] = {
    "badgeform": "made again from the badges with each change of people",
    "billingprogress": "how far the worker is",
    "brokeraccount": "who may connect to the broker: the log has who let a gate in, or cut it off",
    "failedsignin": "deleted after a quarter of an hour",
    "fetchingboot": "which devices fetched rosters: what the pages show, and nothing follows from it",
    "formertoken": "the tokens before the present ones: the log has each change of a token",
    "heartbeat": "whether a process is alive",
    "joinattempt": "deleted after a day: the log has who joined",
    "joincode": "deleted after a day: the log has who made it, and who joined",
    "order": "what was sent to a gate: its entries have what it did",
    "pulse": "which pages redraw",
    "rosterlimit": "what a roster allowed: the sessions that follow from it are compared",
    "servedroster": "made again from people, rights and machines with each change",
    "signin": "opens nothing without a cookie that secret.key signed",
    "sinkletter": "what a program outside has received",
    "statementmail": "what was sent: the log has each mail",
    "verification": "the last result",
}
#: Columns of the other tables.
COLUMNS: Final[Mapping[str, str]] = {
    "account.last_login": "written at each sign-in",
    "apikey.last_used_at": "written when the key is used",
    "collector.id": "always 1",
    "collector.collector": "random, and known to the gates",
    "collector.site": "the setting of each start",
    "collector.rolled_tz": "the setting of each start",
    "collector.lang": "the setting of each start",
    "collector.place": "counts the starts",
    "collector.last_organisation": "the next number of an organisation",
    "gate.roster_version": "counts rosters",
    "gate.online": "what the gate last reported",
    "gate.boot": "what the gate last reported",
    "gate.journal": "what the gate last reported",
    "gate.reported_roster": "what the gate last reported",
    "gate.seen_at": "what the gate last reported",
    "gate.hints": "what the gate last reported",
    "gate.state": "what the gate last reported",
    "gate.causes": "what the gate last reported",
    "gate.session": "what the gate last reported",
    "gate.session_member": "what the gate last reported",
    "gate.state_since": "what the gate last reported",
    "gate.energised_ms": "what the gate last reported",
    "gate.running_ms": "what the gate last reported",
    "gate.ran_at": "what the gate last reported",
    "gate.synced": "what the gate last reported",
    "gate.clock_off_ms": "what the gate last reported",
    "gate.roster_confirmed_at": "what the gate last reported",
    "gate.problems": "what the gate last reported",
    "gate.reader": "what the gate last reported",
    "gate.senses_work": "what the gate last reported",
    "gate.version": "what the gate last reported",
    "gate.head": "what the gate last reported",
    "gate.mark": "what the gate last reported",
    "gate.head_at": "what the gate last reported",
    "gate.quarantine_dropped": "what the gate last reported",
    "gate.too_much_at": "what the gate last reported",
    "gate.earliest_at": "compared with the entries (gates/entries.py)",
    "group.folded": "made from the name",
    "member.folded": "made from the name",
    "payer.folded": "made from the name",
    "issuedstatement.id": "counts statements",
    "issuedstatement.month": "compared with the seal of the month (money/billing/closing.py)",
    "issuedstatement.payer": "compared with the seal of the month (money/billing/closing.py)",
    "issuedstatement.amount_minor": "compared with the seal of the month (money/billing/closing.py)",
    "issuedstatement.words": "names, which can be erased",
    "sink.cursor": "how far a program outside is",
    "sink.attempt": "how far a program outside is",
    "sink.generation": "how far a program outside is",
    "sink.trouble": "how far a program outside is",
    "sink.troubled_since": "how far a program outside is",
    "sink.failures": "how far a program outside is",
    "sink.next_at": "how far a program outside is",
    "sink.sent_at": "how far a program outside is",
}
#: Tables whose rows are made without the log: it has only what a person changes in them later.
MADE_WITHOUT_LOG: Final = frozenset({"collector", "issuedstatement"})
