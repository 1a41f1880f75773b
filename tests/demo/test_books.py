"""The demo's verdict can fail: every kind of disagreement is found."""

from __future__ import annotations

from fabgate.demo import books
from tests.demo.entries import ONE, ended, powered, started


def test_books_that_agree_say_nothing() -> None:
    book = books.read(ONE)
    assert book.wrong == []
    assert books.against_observer(book, [powered(1010, 2010)]) == []


def test_a_session_longer_or_shorter_than_the_power_is_found() -> None:
    book = books.read(ONE)
    assert "1000 ms + 0, the pins were on for 1050 ms" in books.against_observer(book, [powered(1010, 2060)])[0]
    assert "950 ms" in books.against_observer(book, [powered(1010, 1960)])[0]


def test_an_uncertain_end_may_be_longer_by_its_doubt_and_no_more() -> None:
    book = books.read([started(1, "s1", 1000), ended(2, "s1", 5000, 1000, reason="restart", doubt_ms=500)])
    assert books.against_observer(book, [powered(1010, 2500)]) == []
    assert books.against_observer(book, [powered(1010, 2600)]) != []
    assert books.against_observer(book, [powered(1010, 1900)]) != []
    assert books.against_observer(book, [powered(1010, 32_500)], outlives_ms=30_000) == []  # a plug's own timer
    assert books.against_observer(book, [powered(1010, 32_600)], outlives_ms=30_000) != []
    assert books.against_observer(books.read(ONE), [powered(1010, 3010)], outlives_ms=30_000) != []


def test_power_without_a_recorded_start_is_found() -> None:
    assert "before any session" in books.against_observer(books.read([]), [powered(5, 9)])[0]
    assert "before any session" in books.against_observer(books.read(ONE), [powered(5, 9), powered(1010, 2010)])[0]


def test_power_that_came_twice_for_one_tap_is_found() -> None:
    found = books.against_observer(books.read(ONE), [powered(1010, 1510), powered(1600, 2100)])
    assert found == ["m-1 (badge): power came on 2 times for one tap"]


def test_sessions_joined_by_a_handover_are_compared_by_their_sum() -> None:
    book = books.read(
        [
            started(1, "s1", 1000),
            ended(2, "s1", 2010, 1000, reason="handover"),
            started(3, "s2", 2010, since=2010),
            ended(4, "s2", 3010, 1000),
        ]
    )
    assert books.against_observer(book, [powered(1010, 3010)]) == []
    assert books.against_observer(book, [powered(1010, 3100)]) != []


def test_a_session_that_starts_or_ends_twice_is_found() -> None:
    assert "starts twice" in books.read([*ONE, started(3, "s1", 9)]).wrong[0]
    assert "ends twice" in books.read([*ONE, ended(3, "s1", 9, 1)]).wrong[0]
    assert "never started" in books.read([ended(1, "s9", 9, 1)]).wrong[0]


def test_every_difference_to_the_collector_is_found() -> None:
    book = books.read(ONE)
    row = {"session": "s1", "member": "m-1", "energised_ms": 1000, "uncertainty_ms": 0, "reason": "badge"}
    assert books.against_collector(book, [row]) == []
    assert "is not at the collector" in books.against_collector(book, [])[0]
    assert "the collector" in books.against_collector(book, [{**row, "energised_ms": 999}])[0]
    assert "in no journal" in books.against_collector(book, [row, {**row, "session": "s2"}])[0]
