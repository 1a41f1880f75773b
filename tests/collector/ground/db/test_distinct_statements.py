"""Are the tests that run again on PostgreSQL enough to send every statement?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support import statements

PAGE = "tests/collector/faces/pages/test_{}.py::test_it"
files = st.sampled_from(["my", "me", "use", "floor", "live", "log"])
sends = st.tuples(st.sampled_from([0.1, 1, 9]), st.sets(st.integers(0, 9)))
records = st.dictionaries(files.map(PAGE.format), sends, max_size=6)


@given(records, sends)
def test_what_is_left_out_sends_nothing_of_its_own(pages, others):
    record = {**pages, "tests/collector/ground/db/test_rows.py::test_it": others}
    left_out = set(statements.covered([record]))
    run = set().union(*(found for test, (_, found) in record.items() if test not in left_out))
    assert run == set().union(*(found for _, found in record.values()))
    assert left_out <= pages.keys() - {PAGE.format("live")}


def test_of_two_tests_that_send_the_same_one_is_left_out():
    assert len(statements.covered([{PAGE.format("my"): (1, [1, 2])}, {PAGE.format("me"): (1, [2, 1])}])) == 1
    others = {"tests/collector/ground/db/test_rows.py::test_it": (1, [1, 2, 3])}
    assert statements.covered([{PAGE.format("my"): (1, [1, 2]), **others}])


def test_of_two_tests_that_send_the_same_the_shorter_one_runs():
    record = {PAGE.format("my"): (9, [1, 2]), PAGE.format("me"): (1, [2, 1])}
    assert statements.covered([record]) == [PAGE.format("my")]


def test_statements_are_told_apart_by_their_text_and_not_by_their_values():
    shape = statements._shape
    assert shape("SELECT 1 WHERE a IN (%s, %s) LIMIT 20") == shape("SELECT 1 WHERE a IN (%s) LIMIT 21")
    assert shape("INSERT INTO a VALUES (%s, %s), (%s, %s)") == shape("INSERT INTO a VALUES (%s, %s)")
    assert shape('SAVEPOINT "s1_x2"') == shape('SAVEPOINT "s3_x4"')
    assert shape("SELECT a FROM b") != shape("SELECT b FROM a")
