"""Answers ``fabgate selftest`` and ``fabgate calibrate``: a socket for the gate's own account and root.

A request is the name of a message (``MESSAGES``) and a new line; the answer is ``shown`` or ``busy``. The thread only
posts to the loop, which shows the message where the machine is idle and nothing else is to be seen. The request
``levels`` is answered with what the meters measured last, in JSON. The thread knows no way to power.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import msgspec

from fabgate.errors import HardwareError, UsageError
from fabgate.rules import access, vocabulary

log = logging.getLogger(__name__)

_KIND: Final = vocabulary.SignalKind
#: Each light and each sound once, all of them messages that pass by themselves.
MESSAGES: Final = {
    "extended": vocabulary.Signal(_KIND.EXTENDED, ms=600_000),
    "misread": vocabulary.Signal(_KIND.MISREAD),
    "refused": vocabulary.Signal(_KIND.REFUSED, reasons=(access.UNKNOWN_BADGE,)),
    "identify": vocabulary.Signal(_KIND.IDENTIFY, detail="selftest"),
}
_SOCKET: Final = "selftest.sock"
_CLIENT_S: Final = 1.0
_LOOP_S: Final = 2.0
_LONGEST: Final = 64
_LONGEST_ANSWER: Final = 16 * 1024
_LEVELS: Final = "levels"


class Level(msgspec.Struct, frozen=True):
    """What a meter measured last: a level in its unit, and its count in Wh; None where it does not tell, or cannot be read."""

    meter: str
    unit: str
    level: float | None
    energy_wh: int | None = None


class Trial:
    """One message to show. The loop answers whether it was shown."""

    def __init__(self, name: str) -> None:
        self.signal = MESSAGES[name]
        self._answers: SimpleQueue[bool] = SimpleQueue()

    def answer(self, *, shown: bool) -> None:
        """Tell the thread of the socket. Never blocks."""
        self._answers.put(shown)

    def was_shown(self) -> bool:
        """Wait for the loop, a short time."""
        try:
            return self._answers.get(timeout=_LOOP_S)
        except Empty:
            return False


class Trials:
    """The thread of the socket in `state_dir`. Without a socket, only the self-test is not possible."""

    def __init__(
        self, state_dir: Path, post: Callable[[object], None], levels: Callable[[], list[Level]] = list
    ) -> None:
        self._path = state_dir / _SOCKET
        self._post = post
        self._levels = levels
        self._wake: socket.socket | None = None
        self._stopping = False

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping = True
        if self._wake is not None:
            with contextlib.suppress(OSError):  # the thread has ended already
                self._wake.send(b"!")

    def run(self) -> None:
        """Answer one client after the other until asked to stop."""
        self._wake, woken = socket.socketpair()
        with self._wake, woken, socket.socket(socket.AF_UNIX) as listener:
            try:
                self._path.unlink(missing_ok=True)  # of a gate that was killed: the lock of the folder is ours
                os.fchmod(listener.fileno(), 0o600)  # Linux gives the file this mode; a umask would be all threads'
                listener.bind(str(self._path))
                listener.listen(2)
            except OSError as error:
                log.warning("%s: no socket for fabgate selftest (%s)", self._path, error)
                return
            try:
                while not self._stopping and woken not in select.select([listener, woken], [], [])[0]:
                    with contextlib.suppress(OSError):
                        self._serve(listener.accept()[0])
            finally:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(_CLIENT_S)
            name = client.recv(_LONGEST).decode("ascii", "replace").strip()
            if name == _LEVELS:
                client.sendall(msgspec.json.encode(self._levels()))
                return
            if name not in MESSAGES:
                client.sendall(b"unknown\n")
                return
            trial = Trial(name)
            self._post(trial)
            client.sendall(b"shown\n" if trial.was_shown() else b"busy\n")


def show(state_dir: Path, name: str) -> bool:
    """Ask the running gate to show a message; return whether it does. Raises HardwareError without an answer."""
    if name not in MESSAGES:
        raise UsageError(f"found the message {name!r}, wanted one of: {', '.join(MESSAGES)}")
    return _asked(state_dir, name) == b"shown\n"


def levels(state_dir: Path) -> list[Level]:
    """Ask the running gate what its meters measured last. Raises HardwareError without an answer."""
    answer = _asked(state_dir, _LEVELS)
    try:
        return msgspec.json.decode(answer, type=list[Level])
    except msgspec.DecodeError as error:
        raise HardwareError(
            f"the gate does not report what it measures ({error}). Is it running, with this version?"
        ) from error


def _asked(state_dir: Path, request: str) -> bytes:
    path = state_dir / _SOCKET
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_CLIENT_S + _LOOP_S)
            client.connect(str(path))
            client.sendall(f"{request}\n".encode())
            return client.recv(_LONGEST_ANSWER)
    except OSError as error:
        raise HardwareError(
            f"{path}: the gate does not answer ({error}). Is it running, with this version, and are you root or its account?"
        ) from error
