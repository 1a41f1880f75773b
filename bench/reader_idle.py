"""How much processor time does each reader take while no badge is there?

The gate's thread polls the real driver at 20 Hz in a process of its own; the device on the other end of the line is emulated
in this process. The wires of ``wiegand`` are emulated where the driver is, so its figure leaves out one system call a poll, and
adds the stand-in. A badge at the end shows that the reader was read all the time. ``mfrc522`` is measured by ``idle-cpu``;
``pcsc`` needs pcscd and a virtual reader, which this computer may not have, and is not measured here.

``python -m bench.reader_idle DRIVER PATH`` is that process: it prints its shares of a core, and then whether a badge came.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.collector import Child
from bench.gates import BenchError
from bench.harness import PASSES, Figure, Run

PASS_S = 5.0
LIMIT = 1.0
UID = bytes.fromhex("04A1B2C3D4E5F6")
FOB = bytes.fromhex("0A00B1C2D3")
KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")


def measure(run: Run) -> list[Figure]:
    figures = []
    for driver in ("serial", "keyboard", "wiegand", "pn532", "osdp"):
        path = run.fresh(driver) / "reader"
        with _device(driver, path) as tap:
            child = Child("bench.reader_idle", None, driver, str(path))
            shares = child.answer()
            tap()
            if not child.ask("tapped"):
                raise BenchError(f"{driver} read no badge: nothing was measured")
            child.process.wait(timeout=10)
        run.log(f"{driver}: {' '.join(f'{share:.2f}' for share in shares)} % of a core")
        figures.append(run.figure(f"{driver}, no badge", "% of a core", shares, LIMIT))
    return figures


@contextlib.contextmanager
def _device(driver: str, path: Path) -> Iterator[Callable[[], object]]:
    """Let the other end of the line exist; yield what presents a badge there."""
    if driver == "serial":
        from fabgate.drivers.emulated.readers.serial_line import SerialLine, rdm6300

        with SerialLine(path) as line:
            yield lambda: line.send(rdm6300(FOB))
    elif driver == "keyboard":
        from fabgate.drivers.emulated.readers.keyboard import Keyboard

        with Keyboard(path) as keyboard:
            yield lambda: keyboard.type("0011649747")
    elif driver == "pn532":
        from fabgate.drivers.emulated.readers.pn532 import Pn532Line

        with Pn532Line(path) as chip_line:
            yield lambda: chip_line.chip.place(UID)
    elif driver == "osdp":
        from fabgate.drivers.emulated.readers.osdp_device import OsdpDevice, OsdpLine

        device = OsdpDevice(KEY)
        with OsdpLine(path, device):
            yield lambda: device.tap(UID)
    else:
        yield lambda: None  # the wires are in the child


def _reader(driver: str, path: Path) -> tuple[Any, Callable[[], object]]:
    """Return a reader, and what presents a badge to it in this process."""
    if driver == "serial":
        from fabgate.drivers.readers.serial import SerialOptions, SerialReader

        return SerialReader(SerialOptions(port=str(path), format="rdm6300")), _nothing
    if driver == "keyboard":
        from fabgate.drivers.readers.keyboard import KeyboardOptions, KeyboardReader

        return KeyboardReader(KeyboardOptions(event_path=str(path), format="number10")), _nothing
    if driver == "pn532":
        from fabgate.drivers.readers.pn532 import Pn532Options, Pn532Reader

        return Pn532Reader(Pn532Options(port=str(path))), _nothing
    if driver == "osdp":
        from fabgate.drivers.readers.osdp.reader import OsdpOptions, OsdpReader

        key = path.with_name("key")
        key.touch(mode=0o600)
        key.write_text(KEY.hex() + "\n", encoding="ascii")
        return OsdpReader(OsdpOptions(format="uid", port=str(path), key_file=key)), _nothing
    from fabgate.badge import Badge, Kind
    from fabgate.badge.wiegand_frames import wiegand_frame
    from fabgate.drivers.emulated.readers.wiegand_lines import WiegandLines
    from fabgate.drivers.readers.wiegand import WiegandOptions, WiegandReader

    lines = WiegandLines(clock=time.monotonic, sleep=time.sleep)
    options = WiegandOptions(format="w26", d0_pin=5, d1_pin=6)
    badge = Badge(Kind.WIEGAND26, bytes.fromhex("760643"))
    return (
        WiegandReader(options, request=lines.request, clock_ns=lines.clock_ns),
        lambda: lines.send(*wiegand_frame(badge)),
    )


def _nothing() -> None:
    """Do nothing: the badge comes from the other process."""


def main() -> None:
    """Poll a reader as a gate does; print its shares of a core, and after a line on stdin whether it reads a badge."""
    from fabgate.gate.clock import boottime_ms
    from fabgate.gate.hardware.reader_thread import ReaderThread
    from fabgate.rules import vocabulary

    reader, tap = _reader(sys.argv[1], Path(sys.argv[2]))
    seen = threading.Event()
    posted: list[object] = []

    def post(event: object) -> None:
        posted.append(event)
        if isinstance(event, vocabulary.Presented):
            seen.set()

    thread = ReaderThread(reader, post, badge_key=bytes(32), boot_ms=boottime_ms)
    threading.Thread(target=thread.run, daemon=True).start()
    time.sleep(2)  # until it is open, and no card counts as tapped that lay there before
    shares = []
    for _ in range(PASSES):
        cpu_s, began_s = time.process_time(), time.perf_counter()
        time.sleep(PASS_S)
        shares.append(100 * (time.process_time() - cpu_s) / (time.perf_counter() - began_s))
    print(json.dumps(shares), flush=True)
    sys.stdin.readline()
    tap()
    print(json.dumps(seen.wait(5) and thread.is_working), flush=True)


if __name__ == "__main__":
    main()
