"""Does each of our readers keep the Reader contract?"""

import pytest

from fabgate.drivers.emulated import chip_at
from fabgate.drivers.emulated.control import ask, bench_at, release
from fabgate.drivers.emulated.readers.simulated import SimulatedBench
from fabgate.drivers.readers.mfrc522 import Mfrc522Reader
from fabgate.drivers.readers.simulated import SimulatedReader
from fabgate.testing.readers import ReaderContract


class TestOurReaders(ReaderContract):
    """Through the control socket, on the real clock: the whole path that the demo uses."""

    @pytest.fixture(autouse=True, params=["mfrc522 on an emulated chip", "simulated"])
    def bench(self, request, tmp_path):
        self.driver, self.path = request.param, str(tmp_path / "reader")
        if self.driver == "simulated":
            bench_at(self.path, SimulatedBench)
        else:
            chip_at(self.path)
        self.made = []
        yield
        for reader in self.made:
            reader.close()
        release(self.path)

    def make(self):
        if self.driver == "simulated":
            reader = SimulatedReader(SimulatedReader.Options(control_socket=self.path))
        else:
            reader = Mfrc522Reader(Mfrc522Reader.Options(chip="emulated", control_socket=self.path))
        self.made.append(reader)
        return reader

    def place(self, uid, *, torn=None):
        self.order({"do": "place", "uid": uid.hex(), "torn": torn})

    def remove(self, uid=None):
        self.order({"do": "remove"} if uid is None else {"do": "remove", "uid": uid.hex()})

    def unplug(self):
        self.order({"do": "unplug"})

    def plug(self):
        self.order({"do": "plug"})

    def order(self, request):
        assert ask(self.path, request) == {"ok": True}

    def test_a_brown_out_is_got_over_and_counted(self):
        reader = self._opened()
        self.place(bytes.fromhex("04A1B2C3"))
        before = reader.poll()
        self.order({"do": "brown-out"})
        assert reader.poll() == before
        assert reader.recoveries == 1
        assert reader.poll() == before
        assert reader.recoveries == 1


def test_what_a_bench_cannot_do_is_skipped_and_not_passed():
    with pytest.raises(pytest.skip.Exception, match=r"does not define place\(\)"):
        ReaderContract()._try(ReaderContract().place, b"\x04\xa1\xb2\xc3")


def test_a_bench_has_to_make_a_reader():
    with pytest.raises(NotImplementedError):
        ReaderContract().make()
