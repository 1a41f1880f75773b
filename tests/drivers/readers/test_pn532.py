"""Does a PN532 on a serial line give a badge only for a card that was read whole, and notice what happens to the chip?"""

from __future__ import annotations

import os
import random
import time

import pytest

from fabgate.drivers.emulated.cards import Card as EmulatedCard
from fabgate.drivers.emulated.cards import Spoil
from fabgate.drivers.emulated.readers.pn532 import Pn532Chip, Pn532Line
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.drivers.readers.pn532 import Pn532Reader
from fabgate.drivers.readers.pn532.chip import ChipLink
from fabgate.drivers.readers.pn532.frames import ACK, ERROR, LONGEST, NACK, TO_CHIP, TO_HOST, Frame, Kind, build, take
from fabgate.drivers.readers.radio import Poller, UpsetError
from fabgate.errors import HardwareError
from fabgate.testing.readers import ReaderContract
from tests.drivers.opening import open_again

UID = bytes.fromhex("04A1B2C3D4E5F6")
TORN = Misread(MisreadReason.TORN)
#: How many random frames the parser gets; the soak tries a hundred thousand.
FRAMES = 100_000 if os.environ.get("FABGATE_SOAK") else 2_000


def opened(reader: Pn532Reader) -> Pn532Reader:
    open_again(reader, late="does not answer")
    return reader


class TestPn532(ReaderContract):
    """Through a pseudo-terminal."""

    @pytest.fixture(autouse=True)
    def bench(self, tmp_path):
        self.port = tmp_path / "tty"
        with Pn532Line(self.port) as self.line:
            self.made = []
            yield
            for reader in self.made:
                reader.close()

    def make(self):
        self.made.append(Pn532Reader(Pn532Reader.Options(port=str(self.port))))
        return self.made[-1]

    def _opened(self):
        return opened(self.make())

    def place(self, uid, *, torn=None):
        self.line.chip.place(uid, torn=torn)

    def remove(self, uid=None):
        self.line.chip.remove(uid)

    def unplug(self):
        self.line.unplug()

    def plug(self):
        self.line.plug()

    def test_it_says_what_it_is(self):
        assert self._opened().identity == f"the PN532 at {self.port}: firmware 1.6"

    def test_pulled_wires_are_noticed_and_a_reset_that_follows_is_got_over(self):
        reader = self._opened()
        self.line.chip.dead = True
        with pytest.raises(HardwareError, match=r"does not answer\. Check its supply, its DIP switches"):
            reader.poll()
        self.line.chip.dead = False
        self.line.chip.brown_out()
        self.place(UID)

        opened(reader)
        assert reader.poll() == Card(UID)


class DirectLine:
    """The chip without a terminal between: what it answers is there at once. `spoil` changes its answers."""

    def __init__(self, chip):
        self.chip, self.spoil = chip, lambda sent: sent
        self.waiting, self.now = b"", 0.0

    def write(self, data):
        self.waiting = self.spoil(self.chip.receive(data))

    def read(self, wait_s=0.0):
        found, self.waiting = self.waiting, b""
        self.now += 0 if found else wait_s
        return found

    def close(self):
        pass


class Bench:
    """A chip, and a poller that polls it."""

    def __init__(self, monkeypatch):
        self.chip = Pn532Chip()
        self.line = DirectLine(self.chip)
        monkeypatch.setattr("fabgate.drivers.readers.pn532.chip.time.monotonic", lambda: self.line.now)
        self.link = ChipLink(self.line, "the PN532", sleep=lambda _: None)
        self.poller = Poller("the PN532")
        self.link.configure()

    def poll(self):
        return self.poller.poll(self.link)


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


# --- frames -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "data", "tfi"),
    [  # as in UM0701-02 and in logs of real chips
        ("00 00 FF 02 FE D4 02 2A 00", "02", TO_CHIP),
        ("00 00 FF 05 FB D4 14 01 00 00 17 00", "14 01 00 00", TO_CHIP),
        ("00 00 FF 04 FC D4 4A 01 00 E1 00", "4A 01 00", TO_CHIP),
        ("00 00 FF 06 FA D4 32 05 FF 01 01 F4 00", "32 05 FF 01 01", TO_CHIP),
        ("00 00 FF 06 FA D5 03 32 01 06 07 E8 00", "03 32 01 06 07", TO_HOST),
    ],
)
def test_known_frames(frame, data, tfi):
    raw, content = bytes.fromhex(frame), bytes.fromhex(data)
    assert build(content, tfi) == raw
    assert take(raw, tfi) == (Frame(Kind.DATA, content), b"\x00")
    assert take(raw, TO_CHIP + TO_HOST - tfi)[0] == Frame(Kind.DAMAGED), "of the other direction"


@pytest.mark.parametrize("length", [1, 254, 255, LONGEST - 1])
def test_a_frame_may_come_byte_by_byte_after_others_and_noise(length):
    content = (bytes(range(256)) * 2)[:length]
    stream = b"\x55\x00\x00" + ACK + NACK + ERROR + build(content, TO_HOST)
    found, received = [], b""
    for byte in stream:
        frame, received = take(received + bytes((byte,)))
        found += [] if frame is None else [frame]
    assert found == [Frame(Kind.ACK), Frame(Kind.NACK), Frame(Kind.ERROR), Frame(Kind.DATA, content)]


@pytest.mark.chance
def test_random_bytes_raise_nothing_and_no_frame_with_a_wrong_checksum_counts():
    chance = random.Random(532)
    kinds = set()
    for _ in range(FRAMES):
        if chance.random() < 0.5:  # a frame that was damaged in one place
            frame = bytearray(build(chance.randbytes(chance.choice((1, 8, 300)) % LONGEST), TO_HOST))
            frame[chance.randrange(3, len(frame) - 1)] ^= 1 << chance.randrange(8)
        else:
            frame = bytearray(chance.choice((b"", b"\x00\xff")) + chance.randbytes(chance.randrange(40)))
        rest = bytes(frame)
        while rest:
            before = rest
            found, rest = take(before)
            if found is None:
                assert len(rest) <= LONGEST + 9
                break
            assert len(rest) < len(before)
            kinds.add(found.kind)
            if found.kind is Kind.DATA:
                assert build(found.data, TO_HOST)[2:-1] in before, before
    assert Kind.DAMAGED in kinds


# --- the chip ---------------------------------------------------------------------------------------------------------


def test_an_idle_poll_takes_two_commands_and_a_card_that_stays_nine(bench):
    bench.chip.commands.clear()
    assert bench.poll() is None
    assert len(bench.chip.commands) == 3, "the first one prepares for a short frame"
    bench.chip.commands.clear()
    assert bench.poll() is None
    assert list(bench.chip.commands) == [0x06, 0x42]
    bench.chip.place(UID)
    assert bench.poll() == Card(UID)
    bench.chip.commands.clear()
    assert bench.poll() == Card(UID)
    assert len(bench.chip.commands) <= 10


def test_a_brown_out_is_got_over_in_the_same_poll_and_counted(bench):
    bench.chip.place(UID)
    assert bench.poll() == Card(UID)
    bench.chip.brown_out()
    assert bench.poll() == Card(UID)
    assert bench.poller.recoveries == 1
    bench.chip.brown_out()
    bench.chip.asleep, bench.chip.normal = 0, True  # a reset so short that the chip did not fall asleep
    assert bench.poll() == Card(UID)
    assert bench.poller.recoveries == 2
    bench.chip.sleepy = 3  # the question that was not answered, the wake-up, and the first command after it
    bench.chip.brown_out()
    assert bench.poll() == Card(UID)


def test_a_damaged_answer_is_asked_for_again_and_one_that_stays_damaged_is_a_fault(bench):
    bench.chip.place(UID)
    bench.chip.spoiled_answers = 1
    assert bench.poll() == Card(UID)
    assert bench.poller.recoveries == 0
    bench.line.spoil = lambda sent: sent.replace(b"\xd5", b"\xd1")
    with pytest.raises(HardwareError, match="does not answer"):
        bench.poll()


@pytest.mark.parametrize("answer", range(5))
@pytest.mark.parametrize("damage", [{"bend": 3}, {"bend": 3, "hidden": True}, {"keep": 7}])
def test_a_damaged_answer_of_a_card_is_no_badge(bench, answer, damage):
    bench.chip.field.place(EmulatedCard(UID, spoils=(Spoil(answer, **damage),)))
    found = bench.poll()
    assert found in (TORN, Card(UID))
    assert found == TORN or answer == 0, "the bits of the first answer say nothing that counts"
    assert bench.poll() == Card(UID)


def test_an_answer_that_comes_twice_or_late_answers_nothing_else(bench):
    bench.chip.place(UID)
    late = b""

    def repeat(sent):
        nonlocal late
        before, late = late, sent.removeprefix(ACK)
        return before + sent + late

    bench.line.spoil = repeat
    assert [bench.poll() for _ in range(3)] == [Card(UID)] * 3
    assert bench.poller.recoveries == 0


def test_what_the_chip_calls_damaged_is_no_badge_whatever_it_says(bench):
    bench.chip.place(UID)

    def damaged(sent):
        frame, _ = take(sent.removeprefix(ACK))
        if frame is None or frame.data[:2] != b"\x43\x00" or len(frame.data) < 5:
            return sent
        return ACK + build(b"\x43\x03" + frame.data[2:], TO_HOST)

    bench.line.spoil = damaged
    assert bench.poll() == TORN


@pytest.mark.parametrize(
    "frame", [ACK, NACK, build(b"\x2a\x01", TO_HOST), b"\x55\xaa"], ids=["ACK", "NACK", "other", "noise"]
)
def test_a_line_that_never_falls_silent_ends_a_command(monkeypatch, frame):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Babbling:
        def write(self, data):
            pass

        def read(self, wait_s=0.0):
            now[0] += 0.001
            assert now[0] < 3, "it waits for a silence that never comes"
            return frame

    with pytest.raises(UpsetError, match="no answer to command 02h"):
        ChipLink(Babbling(), "it", sleep=lambda _: None).command(0x02)
    assert now[0] < 0.4


def test_a_near_card_does_not_hide_a_far_one(bench):
    bench.chip.field.place(EmulatedCard(UID, strength=1))
    bench.chip.field.place(EmulatedCard(b"\x04\x01\x02\x03"))
    assert bench.poll() == Misread(MisreadReason.TWO_CARDS)


def test_a_chip_that_is_too_hot_or_another_one_is_told(bench):
    bench.line.spoil = lambda sent: sent.replace(build(b"\x43\x01", TO_HOST), build(b"\x43\x0d", TO_HOST))
    with pytest.raises(HardwareError, match="cannot send: it is too hot"):
        bench.poll()
    bench.line.spoil = lambda sent: sent.replace(bytes.fromhex("32010607E8"), bytes.fromhex("33020707E5"))
    with pytest.raises(HardwareError, match="is no PN532: it answers 33 02 07 07, wanted 32"):
        bench.link.configure()


@pytest.mark.chance
def test_a_disturbed_line_never_makes_another_badge(bench):
    chance = random.Random(532)
    bench.chip.place(UID)

    def disturb(sent):
        if not sent or chance.random() < 0.93:
            return sent
        damaged = bytearray(sent)
        for _ in range(chance.choice((1, 1, 2, 5))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        return bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))])

    bench.line.spoil = disturb
    outcomes = set()
    for _ in range(FRAMES // 20):
        try:
            found = bench.poll()
        except HardwareError:
            found = "fault"
            bench.chip.field.power(on=False)
        outcomes.add(found)
    assert {one for one in outcomes if isinstance(one, Card)} == {Card(UID)}
    assert "fault" in outcomes
