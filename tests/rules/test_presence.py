"""When a card counts as a tap: one event for each arrival, and none for a card that is only there."""

from __future__ import annotations

import pytest

from fabgate.rules.presence import MAX_CARDS, Presence
from fabgate.rules.vocabulary import Event, Lying, Misread, Presented, Removed

POLL_MS = 50


class Field:
    """The field of one reader, polled every 50 ms. Each method returns the events that its polls led to."""

    def __init__(self) -> None:
        self.presence = Presence()
        self.ms = 0

    def empty(self, ms: int = POLL_MS) -> list[Event]:
        """Find nothing for `ms`."""
        return self._poll(ms, self.presence.nothing)

    def card(self, badge: str, ms: int = POLL_MS) -> list[Event]:
        """Read `badge` for `ms`."""
        return self._poll(ms, lambda at: self.presence.saw(badge, at))

    def torn(self, ms: int = POLL_MS) -> list[Event]:
        """Find something that cannot be read (a torn read, two cards, a phone) for `ms`."""
        return self._poll(ms, lambda at: self.presence.misread("torn", at))

    def _poll(self, ms, poll) -> list[Event]:
        events = []
        for _ in range(ms // POLL_MS):
            self.ms += POLL_MS
            events += poll(self.ms)
        return events


def lying_at_start(badge: str) -> Lying:
    """Return that a card lies on a reader that was not empty yet."""
    return Lying(badge, before_empty=True)


def empty_field() -> Field:
    field = Field()
    assert field.empty(1_000) == []
    return field


# --- arrivals ---


def test_a_card_that_stays_is_one_tap():
    field = empty_field()
    assert field.card("a") == [Presented("a")]
    assert field.card("a", 5_000) == []


def test_a_card_that_is_missed_for_a_moment_was_not_removed():
    field = empty_field()
    field.card("a")
    assert field.empty(550) == []
    assert field.card("a") == []
    assert field.empty(550) == []
    assert field.empty() == [Removed("a")]
    assert field.empty(1_000) == []


def test_a_card_that_left_an_empty_field_behind_taps_again():
    field = empty_field()
    field.card("a")
    assert field.empty(1_000) == [Removed("a")]
    assert field.card("a") == [Presented("a")]


def test_a_card_that_was_not_there_before_arrives_also_in_place_of_another():
    field = empty_field()
    field.card("kid", 1_000)
    assert field.card("sue") == [Removed("kid"), Presented("sue")]


def test_a_card_that_comes_while_the_field_cannot_be_read_arrives_when_it_is_read():
    field = empty_field()
    assert field.torn(100) == []
    assert field.card("a") == [Presented("a")]


# --- a card that is only there ---


def test_a_card_that_lies_there_at_the_start_did_not_arrive():
    field = Field()
    assert field.card("a", 10_000) == [lying_at_start("a")]
    assert field.empty(1_000) == [Removed("a")]
    assert field.card("a") == [Presented("a")]


def test_before_the_first_empty_field_no_card_arrives():
    field = Field()
    assert field.card("a") == [lying_at_start("a")]
    assert field.card("b") == [Removed("a"), lying_at_start("b")]
    assert field.card("a") == [Removed("b"), lying_at_start("a")]


@pytest.mark.parametrize("empty_ms", [50, 100, 550])
def test_a_field_that_is_empty_for_a_moment_at_the_start_is_not_empty(empty_ms: int):
    field = Field()
    field.empty(empty_ms)
    assert field.card("a") == [lying_at_start("a")]


def test_two_empty_polls_with_a_long_pause_between_them_prove_nothing():
    presence = Presence()
    presence.nothing(0)
    presence.nothing(60_000)
    assert presence.saw("a", 60_050) == [lying_at_start("a")]


@pytest.mark.parametrize("held_up_ms", [400, 5_000, 3_600_000])
def test_a_card_that_is_missed_while_polls_are_held_up_does_not_tap_by_itself(held_up_ms: int):
    field = empty_field()
    field.card("a")
    field.empty(200)
    field.ms += held_up_ms  # without any poll meanwhile
    assert field.empty() == [Removed("a")]
    assert field.card("a") == [Lying("a")]


def test_a_slow_reader_sees_an_empty_field_too():
    presence = Presence()
    for poll in range(5):
        presence.nothing(poll * 400)
    assert presence.saw("a", 2_000) == [Presented("a")]


def test_a_field_that_a_reader_saw_empty_before_it_was_set_up_again_proves_nothing():
    field = empty_field()
    field.presence.restarted()
    assert field.card("a") == [lying_at_start("a")]
    field.empty(1_000)
    assert field.card("a") == [Presented("a")]


def test_a_card_stays_where_it_is_while_its_reader_is_set_up_again():
    field = empty_field()
    field.card("a")
    field.presence.restarted()
    assert field.card("a", 1_000) == []
    assert field.empty(1_000) == [Removed("a")]
    assert field.card("a") == [Presented("a")]


@pytest.mark.parametrize("torn_ms", [50, 900, 10_000])
def test_a_card_that_could_not_be_read_at_the_start_did_not_arrive(torn_ms: int):
    field = Field()
    field.torn(torn_ms)
    assert field.card("a") == [lying_at_start("a")]


@pytest.mark.parametrize("torn_ms", [600, 900, 10_000])
def test_a_card_that_could_not_be_read_for_long_is_removed_and_then_lies_there(torn_ms: int):
    field = empty_field()
    field.card("a")
    assert Removed("a") in field.torn(torn_ms)
    assert field.card("a", 1_000) == [Lying("a")]


def test_one_empty_poll_after_a_torn_spell_is_no_empty_field():
    field = empty_field()
    field.card("a")
    field.torn(2_000)
    field.empty()
    assert field.card("a") == [Lying("a")]


def test_torn_reads_between_empty_polls_keep_the_field_from_being_empty():
    field = empty_field()
    field.card("a")
    for _ in range(20):
        field.empty(500)
        field.torn()
    assert field.card("a") == [Lying("a")]


def test_a_card_does_not_arrive_because_another_was_held_over_it():
    field = empty_field()
    field.card("a", 1_000)
    field.torn(500)
    assert field.card("b", 1_000) == [Removed("a"), Presented("b")]
    field.torn(500)
    assert field.card("a", 1_000) == [Removed("b"), Lying("a")]


def test_the_card_that_lay_below_does_not_arrive_either_when_both_go_and_the_field_was_not_empty():
    field = empty_field()
    field.card("a")
    field.card("b")
    field.empty(550)
    assert field.card("a") == [Removed("b"), Lying("a")]


def test_a_reader_that_failed_proves_nothing_any_more():
    field = empty_field()
    field.card("a")
    assert field.presence.lost() == [Removed("a")]
    assert field.presence.lost() == []
    assert field.card("a") == [lying_at_start("a")]
    assert field.card("b") == [Removed("a"), lying_at_start("b")]
    field.empty(1_000)
    assert field.card("b") == [Presented("b")]


def test_more_cards_than_it_remembers_all_lie_there_until_the_field_is_empty():
    field = empty_field()
    for n in range(MAX_CARDS):
        assert field.card(f"card {n}")[-1] == Presented(f"card {n}")
    assert field.card("one more")[-1] == Lying("one more")
    assert field.card("card 0")[-1] == lying_at_start("card 0")
    field.empty(1_000)
    assert field.card("card 0") == [Presented("card 0")]


# --- cards that cannot be read ---


def test_a_card_that_cannot_be_read_is_reported_once_until_the_field_is_empty():
    field = empty_field()
    assert field.torn(250) == []
    assert field.torn() == [Misread("torn")]
    assert field.torn(2_000) == []
    assert field.empty() == []
    assert field.torn(250) == []
    assert field.torn() == [Misread("torn")]


def test_a_card_on_its_way_in_or_out_may_be_torn_for_a_poll_or_two():
    field = empty_field()
    assert field.torn(100) == []
    assert field.card("a") == [Presented("a")]
    assert field.torn(100) == []


def test_bad_reads_of_a_known_card_are_misses_until_it_is_removed():
    field = empty_field()
    field.card("a")
    assert field.torn(550) == []
    assert field.torn() == [Removed("a")]
    assert field.torn() == [Misread("torn")]
