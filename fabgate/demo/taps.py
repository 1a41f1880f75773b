"""Places cards on emulated readers, for ``fabgate tap``, the demo and its tests."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fabgate import badge
from fabgate.demo.waiting import WAIT_S, DemoError, wait_for
from fabgate.drivers.emulated.control import ask
from fabgate.errors import HardwareError, UsageError
from fabgate.gate.config import gate_yaml

#: The least time between two taps of a card, in seconds: the reader must see the card leave.
BETWEEN_TAPS_S: Final = 1.1
#: After this many seconds without an answer, a person removes the card and holds it there again.
AGAIN_AFTER_S: Final = 10.0


def tap(gate: str, who: str, *, for_ms: int, data: Path | None = None, reader: int = 1) -> int:
    """Hold a card to the reader of a gate for `for_ms` milliseconds; return the exit code.

    `gate` is the reader's control socket, a gate.yaml, or the name of a gate that ``gate-add --emulated`` made. With
    `data`, the folder of a running demo, it is the name of one of its gates, and `who` may be a name of its people.json.
    `reader` is the number of the reader in gate.yaml, for a gate with several.

    Raises UsageError where there is no such reader or card, HardwareError where the reader does not answer.
    """
    people: dict[str, str] = {}
    if data is None:
        socket = _reader_of(gate, reader)
    else:
        socket = data / f"{gate}.sock"
        people = json.loads((data / "people.json").read_text(encoding="utf-8"))
    if not socket.exists():
        raise UsageError(
            f"found no reader at {socket}: is the gate running? For a gate of a demo, give its name and --data FOLDER"
        )
    spelling = people.get(who.lower(), who)
    found = badge.parse(spelling)
    if found.kind is not badge.Kind.ISO14443A:
        raise UsageError(
            f"found {found}, wanted a card with a UID: an emulated reader has a field of 13.56 MHz (docs/readers/README.md"
            " says how to try other readers)"
        )
    lay(socket, str(found), for_ms=for_ms)
    return 0


def _reader_of(gate: str, number: int) -> Path:
    """Return the control socket of a gate that is given by its socket, by its gate.yaml, or by its name."""
    path = Path(gate)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        readers = gate_yaml.load(path, switches=False).reader
        if number > len(readers):
            found = f"{len(readers)} reader{'' if len(readers) == 1 else 's'}"
            raise UsageError(f"{path}: found {found}, wanted number {number} of them; count them in gate.yaml")
        reader = readers[number - 1]
        socket = getattr(reader.options, "control_socket", None)
        if not socket:
            raise UsageError(
                f"{path}: found the reader {reader.driver!r}, wanted an emulated one with a control_socket; a card is"
                " tapped on a real reader by hand"
            )
        return Path(socket)
    if path.name == gate and not path.exists() and (collector := os.environ.get("FABGATE_DATA")):
        return Path(collector) / "emulated" / gate / "reader.sock"
    return path


def lay(socket: Path, uid: str, *, for_ms: int) -> None:
    """Tap the card with this UID for `for_ms` milliseconds on the reader behind a control socket.

    Raises HardwareError.
    """
    _ask(socket, {"do": "tap", "uid": _plain(uid), "for_ms": for_ms}, wait_s=for_ms / 1000 + 5)


def hold(socket: Path, uid: str, what: str, answered: Callable[[], bool]) -> None:
    """Hold a card to the reader until the gate has `answered`, as a person does.

    On a busy computer, a reader may miss a short tap, or a short moment without a card. Raises DemoError, which says
    that `what` did not happen, and HardwareError if there is no reader.
    """
    until = time.monotonic() + WAIT_S
    while True:
        place(socket, uid)
        try:
            wait_for(what, answered, timeout_s=AGAIN_AFTER_S)
        except DemoError:
            if time.monotonic() > until:
                raise
        else:
            return
        finally:
            remove(socket)
        time.sleep(BETWEEN_TAPS_S)


def place(socket: Path, uid: str) -> None:
    """Place a card on the reader and leave it there. Raises HardwareError."""
    _ask(socket, {"do": "place", "uid": _plain(uid), "waits": True})


def remove(socket: Path) -> None:
    """Remove all cards. Raises HardwareError."""
    _ask(socket, {"do": "remove"})


def _plain(uid: str) -> str:
    return uid.replace(":", "")


def _ask(socket: Path, request: dict[str, object], *, wait_s: float = 5) -> None:
    answer = ask(str(socket), request, timeout_s=wait_s)
    if not answer.get("ok"):
        raise HardwareError(str(answer.get("error", "the reader gave no reason")))
