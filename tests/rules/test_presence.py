"""What counts as a tap: many looks in, one event a presentation out."""

from __future__ import annotations

from fabgate.rules import words as w
from fabgate.rules.presence import Presence
from fabgate.rules.words import Misread, Presented, Removed


def opened(**options: int) -> Presence:
    """A reader that has seen its field empty: whatever comes now was laid there."""
    presence = Presence(**options)
    presence.nothing(-1_000)
    presence.nothing(-500)
    return presence


def test_a_card_that_stays_is_one_tap():
    presence = opened()
    assert presence.saw("a", 0) == [Presented("a")]
    assert [presence.saw("a", at) for at in range(50, 5_000, 50)] == [[]] * 99


def test_a_card_that_is_missed_for_a_moment_has_not_gone():
    presence = opened(absent_ms=600)
    presence.saw("a", 0)
    assert presence.nothing(599) == []
    assert presence.saw("a", 650) == []
    assert presence.nothing(1_249) == []
    assert presence.nothing(1_250) == [Removed("a")]
    assert presence.nothing(1_300) == []


def test_another_card_means_that_the_first_has_gone():
    presence = opened()
    presence.saw("a", 0)
    assert presence.saw("b", 50) == [Removed("a"), Presented("b")]


def test_a_card_that_cannot_be_read_is_told_once_until_the_field_is_empty():
    presence = opened(misread_ms=250)
    assert presence.misread("torn", 0) == []
    assert presence.misread("torn", 249) == []
    assert presence.misread("torn", 250) == [Misread("torn")]
    assert presence.misread("torn", 300) == []
    assert presence.nothing(350) == []
    assert presence.misread("torn", 400) == []
    assert presence.misread("torn", 700) == [Misread("torn")]


def test_a_card_on_its_way_in_may_be_torn_for_a_look_or_two():
    presence = opened()
    presence.misread("torn", 0)
    assert presence.saw("a", 100) == [Presented("a")]
    assert presence.misread("torn", 150) == []


def test_a_bad_look_at_a_known_card_is_a_miss_and_many_are_a_removal():
    presence = opened(absent_ms=600)
    presence.saw("a", 0)
    assert presence.misread("torn", 500) == []
    assert presence.misread("torn", 600) == [Removed("a")]


def test_a_lost_reader_proves_nothing_any_more():
    presence = opened()
    presence.saw("a", 0)
    assert presence.lost() == [Removed("a")]
    assert presence.lost() == []
    assert presence.saw("a", 50) == [w.Lying("a")]


def test_a_card_that_lies_there_when_the_reader_begins_to_see_was_tapped_by_nobody() -> None:
    presence = Presence()
    assert presence.saw("a", 0) == [w.Lying("a")]
    assert presence.saw("a", 50) == []
    assert presence.nothing(100) == []
    assert presence.nothing(700) == [w.Removed("a")]
    assert presence.saw("a", 800) == [w.Presented("a")]


def test_a_card_that_lies_there_after_a_fault_of_the_reader_was_tapped_by_nobody() -> None:
    presence = opened()
    assert presence.saw("a", 0) == [w.Presented("a")]
    assert presence.lost() == [w.Removed("a")]
    assert presence.saw("a", 500) == [w.Lying("a")]


def test_one_look_that_misses_a_card_at_the_start_makes_no_tap_of_it() -> None:
    presence = Presence(empty_ms=100)
    assert presence.nothing(0) == []
    assert presence.saw("a", 50) == [w.Lying("a")]


def test_another_card_in_place_of_one_that_lay_there_is_a_tap() -> None:
    presence = Presence()
    presence.saw("a", 0)
    assert presence.saw("b", 50) == [w.Removed("a"), w.Presented("b")]
