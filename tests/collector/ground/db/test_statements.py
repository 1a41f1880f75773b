"""The driver's own cursor does what Django's does: the same statements, the same errors, on Django's transaction."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError, transaction

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Machine

pytestmark = pytest.mark.usefixtures("database")
ADD = "INSERT INTO collector_pulse (topic, gate, at) VALUES (%s, %s, %s)"


def topics() -> list[str]:
    with statements.cursor() as cursor:
        cursor.execute("SELECT topic FROM collector_pulse ORDER BY id")
        return [topic for (topic,) in cursor.fetchall()]


def test_what_it_writes_is_undone_with_the_transaction():
    with transaction.atomic():
        with statements.cursor() as cursor:
            cursor.executemany(ADD, [("a", "", "2026-11-26 05:00:00+00:00"), ("b", "", "2026-11-26 05:00:00+00:00")])
        assert topics() == ["a", "b"]
        transaction.set_rollback(True)
    assert topics() == []


def test_errors_are_djangos():
    Machine.objects.create(name="saw")
    with pytest.raises(IntegrityError), transaction.atomic(), statements.cursor() as cursor:
        cursor.execute("UPDATE collector_machine SET name = NULL WHERE name = %s", ["saw"])
    with pytest.raises((OperationalError, ProgrammingError)), transaction.atomic(), statements.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


@pytest.mark.parametrize(
    ("count", "places"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (statements.CHUNK, statements.CHUNK)]
)
def test_lists_come_in_few_lengths_and_none_is_longer_than_a_statement_takes(count, places):
    text, values = statements.listed(range(count))
    assert (text.count("%s"), len(values)) == (places, places)
    assert set(values) == set(range(count))


def test_parts_are_all_of_it_and_three_values_each_still_fit_the_oldest_sqlite():
    found = list(statements.chunks(range(600)))
    assert [one for part in found for one in part] == list(range(600))
    assert 3 * len(statements.listed(found[0])[1]) <= 999


@pytest.mark.parametrize("count", [3, statements.MOST_LISTED + 1])
def test_rows_are_found_by_a_short_list_and_by_one_that_no_statement_takes(count):
    Machine.objects.bulk_create(Machine(name=f"saw-{number}", title=f"Saw {number}") for number in range(count + 2))
    wanted = [f"saw-{number}" for number in range(count)]
    found = list(statements.rows_among(Machine.objects.all(), "name", [*wanted, "lathe"], "title"))
    assert sorted(found) == sorted((name, f"Saw {name.removeprefix('saw-')}") for name in wanted)
