"""Does a reader on a serial line give a badge only for a whole frame?"""

from __future__ import annotations

import fcntl
import os
import random
import resource
from typing import get_args

import msgspec
import pytest

from fabgate.badge import Kind, parse, printed
from fabgate.drivers.emulated.readers.serial_line import SerialLine, rdm6300
from fabgate.drivers.readers import Card, Misread, MisreadReason, serial_line
from fabgate.drivers.readers.serial import LONGEST, SerialReader, newest
from fabgate.errors import HardwareError
from fabgate.testing.readers import ManualClock, ReaderContract

FOB = bytes.fromhex("0A00B1C2D3")
FRAME = rdm6300(FOB)
TORN = Misread(MisreadReason.TORN)
#: How many random frames each parser gets; all formats of lines have one parser.
FRAMES = 100_000 if os.environ.get("FABGATE_SOAK") else 3_000


class TestSerial(ReaderContract):
    """One badge at a time: 125 kHz badges, as frames and as lines."""

    cards = (Card(FOB, Kind.EM4100), Card(bytes(range(5)), Kind.EM4100), Card(FOB[::-1], Kind.EM4100))

    @pytest.fixture(autouse=True, params=["rdm6300", "em-hex"])
    def bench(self, request, tmp_path):
        self.format, self.port = request.param, tmp_path / "tty"
        self.lies = None
        with SerialLine(self.port) as self.line:
            self.made = []
            yield
            for reader in self.made:
                reader.close()

    def make(self):
        options = SerialReader.Options(port=str(self.port), format=self.format, gone_after_ms=0)
        self.made.append(SerialReader(options))
        return self.made[-1]

    def place(self, uid, *, torn=None):
        if self.lies and torn is None:
            raise NotImplementedError
        frame = rdm6300(uid) if self.format == "rdm6300" else uid.hex().upper().encode() + b"\r\n"
        self.line.send(frame if torn is None else frame[: 2 * torn])
        self.lies = uid if torn is None else None

    def remove(self, uid=None):
        self.lies = None

    def unplug(self):
        self.line.unplug()

    def plug(self):
        self.line.plug()


@pytest.fixture
def line(tmp_path):
    with SerialLine(tmp_path / "tty") as found:
        yield found


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def reader(line, tmp_path, clock):
    found = SerialReader(SerialReader.Options(port=str(tmp_path / "tty"), format="rdm6300"), clock=clock)
    found.open()
    yield found
    found.close()


def test_an_rdm6300_gives_a_125_khz_badge_once_for_each_frame(line, reader):
    for _ in range(3):
        line.send(FRAME)
        assert [reader.poll() for _ in range(3)] == [Card(FOB, Kind.EM4100), None, None]
    assert reader.gone_after_ms == 1_000


def test_after_a_pause_only_the_newest_frame_counts(line, reader):
    line.send(rdm6300(bytes(5)) + FRAME[:-1] + b"\r\n\x03")
    assert reader.poll() == Card(FOB, Kind.EM4100)


@pytest.mark.parametrize("before", [b"", b"x", b"\x02", b"\x03", b"\x02x\x03", FRAME[:6]])
@pytest.mark.parametrize("after", [b"", b"x", b"\x02", b"x\x03", FRAME[:6], bytes(LONGEST + 1)])
def test_noise_around_a_frame_does_not_hide_it(line, reader, before, after):
    line.send(before + FRAME + after)
    assert [reader.poll(), reader.poll()] == [Card(FOB, Kind.EM4100), None]


def test_a_line_before_noise_is_a_badge_and_one_after_noise_is_not():
    card = Card.of(parse("em-hex:0A00B1C2D3"))
    assert newest(b"0A00B1C2D3\r\n\xff\n", "em-hex") == (card, b"")
    assert newest(b"\xff0A00B1C2D3\r\n", "em-hex") == (TORN, b"")  # a line does not say where it begins


def test_a_frame_whose_rest_is_lost_is_never_completed_by_the_next_one(line, reader):
    line.send(FRAME[:6])
    assert reader.poll() == TORN
    line.send(FRAME[6:])
    assert reader.poll() == TORN
    line.send(FRAME)
    assert reader.poll() == Card(FOB, Kind.EM4100)


def test_a_line_is_read_whatever_its_number_is_in_a_program_that_has_many_files_open():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 1100)), hard))
    out, into = os.pipe2(os.O_NONBLOCK)
    try:
        os.write(into, FRAME)
        read = serial_line.SerialLine(fcntl.fcntl(out, fcntl.F_DUPFD, 1050), "it")
        assert read.read(0.01) == FRAME
        assert read.read(0.01) == b""
        read.close()
    finally:
        os.close(out)
        os.close(into)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_port_that_is_no_serial_line_or_is_not_there_is_told(tmp_path):
    for port in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(HardwareError, match=r"the serial reader at .* cannot be opened .*docs/readers/README.md"):
            SerialReader(SerialReader.Options(port=str(port), format="number10")).open()
    for port in ("", "ttyUSB0"):  # fabgate check refuses them
        with pytest.raises(msgspec.ValidationError, match="port"):
            msgspec.convert({"port": port, "format": "number10"}, SerialReader.Options)


@pytest.mark.parametrize(
    ("name", "text", "badge"),
    [
        ("em-hex", "0A00B1C2D3", "em-hex:0A00B1C2D3"),
        ("em-hex-reversed", "d3c2b1000a", "em-hex:0A00B1C2D3"),
        ("uid4-hex", "04A1B2C3", "04A1B2C3"),
        ("uid7-hex-reversed", "F6E5D4C3B2A104", "04A1B2C3D4E5F6"),
        ("w26-digits", "17749875", "w26:177,49875"),
        ("number10", "0011649747", "number10:0011649747"),
        ("number8-hex", "c3d4e5f6", "number8-hex:C3D4E5F6"),
    ],
)
def test_a_line_is_the_badge_of_its_format_and_nothing_else(name, text, badge):
    found = parse(badge)
    assert newest(f"{text}\r\n".encode(), name) == (Card.of(found), b"")
    for wrong in (text[1:], f"0{text}", f"{text[:-1]}x", f" {text}", f"{text[:-1]}é"):
        assert newest(f"{wrong}\n".encode(), name) == (TORN, b""), wrong
    assert newest(text.encode(), name) == (None, text.encode())


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("uid4-hex", "08A1B2C3", MisreadReason.RANDOM_UID),
        ("uid4-hex", "88A1B2C3", MisreadReason.TORN),  # half of a 7-byte UID
        ("number10", "4294967296", MisreadReason.TORN),  # more than four bytes
        ("w26-digits", "25600001", MisreadReason.TORN),
    ],
)
def test_what_cannot_be_a_badge_is_none(name, text, reason):
    assert newest(f"{text}\n".encode(), name) == (Misread(reason), b"")


def test_the_formats_of_gate_yaml_are_those_that_are_read():
    assert set(get_args(printed.FormatName)) == set(printed.FORMATS)


@pytest.mark.chance
@pytest.mark.parametrize("name", ["rdm6300", *printed.FORMATS])
def test_random_bytes_raise_nothing_and_no_frame_with_a_wrong_check_is_a_badge(name):
    chance = random.Random(name)
    alphabet = b"\x02\x03\r\n0123456789ABCDEF"
    accepted = 0
    for _ in range(FRAMES if name == "rdm6300" else FRAMES // len(printed.FORMATS)):
        if chance.random() < 0.3:
            frame = chance.randbytes(chance.randrange(LONGEST + 8))
        elif name == "rdm6300":  # a frame that was damaged in one place
            whole = bytearray(rdm6300(chance.randbytes(5)))
            whole[chance.randrange(1, 13)] = chance.choice(alphabet)
            frame = bytes(whole)
        else:
            digits = printed.FORMATS[name].digits + chance.choice((-1, 0, 0, 0, 1))
            known = alphabet[4:] if printed.FORMATS[name].base == 16 else b"0123456789"
            frame = bytes(chance.choices(known, k=digits)) + b"\n"
        found, rest = newest(frame, name)
        assert len(rest) <= LONGEST
        if isinstance(found, Card):
            accepted += 1
            if name == "rdm6300":
                assert rdm6300(found.uid).upper() in frame.upper(), frame
            else:
                line = frame.rstrip(b"\r\n").replace(b"\r", b"\n").rpartition(b"\n")[2]
                assert len(line) == printed.FORMATS[name].digits, frame
                assert line.isalnum(), frame
    assert accepted
