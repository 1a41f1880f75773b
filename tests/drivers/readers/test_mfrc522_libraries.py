"""The libraries below the MFRC522 reader: the stock package, and the stand-in for RPi.GPIO."""

import logging
import sys
from types import ModuleType

import pytest
from gpiozero.pins.mock import MockFactory

from fabgate.drivers.emulated import spi
from fabgate.drivers.emulated.cards import Card as Plastic
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.readers import Card
from fabgate.drivers.readers.mfrc522 import Mfrc522Options, Mfrc522Reader, rpi_gpio
from fabgate.errors import HardwareError
from fabgate.testing.readers import DOUBLE, SINGLE, ManualClock


@pytest.mark.parametrize("missing", ["gpiozero", "spidev"])
def test_a_missing_library_is_a_hardware_error_that_says_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "mfrc522", raising=False)
    monkeypatch.delitem(sys.modules, "mfrc522.MFRC522", raising=False)
    with pytest.raises(HardwareError, match=r"pip install 'fabgate\[pi\]'"):
        Mfrc522Reader(Mfrc522Options()).open()


def test_a_real_reader_uses_the_real_spidev_and_gpiozeros_own_pins(monkeypatch):
    chip = Chip()
    spi.install(chip)
    real = ModuleType("spidev")
    real.SpiDev = spi.SpiDev
    monkeypatch.setitem(sys.modules, "spidev", real)
    monkeypatch.delitem(sys.modules, "mfrc522", raising=False)
    monkeypatch.delitem(sys.modules, "mfrc522.MFRC522", raising=False)
    monkeypatch.setattr("gpiozero.Device.pin_factory", MockFactory())
    chip.place(Plastic(DOUBLE))
    reader = Mfrc522Reader(Mfrc522Options())
    reader.open()
    assert reader.poll() == Card(DOUBLE)
    assert rpi_gpio.pins.claimed[25].pin_factory is sys.modules["gpiozero"].Device.pin_factory
    reader.close()


# -- the package as it is sold ---------------------------------------------------------------------------------------


@pytest.fixture
def stock():
    """The unchanged package on an emulated chip that charges SPI time, as a real bus does."""
    rpi_gpio.install(MockFactory())
    chip = Chip(clock=ManualClock(), rf_time=True, spi_hz=1_000_000)
    spi.install(chip)
    import mfrc522

    pcd = mfrc522.MFRC522(pin_mode=rpi_gpio.BCM, pin_rst=25)
    yield chip, pcd
    pcd.Close_MFRC522()
    logging.getLogger("mfrc522Logger").handlers.clear()


@pytest.mark.filterwarnings("ignore:Bitwise inversion:DeprecationWarning")
def test_the_stock_package_needs_2013_transfers_to_see_no_card(stock):
    chip, pcd = stock
    before = chip.transfers
    status, _ = pcd.MFRC522_Request(pcd.PICC_REQIDL)
    assert status == pcd.MI_ERR
    assert chip.transfers - before == 2013


@pytest.mark.filterwarnings("ignore:Bitwise inversion:DeprecationWarning")
def test_the_stock_package_reads_a_card_on_every_second_poll(stock):
    chip, pcd = stock
    chip.place(Plastic(SINGLE))
    seen = []
    for _ in range(4):
        status, bits = pcd.MFRC522_Request(pcd.PICC_REQIDL)
        seen.append(status == pcd.MI_OK)
        if status == pcd.MI_OK:
            assert bits == 16
            status, uid = pcd.MFRC522_Anticoll()
            assert bytes(uid[:4]) == SINGLE
            assert pcd.MFRC522_SelectTag(uid) == 0x08
    assert seen == [True, False, True, False]


# -- the stand-in for RPi.GPIO ---------------------------------------------------------------------------------------


@pytest.fixture
def gpio():
    module = rpi_gpio.install(MockFactory())
    yield module
    module.cleanup()


def test_the_stand_in_is_what_import_gives(gpio):
    import RPi.GPIO

    assert RPi.GPIO is gpio
    assert gpio.getmode() == gpio.BCM


def test_pins_can_be_numbered_by_the_board(gpio):
    gpio.cleanup()
    gpio.setmode(gpio.BOARD)
    gpio.setup(22, gpio.OUT)
    assert rpi_gpio.pins.claimed[22].pin.info.name == "GPIO25"
    with pytest.raises(ValueError, match="numbering mode 11 after 10"):
        gpio.setmode(gpio.BCM)


def test_cleanup_lets_go_of_the_pins_that_it_is_given(gpio):
    for pin in (5, 6, 7):
        gpio.setup(pin, gpio.OUT)
        gpio.setup(pin, gpio.OUT)  # again is no mistake
        gpio.output(pin, gpio.HIGH)
    gpio.cleanup(5)
    gpio.cleanup([6, 99])
    assert list(rpi_gpio.pins.claimed) == [7]
    assert gpio.getmode() == gpio.BCM


def test_what_the_stand_in_cannot_do_is_said(gpio):
    with pytest.raises(ValueError, match="wanted OUT"):
        gpio.setup(5, gpio.IN)
    with pytest.raises(RuntimeError, match="setup"):
        gpio.output(5, 1)
    gpio.cleanup()
    with pytest.raises(RuntimeError, match="setmode"):
        gpio.setup(5, gpio.OUT)
