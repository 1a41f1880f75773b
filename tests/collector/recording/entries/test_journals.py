"""Pure: how far a journal reaches, and which journal ended which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.recording.entries.journals import JournalOrigin, reach, successors


def test_nothing_stored_reaches_nothing():
    assert reach([], [], 0) == 0


def test_a_gap_ends_it_and_a_named_hole_does_not():
    assert reach([1, 2, 4], [], 0) == 2
    assert reach([1, 2, 4], [(3, 3)], 0) == 4
    assert reach([6, 7, 9], [(1, 5)], 0) == 7


def test_a_hole_at_the_end_is_no_stored_entry():
    assert reach([1], [(2, 9)], 0) == 1


@given(st.sets(st.integers(1, 30)), st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=4))
def test_it_is_the_highest_stored_number_below_which_nothing_is_missing(stored, holes):
    ranges = [(first, first + more) for first, more in holes]
    passed = {number for first, last in ranges for number in range(first, last + 1)}
    wanted = max(
        (n for n in stored if all(m in stored or m in passed for m in range(1, n))),
        default=0,
    )
    assert reach(sorted(stored), ranges, 0) == wanted


def test_a_named_journal_is_ended_by_the_one_that_names_it_in_whatever_order_they_came():
    names = {"a": "", "b": "a", "c": "b"}
    for order in ("abc", "cba", "bac"):
        gate = [JournalOrigin(pk, name, names[name], name == "a") for pk, name in enumerate(order, 1)]
        by_name = {kin.name: kin.pk for kin in gate}
        assert successors(gate) == {by_name["a"]: by_name["b"], by_name["b"]: by_name["c"], by_name["c"]: None}


def test_a_journal_that_begins_anew_ends_what_was_heard_of_before():
    assert successors(
        [JournalOrigin(1, "a", "", True), JournalOrigin(2, "b", "a", False), JournalOrigin(3, "c", "", True)]
    ) == {1: 2, 2: 3, 3: None}


def test_of_journals_that_name_the_same_one_each_is_ended_by_the_next():
    gate = [
        JournalOrigin(1, "a", "", True),
        JournalOrigin(2, "b", "a", False),
        JournalOrigin(3, "c", "b", False),
        JournalOrigin(4, "d", "a", False),
    ]
    assert successors(gate) == {1: 4, 2: 3, 3: 4, 4: None}
    assert successors([*gate, JournalOrigin(5, "e", "", True)]) == {1: 4, 2: 3, 3: 4, 4: 5, 5: None}


def test_each_beginning_ends_what_was_heard_of_since_the_one_before():
    gate = [
        JournalOrigin(1, "a", "", True),
        JournalOrigin(2, "lost", "", False),
        JournalOrigin(3, "b", "", True),
        JournalOrigin(4, "c", "", True),
    ]
    assert successors(gate) == {1: 3, 2: 3, 3: 4, 4: None}


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=30))
def test_one_more_journal_that_begins_anew_changes_nothing_for_those_that_have_ended(rows):
    gate = [
        JournalOrigin(pk, f"j-{pk}", "" if is_root else f"j-{named}", is_root)
        for pk, (named, is_root) in enumerate(rows, 1)
    ]
    before = successors(gate)
    after = successors([*gate, JournalOrigin(99, "j-99", "", True)])
    assert all(after[pk] == ended for pk, ended in before.items() if ended is not None)
    assert after[99] is None


def test_a_journal_whose_first_entry_is_not_known_ends_none():
    assert successors([JournalOrigin(1, "a", "", True), JournalOrigin(2, "b", "", False)]) == {1: None, 2: None}


def test_journals_that_name_each_other_do_not_hang():
    assert (
        successors(
            [JournalOrigin(1, "a", "b", False), JournalOrigin(2, "b", "a", False), JournalOrigin(3, "c", "c", False)]
        )[3]
        is None
    )
