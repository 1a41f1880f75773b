"""How does ``fabgate tap`` find a reader and a card? By path and UID, or by name in a running demo's folder."""

from __future__ import annotations

import json
from pathlib import Path

from fabgate import badge
from fabgate.drivers.emulated.control import ask
from fabgate.errors import HardwareError, UsageError


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
    """Lay the card with this UID on the reader behind a control socket. Raises HardwareError with the reader's reason."""
    uid = uid.replace(":", "")
    answer = ask(str(socket), {"do": "tap", "uid": uid, "for_ms": for_ms}, timeout_s=for_ms / 1000 + 5)
    if not answer.get("ok"):
        raise HardwareError(str(answer.get("error", "the reader gave no reason")))
