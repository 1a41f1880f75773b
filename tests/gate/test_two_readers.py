"""A gate with two readers: what one of them misses, breaks or reads twice."""

from __future__ import annotations

from pathlib import Path

from fabgate.drivers.readers import Card, Misread
from fabgate.gate.config.gate_yaml import Driver, MachineSection
from fabgate.gate.doctor import service
from fabgate.gate.status.status_file import rows
from fabgate.rules import vocabulary
from tests.gate.fakes import NOON, FakeReader
from tests.gate.shell import Bench, digest, running, wait

TWO = [Driver(driver="simulated"), Driver(driver="serial")]


def see_empty_fields(bench: Bench) -> None:
    for _ in range(6):
        bench.advance(150)
        for reader in bench.readers:
            reader.looked()


def test_two_readers_read_one_card_and_one_of_them_hangs_and_is_pulled(tmp_path: Path) -> None:
    with running(tmp_path, reader=TWO) as bench:
        first, second = bench.readers
        see_empty_fields(bench)
        first.lay("ada")
        second.lay("ada")
        wait(lambda: bench.output.on, "power")
        for reader in bench.readers:
            reader.looked(2)
        bench.settle()
        assert bench.state == "active"
        first.lift()
        second.answers.clear()
        second.hanging.wait()
        for _ in range(7):
            bench.advance(1_000)
            first.looked()
        hung = "reader 2 (serial): the reader has not answered for 6 s"
        status = bench.wait_for_status(lambda found: found["problems"])
        assert status["problems"] == [f"reader: {hung}"]
        assert [one["state"] for one in status["readers"]] == ["ok", "fault"]
        assert ("readers", "reader 1 (simulated) ok, reader 2 (serial) fault") in rows(status, alive=True, now=NOON)
        assert bench.causes == []
        for reader, outcome in enumerate(("ok", "fail"), start=1):
            name = status["readers"][reader - 1]["name"]
            assert service.running_reader(status, supervised=True, todo="look", name=name).outcome == outcome
        first.lay("ada")  # it arrives, and ends the session
        wait(lambda: not bench.output.on, "the end")
        first.plugged = False
        wait(lambda: bench.causes == ["reader"], "the cause of two faults")
        second.answers.set()
        wait(lambda: not bench.causes, "the all-clear")
        bench.written()
        assert [(data.reader, data.detail) for data in bench.of("reader.fault")] == [
            (2, hung),
            (1, "reader 1 (simulated): the fake reader is unplugged"),
        ]
        assert [data.reader for data in bench.of("reader.recovered")] == [2]
        assert bench.of("machine.blocked")[0].detail == f"reader 1 (simulated): the fake reader is unplugged; {hung}"
        assert len(bench.of("session.started")) == 1


def test_pulling_the_reader_beside_the_holder_ends_nothing_and_pulling_the_other_one_does(tmp_path: Path) -> None:
    readers = [TWO[1], Driver(driver="simulated", holds=True)]
    with running(tmp_path, reader=readers, machine=MachineSection(mode="hold", finish="cut", grace_s=10)) as bench:
        bench.post(vocabulary.Presented(digest("ada"), 1))
        wait(lambda: bench.output.on, "power")
        bench.readers[0].plugged = False
        bench.wait_for_status(lambda found: found["problems"])
        bench.advance(30_000)
        assert bench.output.on
        assert bench.causes == []
        bench.readers[1].plugged = False
        wait(lambda: bench.causes == ["reader"], "the cause")
        bench.advance(9_000)
        assert bench.output.on
        bench.advance(2_000)
        assert not bench.output.on


class Sender(FakeReader):
    """A reader that only sends: what was laid on it comes once."""

    continuous = False
    gone_after_ms = 1_000

    def poll(self) -> Card | Misread | None:
        found = super().poll()
        self.seen = None
        return found


def test_the_pauses_of_a_reader_that_repeats_a_badge_are_in_the_status(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.reader = Sender()
    bench.readers[:] = [bench.reader]
    try:
        bench.start()
        for _ in range(4):
            bench.reader.lay("ada")
            bench.reader.looked()
            bench.advance(500)
            bench.reader.looked()
        status = bench.wait_for_status(lambda found: "longest_pauses_ms" in found)
        assert status["longest_pauses_ms"] == [500]
    finally:
        bench.close()
