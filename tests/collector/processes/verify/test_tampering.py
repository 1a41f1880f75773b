"""A changed value and a changed row of the books are found: the finding names the table and the row.

The columns are those that docs/verify.md says are compared; a test compares that list with the tables. The books are
written once for all tests of this file, and each test has a copy.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, connection

from fabgate import wire
from fabgate.collector.ground.db import one_state
from fabgate.collector.ground.db.chains import CHANGES
from fabgate.collector.ground.models import (
    Change,
    Entry,
    LedgerLine,
    Machine,
    Refusal,
    Review,
    TariffRule,
)
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.processes.verify import (
    audit_head,
    audit_log,
    checkpoints,
    run,
    sessions,
    snapshot,
    sums,
)
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.gates import entries, refusals
from fabgate.collector.processes.verify.money import charges, prices
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector import postgresql
from tests.collector.gates import NOON, Journal
from tests.collector.processes.verify.histories import ZONE, texts
from tests.collector.processes.verify.tampering import other, put, raw, tamper
from tests.support.patience import HANGS_S

ROOT = Path(__file__).parents[4]


def compared() -> dict[str, list[str]]:
    """Return the columns that docs/verify.md names, by table."""
    text = (ROOT / "docs/verify.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", text, re.MULTILINE)
    return {table: re.findall(r"`(\w+)`", columns) for table, columns in rows}


TABLES = compared()
COLUMNS = [(table, column) for table, columns in TABLES.items() for column in columns]


def ids(table: str) -> list[Any]:
    rows = apps.get_model("collector", table).objects.all()
    if table == "quarantine":
        rows = rows.filter(counts=True)
    if table in {"usageday", "usagemonth"}:
        rows = rows.filter(sessions__gt=0)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _nothing(_count: int) -> None:
    """Ignore the progress."""


def _facts(report: Report, workspace: snapshot.Workspace, _data: Path) -> None:
    refusals.check(report, entries.check(report, workspace, "lyon", _nothing), "lyon")
    checkpoints.check_entries(report)
    sessions.check(report, workspace, _nothing)


#: The part of the verification that compares a table; most tables follow from entries.
PARTS: Final[dict[str, Callable[[Report, snapshot.Workspace, Path], object]]] = {
    **dict.fromkeys(("usageday", "usagemonth"), lambda report, *_: sums.check(report, ZoneInfo(ZONE), _nothing)),
    "change": lambda report, _, data: audit_log.check(report, audit_head.noted(data), None, _nothing),
    "charge": lambda report, *_: charges.check(report, _nothing),
    **dict.fromkeys(("chargeterms", "planchange", "payerreference"), lambda report, *_: prices.check(report)),
}


def verified(books: Path, table: str, *, is_whole: bool) -> Report:
    """Return what the whole verification finds, or else what its part for one table does."""
    if is_whole:
        return run.run(books)
    report = Report()
    with one_state.reading(), snapshot.workspace() as workspace:
        PARTS.get(table, _facts)(report, workspace, books)
    return report


def name_of(table: str, pk: Any) -> re.Pattern[str]:
    """Return what a finding may call a row."""
    row = apps.get_model("collector", table).objects.get(pk=pk)
    return re.compile(NAMES[table](row) if table in NAMES else f"{pk}$")


#: What a finding calls a row, as a pattern; others it calls by their ids.
NAMES: Final[dict[str, Callable[[Any], str]]] = {
    **dict.fromkeys(("entry", "quarantine"), lambda row: rf"{row.journal.name}/{row.seq}$"),
    "hole": lambda row: f"{row.journal.name}/",  # its range may be what was changed
    **dict.fromkeys(("journal", "gate"), lambda row: f"{row.name}$"),
    "boot": lambda row: f"{row.gate_id}/{row.boot}$",
    "review": lambda row: f"{row.session_id}$",
    "refusal": lambda row: f"({row.pk}|{row.journal.name}/{row.seq})$",  # a missing one by its entry
    **dict.fromkeys(("correction", "ledgerline"), lambda row: rf"({row.pk}( \(.*\))?|{row.session_id})$"),
    **dict.fromkeys(
        ("usageday", "usagemonth"),
        lambda row: f"{row.day}/{row.machine_key}/{row.gate_id}/{row.used_by}/{row.category}$",
    ),
    "plan": lambda row: f"({row.pk}|{row.name})$",
    "planchange": lambda row: f"{row.member_id}/",  # its day may be what was changed
    "payerreference": lambda row: f"{row.payer_id}/",
}
#: Where a change of one table may show instead: a gap is one of entries, and some values are in the ledger too.
ALSO = {"hole": {"entry"}, "usagesession": {"ledgerline"}}


def found(report: Report, table: str, name: re.Pattern[str], named: str = "") -> list[str]:
    """Return the findings about a row; `named` is what findings of another table call it."""
    return [
        one.text
        for one in report.findings
        if (one.table == table and name.match(one.row))
        or (one.table in ALSO.get(table, ()) and (named in one.row or name.match(one.row)))
    ]


def is_newest(pk: int) -> bool:
    """Return whether a ledger line is the newest of its session."""
    line = LedgerLine.objects.get(pk=pk)
    return not LedgerLine.objects.filter(session=line.session_id, pk__gt=pk).exists()


def test_untouched_books_give_no_finding(books):
    assert texts(run.run(books)) == []


def test_the_docs_name_every_table_of_the_books_and_only_columns_that_exist():
    wanted = {
        *("entry", "journal", "hole", "boot", "gate", "usagesession", "correction", "review", "ledgerline"),
        *("usageday", "usagemonth", "change", "quarantine"),
        *("charge", "chargeterms", "planchange", "payerreference", "refusal"),
    }
    assert TABLES.keys() == wanted
    for table, column in COLUMNS:
        assert column in {field.attname for field in apps.get_model("collector", table)._meta.concrete_fields}, table


#: The comparison is the same on both databases: on PostgreSQL one column of each table shows that it is read right.
TRIED = [(table, columns[-1]) for table, columns in TABLES.items()] if postgresql.SERVER else COLUMNS


@pytest.mark.parametrize(("table", "column"), TRIED, ids=lambda part: part)
def test_a_changed_value_is_named(books, table, column):
    """Up to three rows, one at a time; of each table the first change is looked for by the whole verification."""
    rows = apps.get_model("collector", table).objects
    tried = refused = 0
    for pk in ids(table):
        before = rows.filter(pk=pk).values_list(column, flat=True).get()
        if (after := other(before)) is None or (table == "ledgerline" and not is_newest(pk)):
            continue
        if column in {"category", "payer"} and table == "usagesession" and not LedgerLine.objects.filter(session=pk):
            continue
        name = name_of(table, pk)
        try:
            put(table, column, pk, after)
        except (sqlite3.IntegrityError, IntegrityError):
            refused += 1  # the database itself refuses it
            continue
        report = verified(books, table, is_whole=not tried and column == TABLES[table][0])
        assert found(report, table, name, str(pk)), (pk, before, after, texts(report))
        put(table, column, pk, before)
        tried += 1
        if tried == 3:
            break
    assert tried or refused, "no row has such a value"


@pytest.mark.parametrize("table", sorted(TABLES.keys() - {"gate"}))
def test_a_deleted_row_is_named(books, table):
    model = apps.get_model("collector", table)
    left = 5
    for pk in ids(table):
        if table == "journal" and not Entry.objects.filter(journal=pk).exists():
            continue
        if table == "ledgerline" and not is_newest(pk):
            continue
        name = name_of(table, pk)
        columns = [field.column for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {', '.join(columns)} FROM {model._meta.db_table} WHERE {model._meta.pk.column} = %s", [pk]
            )
            (row,) = cursor.fetchall()
        tamper(f"DELETE FROM {model._meta.db_table} WHERE {model._meta.pk.column} = ?", [pk])
        report = verified(books, table, is_whole=left == 5)
        if table == "change":
            number = row[columns.index("number")]
            assert [one for one in report.findings if one.table == "change" and one.row == f"number {number}"], texts(
                report
            )
        elif table in {"quarantine", "journal"}:  # its number is missing; its entries have no journal
            assert report.total, texts(report)
        else:
            session = row[columns.index("session_id")] if "session_id" in columns else pk
            named = [one for one in report.findings if one.table == table and str(session) in one.row]
            assert found(report, table, name, str(pk)) or named, (pk, texts(report))
        tamper(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            [raw(value) for value in row],
        )
        left -= 1
        if not left:
            break
    assert left < 5


#: By table: the columns that must be new in a copied row, because the database refuses two that are equal.
NEW = {
    "entry": {"seq": 1000, "uid": "new"},
    "hole": {},
    "boot": {"boot": "boot-new"},
    "usagesession": {"id": "s-new"},
    "correction": {},
    "ledgerline": {},
    "refusal": {},
    "usageday": {"used_by": "m-new"},
    "usagemonth": {"used_by": "m-new"},
    "charge": {"id": "0e7e0b5c-0000-5000-8000-000000000000"},
    "planchange": {"since": NOON.date()},
    "payerreference": {"sink": "new"},
    "change": {},
}


@pytest.mark.parametrize("table", NEW)
def test_a_repeated_row_is_named(books, table):
    model = apps.get_model("collector", table)
    for count, pk in enumerate(ids(table)[:5]):
        columns = [field.column for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {', '.join(columns)} FROM {model._meta.db_table} WHERE {model._meta.pk.column} = %s", [pk]
            )
            row = dict(zip(columns, cursor.fetchall()[0], strict=True))
        if table not in {"usagesession", "charge"}:
            row["id"] = 100_000
        row |= NEW[table]
        tamper(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            [raw(value) for value in row.values()],
        )
        report = verified(books, table, is_whole=not count)
        name = name_of(table, row["id"])
        assert found(report, table, name, str(row["id"])), (pk, texts(report))
        tamper(f"DELETE FROM {model._meta.db_table} WHERE id = ?", [row["id"]])


def test_entries_of_other_programs_are_no_refusals(books):
    """Their types without the prefix or the version are stored under the same short type as a refusal's."""
    gate = Journal(gate="mill-1", boot="boot-9")
    messages = []
    for kind in ("access.refused", "fabgate.access.refused", "access.refused.v1"):
        gate.write("access.refused", badge="d9", reasons=["x"])
        body = gate.bodies[-1].replace(wire.full_type("access.refused").encode(), kind.encode())
        assert body != gate.bodies[-1]
        gate.bodies[-1] = body
        messages.append(Received(gate.topics.event(kind), body, gate.name, str(gate.head)))
    Store("lyon").store(messages, NOON + timedelta(hours=1))
    assert Entry.objects.filter(journal__name=gate.name, type="access.refused").count() == 3
    assert texts(run.run(books)) == []
    gone = Refusal.objects.order_by("pk").first()
    tamper("DELETE FROM collector_refusal WHERE id = ?", [gone.pk])
    assert [(one.row, one.problem) for one in run.run(books).findings] == [
        (f"{gone.journal.name}/{gone.seq}", "missing")
    ]
    # nor is a row about one of them a refusal
    other_one = Entry.objects.filter(journal__name=gate.name).first()
    tamper(
        "UPDATE collector_refusal SET journal_id = ?, seq = ? WHERE id = (SELECT max(id) FROM collector_refusal)",
        [other_one.journal_id, other_one.seq],
    )
    assert "added" in {one.problem for one in run.run(books).findings if one.table == "refusal"}


def test_another_machine_of_a_session_shows_in_the_sums(books):
    other_machine = Machine.objects.get(name="saw-1").pk
    put("usagesession", "machine_id", "s-1", other_machine)
    report = run.run(books)
    assert {one.table for one in report.findings} == {"usageday", "usagemonth", "charge"}
    assert any(f"/{other_machine}/" in one.row and one.problem == "missing" for one in report.findings)


def test_a_price_that_was_changed_is_named_with_what_the_log_has(books):
    """Charges of the open month would follow it, and agree."""
    rule = TariffRule.objects.order_by("pk").first()
    added = Change.objects.get(kind="tariffrule", key=str(rule.pk))
    put("tariffrule", "tariff", rule.pk, {**rule.tariff, "price": "12"})
    refresh.refresh_all()
    (finding,) = run.run(books).findings
    assert finding.text == (
        f"tariffrule {rule.pk}: tariff.price: found '12', wanted '0.1', in the audit log since {added.at.isoformat()}"
    )


def test_a_contest_that_was_dated_before_an_admission_is_named(books):
    """Gates leave out what was in review when the payer was admitted."""
    review = Review.objects.get(session="s-0", settled_at=None)
    put("review", "opened_at", review.pk, review.opened_at - timedelta(days=1))
    assert [(one.table, one.column) for one in run.run(books).findings] == [("review", "opened_at")]


@pytest.mark.parametrize(
    ("table", "column", "value"), [("tariffrule", "tariff", ["x"]), ("billingterms", "zone", "Europe/Lyon")]
)
def test_what_nothing_can_be_rated_by_is_named(books, table, column, value):
    put(table, column, 1, value)
    assert (table, column) in [(one.table, one.column) for one in run.run(books).findings]


def test_deleted_newest_rows_of_the_log_are_named(books):
    newest = list(Change.objects.order_by("-id").values_list("pk", "number")[:3])
    for pk, _number in newest:
        tamper("DELETE FROM collector_change WHERE id = ?", [pk])
    last = newest[0][1]
    (finding,) = [one for one in run.run(books).findings if one.table == "change"]
    assert (finding.row, finding.problem) == (f"numbers {last - 2} to {last}", "missing")


def test_rows_that_were_deleted_with_the_file_of_the_head_are_a_finding_until_a_person_confirms(books):
    for pk in Change.objects.order_by("-id").values_list("pk", flat=True)[:3]:
        tamper("DELETE FROM collector_change WHERE id = ?", [pk])
    (books / ".audit-head").unlink()
    for _minute in range(2):
        audit_head.keep_up(books)  # as the worker does
        (finding,) = [one for one in run.run(books).findings if one.table in {"change", "audithead"}]
        assert finding.text.startswith("audithead .audit-head: is missing: somebody may have deleted it")
    audit_head.confirm(books, actor="cli:root")
    assert not [one for one in run.run(books).findings if one.table in {"change", "audithead"}]
    assert Change.objects.order_by("-id").first().verb == audit_head.CONFIRMED


def test_a_log_that_was_sealed_again_is_found_by_a_noted_head(books):
    noted = CHANGES.head()
    first = Change.objects.order_by("id").first()
    put("change", "actor", first.pk, "nobody")
    CHANGES.seal_all()  # as somebody with secret.key can
    (books / ".audit-head").unlink()
    audit_head.confirm(books, actor="cli:root")
    assert not [one for one in run.run(books).findings if one.table == "change"]
    (finding,) = [one for one in run.run(books, noted=noted).findings if one.table == "change"]
    assert finding.row == f"number {noted.number}"


def test_with_another_key_the_log_cannot_be_checked(books, monkeypatch):
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    with pytest.raises(run.CannotVerifyError, match=r"put back the secret\.key"):
        run.run(books)


def test_a_line_of_the_ledger_that_another_replaced_is_named_from_the_next_night_on(books):
    checkpoints.write(run.run(books))
    line = LedgerLine.objects.filter(session="s-1").order_by("id").first()
    last = LedgerLine.objects.order_by("-id").first().pk
    for column, value in (("counted_ms", 999), ("at", NOON + timedelta(days=1)), ("payer", "m-2")):
        before = LedgerLine.objects.filter(pk=line.pk).values_list(column, flat=True).get()
        put("ledgerline", column, line.pk, value)
        assert f"1-{last}" in [one.row for one in run.run(books).findings if one.table == "ledgerline"]
        put("ledgerline", column, line.pk, before)
    report = run.run(books)
    assert texts(report) == []
    checkpoints.write(report)  # nothing is new
    assert Change.objects.filter(verb=checkpoints.VERB).count() == 1


def test_a_journal_that_was_written_again_is_named_after_the_next_night(books):
    checkpoints.write(run.run(books))
    journal = Row.objects.get(gate__name="saw-1", superseded_by=None)
    digest = b"x" * 32
    put("journal", "ack_hash", journal.pk, digest)
    entry = Entry.objects.get(journal=journal, seq=journal.ack_seq)
    put("entry", "hash", entry.pk, digest)
    rows = [one.text for one in run.run(books).findings if one.row == f"{journal.name}/{entry.seq}"]
    assert len(rows) >= 2


def test_a_session_that_was_deleted_with_all_its_traces_leaves_a_gap_that_was_not_there(books):
    """Its entries are declared lost, and its line and sums are gone too."""
    checkpoints.write(run.run(books))
    new = Row.objects.get(gate__name="mill-1")
    entries = list(Entry.objects.filter(journal=new).order_by("seq"))
    gone = [one for one in entries if b'"v-0"' in bytes(one.body)]
    first, last = gone[0].seq, gone[-1].seq
    for one in gone:
        tamper("DELETE FROM collector_entry WHERE id = ?", [one.pk])
    columns = "journal_id, first, last, state, found_at"
    tamper(f"INSERT INTO collector_hole ({columns}) VALUES (?, ?, ?, 'lost', ?)", [new.pk, first, last, raw(NOON)])
    named = [one.row for one in run.run(books).findings if one.table == "hole"]
    assert named == [f"{new.name}/{first}-{last}"]


def test_what_changes_while_it_runs_is_no_finding(books):
    """A gate goes on, a person decides, and the log grows, each time that more rows are compared."""
    store, journal, seen = Store("lyon"), Journal(gate="saw-1", boot="boot-9"), []
    journal.write("gate.started", version="1")

    def go_on(_done: int, _all: int) -> None:
        def work() -> None:
            try:
                n = len(seen)
                journal.start(f"u-{n}", "m-1")
                journal.end(f"u-{n}", 1000, "m-1")
                store.store(journal.messages(max(1, journal.head - 2)), NOON + timedelta(minutes=9 + n))
                corrections.correct(f"u-{n}", "time", "5", author="maya", reason="meanwhile")
                seen.append(n)
            finally:
                connection.close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(HANGS_S)

    assert texts(run.run(books, progress=go_on)) == []
    assert len(seen) > 3
    assert texts(run.run(books)) == []


@pytest.mark.parametrize("decide", [corrections.accept, None])
def test_the_reason_of_a_settled_contest_is_compared(books, decide):
    review = Review.objects.get(session="s-0", settled_at=None)
    if decide is None:
        corrections.correct("s-0", "time", "5", author="maya", reason="measured")
    else:
        decide(review, author="maya", note="seen")
    assert texts(run.run(books)) == []
    put("review", "why", review.pk, "overlap")
    assert [(one.table, one.row, one.column) for one in run.run(books).findings] == [("review", "s-0", "why")]
    put("review", "why", review.pk, "contested")
    settled = Review.objects.exclude(pk=review.pk).exclude(settled_at=None).first()
    put("review", "why", settled.pk, "contested")
    assert ("review", settled.session_id, "why") in [
        (one.table, one.row, one.column) for one in run.run(books).findings
    ]
