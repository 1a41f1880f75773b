"""Cards in the field of the emulated MFRC522 behave as ISO/IEC 14443-3 says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.drivers.emulated.cards import (
    Card,
    Spoil,
    State,
    bcc,
    cascade,
    check_uid,
    from_bits,
    parse_uid,
    to_bits,
    with_crc,
)
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.registers import ComIrq, Error, Reg
from fabgate.errors import UsageError
from tests.drivers.emulated.chip_bus import OTHER, SINGLE, Bus

DOUBLE, TRIPLE = bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("04A1B2C3D4E5F6071829")
HLTA = with_crc(b"\x50\x00")


@pytest.fixture
def bus():
    return Bus().field_on()


@pytest.mark.parametrize(("uid", "atqa"), [(SINGLE, "0400"), (DOUBLE, "4400"), (TRIPLE, "8400")])
def test_atqa_says_the_size_and_the_cascade_gives_the_uid(bus, uid, atqa):
    bus.chip.place(Card(uid))
    assert bus.ask(b"\x26", 7).hex() == atqa
    levels = cascade(uid)
    for code, four in zip((0x93, 0x95, 0x97), levels, strict=False):
        assert bus.ask(bytes((code, 0x20))) == four + bytes((bcc(four),))
        sak = bus.select(four, code)
        assert sak == with_crc(sak[:1])
        assert bool(sak[0] & 0x04) is (four is not levels[-1])


def test_reqa_wakes_idle_only_and_wupa_wakes_halt_too(bus):
    card = Card(SINGLE)
    bus.chip.place(card)
    bus.ask(b"\x26", 7)
    bus.select(SINGLE)
    assert bus.ask(HLTA) == b""
    assert card.state is State.HALT
    assert bus.ask(b"\x26", 7) == b""
    assert bus.ask(b"\x52", 7) == b"\x04\x00"
    assert bus.ask(b"\x52", 7) == b""  # READY*: an error, back to HALT
    assert card.state is State.HALT
    bus.write(Reg.TX_CONTROL, 0x80)
    bus.write(Reg.TX_CONTROL, 0x83)
    assert card.state is State.IDLE


def test_a_card_that_is_not_halted_is_seen_by_every_second_request(bus):
    bus.chip.place(Card(SINGLE))
    seen = []
    for _ in range(4):
        seen.append(bus.ask(b"\x26", 7) != b"")
        bus.select(SINGLE)
    assert seen == [True, False, True, False]


@pytest.mark.parametrize(
    "frame",
    ["9370", "937004A1B2C3D40000", "9310", "9370FFFFFFFFFF", "9321", "950020", "3000", "50005713"],
)
def test_a_frame_that_is_not_for_it_sends_a_card_back_to_idle(bus, frame):
    card = Card(SINGLE)
    bus.chip.place(card)
    bus.ask(b"\x26", 7)
    assert bus.ask(bytes.fromhex(frame)) == b""
    assert card.state is State.IDLE


def test_an_unknown_short_frame_wakes_nobody(bus):
    card = Card(SINGLE)
    bus.chip.place(card)
    assert bus.ask(b"\x40", 7) == b""
    assert card.state is State.IDLE


def test_two_cards_collide_at_their_first_different_bit(bus):
    bus.chip.place(Card(SINGLE))
    bus.chip.place(Card(OTHER))
    bus.ask(b"\x26", 7)
    answer = bus.ask(b"\x93\x20")
    assert bus.read(Reg.ERROR) == Error.COLLISION
    assert bus.read(Reg.COLL) == 0x80 | 27  # 04 A1 B2 are 24 bits, C3 and C7 differ in their third
    assert answer[:3] == SINGLE[:3]
    assert bus.read(Reg.COM_IRQ) & ComIrq.ERR


def test_bits_after_a_collision_can_be_cleared(bus):
    bus.write(Reg.COLL, 0x00)
    bus.chip.place(Card(bytes.fromhex("FFFFFFFF")))
    bus.chip.place(Card(bytes.fromhex("FEFFFFFF")))
    bus.ask(b"\x26", 7)
    assert bus.ask(b"\x93\x20") == bytes(5)
    assert bus.read(Reg.COLL) == 1


def test_a_collision_at_bit_32_reads_as_zero(bus):
    bus.chip.place(Card(bytes.fromhex("04A1B243")))
    bus.chip.place(Card(bytes.fromhex("04A1B2C3")))
    bus.ask(b"\x26", 7)
    bus.ask(b"\x93\x20")
    assert bus.read(Reg.COLL) == 0x80


def test_a_collision_in_the_check_byte_has_no_valid_position(bus):
    # The same four bytes twice, but one card spoils its check byte: 33rd bit and later.
    bus.chip.place(Card(SINGLE))
    bus.chip.place(Card(OTHER, bcc_xor=1))
    bus.chip.field.cards[1].uid = SINGLE
    bus.ask(b"\x26", 7)
    bus.ask(b"\x93\x20")
    assert bus.read(Reg.COLL) == 0xA0
    assert bus.read(Reg.ERROR) == Error.COLLISION


def test_the_anticollision_loop_of_the_standard_finds_one_of_two_cards(bus):
    bus.chip.place(Card(SINGLE))
    bus.chip.place(Card(OTHER))
    bus.ask(b"\x26", 7)
    bus.ask(b"\x93\x20")
    # 27 bits are known, the last chosen as 1: NVB says 5 bytes and 3 bits, the answer goes to bit 3 of its byte.
    rest = bus.ask(b"\x93\x53" + OTHER, last_bits=3, align=3)
    assert bus.read(Reg.ERROR) == 0
    assert rest[0] & 0xF8 | OTHER[3] & 0x07 == OTHER[3]
    assert rest[1] == bcc(OTHER)
    assert bus.select(OTHER)[0] == 0x08


def test_the_stronger_of_two_cards_drowns_the_other(bus):
    bus.chip.place(Card(SINGLE, strength=1))
    bus.chip.place(Card(OTHER))
    bus.ask(b"\x26", 7)
    assert bus.ask(b"\x93\x20")[:4] == SINGLE
    assert bus.read(Reg.ERROR) == 0


def test_rx_last_bits_count_what_is_left_of_a_torn_answer(bus):
    bus.chip.place(Card(SINGLE, spoils=(Spoil(answer=0, keep=13),)))
    assert len(bus.ask(b"\x26", 7)) == 2
    assert bus.read(Reg.CONTROL) & 0x07 == 5
    assert bus.read(Reg.ERROR) == Error.PARITY


def test_a_bent_bit_breaks_the_parity_unless_it_is_hidden(bus):
    bus.chip.place(Card(SINGLE, spoils=(Spoil(answer=0, bend=0),)))
    assert bus.ask(b"\x26", 7) == b"\x05\x00"
    assert bus.read(Reg.ERROR) == Error.PARITY
    bus.chip.remove()
    bus.chip.place(Card(SINGLE, spoils=(Spoil(answer=0, bend=0, hidden=True), Spoil(answer=1, keep=0))))
    assert bus.ask(b"\x26", 7) == b"\x05\x00"
    assert bus.read(Reg.ERROR) == 0
    assert bus.ask(b"\x93\x20") == b""


def test_a_torn_card_is_silent_after_its_answers_and_can_be_laid_down_again(bus):
    bus.chip.place(Card(SINGLE, torn_after=1))
    assert bus.ask(b"\x26", 7)
    assert bus.ask(b"\x93\x20") == b""
    bus.chip.place(Card(SINGLE))
    assert bus.ask(b"\x26", 7)


def test_a_random_card_is_another_at_each_field(bus):
    card = Card.random()
    bus.chip.place(card)
    seen = set()
    for _ in range(3):
        seen.add(card.uid)
        assert card.uid[0] == 0x08
        bus.write(Reg.TX_CONTROL, 0x80)
        bus.write(Reg.TX_CONTROL, 0x83)
    assert len(seen) == 3
    bus.chip.remove(card.label)


def test_cards_are_laid_down_once_and_removed_by_uid():
    chip = Chip()
    chip.place(Card(SINGLE))
    with pytest.raises(UsageError, match="04A1B2C3 is on the reader already"):
        chip.place(Card(SINGLE))
    with pytest.raises(UsageError, match="found 04A1B2C3 on the reader, wanted 04A1B2C7"):
        chip.remove(OTHER)
    chip.remove(SINGLE)
    with pytest.raises(UsageError, match="no card"):
        chip.remove(SINGLE)
    chip.remove()


@pytest.mark.parametrize("uid", ["", "04A1B2", "88A1B2C3", "04A1B288D4E5F6"])
def test_a_uid_that_no_card_has_is_refused(uid):
    with pytest.raises(UsageError):
        check_uid(bytes.fromhex(uid))


@pytest.mark.parametrize("text", [None, 5, "", "4A1B2C3", "hello", "04A1B2"])
def test_a_uid_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError, match="wanted"):
        parse_uid(text)


def test_a_uid_can_have_colons_and_small_letters():
    assert parse_uid("04:a1:b2:c3") == SINGLE


@settings(deadline=None)
@given(st.binary(max_size=20))
def test_bits_and_bytes_are_the_same_thing(data):
    assert from_bits(to_bits(data)) == data
