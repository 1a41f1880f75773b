"""When a card counts as a tap on a reader that only sends: silence alone says that a card has gone, and it is counted once."""

from __future__ import annotations

import random

import pytest

from fabgate.rules.presence import EMPTY_MS, MOST_TORN, Presence
from fabgate.rules.vocabulary import Event, Lying, Misread, Presented, Removed

POLL_MS = 50
START_UP_MS = 3_000
GONE_MS = 1_000


class Line:
    """What comes from one reader, polled every 50 ms. Each method returns the events that its polls led to."""

    def __init__(self, gone_after_ms: int = GONE_MS) -> None:
        self.presence = Presence(continuous=False, gone_after_ms=gone_after_ms, start_up_ms=START_UP_MS)
        self.ms = 0

    def silence(self, ms: int) -> list[Event]:
        events = []
        for _ in range(ms // POLL_MS):
            self.ms += POLL_MS
            events += self.presence.nothing(self.ms)
        return events

    def frame(self, badge: str = "a") -> list[Event]:
        return self.presence.saw(badge, self.ms)

    def torn(self, *, whole: bool = False) -> list[Event]:
        return self.presence.misread("torn", self.ms, whole=whole)


def settled(gone_after_ms: int = GONE_MS) -> Line:
    line = Line(gone_after_ms)
    assert line.silence(START_UP_MS + 5_000) == []
    return line


@pytest.mark.parametrize("gone_after_ms", [0, 300, 600, 1_000, 3_000])
def test_a_second_tap_counts_after_a_silence_that_is_counted_once(gone_after_ms: int):
    bound_ms = max(EMPTY_MS, gone_after_ms)
    line = settled(gone_after_ms)
    assert line.frame() == [Presented("a")]
    assert line.silence(bound_ms - POLL_MS) == []
    assert line.frame() == [], "it may be a repetition"
    assert line.silence(bound_ms + POLL_MS) == [Removed("a")]
    assert line.frame() == [Presented("a")]


def test_the_first_silence_begins_after_the_start_up():
    line = Line()
    line.silence(START_UP_MS + GONE_MS)
    assert line.frame() == [Lying("a", before_empty=True)]
    assert line.silence(GONE_MS + 2 * POLL_MS) == [Removed("a")]
    assert line.frame() == [Presented("a")]


@pytest.mark.parametrize("begins_anew", ["restarted", "lost"])
def test_what_was_proven_before_the_reader_began_anew_proves_nothing(begins_anew: str):
    line = settled()
    getattr(line.presence, begins_anew)()
    line.silence(START_UP_MS)
    assert line.frame() == [Lying("a", before_empty=True)]


def test_a_card_that_repeats_itself_lies_there_for_ever_after_a_start():
    line = Line()
    events = line.frame()
    for _ in range(20):
        events += line.silence(GONE_MS) + line.frame()
    assert events == [Lying("a", before_empty=True)]


def test_torn_frames_are_repetitions_three_times_in_a_row_and_then_noise():
    line = settled()
    line.frame()
    for _ in range(MOST_TORN):
        line.silence(GONE_MS)
        assert line.torn() == []
    assert line.silence(GONE_MS) + line.frame() == []
    assert not line.presence.is_noisy
    for _ in range(MOST_TORN + 1):
        line.silence(200)
        line.torn()
    assert line.presence.is_noisy
    line.silence(GONE_MS)
    assert line.presence.is_noisy
    line.silence(POLL_MS)
    assert not line.presence.is_noisy


def test_noise_keeps_no_card_on_the_reader_for_ever():
    line = settled()
    line.frame()
    for _ in range(20):
        line.silence(200)
        line.torn()
    assert line.presence.is_noisy
    assert line.frame() == [Presented("a")]
    assert line.presence.is_noisy, "the gate takes it for no start"


def test_noise_is_no_fault_while_it_prolongs_nothing():
    line = settled()
    for _ in range(20):
        line.torn()
        line.silence(200)
    assert not line.presence.is_noisy
    assert line.frame() == [Presented("a")]


def test_a_phone_is_no_noise():
    line = Line()
    for _ in range(20):
        line.torn(whole=True)
        line.silence(200)
    assert not line.presence.is_noisy


def test_a_badge_of_another_format_is_reported_once_while_it_lies_there():
    line = settled()
    assert line.torn() == []
    assert line.silence(300) == [Misread("torn")]
    assert line.torn() + line.silence(300) + line.torn() + line.silence(2_000) == []
    assert line.torn() + line.silence(300) == [Misread("torn")]


def test_a_torn_frame_before_a_whole_one_is_not_reported():
    line = settled()
    assert line.torn() + line.silence(100) + line.frame() == [Presented("a")]
    assert line.silence(200) + line.torn() + line.silence(2_000) == [Removed("a")]


def test_the_longest_pause_is_one_that_came_twice_in_a_row():
    line = settled(3_000)
    for pause_ms in (100, 100, 100, 2_500, 150, 150, 900, 900):
        line.frame()
        line.silence(pause_ms)
    assert line.presence.longest_pause_ms == 150, "the last one may still be a tap"
    line.frame()
    assert line.presence.longest_pause_ms == 900


@pytest.mark.parametrize("seed", range(200))
def test_a_card_that_was_left_never_counts_once_its_noise_is_over(seed: int):
    """Its repetitions come late, torn, with noise, or one of them not at all; a tap counts only while the reader has a fault."""
    dice = random.Random(seed)
    pause_ms = dice.choice([300, 400, 500, 1_000])
    presence = Presence(
        continuous=False, gone_after_ms=2 * pause_ms + dice.choice([1, 20, 100]), start_up_ms=START_UP_MS
    )
    torn, noise, lost = dice.choice([0.1, 0.5]), dice.choice([0.1, 0.3, 0.5]), dice.choice([0.1, 0.3])
    frames: list[tuple[int, bool]] = []
    was_lost = True
    for at_ms in range(pause_ms, 40_000, pause_ms):
        was_lost = not was_lost and dice.random() < lost
        frames += [] if was_lost else [(at_ms, dice.random() < torn)]
        if dice.random() < noise:
            frames += [(at_ms - dice.choice([50, 100, 150, 200]) + n, True) for n in range(dice.choice([1, 3, 4]))]
    frames.sort()
    now_ms = 0
    while now_ms < 40_000:
        now_ms += POLL_MS if dice.random() < 0.9 else dice.choice([100, 150, 200, 300])
        found = [is_torn for at_ms, is_torn in frames if at_ms <= now_ms]
        del frames[: len(found)]
        if not found:
            events = presence.nothing(now_ms)
        elif found[-1]:
            events = presence.misread("torn", now_ms)
        else:
            events = presence.saw("left", now_ms)
        assert presence.is_noisy or Presented("left") not in events, now_ms


@pytest.mark.parametrize(("noise_ms", "taps_ms"), [(400, 1_500), (900, 2_500)])
def test_taps_in_noise_count_before_long(noise_ms: int, taps_ms: int):
    line = settled()
    counted = []
    for ms in range(POLL_MS, 12_000, POLL_MS):
        line.ms += POLL_MS
        if ms % taps_ms == 0:
            events = line.frame()
        elif ms % noise_ms == 0:
            events = line.torn()
        else:
            events = line.presence.nothing(line.ms)
        counted += [ms for event in events if event == Presented("a")]
    assert len(counted) > 1, "the first tap counts at once; the others end what it began"
