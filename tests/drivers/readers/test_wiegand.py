"""Does a reader on Wiegand wires give a badge only for a whole frame with the right parity?"""

from __future__ import annotations

import os
import random
import sys
from types import SimpleNamespace

import pytest

from fabgate.badge import parse
from fabgate.badge.wiegand_frames import from_wiegand_frame, wiegand_frame
from fabgate.drivers.emulated.readers.wiegand_lines import WiegandLines
from fabgate.drivers.readers import PENDING, Card, Misread, MisreadReason
from fabgate.drivers.readers.wiegand import CLOSEST_NS, KEPT, LONGEST, Pulses, WiegandReader
from fabgate.errors import HardwareError, UsageError
from fabgate.testing.readers import ManualClock, ReaderContract

TORN = Misread(MisreadReason.TORN)
CARD = Card.of(parse("w26:118,1603"))
OTHER = Card.of(parse("w26:118,1604"))
#: How many random frames the parser gets; the soak tries a hundred thousand.
FRAMES = 100_000 if os.environ.get("FABGATE_SOAK") else 1_000


class Bench:
    """Two wires, and readers on them."""

    def __init__(self, format_name="w26", gone_after_ms=1_000):
        self.clock = ManualClock()
        self.lines = WiegandLines(clock=self.clock, sleep=self.clock.sleep)
        self.options = WiegandReader.Options(format=format_name, d0_pin=5, d1_pin=6, gone_after_ms=gone_after_ms)

    def reader(self):
        return WiegandReader(self.options, request=self.lines.request, clock_ns=self.lines.clock_ns)

    def opened(self):
        found = self.reader()
        found.open()
        return found

    def send(self, card):
        self.lines.send(*wiegand_frame(card.badge))


class TestWiegand(ReaderContract):
    """One badge at a time."""

    cards = (CARD, OTHER, Card.of(parse("w26:255,65535")))

    @pytest.fixture(autouse=True)
    def bench(self):
        self.on, self.lies = Bench(gone_after_ms=0), None

    def make(self):
        return self.on.reader()

    def place(self, uid, *, torn=None):
        if self.lies and torn is None:
            raise NotImplementedError
        bits, frame = wiegand_frame(Card(uid, CARD.kind).badge)
        self.on.lines.send(*((bits, frame) if torn is None else (bits - torn, frame >> torn)))
        self.lies = uid if torn is None else None

    def remove(self, uid=None):
        self.lies = None

    def unplug(self):
        self.on.lines.is_there = False

    def plug(self):
        self.on.lines.is_there = True


@pytest.mark.parametrize(
    ("bits", "frame", "badge"),
    [
        # The example of Proxmark's documents: facility 118, number 1603, which it sends as 2006EC0C86.
        (26, 0x2006EC0C86 & 0x3FFFFFF, "w26:118,1603"),
        # By hand, after the tables of HID: one bit under the even parity, the odd one, and in 37 bits under both.
        (34, 1 << 33 | 1 << 32 | 1, "w34-hex:80000000"),
        (34, 1 << 1, "w34-hex:00000001"),
        (37, 1 << 36 | 1 << 18, "w37-hex:000020000"),
        (37, 1 << 36 | 1 << 35 | 1, "w37-hex:400000000"),
        (37, 1 << 1, "w37-hex:000000001"),
    ],
)
def test_the_parity_of_each_length_is_that_of_hid(bits, frame, badge):
    assert from_wiegand_frame(bits, frame) == parse(badge)
    assert wiegand_frame(parse(badge)) == (bits, frame)
    for wrong in (frame ^ 1, frame ^ 1 << bits - 1, frame ^ 1 << 1, 0, (1 << bits) - 1):
        with pytest.raises(UsageError, match="wrong parity"):
            from_wiegand_frame(bits, wrong)
    with pytest.raises(UsageError, match="wanted 26 or 34 or 37"):
        from_wiegand_frame(bits + 1, frame)
    bench = Bench(f"w{bits}")
    reader = bench.opened()
    bench.lines.send(bits, frame)
    assert reader.poll() == Card.of(parse(badge))


def test_a_frame_that_comes_in_several_polls_is_one_and_only_the_silence_after_it_ends_it():
    bench = Bench()
    reader = bench.opened()
    bits, frame = wiegand_frame(CARD.badge)
    for at in reversed(range(bits)):
        bench.lines.pulse(frame >> at & 1, 0.02)  # as slow as may be
        assert reader.poll() is PENDING
    bench.clock.sleep(0.02)
    assert reader.poll() is PENDING
    bench.clock.sleep(0.006)
    assert [reader.poll() for _ in range(3)] == [CARD, None, None]
    assert reader.gone_after_ms == 1_000


def test_after_a_pause_of_the_gate_the_newest_frame_counts_and_frames_are_parted_by_the_times_of_the_kernel():
    bench = Bench()
    reader = bench.opened()
    bench.send(OTHER)
    bench.send(CARD)
    bench.clock.sleep(5)
    assert reader.poll() == CARD


@pytest.mark.parametrize("bits", [1, 4, 25, 27, 34, LONGEST, 300])
def test_another_count_of_pulses_is_no_badge_and_the_next_frame_is_whole(bits):
    bench = Bench()
    reader = bench.opened()
    bench.lines.send(bits, wiegand_frame(CARD.badge)[1])
    assert reader.poll() == TORN
    bench.send(CARD)
    assert reader.poll() == CARD


def test_a_pulse_that_comes_too_early_is_noise_even_if_the_count_is_right():
    for early in (CLOSEST_NS - 1, 0, -5):
        pulses, at = Pulses(26, 25_000_000), 1_000_000_000
        for nth, bit in enumerate(f"{wiegand_frame(CARD.badge)[1]:026b}"):
            at += early if nth == 9 else 1_000_000
            assert pulses.pulse(at, int(bit)) is None
        assert pulses.quiet(at + 25_000_001) == TORN


def test_noise_that_does_not_end_is_told_while_it_lasts():
    bench = Bench()
    reader = bench.opened()
    for _ in range(3):
        for _ in range(LONGEST):
            bench.lines.pulse(1, 0.001)
        last = reader.poll()
    assert last == TORN


def test_a_frame_of_which_the_kernel_lost_pulses_is_none_even_if_the_rest_looks_whole():
    bench = Bench()
    reader = bench.opened()
    bench.lines.pulse(0)
    bench.send(CARD)
    bench.lines.lose()
    assert reader.poll() == TORN
    for _ in range(KEPT // 26):
        bench.send(OTHER)
    bench.lines.pulse(0)  # all that the kernel keeps, and more: the frame at the beginning is cut
    bench.lines.send(26, wiegand_frame(CARD.badge)[1] ^ 1)
    bench.send(CARD)
    assert reader.poll() == CARD


def test_pulses_that_are_lost_between_two_frames_make_both_no_badge():
    pulses, at = Pulses(26, 25_000_000), 0
    bits = f"{wiegand_frame(CARD.badge)[1]:026b}"
    found = []
    for frame in range(2):
        at += 30_000_000
        for nth, bit in enumerate(bits):
            at += 1_000_000
            found.append(pulses.pulse(at, int(bit), is_next=not frame or nth > 0))
    assert [one for one in found if one] == [TORN]
    assert pulses.quiet(at + 30_000_000) == TORN


def test_what_was_sent_before_the_gate_opened_it_is_forgotten():
    bench = Bench()
    reader = bench.opened()
    bench.send(CARD)
    reader.open()
    assert reader.poll() is None


class Gpiod(SimpleNamespace):
    """What gpiod 2 has, as far as the driver uses it; each name of an enumeration is its own value."""

    def __init__(self, labels):
        names = {kind: SimpleNamespace(**{name: name for name in names}) for kind, names in ENUMS.items()}
        super().__init__(line=SimpleNamespace(**names), LineSettings=dict, asked=[])
        self.labels = labels

    def request_lines(self, path, **options):
        self.asked.append((path, options))
        return SimpleNamespace(release=lambda: None)


ENUMS = {"Direction": ["INPUT"], "Bias": ["PULL_UP"], "Edge": ["FALLING"], "Clock": ["MONOTONIC"]}


def test_it_asks_the_kernel_for_falling_edges_with_the_clock_of_the_gate(monkeypatch):
    gpiod = Gpiod({})
    monkeypatch.setitem(sys.modules, "gpiod", gpiod)
    options = WiegandReader.Options(format="w26", d0_pin=5, d1_pin=6, gpiochip="/dev/gpiochip7")
    WiegandReader(options).open()
    ((path, asked),) = gpiod.asked
    settings = {"direction": "INPUT", "bias": "PULL_UP", "edge_detection": "FALLING", "event_clock": "MONOTONIC"}
    assert path == "/dev/gpiochip7"
    assert asked == {"consumer": "fabgate reader", "config": {(5, 6): settings}, "event_buffer_size": KEPT}


@pytest.mark.parametrize(
    ("gpiod", "told"),
    [
        (None, r"the package gpiod is missing: pip install 'fabgate\[wiegand\]'"),
        (SimpleNamespace(__version__="1.6.3"), r"found gpiod 1.6.3, wanted 2.1 or later"),
        (Gpiod({}), "no chip of a 40-pin header was found"),
    ],
)
def test_without_gpiod_2_or_a_header_it_says_what_to_do(monkeypatch, gpiod, told):
    monkeypatch.setitem(sys.modules, "gpiod", gpiod)
    with pytest.raises(HardwareError, match=told):
        WiegandReader(WiegandReader.Options(format="w26", d0_pin=5, d1_pin=6)).open()


@pytest.mark.chance
def test_random_frames_raise_nothing_and_a_quarter_of_those_of_the_right_length_pass_the_parity():
    chance = random.Random(26)
    at, whole, accepted = 0, 0, 0
    pulses = Pulses(26, 25_000_000)
    for _ in range(FRAMES):
        bits = chance.choice((26, 26, 26, 25, 27, chance.randrange(1, LONGEST)))
        frame, early = chance.getrandbits(bits), chance.randrange(bits) if chance.random() < 0.1 else 0
        at += 25_000_001
        for nth in range(bits):
            at += CLOSEST_NS - 1 if early and nth == early else 200_000
            assert pulses.pulse(at, frame >> bits - 1 - nth & 1) is None
        found = pulses.quiet(at + 25_000_001)
        whole += bits == 26 and not early
        if isinstance(found, Card):
            accepted += 1
            assert bits == 26
            assert not early
            assert wiegand_frame(found.badge) == (26, frame)
        else:
            assert found == TORN
    assert 0.2 < accepted / whole < 0.3
