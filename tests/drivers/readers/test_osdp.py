"""Does an OSDP reader give a badge only in its secure channel, and does the channel do what others' implementations do?"""

from __future__ import annotations

import logging
import os
import random
import re

import pytest

from fabgate.badge import parse
from fabgate.badge.wiegand_frames import wiegand_frame
from fabgate.drivers.emulated.readers.osdp_device import OsdpDevice, OsdpLine, OsdpWire
from fabgate.drivers.readers import PENDING, Card, Misread, MisreadReason
from fabgate.drivers.readers.osdp import frames
from fabgate.drivers.readers.osdp.keys import read_key
from fabgate.drivers.readers.osdp.link import BUSY_S, MARK, TRIES, Link
from fabgate.drivers.readers.osdp.reader import STEADY_S, OsdpReader, card_of
from fabgate.drivers.readers.osdp.secure_channel import DEFAULT_KEY, Session
from fabgate.errors import HardwareError, UsageError
from fabgate.testing.readers import DOUBLE, SINGLE, ManualClock, ReaderContract
from tests.cli.running import in_this_process, refused
from tests.gate.config.gate_files import LINES

TORN = Misread(MisreadReason.TORN)
KEY = bytes.fromhex("0F1E2D3C4B5A69788796A5B4C3D2E1F0")
POLL, ACK = bytes((frames.POLL,)), bytes((frames.ACK,))
#: How many random frames each parser gets; the soak tries a hundred thousand.
FRAMES = 100_000 if os.environ.get("FABGATE_SOAK") else 1_000


class Bench:
    """A line with a device, and readers on it."""

    def __init__(self, folder, **options):
        self.clock = ManualClock()
        self.device = OsdpDevice(KEY)
        self.wire = OsdpWire(self.device, sleep=self.clock.sleep)
        self.key_file = folder / "osdp.key"
        self.key_file.touch(0o600)
        self.key_file.write_text(KEY.hex() + "\n")
        self.options = OsdpReader.Options(**{"format": "uid", "key_file": self.key_file} | options)

    def reader(self):
        return OsdpReader(self.options, line=self.wire.open, clock=self.clock)

    def opened(self):
        found = self.reader()
        found.open()
        return found


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def reader(bench):
    return bench.opened()


class TestOsdp(ReaderContract):
    """One card at a time."""

    @pytest.fixture(autouse=True)
    def bench(self, tmp_path):
        self.on, self.lies = Bench(tmp_path, gone_after_ms=0), None

    def make(self):
        return self.on.reader()

    def place(self, uid, *, torn=None):
        if self.lies and torn is None:
            raise NotImplementedError
        self.on.device.tap(uid, None if torn is None else len(uid) * 8 - torn)
        self.lies = uid if torn is None else None

    def remove(self, uid=None):
        self.lies = None

    def unplug(self):
        self.on.wire.is_plugged = False

    def plug(self):
        self.on.wire.is_plugged = True


# --- what others send -------------------------------------------------------------------------------------------------

#: A panel and a reader with the key of the factory, as libosdp-conformance 1.38-4 of the Security Industry Association saw
#: them: who it is, the handshake, a new key in the channel, the handshake with that key, and its capabilities. From the
#: capture sc-monitor-current.osdpcap of OSDP-Embedded.
CAPTURED = [
    bytes.fromhex(line)
    for line in [
        "53000900046100c066",
        "5380140004450a00170300cafedeed015002043b",
        "530013000d03110076cdcd921212d3ee6a8c8b",
        "53802b000d031200760a00170300cafede61626364656667684b7e2f98ad79bd968119a8d1d3dbdaee8efd",
        "53001b000e03130077a230f5d33b25f43434929ab208de90a74103",
        "53801b000e03140178d8f543e207ac5d2e30be9fac3aa04bea9585",
        "53002e000f021775ea64e35174e309d66ad2807354cdde659eb5226f32566390915ed77987bf517c4125ec776496",
        "53800e000f021640b1892dfe5295",
        "530013000d03110176636e3478f7085c575ce0",
        "53802b000d031201760a00170300cafede6162636465666768597b8467ad2b557296e1234e379dc3112f55",
        "53001b000e03130177dbd8cb35c81188cbdcf560521ec844693564",
        "53801b000e03140178b1e1998a99229228c5b11a3d3922cc8d65f1",
        "53001e000f0217624cbdace660da28f9080d316704be7ae03ae55c7197fc",
        "53803e000f021846d98f68df2d3b69a8d0e0d7ec43d9b32e2abed1f57734c4baa3170b8063903588c4b2bf14a720361c56a2ff97a6f6c7a43856377daa32",
    ]
]


class Played:
    """A line on which both sides say what they said when it was captured."""

    def __init__(self, lines):
        self.lines, self.waiting = list(lines), b""

    def write(self, data):
        assert data.hex() == (MARK + self.lines.pop(0)).hex()
        self.waiting = self.lines.pop(0)

    def read(self, wait_s):
        received, self.waiting = self.waiting, b""
        return received

    def close(self):
        """Do nothing."""


def test_the_panel_says_byte_for_byte_what_the_captured_one_said():
    randoms = iter([CAPTURED[2][9:17], CAPTURED[8][9:17]])
    line = Played(CAPTURED)
    link = Link(line, 0, name="it", speed_bps=9600, clock=ManualClock(), random=lambda _count: next(randoms))
    assert link.identify() == CAPTURED[1][6:18]
    link.secure(DEFAULT_KEY)
    key = Session(DEFAULT_KEY, CAPTURED[2][9:17])
    key.start(CAPTURED[4][9:25])
    command, _ = frames.take(CAPTURED[6], 0)
    set_key = key.decrypt_command(command.body[1:])
    link.send(bytes((frames.KEYSET,)) + set_key)
    assert link.answer(1) == (ACK, False)
    assert set_key[:2] == b"\x01\x10"
    link.secure(set_key[2:])
    link.send(b"\x62\0")
    body, is_encrypted = link.answer(1)
    assert is_encrypted
    assert (body[0], len(body) % 3) == (0x46, 1)
    assert not line.lines


def test_the_emulated_reader_answers_byte_for_byte_what_the_captured_one_answered():
    device = OsdpDevice(DEFAULT_KEY, random=lambda _count: b"abcdefgh")
    for command, reply in zip(CAPTURED[:-2:2], CAPTURED[1:-2:2], strict=True):
        assert device.answer(command).hex() == reply.hex()


def test_frames_of_others_are_read():
    # A real reader's answer to osdp_POLL, and its name: OSDP.Net, ReplyTest and PacketDecodingTest.
    for text, body in (
        ("538008000540689F", "40"),
        ("53801400064500 0EE310100000749723060 61B88".replace(" ", ""), "45000EE310100000749723060 6".replace(" ", "")),
    ):
        frame, rest = frames.take(b"\xff" + bytes.fromhex(text) + b"S", 0x80)
        assert frame.body.hex().upper() == body
        assert rest == b"S"
    assert frames.build(0, 2, POLL).hex().upper() == "530008000660 89CC".replace(" ", "")


# --- cards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_name", "data", "found"),
    [
        ("uid", "00002000 04A1B2C3", Card(SINGLE)),
        ("uid-reversed", "00003800 F6E5D4C3B2A104", Card(DOUBLE)),
        ("uid", "00003800 04A1B2C3D4E5F6", Card(DOUBLE)),
        ("uid", "00002000 08A1B2C3", Misread(MisreadReason.RANDOM_UID)),
        ("uid", "00002000 88A1B2C3", TORN),  # half of a 7-byte UID
        ("uid", "00001A00 BB032180", TORN),
        ("uid", "00001F00 04A1B2C3", TORN),
        ("wiegand", "00011A00 BB032180", Card.of(parse("w26:118,1603"))),
        ("wiegand", "00011A00 BB0321BF", Card.of(parse("w26:118,1603"))),  # what follows the bits is nothing
        ("wiegand", "00011A00 BB0321C0", TORN),  # wrong parity
        ("wiegand", "00002000 04A1B2C3", TORN),  # another count of bits
        ("wiegand", "00011A00 BB0321", TORN),
        ("wiegand", "00010000", TORN),
        ("wiegand", "", TORN),
    ],
)
def test_bits_become_a_badge_of_the_declared_kind_or_none(format_name, data, found):
    assert card_of(bytes.fromhex(data), format_name) == found


def test_each_report_of_a_card_is_given_once(bench, reader):
    for _ in range(2):
        bench.device.tap(SINGLE)
        assert [reader.poll() for _ in range(3)] == [Card(SINGLE), None, None]
    assert reader.gone_after_ms == 1_000
    assert "maker 0A-00-17, serial number EDDEFECA" in reader.identity


def test_a_poll_without_an_answer_does_not_say_that_no_card_was_there(bench, reader):
    bench.device.tap(SINGLE)
    bench.wire.disturb = lambda _answer: b""
    assert [reader.poll() for _ in range(3)] == [PENDING] * 3
    bench.wire.disturb = bytes
    while (found := reader.poll()) is PENDING:
        pass
    assert found == Card(SINGLE)


# --- the channel ------------------------------------------------------------------------------------------------------


def in_clear(body, block=b""):
    """Return what changes each answer into this body, outside the channel."""
    return lambda answer: frames.build(0x80, answer[4] & 3, body, block=block)


def fault(reader):
    """Poll until the reader fails, without a card on it, and return why."""
    while True:
        try:
            found = reader.poll()
        except HardwareError as error:
            return str(error)
        assert not isinstance(found, Card)


CARD_IN_CLEAR = bytes((frames.RAW, 0, 0, 32, 0)) + SINGLE


@pytest.mark.parametrize(
    ("disturb", "told"),
    [
        (in_clear(CARD_IN_CLEAR), "answered without a seal, so the gate ignores it"),
        (in_clear(ACK), "answered without a seal"),
        # Marked as part of the handshake, which has no seals.
        (in_clear(CARD_IN_CLEAR, bytes((frames.SCS_12, 1))), "answered without a seal"),
        (in_clear(CARD_IN_CLEAR, bytes((frames.SCS_12,))), "answered without a seal"),
        (in_clear(CARD_IN_CLEAR + bytes(4), bytes((frames.SCS_16,))), "answered with a wrong seal"),
        (in_clear(CARD_IN_CLEAR + bytes(4), bytes((frames.SCS_16, 0))), "answered without a seal"),
        (in_clear(bytes((frames.NAK, 6))), "answered with 0x41 when it was asked who it is"),
        (lambda answer: b"", "does not answer"),
        (lambda answer: os.urandom(40), "does not answer"),
        (lambda answer: answer[:-1] + bytes((answer[-1] ^ 1,)), "does not answer"),
    ],
)
def test_whatever_is_not_sealed_is_a_fault_and_never_read(bench, reader, disturb, told):
    bench.device.tap(DOUBLE)
    bench.wire.disturb = disturb
    assert re.search(told, fault(reader))
    with pytest.raises(HardwareError, match="is not open"):
        reader.poll()
    bench.wire.disturb = bytes
    reader.open()
    assert reader.poll() in (None, Card(DOUBLE))


def test_a_badge_that_is_sealed_but_not_encrypted_is_a_fault(bench, reader, monkeypatch):
    bench.device.tap(SINGLE)
    monkeypatch.setattr(Session, "encrypt_reply", lambda _self, data: data)
    monkeypatch.setattr("fabgate.drivers.emulated.readers.osdp_device.SCS_18", frames.SCS_16)
    with pytest.raises(HardwareError, match="was not encrypted"):
        reader.poll()


def test_an_answer_of_before_is_never_taken_again(bench, reader):
    answers = []
    bench.wire.disturb = lambda answer: answers.append(answer) or answer
    bench.device.tap(SINGLE)
    assert reader.poll() == Card(SINGLE)
    for _ in range(2):
        reader.poll()
    bench.clock.sleep(2)
    bench.wire.disturb = lambda _answer: answers[0]  # with the sequence number that is due
    with pytest.raises(HardwareError, match="wrong seal"):
        reader.poll()


def test_an_answer_may_come_byte_by_byte(bench, reader):
    bench.wire.piece = 1
    bench.device.tap(SINGLE)
    assert reader.poll() == Card(SINGLE)


def test_an_answer_that_comes_late_is_skipped(bench, reader):
    late = []
    bench.wire.disturb = lambda answer: late.append(answer) or answer
    reader.poll()
    bench.wire.disturb = lambda answer: late[0] + answer
    bench.device.tap(SINGLE)
    assert reader.poll() == Card(SINGLE)


def test_a_first_seal_that_is_wrong_makes_no_channel(bench):
    forged = frames.build(0x80, 2, bytes((frames.RMAC_I,)) + bytes(16), block=bytes((frames.SCS_14, 1)))
    bench.wire.disturb = lambda answer: forged if len(answer) == len(forged) else answer
    with pytest.raises(HardwareError, match="its first seal is wrong"):
        bench.opened()


def test_a_lost_answer_is_asked_for_again_and_brings_the_card_once(bench, reader):
    bench.device.tap(SINGLE)
    lose = iter([True, True])
    bench.wire.disturb = lambda answer: b"" if next(lose, False) else answer
    found = [reader.poll() for _ in range(20)]
    assert Card(SINGLE) in found
    assert len(set(bench.wire.sent[-20:])) < 20, "the same bytes again"
    bench.clock.sleep(2)
    assert reader.poll() is None


def test_a_busy_reader_is_waited_for_but_not_for_ever(bench, reader):
    busy = frames.build(0x80, 0, bytes((frames.BUSY,)))
    until = bench.clock() + BUSY_S - 1
    bench.device.tap(SINGLE)
    bench.wire.disturb = lambda answer: busy if bench.clock() < until else answer
    while (found := reader.poll()) is PENDING:
        pass
    assert found == Card(SINGLE)
    bench.clock.sleep(2)
    bench.wire.disturb = lambda _answer: busy
    assert "does not answer" in fault(reader)
    assert bench.clock() - until < BUSY_S * 3


def test_a_reader_that_was_without_power_gets_a_new_channel_but_not_again_and_again(bench, reader):
    for recoveries in (1, 2):
        bench.device.restart()
        assert reader.poll() is PENDING
        assert reader.recoveries == recoveries
        bench.device.tap(SINGLE)
        assert reader.poll() == Card(SINGLE)
        bench.clock.sleep(STEADY_S)
    bench.device.restart()
    assert reader.poll() is PENDING
    bench.device.restart()
    with pytest.raises(HardwareError, match="has lost the secure channel"):
        reader.poll()


def test_a_reader_that_comes_back_with_another_key_is_a_fault(bench, reader):
    bench.device.restart()
    bench.device.key = DEFAULT_KEY
    with pytest.raises(HardwareError, match="it has another key"):
        reader.poll()


def test_a_silent_reader_is_noticed_within_two_seconds_and_the_command_is_sent_three_times(bench, reader):
    bench.wire.disturb = lambda _answer: b""
    since, before = bench.clock(), len(bench.wire.sent)
    assert "does not answer. Check its wires A and B" in fault(reader)
    assert bench.clock() - since < 2
    assert len(set(bench.wire.sent[before:])) == 1
    assert len(bench.wire.sent[before:]) == TRIES


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda device: setattr(device, "key", KEY[::-1]), "has another key than this gate"),
        (
            lambda device: setattr(device, "key", DEFAULT_KEY),
            "refused the secure channel .reason 6.: it has another key",
        ),
        (lambda device: setattr(device, "is_old", True), "has no secure channel, and is never read without"),
        (lambda device: setattr(device, "address", 1), "does not answer. Check its wires A and B"),
    ],
)
def test_a_reader_with_another_key_without_one_or_at_another_address_is_told(bench, change, told):
    change(bench.device)
    with pytest.raises(HardwareError, match=told):
        bench.opened()


def test_tampering_is_logged_and_other_replies_are_no_badge(bench, reader, caplog):
    for reply in (b"\x48\1\0", b"\x53\0\1\x31", b"\x48"):
        bench.device.report(reply)
        assert reader.poll() is None
    bench.device.report(b"\x51\0\0\3123")
    assert reader.poll() == TORN
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "its case or its place was opened, its power is right" in record.getMessage()


def test_a_gate_reads_a_card_through_a_serial_line(bench, tmp_path):
    options = OsdpReader.Options(
        format="wiegand", key_file=bench.key_file, port=str(tmp_path / "tty"), speed_bps=115200
    )
    with OsdpLine(tmp_path / "tty", bench.device):
        reader = OsdpReader(options)
        reader.open()
        bits, frame = wiegand_frame(parse("w26:118,1603"))
        bench.device.tap((frame << -bits % 8).to_bytes(4, "big"), bits)
        while (found := reader.poll()) is None:
            pass
        assert found == Card.of(parse("w26:118,1603"))
    with pytest.raises(HardwareError, match=r"does not answer|unplugged"):
        reader.poll()
    with pytest.raises(HardwareError, match=r"cannot be opened .*docs/readers/README.md"):
        reader.open()


# --- the key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        (DEFAULT_KEY.hex(), 0o600, "the key that every reader has at first"),
        ("00" * 16, 0o600, "a key of 1 different bytes"),
        (KEY.hex()[:-1], 0o600, "found no key of 32 hex digits"),
        (KEY.hex(), 0o644, "found mode 0644, wanted 0600; chmod 600"),
        (KEY.hex(), 0o620, "found mode 0620"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_an_unsafe_key_is_refused_and_never_shown(bench, text, mode, told):
    if text is None:
        bench.key_file.unlink()
    else:
        bench.key_file.write_text(text)
        bench.key_file.chmod(mode)
    with pytest.raises(UsageError, match=told) as error:
        read_key(bench.key_file)
    assert text is None or text not in str(error.value)
    with pytest.raises(HardwareError, match=told):
        bench.opened()
    assert not bench.wire.sent


def test_a_person_gives_a_new_reader_its_key_and_no_other_reader(bench, tmp_path):
    config = tmp_path / "gate.yaml"
    lines = LINES | {
        "reader": f"reader: {{driver: osdp, port: {tmp_path}/tty, speed_bps: 115200, format: uid, key_file: osdp.key}}"
    }
    config.write_text("\n".join(lines.values()).replace("state_dir: state", f"state_dir: {tmp_path}/state"))
    (tmp_path / "members.yaml").write_text("members: []\n")
    device = OsdpDevice(DEFAULT_KEY)
    with OsdpLine(tmp_path / "tty", device):
        done = in_this_process(["keyset", "--config", str(config)])
        assert (done.returncode, done.stderr) == (0, "")
        assert "has the key now, and a secure channel with it" in done.stdout
        assert device.key == KEY
        again = in_this_process(["keyset", "--config", str(config)])
        assert (again.returncode, device.key) == (0, KEY)
        device.key = other = bytes(range(16))
        refused(in_this_process(["keyset", "--config", str(config)]), 3, "has to be in its installation mode")
        assert device.key == other
    config.write_text("\n".join(LINES.values()))
    refused(in_this_process(["keyset", "--config", str(config)]), 2, "found a reader without a key in gate.yaml")


# --- attacks ----------------------------------------------------------------------------------------------------------


@pytest.mark.chance
def test_random_frames_raise_nothing_and_none_with_a_wrong_crc_is_taken():
    chance = random.Random(53)
    taken = 0
    for _ in range(FRAMES):
        whole = frames.build(
            0x80,
            chance.randrange(4),
            chance.randbytes(chance.randrange(1, 40)),
            block=chance.randbytes(chance.randrange(3)),
        )
        sent = bytearray(chance.randbytes(chance.randrange(8)) + whole)
        for _ in range(chance.randrange(3)):
            sent[chance.randrange(len(sent))] = chance.randrange(256)
        found, rest = frames.take(
            bytes(sent[: chance.randrange(len(sent) + 1)] if chance.random() < 0.2 else sent), 0x80
        )
        assert len(rest) <= len(sent)
        if found is not None:
            taken += 1
            assert whole in bytes(sent) or bytes(found.body) in bytes(sent)
    assert taken


@pytest.mark.chance
def test_random_answers_in_the_channel_raise_nothing_but_hardware_errors_and_are_no_badge(bench):
    chance = random.Random(18)
    for _ in range(FRAMES // 20):
        reader = bench.opened()
        body = bytes((chance.choice((frames.RAW, frames.ACK, chance.randrange(256))),)) + chance.randbytes(
            chance.choice((0, 8, 16, 20))
        )
        block = chance.choice((b"", bytes((frames.SCS_16,)), bytes((frames.SCS_18,)), chance.randbytes(2)))
        bench.wire.disturb = in_clear(body + chance.randbytes(4), block)
        assert fault(reader)
        bench.wire.disturb = bytes


@pytest.mark.chance
def test_random_card_data_is_a_badge_only_with_all_its_bits_and_parity():
    chance = random.Random(50)
    accepted = 0
    for _ in range(FRAMES):
        bits = chance.choice((26, 34, 37, 32, 56, 80, chance.randrange(1 << 16)))
        data = (
            bytes((0, 0))
            + bits.to_bytes(2, "little")
            + chance.randbytes(chance.choice((-(-bits // 8) % 64, 4, 5, 7, 10)))
        )
        for format_name in ("wiegand", "uid"):
            found = card_of(data, format_name)
            if isinstance(found, Card) and format_name == "wiegand":
                accepted += 1
                count, frame = wiegand_frame(found.badge)
                assert (count, len(data)) == (bits, 4 + -(-bits // 8))
                assert int.from_bytes(data[4:], "big") >> -bits % 8 == frame
            elif isinstance(found, Card):
                assert found.uid == data[4:]
                assert bits == 8 * len(found.uid)
    assert accepted
