"""Does the MFRC522 reader read every card whole, guess none, notice what breaks, and stay cheap?

The real `mfrc522` package runs on the emulated chip; time is a clock that goes on only when somebody sleeps.
"""

import logging
import sys
from types import ModuleType

import msgspec
import pytest
from gpiozero import DigitalOutputDevice
from gpiozero.pins.mock import MockFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.drivers.emulated import ChipBench, chip_at, spi
from fabgate.drivers.emulated.cards import Card as Plastic
from fabgate.drivers.emulated.cards import Spoil, to_bits
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.control import bench_at, release
from fabgate.drivers.emulated.field import Heard
from fabgate.drivers.emulated.readers.simulated import SimulatedBench
from fabgate.drivers.emulated.registers import Reg
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.drivers.readers.mfrc522 import Mfrc522Options, Mfrc522Reader, rpi_gpio
from fabgate.drivers.readers.simulated import SimulatedReader
from fabgate.errors import HardwareError
from fabgate.testing.readers import DOUBLE, SINGLE, TRIPLE, ManualClock

TORN, TWO = Misread(MisreadReason.TORN), Misread(MisreadReason.TWO_CARDS)
calm = settings(deadline=None)  # a busy computer is no failure
BUDGET = {None: 13, SINGLE: 45, DOUBLE: 74, TRIPLE: 103}


class Rig:
    """A reader on an emulated chip, and the hand at the antenna."""

    def __init__(self, path, **options):
        self.clock = ManualClock()
        self.chip = Chip(clock=self.clock, rf_time=True, version=options.pop("version", 0x92))
        bench_at(path, lambda: ChipBench(self.chip))
        self.options = Mfrc522Options(chip="emulated", control_socket=path, **options)
        self.reader = Mfrc522Reader(self.options, sleep=self.clock.sleep)

    def open(self):
        self.reader.open()
        return self

    def place(self, uid, **faults):
        self.chip.place(Plastic(uid, **faults))

    def poll(self):
        return self.reader.poll()

    def transfers(self):
        before = self.chip.transfers
        self.reader.poll()
        return self.chip.transfers - before

    def afresh(self):
        """An empty antenna that the reader has seen empty."""
        self.chip.remove()
        assert self.poll() is None
        return self


@pytest.fixture
def socket_path(tmp_path):
    path = str(tmp_path / "chip")
    rpi_gpio.pins.cleanup()
    yield path
    release(path)
    rpi_gpio.pins.cleanup()


@pytest.fixture
def rig(socket_path):
    rig = Rig(socket_path).open()
    yield rig
    rig.reader.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One rig for all examples of the property tests."""
    path = str(tmp_path_factory.mktemp("shared") / "chip")
    rig = Rig(path).open()
    yield rig
    rig.reader.close()
    release(path)


def can_exist(uid):
    return not (len(uid) == 4 and uid[0] in (0x08, 0x88)) and not (len(uid) == 7 and uid[3] == 0x88)


uids = st.sampled_from([4, 7, 10]).flatmap(lambda n: st.binary(min_size=n, max_size=n)).filter(can_exist)


@pytest.mark.parametrize("uid", BUDGET, ids=lambda uid: f"{len(uid)} bytes" if uid else "no card")
def test_a_poll_stays_within_its_transfer_budget(rig, uid):
    if uid:
        rig.place(uid)
    counted = [rig.transfers() for _ in range(5)]
    assert max(counted) <= BUDGET[uid]  # the first includes the look for a second card
    assert counted[1:] == [{None: 10, SINGLE: 36, DOUBLE: 54, TRIPLE: 72}[uid]] * 4  # as the docs say


def test_a_poll_is_shorter_than_a_20_hz_interval(rig):
    rig.place(TRIPLE)
    before = rig.clock.now
    rig.poll()
    assert rig.clock.now - before < 0.02


def test_a_seven_byte_card_is_read_whole(rig):
    rig.place(DOUBLE)
    assert rig.poll() == Card(DOUBLE)


@calm
@given(uid=uids)
def test_any_uid_of_any_length_is_read_exactly(shared, uid):
    rig = shared.afresh()
    rig.place(uid)
    assert [rig.poll(), rig.poll()] == [Card(uid)] * 2


@calm
@given(first=uids, second=uids, known=st.booleans())
def test_two_cards_never_give_a_card(shared, first, second, known):
    if first == second:
        return
    rig = shared.afresh()
    rig.place(first)
    if known:
        assert rig.poll() == Card(first)
    rig.place(second)
    assert [rig.poll(), rig.poll()] == [TWO, TWO]


@calm
@given(uid=uids, answer=st.integers(0, 6), bit=st.integers(0, 39), hidden=st.booleans())
def test_one_bent_bit_never_gives_a_wrong_uid(shared, uid, answer, bit, hidden):
    rig = shared.afresh()
    rig.place(uid, spoils=(Spoil(answer, bend=bit, hidden=hidden),))
    seen = rig.poll()
    # An ATQA has no check of its own and nothing hangs on it: bent unseen, the UID is right all the same.
    assert seen in (TORN, TWO, Card(uid))
    assert seen == TORN or answer == 0 or answer > 2 * {4: 1, 7: 2, 10: 3}[len(uid)]
    rig.poll()  # the bent answer may be one of these
    rig.poll()
    assert rig.poll() == Card(uid)


@calm
@given(uid=uids, answer=st.integers(0, 6), keep=st.integers(0, 39), hidden=st.booleans())
def test_a_cut_answer_never_gives_a_wrong_uid(shared, uid, answer, keep, hidden):
    rig = shared.afresh()
    rig.place(uid, spoils=(Spoil(answer, keep=keep, hidden=hidden),))
    assert rig.poll() in (TORN, None, Card(uid))


@calm
@given(uid=uids, answers=st.integers(0, 7))
def test_a_card_torn_away_is_read_whole_or_not_at_all(shared, uid, answers):
    rig = shared.afresh()
    rig.place(uid, torn_after=answers)
    whole = answers >= 1 + 2 * {4: 1, 7: 2, 10: 3}[len(uid)]
    assert rig.poll() == (Card(uid) if whole else TORN if answers else None)


@calm
@given(uid=uids, wrong=st.integers(1, 255))
def test_a_wrong_bcc_is_torn(shared, uid, wrong):
    rig = shared.afresh()
    rig.place(uid, bcc_xor=wrong)
    assert rig.poll() == TORN


@calm
@given(uid=uids, wrong=st.integers(1, 0xFFFF))
def test_a_wrong_sak_crc_is_torn(shared, uid, wrong):
    rig = shared.afresh()
    rig.place(uid, crc_xor=wrong)
    assert rig.poll() == TORN


@pytest.mark.parametrize("uid", ["88A1B2C3", "04A1B288D4E5F6"])
def test_a_cascade_tag_that_its_sak_denies_is_torn(rig, uid):
    card = Plastic(SINGLE if len(uid) == 8 else DOUBLE)
    card.uid = bytes.fromhex(uid)  # no such card may exist: half of a longer one looks so
    rig.chip.place(card)
    assert [rig.poll(), rig.poll()] == [TORN, TORN]


def test_a_far_card_drowned_by_a_near_one_is_noticed_at_first_sight(rig):
    rig.place(SINGLE, strength=1)
    rig.place(DOUBLE)
    assert [rig.poll(), rig.poll()] == [TWO, TWO]
    rig.chip.remove(DOUBLE)
    assert rig.poll() == Card(SINGLE)


def test_a_card_that_answers_hlta_is_torn(rig):
    card = Plastic(SINGLE)
    rig.chip.place(card)
    hear = card.hear
    card.hear = lambda bits: hear(bits) or hear(to_bits(b"\x52", 7))  # it wakes up instead of sleeping
    assert rig.poll() == TORN


def test_a_random_uid_is_refused_each_time(rig):
    rig.chip.place(Plastic.random())
    assert [rig.poll(), rig.poll()] == [Misread(MisreadReason.RANDOM_UID)] * 2


@pytest.mark.parametrize("dead", [0x00, 0xFF])
def test_unplugged_says_so(rig, dead):
    rig.place(SINGLE)
    rig.chip.unplug(reads=dead)
    with pytest.raises(HardwareError, match=f"unplugged: VersionReg reads {dead:02X}h"):
        rig.poll()
    with pytest.raises(HardwareError, match="unplugged"):
        rig.reader.open()
    with pytest.raises(HardwareError, match="not open"):
        rig.poll()
    rig.chip.plug()
    rig.reader.open()
    assert rig.poll() == Card(SINGLE)


@calm
@given(after=st.integers(0, 35), dead=st.sampled_from([0x00, 0xFF]))
def test_unplugged_at_any_transfer_of_a_poll_is_an_error(shared, after, dead):
    rig = shared.afresh()
    rig.place(SINGLE)
    assert rig.poll() == Card(SINGLE)
    act_after(rig, after, lambda: rig.chip.unplug(reads=dead))
    with pytest.raises(HardwareError, match="unplugged"):
        rig.poll()
    rig.chip.plug()
    rig.reader.open()


@calm
@given(after=st.integers(0, 53))
def test_a_brown_out_at_any_transfer_is_got_over(shared, after):
    rig = shared.afresh()
    rig.place(DOUBLE)
    assert rig.poll() == Card(DOUBLE)
    before = rig.reader.recoveries
    act_after(rig, after, rig.chip.brown_out)
    assert rig.poll() in (Card(DOUBLE), TORN)
    assert rig.poll() == Card(DOUBLE)
    assert rig.reader.recoveries == before + 1


def act_after(rig, transfers, act):
    """Let something happen to the chip after so many more transfers, once."""
    real, left = rig.chip.transfer, [transfers]

    def transfer(sent):
        left[0] -= 1
        if left[0] < 0:
            rig.chip.transfer = real
            act()
        return real(sent)

    rig.chip.transfer = transfer


def test_a_brown_out_between_two_polls_is_counted_and_costs_no_poll(rig):
    rig.place(SINGLE)
    assert rig.poll() == Card(SINGLE)
    rig.chip.brown_out()
    assert rig.poll() == Card(SINGLE)
    assert rig.reader.recoveries == 1


def test_a_chip_that_resets_again_and_again_is_a_hardware_error(rig):
    real = rig.chip.transfer

    def transfer(sent):
        if sent[0] == Reg.BIT_FRAMING << 1:  # whenever it sends, its supply gives way
            rig.chip.brown_out()
        return real(sent)

    rig.chip.transfer = transfer
    with pytest.raises(HardwareError, match=r"again and again .*TxControlReg is 80h"):
        rig.poll()


def test_a_chip_whose_timer_never_ends_is_a_hardware_error(rig):
    rig.reader._link._sleep = lambda _: None
    with pytest.raises(HardwareError, match="neither an answer nor the end of its timer"):
        rig.poll()


def test_a_chip_that_keeps_no_settings_is_a_hardware_error(socket_path):
    rig = Rig(socket_path)
    real = rig.chip.transfer
    rig.chip.transfer = lambda sent: real(sent) if sent[0] & 0x80 else [0] * len(sent)
    with pytest.raises(HardwareError, match="register 2Ah is 00h, wanted 80h"):
        rig.open()


@pytest.mark.parametrize("version", [0x91, 0x92, 0x88, 0x90, 0x12, 0xB2])
def test_known_chips_and_clones_are_taken(socket_path, version):
    assert Rig(socket_path, version=version).open().poll() is None


def test_an_unknown_chip_is_named(socket_path):
    with pytest.raises(HardwareError, match="VersionReg reads 37h, wanted one of 12h, 88h, 90h, 91h, 92h, B2h"):
        Rig(socket_path, version=0x37).open()


@pytest.mark.parametrize(("gain", "register"), [(0, 0x08), (4, 0x48), (7, 0x78)])
def test_the_antenna_gain_is_set(socket_path, gain, register):
    rig = Rig(socket_path, antenna_gain=gain).open()
    assert rig.chip.transfer([Reg.RF_CFG << 1 | 0x80, 0])[1] == register


def test_the_reset_pin_is_the_bcm_pin_of_the_options_and_is_let_go(socket_path):
    rig = Rig(socket_path, reset_pin=24).open()
    assert list(rpi_gpio.pins.claimed) == [24]
    device = rpi_gpio.pins.claimed[24]
    assert device.pin.info.name == "GPIO24"
    assert device.value == 1
    rig.reader.close()
    assert rpi_gpio.pins.claimed == {}
    assert device.closed


def test_closing_the_reader_leaves_other_pins_alone(rig):
    factory = MockFactory()
    with DigitalOutputDevice(17, initial_value=True, pin_factory=factory):
        rig.reader._link._pcd.Close_MFRC522()  # the package's own way, which would clean every GPIO of the process
        assert factory.pin("GPIO17").state
        assert factory.pin("GPIO17").function == "output"


def test_opening_many_times_leaves_no_log_handlers(rig):
    for _ in range(3):
        rig.reader.open()
    assert logging.getLogger("mfrc522Logger").handlers == []


def test_an_spi_error_is_a_hardware_error(rig):
    rig.reader._link._pcd.spi.close()
    with pytest.raises(HardwareError, match=r"spidev0\.0: .*not open"):
        rig.poll()


def test_an_spi_device_that_is_not_there_is_a_hardware_error(rig, monkeypatch):
    rig.reader.close()
    monkeypatch.setattr(spi, "install", lambda *_: None)
    reader = Mfrc522Reader(msgspec.structs.replace(rig.options, bus=7))
    with pytest.raises(HardwareError, match=r"spidev7\.0.*group spi"):
        reader.open()


def test_a_reset_pin_in_use_is_a_hardware_error(socket_path, monkeypatch):
    factory = MockFactory()
    monkeypatch.setattr("gpiozero.pins.mock.MockFactory", lambda: factory)
    with (
        DigitalOutputDevice(25, pin_factory=factory),
        pytest.raises(HardwareError, match="reset pin GPIO25 cannot be driven"),
    ):
        Rig(socket_path).open()


def test_a_real_reader_never_runs_on_an_emulated_chip(rig):
    with pytest.raises(HardwareError, match="already uses an emulated chip; a real one needs a process of its own"):
        Mfrc522Reader(Mfrc522Options()).open()


@pytest.mark.parametrize(("name", "error"), [("GPIO", "another RPi.GPIO"), ("spidev", "already uses a real chip")])
def test_a_package_that_somebody_imported_on_other_libraries_is_refused(rig, monkeypatch, name, error):
    monkeypatch.setattr(sys.modules["mfrc522.MFRC522"], name, ModuleType(name))
    with pytest.raises(HardwareError, match=error):
        rig.reader.open()


def test_an_answer_of_nothing_is_torn(rig):
    rig.chip.field.say = lambda _: Heard((), None, parity_ok=True)
    assert rig.poll() == TORN


def test_an_emulated_chip_needs_a_control_socket():
    with pytest.raises(ValueError, match="without control_socket"):
        Mfrc522Options(chip="emulated")
    with pytest.raises(msgspec.ValidationError, match="without control_socket"):
        msgspec.convert({"chip": "emulated"}, Mfrc522Options)


@pytest.mark.parametrize("wrong", [{"antenna_gain": 8}, {"reset_pin": 40}, {"chip": "fake"}, {"baud": 1}])
def test_options_out_of_range_or_unknown_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Mfrc522Options)


def test_one_socket_belongs_to_one_kind_of_bench(rig, tmp_path):
    simulated = SimulatedReader(SimulatedReader.Options(control_socket=rig.options.control_socket))
    with pytest.raises(HardwareError, match="belongs to an emulated chip"):
        simulated.open()
    path = str(tmp_path / "simulated")
    bench_at(path, SimulatedBench)
    with pytest.raises(HardwareError, match="belongs to a simulated reader"):
        chip_at(path)
    release(path)


def test_the_packages_own_requests_are_fast_with_our_transceive(rig):
    pcd = rig.reader._link._pcd
    before = rig.chip.transfers
    assert pcd.MFRC522_Request(pcd.PICC_REQIDL)[0] == pcd.MI_ERR
    assert rig.chip.transfers - before <= 13
    rig.place(SINGLE)
    assert pcd.MFRC522_Request(pcd.PICC_REQIDL) == (pcd.MI_OK, 16)
    assert pcd.MFRC522_Anticoll()[1][:4] == list(SINGLE)
    assert pcd.MFRC522_ToCard(pcd.PCD_AUTHENT, [0] * 12) == (pcd.MI_ERR, [], 0)
    rig.chip.remove()
    rig.place(SINGLE, spoils=(Spoil(0, bend=1),))
    assert pcd.MFRC522_Request(pcd.PICC_REQIDL)[0] == pcd.MI_ERR
