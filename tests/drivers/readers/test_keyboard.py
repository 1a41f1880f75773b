"""Does a reader that types give a badge only for a whole text in its format?"""

from __future__ import annotations

import os
import random

import msgspec
import pytest

from fabgate.badge import Kind, parse
from fabgate.drivers.emulated.readers.keyboard import Keyboard
from fabgate.drivers.readers import PENDING, Card, Misread, MisreadReason
from fabgate.drivers.readers import keyboard as module
from fabgate.drivers.readers.keyboard import (
    DIGIT_KEYS,
    ENTER_KEYS,
    EV_KEY,
    EV_SYN,
    LETTER_KEYS,
    PAUSE_S,
    PRESSED,
    RELEASED,
    SHIFT_KEYS,
    SYN_DROPPED,
    KeyboardReader,
    Typing,
)
from fabgate.errors import HardwareError
from fabgate.testing.readers import ManualClock, ReaderContract

TORN = Misread(MisreadReason.TORN)
NUMBER = Card.of(parse("number10:0011649747"))
ENTER, SHIFT = min(ENTER_KEYS), min(SHIFT_KEYS)
#: How many random texts the parser gets; the soak tries a hundred thousand.
FRAMES = 100_000 if os.environ.get("FABGATE_SOAK") else 500


class TestKeyboard(ReaderContract):
    """One badge at a time."""

    cards = tuple(Card(raw, Kind.EM4100) for raw in (bytes.fromhex("0A00B1C2D3"), bytes(range(5)), bytes(5)))

    @pytest.fixture(autouse=True)
    def bench(self, tmp_path):
        self.path, self.clock = tmp_path / "event", ManualClock()
        self.lies, self.made = None, []
        with Keyboard(self.path, clock=self.clock) as self.keyboard:
            yield
            for reader in self.made:
                reader.close()

    def make(self):
        options = KeyboardReader.Options(event_path=str(self.path), format="em-hex", gone_after_ms=0)
        self.made.append(KeyboardReader(options, clock=self.clock))
        return self.made[-1]

    def place(self, uid, *, torn=None):
        if self.lies and torn is None:
            raise NotImplementedError
        digits = uid.hex()
        self.keyboard.type(digits if torn is None else digits[: 2 * torn])
        self.lies = uid if torn is None else None

    def remove(self, uid=None):
        self.lies = None

    def unplug(self):
        self.keyboard.unplug()

    def plug(self):
        self.keyboard.plug()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def typed(tmp_path, clock):
    with Keyboard(tmp_path / "event", clock=clock) as found:
        yield found


@pytest.fixture
def reader(typed, tmp_path, clock):
    found = KeyboardReader(KeyboardReader.Options(event_path=str(tmp_path / "event"), format="number10"), clock=clock)
    found.open()
    yield found
    found.close()


def test_a_number_keeps_its_zeros_and_is_given_once(typed, reader):
    typed.type("0011649747")
    assert [reader.poll() for _ in range(3)] == [NUMBER, None, None]
    assert reader.gone_after_ms == 1_000


def test_a_text_that_comes_in_several_polls_is_one_and_the_newest_counts(typed, reader, clock):
    for digit in "0011649747":
        typed.type(digit, enter=False)
        clock.sleep(0.04)
        assert reader.poll() is PENDING
    typed.type("")
    typed.type("0000000001")
    assert reader.poll() == Card.of(parse("number10:0000000001"))


def test_keys_that_break_off_after_a_badge_do_not_hide_it(typed, reader, clock):
    typed.type("0011649747")
    typed.press(2)
    clock.sleep(PAUSE_S + 0.01)
    typed.press(2)
    assert [reader.poll(), reader.poll()] == [NUMBER, PENDING]


def test_a_text_that_breaks_off_is_torn_and_never_completed_by_the_next_one(typed, reader, clock):
    typed.type("00116", enter=False)
    assert reader.poll() is PENDING
    clock.sleep(PAUSE_S + 0.01)
    assert reader.poll() == TORN
    typed.type("49747")
    assert reader.poll() == TORN
    # The same while the gate is busy: the times are the kernel's.
    typed.type("00116", enter=False)
    clock.sleep(PAUSE_S + 0.01)
    typed.type("49747")
    assert reader.poll() == TORN


def test_what_was_typed_before_the_gate_opened_it_is_forgotten(typed, reader):
    typed.type("0011649747")
    reader.open()
    assert reader.poll() is None


@pytest.mark.parametrize(
    "keys",
    [
        [(EV_KEY, SHIFT, PRESSED), "0011649747", (EV_KEY, SHIFT, RELEASED)],  # ")!!^$(&$&" on a US keyboard
        ["00116", (EV_KEY, 57, PRESSED), "49747"],  # a space
        ["00116", (EV_SYN, SYN_DROPPED, 0), "49747"],
        [(EV_SYN, SYN_DROPPED, 0), "0011649747"],  # the end of something longer
        ["001164974"],
        ["00116497470"],
        ["001164974A"],
        ["0" * 100],
    ],
)
def test_other_keys_lost_keys_and_other_lengths_are_no_badge(typed, reader, keys):
    for key in keys:
        if isinstance(key, str):
            typed.type(key, enter=False)
        else:
            typed.event(*key)
    typed.press(ENTER)
    assert reader.poll() == TORN
    typed.type("0011649747")
    assert reader.poll() == NUMBER, "the next one is whole"


def test_letters_with_and_without_shift_the_keypad_and_keys_that_repeat_themselves_are_read(tmp_path, clock):
    typing = Typing("em-hex")
    keypad = [code for code in DIGIT_KEYS if code > 70 and DIGIT_KEYS[code] == "0"]
    letters = {letter: code for code, letter in LETTER_KEYS.items()}
    events = [(code, PRESSED) for code in (*keypad, letters["A"], *keypad, letters["B"])]
    events += [(SHIFT, PRESSED), (letters["C"], PRESSED), (letters["C"], 2), (SHIFT, RELEASED)]
    events += [(code, PRESSED) for code in (2, 3, 4, 5, 6)]
    assert [typing.event(1.0, EV_KEY, *event) for event in events] == [None] * len(events)
    assert typing.event(1.0, EV_KEY, max(ENTER_KEYS), PRESSED) == Card.of(parse("em-hex:0A0BC12345"))


def test_an_unstable_path_is_refused_and_what_is_no_keyboard_is_told(tmp_path):
    with pytest.raises(msgspec.ValidationError, match="whose number changes, wanted a path such as /dev/input/by-id/"):
        msgspec.convert({"format": "number10", "event_path": "/dev/input/event3"}, KeyboardReader.Options)
    with pytest.raises(msgspec.ValidationError, match="event_path"):
        msgspec.convert({"format": "number10", "event_path": "event3"}, KeyboardReader.Options)
    (tmp_path / "file").touch()
    for path, told in (
        (tmp_path / "nothing", "cannot be opened: .*Is it plugged in"),
        (tmp_path / "file", "^/.* is no keyboard; wanted a path that ends in -event-kbd$"),
    ):
        with pytest.raises(HardwareError, match=told):
            KeyboardReader(KeyboardReader.Options(event_path=str(path), format="number10")).open()


def test_a_real_device_is_grabbed_and_names_itself(typed, tmp_path, monkeypatch):
    asked = []

    def ioctl(_fd: int, number: int, argument: object) -> object:
        asked.append((number, argument if number == 0x40044590 else "name"))
        return b"HXGCoLtd 27db\0\0"

    monkeypatch.setattr(module.fcntl, "ioctl", ioctl)
    monkeypatch.setattr(module.stat, "S_ISFIFO", lambda _mode: False)
    reader = KeyboardReader(KeyboardReader.Options(event_path=str(tmp_path / "event"), format="number10"))
    reader.open()
    assert asked == [(0x40044590, 1), (0x81004506, "name")]
    assert reader.identity == f"the keyboard reader “HXGCoLtd 27db” at {tmp_path / 'event'}"
    reader.close()


@pytest.mark.chance
def test_random_keys_raise_nothing_and_only_a_whole_text_is_a_badge():
    chance = random.Random(1)
    typing, at, text, accepted = Typing("number8-hex"), 0.0, "", 0
    signs = DIGIT_KEYS | LETTER_KEYS
    for _ in range(FRAMES):
        for _ in range(chance.choice((7, 8, 8, 8, 9))):
            pause, code = chance.choice((0.01, 0.01, 0.01, 0.01, 0.2, 0.01, 0.01, 0.3)), chance.choice(list(signs))
            code = chance.randrange(1 << 16) if chance.random() < 0.01 else code
            at += pause
            text = ("" if pause > PAUSE_S else text) + (signs.get(code, "?") if code not in ENTER_KEYS else "")
            assert not isinstance(typing.event(at, EV_KEY, code, PRESSED), Card) or code in ENTER_KEYS
        found = typing.event(at, EV_KEY, ENTER, PRESSED)
        if isinstance(found, Card):
            accepted += 1
            assert found == Card.of(parse(f"number8-hex:{text}"))
        text = ""
    assert accepted
