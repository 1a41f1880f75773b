"""A tap on the emulated reader of a demo, from another terminal."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fabgate.demo import taps
from fabgate.drivers.emulated import control
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader
from fabgate.errors import HardwareError, UsageError
from fabgate.testing import emulated_hardware


def test_a_tap_finds_reader_and_card_by_their_names_in_a_demo(tmp_path: Path) -> None:
    emulated_hardware.provide()
    path = tmp_path / "saw-1.sock"
    reader = SimulatedReader(SimulatedOptions(control_socket=str(path)))
    reader.open()
    (tmp_path / "people.json").write_text('{"ada": "04:A1:B2:C3"}')
    seen = []
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            seen.append(reader.poll())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        assert taps.tap("saw-1", "Ada", for_ms=120, data=tmp_path) == 0
    finally:
        looking.set()
        thread.join()
        control.release(str(path))
    assert bytes.fromhex("04A1B2C3") in [card.uid for card in seen if card is not None]


def test_a_tap_reports_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no reader at"):
        taps.tap(str(tmp_path / "none.sock"), "04A1B2C3", for_ms=100)
    os.mkfifo(tmp_path / "dead.sock")
    with pytest.raises(HardwareError, match="no answer"):
        taps.tap(str(tmp_path / "dead.sock"), "04A1B2C3", for_ms=100)
