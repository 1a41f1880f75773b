"""The socket by which the page "Wall" controls the workshop: one line of JSON for each request and answer.

===================================================  ==================================================================
``{"do": "look"}``                                   ``cards`` and ``machines``, as seen.py has them
``{"do": "enter", "token": "…"}``                    whether the token is valid; after that it is not
``{"do": "tap", "gate": "…", "card": "…"}``          tap a card; in a holder: put it in, or take it out
``{"do": "jump", "gate": "…", "by_s": 3600}``        set the gate's clock forward or back
``{"do": VERB, "gate": "…"}``                        take-out, pull, plug, kill, start, cut, restore, right
===================================================  ==================================================================

The answer is ``{"ok": true, …}`` after the action, or ``{"ok": false, "error": "…"}``. Only the owner can use the socket
(mode 0600), and only a demo has one.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socketserver
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from fabgate.demo.live.hands import Hands
from fabgate.demo.live.seen import Seen, cards
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.waiting import WAIT_S
from fabgate.errors import FabgateError, UsageError

MAX_LINE: Final = 4096


class Wall:
    """Serves the socket from construction until ``close``; ``link`` makes the address that a person opens."""

    def __init__(self, workshop: Workshop, hands: Hands, seen: Seen) -> None:
        self.folder = workshop.folder
        self._workshop = workshop
        self._hands = hands
        self._seen = seen
        self._looking = threading.Lock()
        self._token = ""
        self._verbs: dict[str, Callable[[SimulatedGate], Future[str]]] = {
            "take-out": hands.take_out,
            "pull": hands.pull,
            "plug": hands.plug,
            "kill": hands.kill,
            "start": hands.start,
            "cut": hands.cut_power,
            "restore": hands.restore_power,
            "right": hands.set_clock_right,
        }
        self._server = _Server(str(workshop.wall_socket), self)
        threading.Thread(target=self._server.serve_forever, name="wall", daemon=True).start()

    def link(self) -> str:
        """Make a link that opens the wall once, and return it; an earlier one stops working."""
        # 96 bits, which is enough on this computer, and short enough for a line in the terminal
        self._token = secrets.token_urlsafe(12)
        return self.address

    @property
    def address(self) -> str:
        """Return the one-time link until it is used, then the plain address of the pages."""
        return f"{self._workshop.address}/enter/{self._token}" if self._token else self._workshop.address

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._workshop.wall_socket.unlink(missing_ok=True)

    def answer(self, line: bytes) -> dict[str, Any]:
        """Handle one request; return the answer."""
        try:
            return {"ok": True, **self._obey(_decode(line))}
        except (FabgateError, OSError, TimeoutError) as error:
            return {"ok": False, "error": str(error)}

    def _obey(self, request: dict[str, Any]) -> dict[str, Any]:
        do = str(request.get("do"))
        if do == "look":
            with self._looking:
                return {"cards": cards(), "machines": self._seen.machines()}
        if do == "enter":
            return {"opens": self._enter(str(request.get("token", "")))}
        gate = self._hands.gate(str(request.get("gate")))
        if do == "tap":
            done = self._hands.card(gate, str(request.get("card")))
        elif do == "jump":
            done = self._hands.jump_clock(gate, _number(request.get("by_s")))
        elif do in self._verbs:
            done = self._verbs[do](gate)
        else:
            raise UsageError(f"found {do!r} as 'do', wanted one of: look, enter, tap, jump, {', '.join(self._verbs)}")
        if problem := done.result(timeout=WAIT_S):
            raise UsageError(problem)
        return {}

    def _enter(self, token: str) -> bool:
        with self._looking:
            opens = bool(self._token) and hmac.compare_digest(token.encode(), self._token.encode())
            if opens:
                self._token = ""
        return opens


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, wall: Wall) -> None:
        super().__init__(path, _Handler)
        self.wall = wall

    def server_bind(self) -> None:
        """Bind a socket that other users can never connect to: on Linux its file has this mode from the beginning."""
        os.fchmod(self.fileno(), 0o600)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 (the base class names them)
        """Write the error to a file next to the logs of the processes, because the terminal shows the table."""
        with (self.wall.folder / "wall.log").open("a", encoding="utf-8") as out:
            traceback.print_exc(file=out)


class _Handler(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        line = self.rfile.readline(MAX_LINE)
        if line:
            self.wfile.write(json.dumps(self.server.wall.answer(line)).encode() + b"\n")


def _decode(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f'found {line[:60]!r}, wanted a JSON object such as {{"do": "look"}}')
    return found


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise UsageError(f"found {value!r} as 'by_s', wanted a number of seconds")
