"""Each column of each row that people change is compared with the audit log; what is not is named with its reason."""

from __future__ import annotations

import random
import re
import sqlite3
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Account, Change, Group, Machine, Member, PrepaidEntry, Training
from fabgate.collector.processes.verify import run
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged, unchecked
from tests.collector.processes.verify.histories import texts
from tests.collector.processes.verify.people import NOON, added
from tests.collector.processes.verify.tampering import other, put, raw, tamper

ROOT = Path(__file__).parents[4]
TABLES = dict(logged.tables())
MODELS = {model.__name__.lower(): model for model in apps.get_app_config("collector").get_models()}


def check() -> Report:
    report = Report()
    logged.check(report)
    return report


def rows_of(table: str) -> Any:
    rows = TABLES[table]._base_manager.order_by("pk")
    return rows.exclude(kind=PrepaidEntry.USED) if table == "prepaidentry" else rows


def called(table: str, pk: Any) -> set[str]:
    """Return what a finding may call a row: a name only if the log calls it by its name."""
    row = TABLES[table]._base_manager.get(pk=pk)
    return {str(pk), row.name} if audit.has_own_name(TABLES[table]) else {str(pk)}


def named(report: Report, table: str) -> set[tuple[str, str]]:
    return {(one.row, one.column.partition(".")[0]) for one in report.findings if one.table == table}


# --- no table and no column is forgotten ------------------------------------------------------------------------------


def test_each_table_is_compared_or_named_with_its_reason():
    assert MODELS.keys() == TABLES.keys() | unchecked.ELSEWHERE.keys() | unchecked.TABLES.keys()
    assert not unchecked.ELSEWHERE.keys() & unchecked.TABLES.keys()
    assert TABLES.keys() >= unchecked.MADE_WITHOUT_LOG


def test_each_column_is_compared_or_named_with_its_reason():
    """A column that the log leaves out has to be in the list, and the list has no other one."""
    for table, model in TABLES.items():
        fields = {field.name for field in (*model._meta.concrete_fields, *model._meta.many_to_many)}
        listed = {name.partition(".")[2] for name in unchecked.COLUMNS if name.startswith(f"{table}.")}
        assert fields - listed == set(logged.columns(model)), table
        assert listed <= fields, table
    assert {name.partition(".")[0] for name in unchecked.COLUMNS} <= TABLES.keys()


def test_what_the_log_writes_of_a_table_that_another_part_compares_is_no_table_of_the_list():
    """A table of which nothing is compared has no change of a person."""
    for table in unchecked.TABLES:
        assert not re.search(
            rf"audit\.changes?\([^)]*\b{table}\b",
            "".join(path.read_text() for path in (ROOT / "fabgate").rglob("*.py")),
        )


def test_the_docs_name_what_is_not_compared():
    text = (ROOT / "docs/verify.md").read_text(encoding="utf-8")
    part = text.partition("Of these tables nothing is compared:")[2].partition("An entry is sealed by")[0]
    tables, _, columns = part.partition("not these columns:")
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", tables, re.MULTILINE)) == unchecked.TABLES
    found = {
        name: why
        for names, why in re.findall(r"^\| (`.*`) \| (.*) \|$", columns, re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", names)
    }
    assert found == unchecked.COLUMNS


# --- what a person changes in the database is named -------------------------------------------------------------------


def test_untouched_rows_give_no_finding(books):
    report = check()
    assert texts(report) == []
    assert {table for table in TABLES if not report.compared[table]} == set()


@pytest.mark.parametrize("table", TABLES)
def test_each_changed_column_is_named_with_its_row(books, table):
    model = TABLES[table]
    for field in model._meta.concrete_fields:
        if field.name not in logged.columns(model):
            continue
        tried = refused = 0
        for pk in list(rows_of(table).values_list("pk", flat=True))[:6]:
            before = model._base_manager.filter(pk=pk).values_list(field.attname, flat=True).get()
            names = called(table, pk)
            after = filled(field) if before is None else other(before)
            try:
                put(table, field.column, pk, after)
            except (sqlite3.IntegrityError, IntegrityError):
                refused += 1
                continue
            report = check()
            if field.primary_key:
                assert {row for row, _column in named(report, table)} & (names | {str(after)}), texts(report)
            else:
                assert {(row, field.name) for row in names} & named(report, table), (pk, before, after, texts(report))
            put(table, field.column, str(after) if field.primary_key else pk, before)
            tried += 1
            if tried == 2:
                break
        assert tried or refused, field.name
    assert texts(check()) == []


def filled(field: models.Field[Any, Any]) -> Any:
    """Return a value for a column that has none."""
    if isinstance(field, models.DateTimeField):
        return NOON
    if isinstance(field, models.DateField):
        return date(2026, 1, 1)
    if isinstance(field, models.TimeField):
        return time(9)
    return 77 if isinstance(field, (models.IntegerField, models.BigAutoField)) else "x" if not field.remote_field else 1


@pytest.mark.parametrize("table", [table for table, model in TABLES.items() if model._meta.many_to_many])
def test_each_added_and_removed_link_is_named(books, table):
    for many in TABLES[table]._meta.many_to_many:
        through = many.remote_field.through
        own, theirs = (through._meta.get_field(name) for name in (many.m2m_field_name(), many.m2m_reverse_field_name()))
        link = through._base_manager.values(own.attname, theirs.attname, "pk").first()
        assert link is not None, many.name
        names = called(table, link[own.attname])
        tamper(f"DELETE FROM {through._meta.db_table} WHERE id = ?", [link["pk"]])
        assert {(row, many.name) for row in names} & named(check(), table)
        columns = f"id, {own.column}, {theirs.column}"
        tamper(
            f"INSERT INTO {through._meta.db_table} ({columns}) VALUES (?, ?, ?)",
            [link["pk"], link[own.attname], link[theirs.attname]],
        )
        assert texts(check()) == []
        linked = set(
            through._base_manager.filter(**{own.attname: link[own.attname]}).values_list(theirs.attname, flat=True)
        )
        free = many.related_model._base_manager.exclude(pk__in=linked).values_list("pk", flat=True).first()
        assert free is not None
        tamper(f"INSERT INTO {through._meta.db_table} ({columns}) VALUES (?, ?, ?)", [9000, link[own.attname], free])
        assert {(row, many.name) for row in names} & named(check(), table)
        tamper(f"DELETE FROM {through._meta.db_table} WHERE id = 9000")


#: The columns that must be new in a copied row, because the database refuses two that are equal.
NEW = {
    "account": {"name": "mallory"},
    "apikey": {"token_hash": "new"},
    "badge": {"digest": "new", "spelling": "", "number": ""},
    "block": {"reason": "banned"},
    "gate": {"name": "new"},
    "group": {"name": "new"},
    "machine": {"name": "new"},
    "member": {"id": "m-new"},
    "onetimelink": {"token_hash": "new"},
    "payer": {"id": "payer:9", "member_id": None, "group_id": None},
    "plan": {"name": "new"},
    "prepaidchange": {"payer": "m-1"},
    "prepaidentry": {"form_key": "f-new", "takes_back_id": None},
    "sink": {"name": "new"},
    "tariffrule": {"valid_from": date(2026, 1, 1)},
    "training": {"name": "new"},
    "vatrate": {"code": "new"},
    "waiver": {"session": "s-0"},
}


@pytest.mark.parametrize("table", sorted(TABLES.keys() - unchecked.MADE_WITHOUT_LOG - {"billingterms", "workshop"}))
def test_an_added_row_is_named(books, table):
    model = TABLES[table]
    columns = [f'"{field.column}"' for field in model._meta.concrete_fields]
    pk = rows_of(table).values_list("pk", flat=True).first()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM {model._meta.db_table} WHERE {model._meta.pk.column} = %s", [pk]
        )
        row = dict(zip([name.strip('"') for name in columns], cursor.fetchall()[0], strict=True))
    row |= {"id": 100_000, **NEW.get(table, {})}
    places = ", ".join("?" * len(row))
    tamper(
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES ({places})",
        [raw(value) for value in row.values()],
    )
    (finding,) = [one for one in check().findings if one.table == table]
    assert finding.problem == "added"
    assert finding.row in {str(row["id"]), str(row.get("name"))}


@pytest.mark.parametrize("table", sorted(TABLES.keys() - unchecked.MADE_WITHOUT_LOG))
def test_a_removed_row_is_named(books, table):
    model = TABLES[table]
    pk = rows_of(table).values_list("pk", flat=True).last()
    names = called(table, pk)
    tamper(f"DELETE FROM {model._meta.db_table} WHERE {model._meta.pk.column} = ?", [pk])
    (finding,) = [one for one in check().findings if one.table == table]
    assert finding.problem == "missing"
    assert finding.row in names


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_verification_names_a_random_change(books: Path, seed):
    chance = random.Random(seed)
    for table in chance.sample(sorted(TABLES.keys() - unchecked.MADE_WITHOUT_LOG), 4):
        model = TABLES[table]
        plain = [f for f in model._meta.concrete_fields if f.name in logged.columns(model) and not f.remote_field]
        field = chance.choice([field for field in plain if not field.primary_key])
        pk = chance.choice(list(rows_of(table).values_list("pk", flat=True)))
        before = model._base_manager.filter(pk=pk).values_list(field.attname, flat=True).get()
        names = called(table, pk)
        try:
            put(table, field.column, pk, filled(field) if before is None else other(before))
        except (sqlite3.IntegrityError, IntegrityError):
            continue
        assert {(row, field.name) for row in names} & named(run.run(books), table)
        put(table, field.column, pk, before)


def test_a_machines_rule_is_named_by_itself(books):
    saw = Machine.objects.get(name="saw-1")
    put("machine", "rules", saw.pk, {**saw.rules, "run_on_s": 0, "idle_off_s": 7200})
    said = [(one.row, one.column, one.found, one.wanted) for one in check().findings]
    assert said == [("saw-1", "rules.idle_off_s", "7200", "300"), ("saw-1", "rules.run_on_s", "0", "60")]


@pytest.mark.parametrize(
    ("before", "after", "column"),
    [
        ({"handover": False}, {"handover": 0}, "rules.handover"),
        ({"handover": True}, {"handover": 1}, "rules.handover"),
        ({"limit_s": 10}, {"limit_s": 10.0}, "rules.limit_s"),
        ({"limit_s": 10}, {"limit_s": 10, "run_on_s": None}, "rules.run_on_s"),
        ({"limit_s": 10, "run_on_s": None}, {"limit_s": 10}, "rules.run_on_s"),
        ({"peak": [1]}, {"peak": [True]}, "rules.peak"),
        ({"peak": {"on": False}}, {"peak": {"on": 0}}, "rules.peak.on"),
    ],
)
def test_json_values_that_python_calls_equal_are_named(books, before, after, column):
    """A gate's roster needs true or false: with 0 no roster of the machine can be made."""
    saw = Machine.objects.get(name="saw-1")
    with audit.change("maya", "machine.updated", saw):
        saw.rules = before
        saw.save()
    assert texts(check()) == []
    put("machine", "rules", saw.pk, after)
    assert [(one.row, one.column) for one in check().findings] == [("saw-1", column)]


def test_the_log_has_a_change_between_values_that_python_calls_equal(books):
    saw = Machine.objects.get(name="saw-1")
    for rules in ({"handover": False}, {"handover": 0}, {"handover": 0.0}):
        with audit.change("maya", "machine.updated", saw):
            saw.rules = rules
            saw.save()
        assert texts(check()) == []


def test_no_finding_shows_a_secret(books):
    account = Account.objects.get(name="maya")
    put("account", "password", account.pk, "argon2$mine")
    (finding,) = check().findings
    assert (finding.table, finding.row, finding.column) == ("account", "maya", "password")
    assert account.password not in finding.text
    assert "argon2" not in finding.text
    assert account.password not in str(list(Change.objects.values("before", "after")))


# --- and nothing that is right ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_names_that_go_from_one_to_another_give_no_finding():
    first = added(Group(name="A", kind="class"))
    for name in ("B", "C"):
        with audit.change("maya", "group.updated", Group.objects.get(pk=first.pk)) as _change:
            Group.objects.filter(pk=first.pk).update(name=name)  # the log calls it by the name before
    second = added(Group(name="A", kind="class"))
    with audit.change("maya", "group.updated", second):
        second.name = "D"
        second.save()
    third = added(Training(name="A"))
    with audit.change("maya", "training.removed", third):
        Training.objects.filter(pk=third.pk).delete()
    added(Training(name="A"))
    assert texts(check()) == []
    tamper("UPDATE collector_group SET name = 'B' WHERE name = 'C'")
    assert named(check(), "group") == {("C", "name")}


@pytest.mark.usefixtures("database")
def test_a_field_that_a_later_version_added_gives_no_finding_until_it_has_a_value():
    added(Member(id="m-1", name="Ada"))
    row = Change.objects.get()
    put("change", "after", row.pk, {name: value for name, value in row.after.items() if name != "note"})
    assert texts(check()) == []
    put("member", "note", "m-1", "x")
    assert named(check(), "member") == {("m-1", "note")}


@pytest.mark.usefixtures("database")
def test_memory_does_not_grow_with_the_members(monkeypatch):
    """Rows of the log and of the table are read some at a time."""
    sizes: list[int] = []
    own = audit.stored
    monkeypatch.setattr(audit, "stored", lambda model, pks, **more: sizes.append(len(pks)) or own(model, pks, **more))
    members = [Member(id=f"m-{n:04}", name="x") for n in range(1200)]
    with audit.changes("maya", "member.imported", members):
        Member.objects.bulk_create(members)
    sizes.clear()
    assert texts(check()) == []
    assert max(sizes) == 500
