"""The control socket of an emulated reader, through which other processes place cards.

A request is a line of JSON to a UNIX socket, answered by a line of JSON:

=====================================================  ========================================================
``{"do": "place", "uid": "04A1B2C3", "torn": 2}``      place a card; with torn it is gone after that many answers
``{"do": "place", "uid": "04A1B2C3", "waits": true}``  place a card no faster than a person does
``{"do": "remove", "uid": "04A1B2C3"}``                remove it; without uid all cards
``{"do": "tap", "uid": "04A1B2C3", "for_ms": 300}``    place, hold, remove; answered when it is removed
``{"do": "unplug"}``, ``{"do": "plug"}``               pull out the ribbon cable, plug it in again
``{"do": "brown-out"}``                                let the supply dip, so that the chip loses its settings
=====================================================  ========================================================

A single-size UID that starts with 08 is random: such a card has another one each time the field comes on. The answer is
``{"ok": true}`` or ``{"ok": false, "error": "…"}``. A tap, and a place with ``waits``, places the card on an empty
field only after the reader has seen that it is empty, because a person is never faster; where a card is there already,
it does not wait. One daemon thread serves all connections, so a tap does not delay other requests. The socket is for
its owner only (mode 0600), and for demos and tests only.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import socket
import stat
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fabgate.drivers.emulated.cards import parse_uid
from fabgate.errors import FabgateError, HardwareError, UsageError

MAX_LINE = 4096
DEFAULT_TAP_MS = 300
#: Two polls of a 20 Hz reader: a shorter tap could fall between them.
SHORTEST_TAP_MS = 100
LONGEST_TAP_MS = 60_000
#: A gate counts a card as tapped only after polls found the field empty for 0.6 s (the Reader contract). It waits at
#: least 50 ms between two polls, so this many polls take longer than that.
EMPTY_POLLS = 14
#: After this time a card is placed anyway, on a reader that does not poll because its gate hangs.
LONGEST_WAIT_S = 3.0
_LOOK_S = 0.02


class Bench(Protocol):
    """What the control socket controls: the cards and the plug of an emulated chip or a simulated reader."""

    @property
    def empty_polls(self) -> int | None:
        """How many polls in a row have found the field empty; None while a card is there."""

    def place(self, uid: bytes, *, torn: int | None) -> None:
        """Place a card. Raises UsageError."""

    def remove(self, uid: bytes | None) -> None:
        """Remove a card, or all cards. Raises UsageError."""

    def unplug(self) -> None:
        """Unplug the reader."""

    def plug(self) -> None:
        """Plug the reader in again."""

    def brown_out(self) -> None:
        """Let the supply voltage dip."""


def ask(path: str, request: Mapping[str, object], timeout_s: float = 5.0) -> dict[str, Any]:
    """Send one request to the socket at `path` and return the answer; for a tap, `timeout_s` is extended by its length.

    Raises HardwareError when there is no answer.
    """
    held = request.get("for_ms", 0)
    patience_s = timeout_s + (held / 1000 if isinstance(held, int) else 0)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(patience_s)
            client.connect(path)
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as lines:
                line = lines.readline()
    except OSError as error:
        raise HardwareError(f"{path}: no answer ({error}). Is the gate with this emulated reader running?") from error
    if not line:
        raise HardwareError(
            f"{path}: the emulated reader closed the connection without an answer. Is it still running?"
        )
    answer: dict[str, Any] = json.loads(line)
    return answer


@dataclass(slots=True, eq=False)
class _Client:
    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class _Coming:
    """A card that waits until the reader has seen an empty field, or until `until`. `for_s` is None if it stays."""

    until: float
    uid: bytes
    for_s: float | None
    client: _Client


@dataclass(slots=True)
class _Held:
    """A tapped card that is removed at `until`."""

    until: float
    uid: bytes
    client: _Client


class ControlServer:
    """The server: one daemon thread on one socket, from construction until ``stop``.

    Raises HardwareError when the socket cannot be made. A socket file without a listener is replaced.
    """

    def __init__(self, path: str, bench: Bench, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._bench = bench
        self._clock = clock
        self._coming: list[_Coming] = []
        self._held: list[_Held] = []
        self._listener = _listen(path)
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name=f"control {path}", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Close the socket and remove its file; a second call does nothing."""
        atexit.unregister(self.stop)
        if self._stopping:
            return
        self._stopping = True
        with contextlib.suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 - pathlib costs an import and gains nothing here
        self.wake()
        self._thread.join()
        self._wake.close()

    def wake(self) -> None:
        """Make the thread check the clock now."""
        with contextlib.suppress(OSError):  # the thread has ended already
            self._wake.send(b"!")

    def _serve(self) -> None:
        while not self._stopping:
            next_end = min((held.until for held in self._held), default=None)
            wait_s = None if next_end is None else max(0.0, next_end - self._clock())
            if self._coming:
                wait_s = _LOOK_S if wait_s is None else min(wait_s, _LOOK_S)
            for key, _ in self._selector.select(wait_s):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._woken.recv(64)
                else:
                    self._receive(key.data)
            self._lay_down()
            self._end_taps()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(1.0)  # for sending: a client that does not read its answers does not get them
        self._selector.register(connection, selectors.EVENT_READ, _Client(connection))

    def _receive(self, client: _Client) -> None:
        try:
            chunk = client.socket.recv(MAX_LINE)
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(client)
            return
        client.received += chunk
        while b"\n" in client.received:
            line, _, rest = bytes(client.received).partition(b"\n")
            client.received[:] = rest
            self._handle(client, line)
        if len(client.received) > MAX_LINE:
            self._answer(client, f"found a line of more than {MAX_LINE} bytes, wanted one short JSON object a line")
            self._drop(client)

    def _handle(self, client: _Client, line: bytes) -> None:
        try:
            waits = self._obey(client, line)
        except (FabgateError, ValueError) as error:
            self._answer(client, str(error))
            return
        if not waits:
            self._answer(client)

    def _obey(self, client: _Client, line: bytes) -> bool:
        """Carry out one request; return whether its answer has to wait."""
        request = _decode(line)
        do = request["do"]
        if do == "place" and _flag(request, "waits"):
            self._coming.append(_Coming(self._clock() + LONGEST_WAIT_S, parse_uid(request.get("uid")), None, client))
            return True
        if do == "place":
            self._bench.place(parse_uid(request.get("uid")), torn=_torn(request.get("torn")))
        elif do == "remove":
            self._bench.remove(None if request.get("uid") is None else parse_uid(request["uid"]))
        elif do == "tap":
            uid, for_ms = parse_uid(request.get("uid")), _for_ms(request.get("for_ms", DEFAULT_TAP_MS))
            self._coming.append(_Coming(self._clock() + LONGEST_WAIT_S, uid, for_ms / 1000, client))
            return True
        elif do == "unplug":
            self._bench.unplug()
        elif do == "plug":
            self._bench.plug()
        else:
            self._bench.brown_out()
        return False

    def _lay_down(self) -> None:
        coming, self._coming = self._coming, []
        for card in coming:
            polls = self._bench.empty_polls
            if polls is not None and polls < EMPTY_POLLS and self._clock() < card.until:
                self._coming.append(card)
                continue
            try:
                self._bench.place(card.uid, torn=None)
            except UsageError as error:
                self._answer(card.client, str(error))
                continue
            if card.for_s is None:
                self._answer(card.client)
            else:
                self._held.append(_Held(self._clock() + card.for_s, card.uid, card.client))

    def _end_taps(self) -> None:
        now = self._clock()
        over = [held for held in self._held if held.until <= now]
        self._held = [held for held in self._held if held.until > now]
        for held in over:
            # The card may have been removed in the meantime: then the tap has ended too.
            with contextlib.suppress(UsageError):
                self._bench.remove(held.uid)
            self._answer(held.client)

    def _answer(self, client: _Client, error: str | None = None) -> None:
        answer = {"ok": True} if error is None else {"ok": False, "error": error}
        with contextlib.suppress(OSError):  # the client has gone; its request was carried out
            client.socket.sendall(json.dumps(answer).encode() + b"\n")

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.socket)
        client.socket.close()


_benches: dict[str, tuple[Bench, ControlServer]] = {}


def bench_at(path: str, make: Callable[[], Bench]) -> Bench:
    """Return the bench of `path` in this process. The first call makes it with `make`, and opens its socket.

    The bench stays until ``release`` or the end of the process, as hardware does: a reader that is closed after a fault
    is opened again on the same bench, and meanwhile a card can be placed or the plug put back.
    """
    if path not in _benches:
        bench = make()
        _benches[path] = (bench, ControlServer(path, bench))
    return _benches[path][0]


def release(path: str) -> None:
    """Stop serving at `path` and drop its bench; do nothing if there is no bench."""
    if path in _benches:
        _benches.pop(path)[1].stop()


_FIELDS = {
    "place": {"uid", "torn", "waits"},
    "remove": {"uid"},
    "tap": {"uid", "for_ms"},
    "unplug": set[str](),
    "plug": set[str](),
    "brown-out": set[str](),
}


def _decode(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        shown = line[:60].decode("utf-8", "replace")
        raise UsageError(
            f'found "{shown}", wanted a JSON object such as {{"do": "place", "uid": "04A1B2C3"}}'
        ) from None
    if not isinstance(request, dict):
        raise UsageError(f"found {type(request).__name__}, wanted a JSON object with a 'do'")
    do = request.get("do")
    if not isinstance(do, str) or do not in _FIELDS:
        raise UsageError(f"found {do!r} as 'do', wanted one of: {', '.join(_FIELDS)}")
    unknown = sorted(set(request) - _FIELDS[do] - {"do"})
    if unknown:
        wanted = ", ".join(sorted(_FIELDS[do])) or "nothing"
        raise UsageError(f"found {', '.join(map(repr, unknown))} with '{do}', wanted {wanted}: leave it out")
    return request


def _torn(value: object) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    raise UsageError(f"found {value!r} as 'torn', wanted a number of answers from 0")


def _flag(request: Mapping[str, object], name: str) -> bool:
    value = request.get(name, False)
    if isinstance(value, bool):
        return value
    raise UsageError(f"found {value!r} as {name!r}, wanted true or false")


def _for_ms(value: object) -> int:
    if type(value) is int and SHORTEST_TAP_MS <= value <= LONGEST_TAP_MS:
        return value
    raise UsageError(f"found {value!r} as 'for_ms', wanted {SHORTEST_TAP_MS} to {LONGEST_TAP_MS} (two polls at least)")


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    unheard = f"{path[:-1]}~"  # renamed once the socket listens; as long as the path, because the length is limited
    try:
        _clear_stale(path)
        _clear_stale(unheard)
        # Linux gives the file the mode of its socket from the beginning, so other users can never connect. A umask would be
        # that of all threads.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(unheard)
        listener.listen(8)
        os.rename(unheard, path)  # noqa: PTH104 - pathlib costs an import and gains nothing here
    except OSError as error:
        listener.close()
        raise HardwareError(f"{path}: no control socket can be made there ({error}). Choose another path") from error
    return listener


def _clear_stale(path: str) -> None:
    """Remove a socket file without a listener. Raises OSError for one in use, or for another kind of file."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError("found a file that is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError("another process listens on it")
    os.unlink(path)  # noqa: PTH108
