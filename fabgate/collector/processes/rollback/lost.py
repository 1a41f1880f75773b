"""What was stored since a copy and going back to it would lose, counted in the database of today.

Rows are compared by their numbers, which only grow, and not by their times: a clock can go back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fabgate.collector.ground.db import audit
from fabgate.collector.processes import ends
from fabgate.collector.processes.rollback import sessions
from fabgate.collector.processes.rollback.database import Database, when

#: Where it is stored whom a change is about, for rows that the log names by number only.
_ABOUT: Final = {
    "apikey": ("collector_apikey", "name"),
    "badge": ("collector_badge", "member_id"),
    "block": ("collector_block", "member_id"),
    "grant": ("collector_grant", "member_id"),
    "manualline": ("collector_manualline", "payer"),
    "prepaidentry": ("collector_prepaidentry", "payer"),
}
#: The changes that keep somebody out: after going back, a person makes these again first.
SHUTS_OUT: Final = frozenset(
    {
        *("account.deactivated", "account.password", "account.updated", "badge.ended", "badge.lost", "block.set"),
        *("gate.renewed", "gate.revoked", "grant.revoked", "group.ended"),
        *("key.revoked", "machine.locked", "machine.retired", "member.left"),
    }
)
#: A day before every month.
_BEFORE_ALL: Final = "0001-01-01"
#: Actors that are not people.
_NOBODY: Final = (audit.WORKER, audit.START)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the audit log. `key` names the row that was changed, and `about` a person, a payer or a program."""

    at: datetime
    actor: str
    verb: str
    key: str
    about: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that people made: how many of each verb, and all of them, the newest first."""

    verbs: dict[str, int]
    each: list[Change]


@dataclass(frozen=True, slots=True)
class Money:
    """A credit, a refund or a line beside sessions, by its number. A person entered it, and no program sends it again."""

    number: int
    kind: str
    day: str
    payer: str
    amount_minor: int
    method: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The months that were closed, with their statements, and how many of those were sent by mail."""

    months: list[str]
    statements: int
    mails: int


@dataclass(frozen=True, slots=True)
class Lost:
    """What would be lost. None: not known, because this version does not know the tables."""

    changes: Changes | None
    sessions: sessions.Sessions | None
    closed: Closed | None
    entered: list[Money] | None
    #: Items that programs were sent; they keep them, and the copy does not know that.
    sent: int | None
    #: The currency and its decimals, if billing was started.
    currency: tuple[str, int] | None


def count(database: Database, since: datetime, last: ends.Ends) -> Lost:
    """Return what was stored since a copy, whose tables end at `last`. Raises FabgateError if the database cannot be read."""
    return Lost(
        changes=_changes(database, last),
        sessions=sessions.count(database, last),
        closed=_closed(database, last),
        entered=_entered(database, last),
        sent=_sent(database, since, last),
        currency=_currency(database),
    )


def _changes(database: Database, last: ends.Ends) -> Changes | None:
    if not database.has("collector_change", "id", "at", "actor", "verb", "kind", "key"):
        return None
    rows = database.rows(
        "SELECT at, actor, verb, key, kind FROM collector_change WHERE id > %s AND actor NOT IN (%s, %s) ORDER BY id DESC",
        last.get("collector_change", 0),
        *_NOBODY,
    )
    about = _about(database, {(kind, key) for *_, key, kind in rows})
    each = [Change(when(at), actor, verb, key, about.get((kind, key), "")) for at, actor, verb, key, kind in rows]
    return Changes(dict(Counter(row[2] for row in rows).most_common()), each)


def _about(database: Database, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    found = {}
    for kind, key in wanted:
        table, column = _ABOUT.get(kind, ("", ""))
        if key.isdecimal() and database.has(table, "id", column):
            for (value,) in database.rows(f"SELECT {column} FROM {table} WHERE id = %s", int(key)):  # noqa: S608 (ours)
                found[kind, key] = str(value or "")
    return found


def _closed(database: Database, last: ends.Ends) -> Closed | None:
    if not (
        database.has("collector_closedmonth", "month")
        and database.has("collector_issuedstatement", "month")
        and database.has("collector_statementmail", "id", "state")
    ):
        return None
    # months are closed one after the other
    closed = last.get("collector_closedmonth", _BEFORE_ALL)
    months = database.rows("SELECT month FROM collector_closedmonth WHERE month > %s ORDER BY month", closed)
    statements = "SELECT COUNT(*) FROM collector_issuedstatement WHERE month > %s"
    # "sending" may have been sent
    mails = "SELECT COUNT(*) FROM collector_statementmail WHERE id > %s AND state IN ('sent', 'sending')"
    return Closed(
        [str(month)[:7] for (month,) in months],
        _number(database, statements, closed),
        _number(database, mails, last.get("collector_statementmail", 0)),
    )


def _entered(database: Database, last: ends.Ends) -> list[Money] | None:
    if not (
        database.has("collector_prepaidentry", "id", "kind", "day", "payer", "amount_minor", "method")
        and database.has("collector_manualline", "id", "day", "payer", "amount_minor")
    ):
        return None
    credits_ = database.rows(  # what a closed month used follows from closing it again
        "SELECT id, kind, day, payer, amount_minor, method FROM collector_prepaidentry"
        " WHERE id > %s AND kind <> 'used' ORDER BY id",
        last.get("collector_prepaidentry", 0),
    )
    lines = database.rows(
        "SELECT id, 'line', day, payer, amount_minor, '' FROM collector_manualline WHERE id > %s ORDER BY id",
        last.get("collector_manualline", 0),
    )
    return [Money(number, kind, str(day), *rest) for number, kind, day, *rest in (*credits_, *lines)]


def _sent(database: Database, since: datetime, last: ends.Ends) -> int | None:
    if not database.has("collector_sinkletter", "id", "state", "at"):
        return None
    # an item that was refused before, and sent since, keeps its number
    sql = "SELECT COUNT(*) FROM collector_sinkletter WHERE (id > %s OR at > %s) AND state = 'sent'"
    return _number(database, sql, last.get("collector_sinkletter", 0), since)


def _currency(database: Database) -> tuple[str, int] | None:
    if not database.has("collector_billingterms", "currency", "digits"):
        return None
    rows = database.rows("SELECT currency, digits FROM collector_billingterms")
    return (rows[0][0], int(rows[0][1])) if rows else None


def _number(database: Database, sql: str, *values: Any) -> int:
    return int(database.rows(sql, *values)[0][0])
