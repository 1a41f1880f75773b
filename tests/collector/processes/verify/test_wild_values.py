"""Rows with values of a wrong type or range: each is named, and hides no other change of the database."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest
from django.apps import apps
from django.db import DataError, IntegrityError, OperationalError, connection, models

from fabgate.collector.ground.models import Account, ClosedMonth
from fabgate.collector.money.billing import closing
from fabgate.collector.processes.verify import audit_head, run, sums
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged, unchecked
from tests.collector import postgresql
from tests.collector.gates import NOON
from tests.collector.money.billing.booked import LATER as MUCH_LATER
from tests.collector.processes.verify.histories import texts
from tests.collector.processes.verify.tampering import put, raw, tamper

FIRST: Final = NOON.date().replace(day=1)
#: SQLite stores any of these in any column; the last one is text that is not UTF-8.
WILD: Final = (
    *("'nonsense'", "7", "-1.5", "''", "'{'", "'null'", "'[[1]]'", "4611686018427387904", "x'ff00'"),
    *("'2026-11-31'", "'2026-11-04'", "'2026-11-04 25:00:00'", "CAST(x'c328' AS TEXT)"),
)
#: PostgreSQL checks types, but not whether Python has a date.
DATES: Final = ("infinity", "-infinity", "0044-03-15 BC", "12026-11-04", "2026-11-04")


@pytest.fixture
def closed(books: Path) -> Path:
    """The books with a closed month."""
    closing.close(FIRST, MUCH_LATER, actor="maya", reason="a test")
    audit_head.keep_up(books)
    return books


def wild(field: models.Field[Any, Any], chance: random.Random) -> str:
    """Return a wild value for a column, as SQL."""
    if connection.vendor == "sqlite":
        return chance.choice(WILD)
    if isinstance(field, models.TimeField):
        return "'23:59:59.999999'"
    if isinstance(field, models.DateField):
        return f"'{chance.choice(DATES)}'"
    if isinstance(field, models.JSONField):
        return chance.choice(["'null'", "'[]'", "'[[1]]'", "'5'", "'\"x\"'", "'{}'"])
    if isinstance(field, models.BooleanField):
        return chance.choice(["true", "false"])
    if isinstance(field, models.BinaryField):
        return r"'\xff00'"
    if isinstance(field, (models.CharField, models.TextField)):
        return chance.choice(["''", "'nonsense'", "U&'\\FFFD'"])
    return chance.choice(["2147483647", "-2147483648", "-1", "0"])


def write(model: type[models.Model], column: str, pk: Any, value: str) -> bool:
    """Store a value given as SQL, and return whether the column has another one now."""
    where = f"WHERE {model._meta.pk.column} = ?", [raw(pk)]
    before = stored(model, column, pk)
    try:
        tamper(f'UPDATE {model._meta.db_table} SET "{column}" = {value} {where[0]}', where[1])
    except (IntegrityError, DataError, OperationalError, *_refusals()):
        return False  # the database itself refuses it
    return column == model._meta.pk.column or stored(model, column, pk) != before


def _refusals() -> tuple[type[Exception], ...]:
    import sqlite3

    return sqlite3.IntegrityError, sqlite3.OperationalError


def stored(model: type[models.Model], column: str, pk: Any) -> Any:
    """Return a value as the database writes it as text."""
    show = "hex(quote" if connection.vendor == "sqlite" else "(to_jsonb"
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT {show}("{column}")) FROM {model._meta.db_table} WHERE {model._meta.pk.column} = %s', [raw(pk)]
        )
        return cursor.fetchall()


def named(report: Report) -> set[str]:
    return {one.table for one in report.findings}


def test_untouched_books_with_a_closed_month_give_no_finding(closed):
    assert texts(run.run(closed)) == []


def test_a_closed_month_with_another_day_is_named(closed):
    """Late sessions are rated with the terms of their month, which then is not found."""
    put("member", "note", "m-0", "x")
    write(ClosedMonth, "month", FIRST, f"'{FIRST.replace(day=4)}'")
    report = run.run(closed)
    rows = {(one.table, one.row) for one in report.findings}
    assert {("closedmonth", f"{FIRST:%Y-%m}"), ("closedmonth", f"{FIRST:%Y-%m}-04"), ("member", "m-0")} <= rows
    assert any("its row is missing" in text for text in texts(report))


@pytest.mark.skipif(bool(postgresql.SERVER), reason="PostgreSQL refuses it")
def test_a_closed_month_without_a_date_is_named(closed):
    put("member", "note", "m-0", "x")
    write(ClosedMonth, "month", FIRST, "'nonsense'")
    found = texts(run.run(closed))
    assert "closedmonth nonsense: month: found 'nonsense', wanted 'a date'" in found
    assert any(text.startswith("member m-0: note:") for text in found)


@pytest.mark.parametrize("field", ClosedMonth._meta.concrete_fields, ids=lambda field: field.name)
def test_a_wild_value_of_a_closed_month_is_named_and_hides_nothing(closed, shelf, field):
    chance = random.Random(field.name)
    put("member", "note", "m-0", "x")
    for _ in range(4):
        before = ClosedMonth.objects.values_list(field.attname, flat=True).get()
        if not write(ClosedMonth, field.column, FIRST, value := wild(field, chance)):
            continue
        report = run.run(closed)
        assert named(report) >= {"closedmonth", "member"}, (value, texts(report))
        if field.primary_key:
            break
        put("closedmonth", field.column, FIRST, before)


#: A change in each of these tables is named by another part of the verification.
SECOND: Final = (
    ("member", "note", "m-0", "x"),
    ("usageday", "counted_ms", None, 77),
    ("group", "note", None, "x"),
    ("payerreference", "reference", None, "x"),
    ("opening", "days", None, [5]),
)
COMPARED: Final = [
    model for model in apps.get_app_config("collector").get_models() if model.__name__.lower() not in unchecked.TABLES
]


@pytest.mark.parametrize("seed", range(2 if postgresql.SERVER else 4))
@pytest.mark.parametrize("model", COMPARED, ids=lambda model: model.__name__.lower())
def test_a_wild_value_anywhere_is_named_and_hides_nothing(closed, model, seed):
    chance = random.Random(f"{model.__name__} {seed}")
    table = model.__name__.lower()
    second, column, pk, value = chance.choice([one for one in SECOND if one[0] != table])
    if pk is None:
        rows = apps.get_model("collector", second)._base_manager.order_by("pk")
        pk = (rows.filter(sessions__gt=0) if second == "usageday" else rows).values_list("pk", flat=True)[0]
    put(second, column, pk, value)
    fields = [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
    pks = list(model._base_manager.order_by("pk").values_list("pk", flat=True))
    assert pks
    for _ in range(9):
        field, row = chance.choice(fields), chance.choice(pks)
        if field.primary_key and connection.vendor == "sqlite" and isinstance(field, models.AutoField):
            continue
        if write(model, field.column, row, what := wild(field, chance)):
            break
    else:
        pytest.skip("the database refuses all")
    report = run.run(closed)
    where = f"{table}.{field.name} of {row}: {what}", texts(report)
    assert second in named(report), where
    is_compared = table == "closedmonth" or (
        table in dict(logged.tables()) and f"{table}.{field.name}" not in unchecked.COLUMNS
    )
    if is_compared and not (table == "prepaidentry" and field.name == "kind"):
        assert len(report.findings) > 1, where


@pytest.mark.skipif(bool(postgresql.SERVER), reason="PostgreSQL checks types")
def test_what_python_reads_as_false_or_null_but_a_query_does_not_is_named(books):
    """SQLite takes 7 for true; Django reads it as false. It reads text without a date as NULL."""
    tamper("UPDATE collector_account SET is_active = 7 WHERE name = 'maya'")
    tamper("UPDATE collector_badge SET ended_at = 'soon' WHERE ended_at IS NULL AND digest = 'd-group'")
    found = [(one.table, one.row, one.column, one.found) for one in run.run(books).findings]
    assert ("account", "maya", "is_active", "7") in found
    assert any(one[0] == "badge" and one[2:] == ("ended_at", "soon") for one in found)


@pytest.mark.skipif(bool(postgresql.SERVER), reason="PostgreSQL checks types")
@pytest.mark.parametrize("value", ["CAST(password AS BLOB)", "CAST(CAST(password AS BLOB) || x'c328' AS TEXT)"])
def test_a_secret_that_cannot_be_read_is_named_and_not_shown(books, value):
    password = Account.objects.get(name="maya").password
    tamper(f"UPDATE collector_account SET password = {value} WHERE name = 'maya'")
    found = [one for one in run.run(books).findings if one.table == "account"]
    assert {one.row for one in found} == {"maya"} or "password" in found[0].text
    for one in found:
        assert password[-20:] not in one.text
        assert password[-20:].encode().hex() not in one.text.lower()


def test_a_part_that_raises_is_a_finding_and_the_others_go_on(books, monkeypatch):
    put("member", "note", "m-0", "x")

    def fail(*_args: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM collector_member")

    monkeypatch.setattr(sums, "check", fail)
    report = run.run(books)
    assert [(one.table, one.row, one.problem) for one in report.findings] == [
        ("usageday", "", "unchecked"),
        ("member", "m-0", "changed"),
    ]
    assert "usageday: could not be compared (" in report.findings[0].text
    assert "no_such_column" in report.findings[0].text


@pytest.mark.parametrize("error", [OSError("no space left"), MemoryError("too much")])
def test_a_disk_or_a_memory_that_fails_is_no_finding(books, monkeypatch, error):
    def fail(*_args: object) -> None:
        raise error

    monkeypatch.setattr(sums, "check", fail)
    with pytest.raises(run.CannotVerifyError, match=str(error)):
        run.run(books)


@pytest.mark.skipif(bool(postgresql.SERVER), reason="PostgreSQL checks the length")
def test_one_session_that_cannot_be_read_hides_no_other_one(books):
    put("usagesession", "counted_ms", "s-2", 77)
    put("correction", "new", _correction("s-1"), "9" * 5000)  # more digits than int() takes
    found = {(one.row, one.problem) for one in run.run(books).findings if one.table == "usagesession"}
    assert ("s-2", "changed") in found


def _correction(session: str) -> int:
    from fabgate.collector.ground.models import Correction

    return int(Correction.objects.filter(session=session, field="time").values_list("pk", flat=True)[0])
