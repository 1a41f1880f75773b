"""A collector restored from yesterday's copy, beside gates that went on: it ends where one ends that never was."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate import wire
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.models import Change, Collector, Entry, Hole, Quarantine, UsageSession
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.processes import restored_database
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON, Journal
from tests.collector.recording.intake.moves import MOVES, Gate

#: A lost card cannot be asked again; a journal that forks copies what it has.
CONTINUING = [move for move in MOVES if move != "replace"]


def deliver(store: Store, gate: Journal) -> None:
    """Do what a gate's uplink does: say status, and send again from the mark, until the ack is at the head."""
    mark = None
    while mark != gate.head:
        said = store.store([gate.status(mark=mark or 0)], NOON) or store.greetings()
        acks = [wire.decode(p.body, wire.Ack) for p in said if p.topic == gate.topics.topic("ack")]
        (seq,) = [ack.seq for ack in acks if ack.journal == gate.name]
        assert mark is None or seq > mark, "the ack does not move"
        mark = seq
        store.store(gate.messages(mark + 1), NOON)


def tables(*, forked: bool) -> dict[str, object]:
    """Return all that is stored, without the numbers of rows; of what a fork copied, the facts only."""
    names = dict(Row.objects.values_list("id", "name"))
    sessions = [
        {**row, "opened_in_id": names[row["opened_in_id"]]} for row in UsageSession.objects.order_by("id").values()
    ]
    facts = Entry.objects.filter(is_copy=False)
    found: dict[str, object] = {"sessions": sessions, "uids": set(facts.values_list("uid", flat=True))}
    if not forked:
        found["entries"] = set(facts.values_list("journal__name", "seq", "uid", "occurred_at"))
        found["acks"] = {row.name: row.ack for row in Row.objects.all()}
        found["holes"] = set(Hole.objects.values_list("journal__name", "first", "last", "state"))
    return found


@pytest.mark.sqlite
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    yesterday=st.lists(st.tuples(st.sampled_from(CONTINUING), st.integers(0, 100_000)), max_size=15),
    today=st.lists(st.tuples(st.sampled_from(CONTINUING), st.integers(0, 100_000)), max_size=15),
    tomorrow=st.lists(st.tuples(st.sampled_from(CONTINUING), st.integers(0, 100_000)), max_size=9),
)
def test_a_restored_collector_ends_in_the_same_tables_as_one_that_never_was(
    yesterday, today, tomorrow, template: Path, database: Path
):
    def empty(source: Path) -> None:
        connection.close()
        for leftover in database.parent.glob(f"{database.name}-*"):
            leftover.unlink()
        shutil.copyfile(source, database)

    gate = Gate()
    copy = database.with_suffix(".yesterday")
    empty(template)
    store = Store("lyon")
    journals = []
    for number, moves in enumerate((yesterday, today, tomorrow)):
        for what, ms in moves:
            gate.move(what, ms)
            if what == "fork":
                deliver(store, gate.journal)
        deliver(store, gate.journal)
        if number == 0:
            connection.close()
            shutil.copyfile(database, copy)
            journals = [journal.name for journal in gate.journals]
    never = tables(forked=len(gate.journals) > len(journals))
    empty(copy)
    restored = Store("lyon")
    assert restored.collector == store.collector
    deliver(restored, gate.journal)
    assert tables(forked=len(gate.journals) > len(journals)) == never
    assert not Quarantine.objects.exists()


@pytest.mark.sqlite
def test_a_database_that_is_put_back_while_it_is_counted_on_is_noticed(database: Path):
    def put_back(execute, sql, *rest):
        found = execute(sql, *rest)
        if "collector_collector" in sql and not looked:
            looked.append(sql)
            with contextlib.closing(sqlite3.connect(database)) as tool, tool:
                tool.execute("UPDATE collector_collector SET place = '3'")
        return found

    Collector.objects.create(id=1, collector="c", site="lyon", place="7")
    (database.parent / data_folder.COUNTED).write_text("7\n")
    looked: list[str] = []
    with connection.execute_wrapper(put_back):
        restored_database.count(database.parent)
    assert looked
    assert Collector.objects.get().place == (database.parent / data_folder.COUNTED).read_text().strip() == "8"
    assert list(Change.objects.values_list("verb", flat=True)) == ["collector.restored"]
