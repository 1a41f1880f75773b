"""Does a PC/SC reader give a badge only for a card of type A, and notice what happens to reader and pcscd?"""

from __future__ import annotations

import os
import random
import socket
from functools import reduce
from operator import xor

import pytest

from fabgate.drivers.emulated.readers.pcsc import VirtualCard, iso14443_4_atr, storage_atr, with_tck
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.drivers.readers.pcsc import PcscReader, card_of
from fabgate.errors import HardwareError
from fabgate.testing.readers import ReaderContract
from tests.drivers.readers.fake_pcscd import UNANSWERED, Scard

NAME = "ACS ACR122U PICC Interface 00 00"
UID, SHORT = bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("04A1B2C3")
TORN, RANDOM = Misread(MisreadReason.TORN), Misread(MisreadReason.RANDOM_UID)
FRAMES = 100_000 if os.environ.get("FABGATE_SOAK") else 2_000


class TestPcsc(ReaderContract):
    """One card at a time: such a reader tells of no second one."""

    @pytest.fixture(autouse=True)
    def bench(self):
        self.scard = Scard(NAME)

    def make(self):
        return PcscReader(PcscReader.Options(), scard=self.scard)

    def place(self, uid, *, torn=None):
        if self.scard.card:
            raise NotImplementedError
        self.scard.place(uid if torn is None else UNANSWERED)

    def remove(self, uid=None):
        self.scard.remove()

    def unplug(self):
        self.scard.names.clear()

    def plug(self):
        self.scard.names.append(NAME)


@pytest.fixture
def scard():
    return Scard(NAME)


@pytest.fixture
def reader(scard):
    found = PcscReader(PcscReader.Options(), scard=scard)
    found.open()
    yield found
    found.close()


FELICA_OF_AN_OLD_READER = bytes.fromhex("3B8F8001804F0CA000000306 03F011000000008A")


@pytest.mark.parametrize(
    ("atr", "uid", "found"),
    [
        (bytes.fromhex("3B8F8001804F0CA000000306 03000100000000 6A"), SHORT, Card(SHORT)),  # MIFARE Classic 1K
        (bytes.fromhex("3B8F8001804F0CA000000306 03000300000000 68"), UID, Card(UID)),  # Ultralight
        (bytes.fromhex("3B8180018080"), UID, Card(UID)),  # DESFire
        (iso14443_4_atr(b""), UID, Card(UID)),
        (iso14443_4_atr(bytes(8)), b"\x08\x01\x02\x03", RANDOM),  # a phone
        (iso14443_4_atr(bytes.fromhex("0000000033818100")), SHORT, TORN),  # type B: a passport
        (iso14443_4_atr(bytes(10)), SHORT, TORN),
        (storage_atr(standard=0x07), SHORT, TORN),  # type B, part 3
        (storage_atr(standard=0x0B, name=0x0014), bytes.fromhex("E004010012345678"), TORN),  # ISO 15693, ICODE SLI
        (storage_atr(standard=0x11, name=0x003B), bytes(8), TORN),  # FeliCa
        (FELICA_OF_AN_OLD_READER, bytes(8), TORN),
        (storage_atr(name=0xF004), SHORT, TORN),  # Topaz
        (storage_atr(standard=0x00), UID, TORN),
        (bytes.fromhex("3B8F8001804F0CA000000306 03000100000000 6B"), SHORT, TORN),  # wrong TCK
        (bytes.fromhex("3B0600010A1B2C3D"), SHORT, TORN),  # a 125 kHz badge at a reader of HID
        (with_tck(bytes.fromhex("7D96000080318065B0831148C883009000")), SHORT, TORN),  # a card with contacts
        (b"", UID, TORN),
        (storage_atr(), b"\x88" + SHORT[1:], TORN),  # half a UID
        (storage_atr(), UID[:5], TORN),
    ],
)
def test_only_a_card_of_type_a_is_a_badge(atr, uid, found, scard, reader):
    scard.place(uid, atr)
    assert [reader.poll(), reader.poll()] == [found] * 2
    assert scard.calls == ["establish", "connect", "disconnect"], "it is asked once"


def test_a_card_that_replaces_another_one_between_two_polls_is_asked(scard, reader):
    scard.place(UID)
    assert reader.poll() == Card(UID)
    scard.remove()
    scard.place(SHORT)
    assert reader.poll() == Card(SHORT)
    scard.counts = False  # an old pcscd
    assert reader.poll() == Card(SHORT)
    scard.remove()
    assert reader.poll() is None
    scard.place(UID)
    assert reader.poll() == Card(UID)


def test_a_card_that_leaves_while_it_is_asked_or_refuses_is_torn(scard, reader):
    scard.place(UID)
    transmit = scard.SCardTransmit
    scard.SCardTransmit = lambda *_: (scard.SCARD_W_REMOVED_CARD, [])
    assert reader.poll() == TORN
    scard.SCardTransmit = lambda *_: (0, [0x63, 0x00])
    assert reader.poll() == TORN
    scard.SCardTransmit = transmit
    assert reader.poll() == Card(UID)


def test_a_uid_may_come_last_byte_first(scard):
    reader = PcscReader(PcscReader.Options(uid_order="reversed"), scard=scard)
    reader.open()
    scard.place(UID[::-1])
    assert reader.poll() == Card(UID)


def test_the_reader_is_chosen_by_the_beginning_of_its_name(scard):
    scard.names[:] = [f"ACS ACR1252 Reader [{what}] 00 0{slot}" for slot, what in enumerate(("PICC", "SAM"))]
    with pytest.raises(HardwareError, match=r"found these PC/SC readers: ACS .*, ACS .*; wanted exactly one"):
        PcscReader(PcscReader.Options(), scard=scard).open()
    with pytest.raises(HardwareError, match="wanted one whose name begins with 'OMNIKEY'"):
        PcscReader(PcscReader.Options(name="OMNIKEY"), scard=scard).open()
    reader = PcscReader(PcscReader.Options(name="ACS ACR1252 Reader [PICC]"), scard=scard)
    reader.open()
    assert reader.identity == "the PC/SC reader ACS ACR1252 Reader [PICC] 00 00"


def test_pcscd_that_was_killed_is_a_fault_until_it_is_back(scard, reader):
    scard.running = False
    for call in (reader.poll, reader.open, reader.open):
        with pytest.raises(HardwareError, match=r"systemctl status pcscd"):
            call()
    scard.restart()
    reader.open()
    scard.restart()
    with pytest.raises(HardwareError, match=r"systemctl status pcscd"):
        reader.poll()
    reader.open()
    assert reader.poll() is None


def test_a_card_of_another_program_and_a_service_without_rights_are_told(scard, reader):
    scard.place(UID)
    scard.taken = True
    with pytest.raises(HardwareError, match="another program has the card for itself: stop it"):
        reader.poll()
    scard.allowed = False
    with pytest.raises(HardwareError, match=r"systemd/20-fabgate-pcsc.rules"):
        reader.open()


@pytest.mark.chance
def test_random_answers_raise_nothing_and_make_no_badge_without_an_atr_of_type_a():
    chance = random.Random(14443)
    cards = 0
    for _ in range(FRAMES):
        atr = bytearray(chance.choice((storage_atr(), iso14443_4_atr(b"\x80"), b"\x3b")))
        for _ in range(chance.choice((0, 1, 1, 2))):
            atr[chance.randrange(len(atr))] ^= 1 << chance.randrange(8)
        uid = chance.randbytes(chance.choice((0, 4, 4, 7, 8, 10)))
        atr = bytes(atr[: chance.choice((40, 40, 40, 5))])
        found = card_of(atr, uid)
        if isinstance(found, Card):
            cards += 1
            assert found.uid == uid
            assert atr.startswith(b"\x3b")
            assert reduce(xor, atr[1:]) == 0
            assert len(uid) > 4 or atr[4:13].hex() == "804f0ca00000030603"
    assert cards


def test_a_virtual_card_speaks_as_vpcd_wants():
    with socket.create_server(("127.0.0.1", 0)) as vpcd, VirtualCard(UID, port=vpcd.getsockname()[1]) as card:
        line, _ = vpcd.accept()
        with line, line.makefile("rb") as answers:
            for message, answer in (
                (b"\x01", b""),
                (b"\x04", storage_atr()),
                (b"\xff\xca\x00\x00\x00", UID + b"\x90\x00"),
                (b"\x00\xa4\x04\x00\x00", b"\x6d\x00"),
            ):
                line.sendall(len(message).to_bytes(2) + message)
                if answer:
                    assert answers.read(int.from_bytes(answers.read(2))) == answer
            card.remove()
            assert answers.read(1) == b""
