"""How does ``fabgate tap`` find a reader and a card? By path and UID, or by name in a running demo's folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fabgate import badge
from fabgate.demo.process import WAIT_S, DemoError, wait_for
from fabgate.drivers.emulated.control import ask
from fabgate.errors import HardwareError, UsageError

#: A reader takes two taps that are closer together for one: the card must be seen to leave. In seconds.
BETWEEN_TAPS_S: Final = 1.1
#: After so many seconds without an answer a person takes the card away, and holds it there again.
AGAIN_AFTER_S: Final = 10.0


def tap(gate: str, who: str, *, for_ms: int, data: Path | None = None) -> int:
    """Lay the card `who` (a UID, or a name of the demo's people.json) on the reader of `gate` for so long."""
    socket = Path(gate)
    people: dict[str, str] = {}
    if data is not None:
        socket = data / f"{gate}.sock"
        people = json.loads((data / "people.json").read_text(encoding="utf-8"))
    if not socket.exists():
        raise UsageError(
            f"found no reader at {socket}: is the gate running? With a demo, say --data FOLDER and the gate's name"
        )
    spelling = people.get(who.lower(), who)
    lay(socket, str(badge.parse(spelling)), for_ms=for_ms)
    return 0


def lay(socket: Path, uid: str, *, for_ms: int) -> None:
    """Lay the card with this UID on the reader behind a control socket, for so long. Raises HardwareError."""
    _ask(socket, {"do": "tap", "uid": _plain(uid), "for_ms": for_ms}, wait_s=for_ms / 1000 + 5)


def hold(socket: Path, uid: str, what: str, answered: Callable[[], bool]) -> None:
    """Hold a card to the reader until the gate has `answered`, as a person does.

    On a computer with much else to do, a reader may miss a card that comes for a moment, or a moment without one.
    Raises DemoError, which says `what` did not come; HardwareError where there is no reader.
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
    """Lay a card down and leave it there, as a person would. Raises HardwareError."""
    _ask(socket, {"do": "place", "uid": _plain(uid), "waits": True})


def remove(socket: Path) -> None:
    """Take all cards away. Raises HardwareError."""
    _ask(socket, {"do": "remove"})


def _plain(uid: str) -> str:
    return uid.replace(":", "")


def _ask(socket: Path, request: dict[str, object], *, wait_s: float = 5) -> None:
    answer = ask(str(socket), request, timeout_s=wait_s)
    if not answer.get("ok"):
        raise HardwareError(str(answer.get("error", "the reader gave no reason")))
