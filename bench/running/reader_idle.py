"""Each reader while no badge is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import PASSES, Figure, Passes, measures
from bench.process import BenchError, calling
from bench.run import Run
from bench.usage import core_share
from fabgate import badge
from fabgate.badge.wiegand_frames import wiegand_frame
from fabgate.drivers.emulated.readers.keyboard import Keyboard
from fabgate.drivers.emulated.readers.osdp_device import OsdpDevice, OsdpLine
from fabgate.drivers.emulated.readers.pn532 import Pn532Line
from fabgate.drivers.emulated.readers.serial_line import SerialLine, rdm6300
from fabgate.drivers.emulated.readers.wiegand_lines import WiegandLines
from fabgate.gate.clock import boottime_ms
from fabgate.gate.config.gate_yaml import driver_class
from fabgate.gate.hardware.reader_thread import ReaderThread
from fabgate.rules import vocabulary

PASS_S = 5.0
UID = bytes.fromhex("04A1B2C3D4E5F6")
FOB = bytes.fromhex("0A00B1C2D3")
KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")


class Reader(NamedTuple):
    """A reader: its options, the device at the other end of its line, and what presents a badge there."""

    options: Callable[[Path], dict[str, Any]]
    device: Callable[[Path], AbstractContextManager[Any]]
    tap: Callable[[Any], object]


def _osdp_options(path: Path) -> dict[str, Any]:
    key = path.with_name("key")
    key.touch(mode=0o600)
    key.write_text(KEY.hex() + "\n", encoding="ascii")
    return {"format": "uid", "port": str(path), "key_file": key}


@contextmanager
def _osdp_line(path: Path) -> Iterator[OsdpDevice]:
    device = OsdpDevice(KEY)
    with OsdpLine(path, device):
        yield device


READERS = {
    "serial": Reader(
        lambda path: {"port": str(path), "format": "rdm6300"}, SerialLine, lambda line: line.send(rdm6300(FOB))
    ),
    "keyboard": Reader(
        lambda path: {"event_path": str(path), "format": "number10"}, Keyboard, lambda line: line.type("0011649747")
    ),
    "wiegand": Reader(
        lambda _: {"format": "w26", "d0_pin": 5, "d1_pin": 6}, nullcontext, lambda _: None
    ),  # its wires are in the other process
    "pn532": Reader(lambda path: {"port": str(path)}, Pn532Line, lambda line: line.chip.place(UID)),
    "osdp": Reader(_osdp_options, _osdp_line, lambda device: device.tap(UID)),
}


@measures(*(Figure(f"{driver}, no badge", "% of a core", 1.0) for driver in READERS))
def reader_idle(run: Run) -> Passes:
    """How much processor time does each reader take while no badge is there?

    The gate's thread polls the real driver at 20 Hz in a process of its own; the device on the other end of the line is
    emulated in this process. The wires of ``wiegand`` are emulated where the driver is, so its figure leaves out one system
    call a poll, and adds the stand-in. A badge at the end shows that the reader was read all the time. ``mfrc522`` is measured
    by ``idle-cpu``; ``pcsc`` needs pcscd and a virtual reader, which this computer may not have, and is not measured here.
    """
    shares = []
    for driver, kind in READERS.items():
        path = run.fresh(driver) / "reader"
        with kind.device(path) as device, calling("bench.running.reader_idle") as polling:
            polling.call("poll", driver, str(path))
            shares.append([polling.call("share") for _ in range(PASSES)])
            kind.tap(device)
            if not polling.call("reads_badge"):
                raise BenchError(f"{driver} read no badge: nothing was measured")
        run.log(f"{driver} is measured")
    yield from zip(*shares, strict=True)


_lines = WiegandLines(clock=time.monotonic, sleep=time.sleep)
_thread: ReaderThread
_seen = threading.Event()


def poll(driver: str, path: str) -> None:
    """Poll a reader as a gate does, from now on."""
    global _thread

    def post(event: object) -> None:
        if isinstance(event, vocabulary.Presented):
            _seen.set()

    reader_class = driver_class("reader", driver)
    wires = {"request": _lines.request, "clock_ns": _lines.clock_ns} if driver == "wiegand" else {}
    reader = reader_class(reader_class.Options(**READERS[driver].options(Path(path))), **wires)
    _thread = ReaderThread(reader, post, badge_key=bytes(32), boot_ms=boottime_ms)
    threading.Thread(target=_thread.run, daemon=True).start()
    time.sleep(2)  # until it is open, and no card counts as tapped that lay there before


def share() -> float:
    """Return the share of a core that this process takes, in percent."""
    return core_share(PASS_S)


def reads_badge() -> bool:
    """Return whether the reader reads a badge now: of ``wiegand`` one from here, of others one from the measuring process."""
    _lines.send(*wiegand_frame(badge.Badge(badge.Kind.WIEGAND26, bytes.fromhex("760643"))))
    return _seen.wait(5) and _thread.is_working
