"""Does the emulated MFRC522 behave as its data sheet says, and do cards behave as ISO/IEC 14443-3 says?"""

import sys
import threading

import pytest

from fabgate.drivers.emulated import spi
from fabgate.drivers.emulated.cards import (
    Card,
    State,
    bcc,
    crc_a,
)
from fabgate.drivers.emulated.chip import BIT_S, Chip
from fabgate.drivers.emulated.registers import ComIrq, Command, DivIrq, Error, Reg
from fabgate.errors import UsageError
from tests.drivers.emulated.chip_bus import SINGLE, Bus


@pytest.fixture
def bus():
    return Bus().field_on()


def test_registers_start_with_their_reset_values():
    bus = Bus()
    assert bus.read(Reg.COMMAND, Reg.MODE, Reg.TX_CONTROL, Reg.RF_CFG) == [0x20, 0x3F, 0x80, 0x48]
    assert bus.read(Reg.VERSION) == 0x92
    assert bus.read(Reg.STATUS1) == 0x21
    assert Bus(version=0xB2).read(Reg.VERSION) == 0xB2


def test_one_transfer_reads_many_registers_and_each_call_is_one_transfer():
    bus = Bus()
    assert bus.chip.transfer([Reg.MODE << 1 | 0x80, Reg.RF_CFG << 1 | 0x80, 0x00, 0x00]) == [0, 0x3F, 0x48, 0]
    assert bus.chip.transfers == 1
    assert bus.chip.transfer([]) == []


def test_a_read_only_register_keeps_its_value():
    bus = Bus()
    bus.write(Reg.VERSION, 0x00)
    bus.write(Reg.MODE, 0x3D)
    assert bus.read(Reg.VERSION, Reg.MODE) == [0x92, 0x3D]


def test_the_fifo_holds_64_bytes_and_says_when_one_is_too_many():
    bus = Bus()
    bus.write(Reg.FIFO_DATA, *range(64))
    assert bus.read(Reg.FIFO_LEVEL, Reg.ERROR) == [64, 0]
    assert bus.read(Reg.COM_IRQ) & ComIrq.HI_ALERT
    assert bus.read(Reg.STATUS1) & 0x02
    bus.write(Reg.FIFO_DATA, 99)
    assert bus.read(Reg.FIFO_LEVEL, Reg.ERROR) == [64, Error.BUFFER_OVERFLOW]
    assert bus.read(*[Reg.FIFO_DATA] * 3) == [0, 1, 2]
    bus.write(Reg.FIFO_LEVEL, 0x00)
    assert bus.read(Reg.FIFO_LEVEL) == 61
    bus.write(Reg.FIFO_LEVEL, 0x80)
    assert bus.read(Reg.FIFO_LEVEL, Reg.ERROR, Reg.FIFO_DATA) == [0, 0, 0]


def test_interrupt_bits_are_set_with_set1_and_cleared_without():
    bus = Bus()
    bus.write(Reg.COM_IRQ, 0x7F)
    bus.write(Reg.COM_IRQ, 0x80 | ComIrq.RX | ComIrq.TIMER)
    assert bus.read(Reg.COM_IRQ) == ComIrq.RX | ComIrq.TIMER
    bus.write(Reg.COM_IRQ, ComIrq.RX)
    assert bus.read(Reg.COM_IRQ) == ComIrq.TIMER
    bus.write(Reg.DIV_IRQ, 0x80 | DivIrq.CRC)
    assert bus.read(Reg.DIV_IRQ) == DivIrq.CRC
    bus.write(Reg.DIV_IRQ_EN, DivIrq.CRC)
    assert bus.read(Reg.STATUS1) & 0x10


# ISO/IEC 14443-3 annex B gives the first two; the third is HLTA, known to every reader.
@pytest.mark.parametrize(("data", "crc"), [("0000", "a01e"), ("1234", "26cf"), ("5000", "57cd")])
def test_the_coprocessor_computes_crc_a(bus, data, crc):
    bus.write(Reg.MODE, 0x3D)  # preset 6363h
    bus.write(Reg.COMMAND, Command.CALC_CRC)
    assert not bus.read(Reg.DIV_IRQ) & DivIrq.CRC
    bus.write(Reg.FIFO_DATA, *bytes.fromhex(data))
    assert bus.read(Reg.DIV_IRQ) & DivIrq.CRC
    assert bytes(bus.read(Reg.CRC_RESULT_L, Reg.CRC_RESULT_H)).hex() == crc
    assert crc_a(bytes.fromhex(data)).hex() == crc


def test_the_coprocessor_takes_what_lay_in_the_fifo_and_its_preset_from_mode(bus):
    bus.write(Reg.FIFO_DATA, 1, 2, 3)
    bus.write(Reg.COMMAND, Command.CALC_CRC)
    assert bytes(bus.read(Reg.CRC_RESULT_L, Reg.CRC_RESULT_H)) == crc_a(b"\1\2\3", 0xFFFF)


def test_the_timer_fires_when_nobody_answers(bus):
    bus.start(b"\x26", 7)
    assert bus.read(Reg.COM_IRQ) & (ComIrq.TX | ComIrq.TIMER) == ComIrq.TX
    assert bus.read(Reg.STATUS1) & 0x08
    bus.clock.sleep(0.0005)
    high, low = bus.read(Reg.T_COUNTER_H, Reg.T_COUNTER_L)
    assert 48 <= high << 8 | low <= 52
    bus.clock.sleep(0.00051)
    assert bus.read(Reg.COM_IRQ) & ComIrq.TIMER
    assert not bus.read(Reg.STATUS1) & 0x08
    assert bus.read(Reg.T_COUNTER_H, Reg.T_COUNTER_L) == [0, 0]


def test_the_timer_does_not_fire_when_somebody_answers(bus):
    bus.chip.place(Card(SINGLE))
    assert bus.ask(b"\x26", 7) == b"\x04\x00"
    bus.clock.sleep(1)
    assert bus.read(Reg.COM_IRQ) & (ComIrq.TIMER | ComIrq.RX) == ComIrq.RX


def test_the_timer_can_be_started_stopped_and_restarts_by_itself(bus):
    bus.write(Reg.T_MODE, 0x10)
    bus.write(Reg.COM_IRQ, 0x7F)
    bus.write(Reg.CONTROL, 0x40)
    bus.clock.sleep(0.002)
    assert bus.read(Reg.COM_IRQ) & ComIrq.TIMER
    assert bus.read(Reg.STATUS1) & 0x08
    bus.write(Reg.CONTROL, 0x80)
    bus.write(Reg.CONTROL, 0x00)
    assert not bus.read(Reg.STATUS1) & 0x08


def test_without_tauto_a_frame_starts_no_timer_and_an_answer_stops_none(bus):
    bus.chip.place(Card(SINGLE))
    bus.write(Reg.T_MODE, 0x00)
    bus.write(Reg.CONTROL, 0x40)
    bus.ask(b"\x26", 7)
    assert bus.read(Reg.STATUS1) & 0x08


def test_frames_take_their_time_at_106_kbit_per_second():
    bus = Bus(rf_time=True).field_on()
    bus.chip.place(Card(SINGLE))
    bus.start(b"\x26", 7)
    assert not bus.read(Reg.COM_IRQ) & ComIrq.TX
    bus.clock.sleep(9 * BIT_S)
    assert bus.read(Reg.COM_IRQ) & (ComIrq.TX | ComIrq.RX) == ComIrq.TX
    bus.clock.sleep(0.000092 + 19 * BIT_S)
    assert not bus.read(Reg.COM_IRQ) & ComIrq.RX
    bus.clock.sleep(2 * BIT_S)
    assert bus.read(Reg.COM_IRQ) & ComIrq.RX


def test_transfers_can_cost_chip_time():
    bus = Bus(spi_hz=1_000_000).field_on()
    bus.start(b"\x26", 7)
    looks = 0
    while not bus.read(Reg.COM_IRQ) & ComIrq.TIMER:
        looks += 1
    assert 60 <= looks <= 64  # 1,005 microseconds in looks of 16


def test_a_new_command_ends_the_one_before():
    bus = Bus(rf_time=True).field_on()
    bus.chip.place(Card(SINGLE))
    bus.start(b"\x26", 7)
    bus.write(Reg.COMMAND, Command.IDLE)
    bus.clock.sleep(1)
    assert not bus.read(Reg.COM_IRQ) & ComIrq.RX


def test_crc_can_be_added_and_checked_by_the_chip(bus):
    bus.chip.place(Card(SINGLE))
    bus.ask(b"\x26", 7)
    bus.write(Reg.TX_MODE, 0x80)
    bus.write(Reg.RX_MODE, 0x80)
    assert bus.ask(bytes((0x93, 0x70)) + SINGLE + bytes((bcc(SINGLE),))) == b"\x08"
    assert bus.read(Reg.ERROR) == 0


def test_a_wrong_crc_is_seen_by_the_chip(bus):
    bus.chip.place(Card(SINGLE, crc_xor=0x0100))
    bus.ask(b"\x26", 7)
    bus.write(Reg.RX_MODE, 0x80)
    assert bus.select(SINGLE) == b"\x08"
    assert bus.read(Reg.ERROR) == Error.CRC


@pytest.mark.parametrize(
    ("register", "value"),
    [(Reg.TX_CONTROL, 0x80), (Reg.TX_ASK, 0x00), (Reg.TX_MODE, 0x10), (Reg.RX_MODE, 0x20)],
    ids=["field off", "less than 100 % ASK", "sending at 212", "receiving at 424"],
)
def test_nobody_answers_without(bus, register, value):
    bus.chip.place(Card(SINGLE))
    bus.write(register, value)
    assert bus.ask(b"\x26", 7) == b""


def test_a_soft_reset_forgets_everything_and_the_card_loses_its_field(bus):
    card = Card(SINGLE)
    bus.chip.place(card)
    assert card.state is State.IDLE
    bus.write(Reg.COMMAND, Command.SOFT_RESET)
    assert bus.read(Reg.TX_CONTROL, Reg.T_MODE) == [0x80, 0]
    assert card.state is State.POWER_OFF
    assert not bus.chip.antenna_on


def test_no_cmd_change_leaves_the_command_and_unknown_commands_end_at_once(bus):
    bus.write(Reg.COMMAND, Command.TRANSCEIVE)
    bus.write(Reg.COMMAND, 0x20 | Command.NO_CMD_CHANGE)
    assert bus.read(Reg.COMMAND) == 0x20 | Command.TRANSCEIVE
    bus.write(Reg.COM_IRQ, 0x7F)
    bus.write(Reg.COMMAND, Command.GENERATE_RANDOM_ID)
    assert bus.read(Reg.COMMAND, Reg.COM_IRQ)[0] == Command.IDLE
    assert bus.read(Reg.COM_IRQ) & ComIrq.IDLE


def test_transmit_sends_and_does_not_listen(bus):
    card = Card(SINGLE)
    bus.chip.place(card)
    bus.write(Reg.COM_IRQ, 0x7F)
    bus.write(Reg.BIT_FRAMING, 7)
    bus.write(Reg.FIFO_DATA, 0x26)
    bus.write(Reg.COMMAND, Command.TRANSMIT)
    assert bus.read(Reg.COM_IRQ) & (ComIrq.TX | ComIrq.RX | ComIrq.IDLE) == ComIrq.TX | ComIrq.IDLE
    assert card.state is State.READY


def test_start_send_without_transceive_sends_nothing(bus):
    bus.chip.place(Card(SINGLE))
    bus.write(Reg.FIFO_DATA, 0x26)
    bus.write(Reg.BIT_FRAMING, 0x87)
    assert bus.read(Reg.FIFO_LEVEL) == 1


@pytest.mark.parametrize(("length", "error"), [(12, 0), (3, Error.PROTOCOL)])
def test_authentication_is_refused_by_the_timer(bus, length, error):
    bus.write(Reg.COM_IRQ, 0x7F)
    bus.write(Reg.FIFO_DATA, *range(length))
    bus.write(Reg.COMMAND, Command.MF_AUTHENT)
    bus.clock.sleep(0.002)
    assert bus.read(Reg.COM_IRQ) & ComIrq.TIMER
    assert bus.read(Reg.ERROR) == error
    assert not bus.read(Reg.STATUS2) & 0x08


@pytest.mark.parametrize("dead", [0x00, 0xFF])
def test_an_unplugged_chip_reads_as_a_dead_line_and_comes_back_reset(bus, dead):
    card = Card(SINGLE)
    bus.chip.place(card)
    bus.chip.unplug(reads=dead)
    assert bus.read(Reg.VERSION, Reg.FIFO_LEVEL) == [dead, dead]
    assert card.state is State.POWER_OFF
    bus.write(Reg.TX_CONTROL, 0x83)
    bus.chip.plug()
    assert bus.read(Reg.VERSION, Reg.TX_CONTROL) == [0x92, 0x80]


def test_a_dead_line_is_low_or_high():
    with pytest.raises(UsageError, match="0x55"):
        Chip().unplug(reads=0x55)


def test_a_brown_out_resets_without_a_word(bus):
    bus.chip.brown_out()
    assert bus.read(Reg.VERSION, Reg.TX_CONTROL, Reg.T_MODE) == [0x92, 0x80, 0]


def test_what_is_received_into_a_full_fifo_overflows():
    bus = Bus(rf_time=True).field_on()
    bus.chip.place(Card(SINGLE))
    bus.start(b"\x26", 7)
    bus.write(Reg.FIFO_DATA, *range(63))
    bus.clock.sleep(1)
    assert bus.read(Reg.FIFO_LEVEL, Reg.ERROR) == [64, Error.BUFFER_OVERFLOW]


def test_the_chip_answers_two_threads_at_once(bus):
    def lay_cards():
        for _ in range(200):
            bus.chip.place(Card(SINGLE))
            bus.chip.remove(SINGLE)

    hand = threading.Thread(target=lay_cards)
    hand.start()
    answers = {bus.ask(b"\x52", 7) for _ in range(200)}
    hand.join()
    assert answers <= {b"", b"\x04\x00"}


def test_spidev_stands_in_for_the_real_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "spidev", None)
    chip = Chip()
    module = spi.install(chip, 1, 2)
    assert sys.modules["spidev"] is module
    device = module.SpiDev(1, 2)
    device.max_speed_hz, device.mode = 500_000, 0
    device.writebytes([Reg.MODE << 1, 0x3D])
    assert device.xfer([Reg.MODE << 1 | 0x80, 0]) == [0, 0x3D]
    assert chip.transfers == 2
    device.close()
    device.close()
    with pytest.raises(OSError, match="not open"):
        device.xfer2([0])
    spi.uninstall(1, 2)
    with pytest.raises(FileNotFoundError, match=r"spidev1\.2"):
        device.open(1, 2)
