"""Asks one OSDP device: a command, its repetitions, the answer; and the handshake of the secure channel.

Everything that could be a mistake or an attack ends the link: an answer in clear text, a wrong seal, another key. Only silence,
noise and "busy" are waited for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Final, Protocol

from fabgate.drivers.readers.osdp import frames
from fabgate.drivers.readers.osdp.frames import (
    REPLY,
    SCS_11,
    SCS_12,
    SCS_13,
    SCS_14,
    SCS_15,
    SCS_16,
    SCS_17,
    SCS_18,
    Frame,
)
from fabgate.drivers.readers.osdp.secure_channel import BLOCK, DEFAULT_KEY, RANDOM_BYTES, Session
from fabgate.errors import HardwareError

#: A device begins to answer within 200 ms (5.6); the rest is for the adapter.
REPLY_S: Final = 0.25
#: Wakes the line before each command (5.7): an adapter turns its direction with the first bit.
MARK: Final = b"\xff"
#: How often a command is sent before its device counts as gone.
TRIES: Final = 3
#: How long a device may say that it is busy.
BUSY_S: Final = 3.0
_CUID_BYTES: Final = 8
_UNSUPPORTED: Final = (3, 5)  # reasons of osdp_NAK: an unknown command, an unsupported security block
_ITS_KEY, _DEFAULT_KEY = 1, 0  # in blocks of the handshake: which key is meant


class ChannelLostError(HardwareError):
    """The device has forgotten the secure channel. With its key, a new one can be made at once."""


class Line(Protocol):
    """A serial line: ``SerialLine``, or that of a test."""

    def write(self, data: bytes) -> None:
        """Send bytes, and forget what came before."""

    def read(self, wait_s: float) -> bytes:
        """Return what came within `wait_s` seconds."""

    def close(self) -> None:
        """Release the line."""


class Link:
    """One device on a line. `name` is for errors, `clock` returns seconds; `random` is replaced by tests only.

    Every method raises HardwareError.
    """

    def __init__(
        self,
        line: Line,
        address: int,
        *,
        name: str,
        speed_bps: int,
        clock: Callable[[], float],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._line = line
        self._random = random
        self._address = address
        self._name = name
        self._byte_s = 10 / speed_bps
        self._clock = clock
        self._sequence = 0
        self._session: Session | None = None
        self._command = self._received = b""
        self._tries = 0
        self._first_at = self._until = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether the last command has no answer yet."""
        return bool(self._command)

    def send(self, body: bytes) -> None:
        """Send a command, in the secure channel once there is one."""
        session, block, mac = self._session, b"", None
        if session is not None:
            block, mac = bytes((SCS_15 if len(body) == 1 else SCS_17,)), session.seal_command
            body = body[:1] + (session.encrypt_command(body[1:]) if len(body) > 1 else b"")
        self._send(body, block, mac)

    def answer(self, wait_s: float) -> tuple[bytes, bool] | None:
        """Return the body of the answer, and whether it was encrypted; None if no answer comes within `wait_s` seconds."""
        frame = self._frame(wait_s)
        if frame is None:
            return None
        session = self._session
        if session is None:
            return frame.body, False
        return self._unsealed(session, frame)

    def identify(self) -> bytes:
        """Begin a new conversation; return the twelve bytes with which the device names itself."""
        self._sequence, self._session = 0, None
        body = self._exchange(bytes((frames.ID, 0))).body
        if body[0] != frames.PDID or len(body) != 13:
            raise HardwareError(
                f"{self._name} answered with {body[0]:#04x} when it was asked who it is. Check its address and its speed ({_DOCS})"
            )
        return body[1:]

    def secure(self, key: bytes) -> None:
        """Make a secure channel with this key; both sides prove that they have it."""
        which = _DEFAULT_KEY if key == DEFAULT_KEY else _ITS_KEY
        panel_random = self._random(RANDOM_BYTES)
        session = Session(key, panel_random)
        frame = self._exchange(bytes((frames.CHLNG,)) + panel_random, bytes((SCS_11, which)))
        data = self._handshake(frame, frames.CCRYPT, SCS_12, which, _CUID_BYTES + RANDOM_BYTES + BLOCK)
        device_random, cryptogram = data[_CUID_BYTES:-BLOCK], data[-BLOCK:]
        if cryptogram != session.device_cryptogram(device_random):
            raise HardwareError(f"{self._name} has another key than this gate: set it on the reader ({_DOCS})")
        proof = session.panel_cryptogram(device_random)
        frame = self._exchange(bytes((frames.SCRYPT,)) + proof, bytes((SCS_13, which)))
        if self._handshake(frame, frames.RMAC_I, SCS_14, 1, BLOCK) != session.start(proof):
            raise HardwareError(
                f"{self._name} could not make a secure channel: its first seal is wrong. Give it its key again ({_DOCS})"
            )
        self._session = session

    def give_key(self, key: bytes) -> None:
        """Give a device in its installation mode this key, and prove that it has it. One that has it already keeps it."""
        self.identify()
        try:
            self.secure(DEFAULT_KEY)
        except HardwareError as error:
            with contextlib.suppress(HardwareError):
                self.identify()
                self.secure(key)
                return
            raise HardwareError(
                f"{error}. To take a key it has to be in its installation mode, as its manual says"
            ) from error
        self.send(bytes((frames.KEYSET, 1, len(key))) + key)
        # Some forget the channel with the old key before they confirm: a channel with the new one tells.
        with contextlib.suppress(HardwareError):
            while self.answer(REPLY_S) is None:
                pass
        self.identify()
        self.secure(key)

    def _handshake(self, frame: Frame, code: int, block: int, which: int, size: int) -> bytes:
        """Return the data of an answer of the handshake."""
        if frame.body[0] == frames.NAK:
            reason = frame.body[1] if len(frame.body) > 1 else 0
            if reason in _UNSUPPORTED:
                raise HardwareError(
                    f"{self._name} has no secure channel, and is never read without: it is too old, or it has no key yet ({_DOCS})"
                )
            raise HardwareError(
                f"{self._name} refused the secure channel (reason {reason}): it has another key, or none yet ({_DOCS})"
            )
        if frame.body[0] != code or frame.block != bytes((block, which)) or len(frame.body) != 1 + size:
            raise HardwareError(
                f"{self._name} refused the secure channel: it has another key, or the one of the factory ({_DOCS})"
            )
        return frame.body[1:]

    def _exchange(self, body: bytes, block: bytes = b"") -> Frame:
        """Send a command of the handshake and wait for its answer."""
        self._send(body, block, None)
        frame = None
        while frame is None:
            frame = self._frame(REPLY_S)
        return frame

    def _send(self, body: bytes, block: bytes, mac: Callable[[bytes], bytes] | None) -> None:
        self._command = frames.build(self._address, self._sequence, body, block=block, mac=mac)
        self._tries, self._first_at = 0, self._clock()
        self._try()

    def _try(self) -> None:
        self._tries += 1
        self._received = b""
        self._line.write(MARK + self._command)
        self._until = self._clock() + REPLY_S + (len(self._command) + frames.LONGEST) * self._byte_s

    def _frame(self, wait_s: float) -> Frame | None:
        """Return the frame that answers the command, or None after `wait_s` seconds; send the command again in time."""
        stop = self._clock() + wait_s
        while True:
            frame, self._received = frames.take(self._received, self._address | REPLY)
            if frame is None:
                now = self._clock()
                if now >= self._until:
                    self._repeat()
                elif now >= stop:
                    return None
                self._received += self._line.read(min(stop, self._until) - now)
            elif frame.sequence == self._sequence and frame.body[0] != frames.BUSY:
                self._command = b""
                self._sequence = self._sequence % 3 + 1
                return frame
            elif frame.body[0] == frames.BUSY and self._clock() - self._first_at < BUSY_S:
                self._tries = 0

    def _repeat(self) -> None:
        if self._tries >= TRIES:
            self._command = b""
            raise HardwareError(
                f"{self._name} does not answer. Check its wires A and B, its supply, its address and its speed ({_DOCS})"
            )
        self._try()

    def _unsealed(self, session: Session, frame: Frame) -> tuple[bytes, bool]:
        """Return the body of a sealed answer, and whether it was encrypted."""
        kind = frame.block[:1]
        if not frame.block and frame.body[0] == frames.NAK:
            raise ChannelLostError(
                f"{self._name} has lost the secure channel: it was without power, or disturbed. Check its supply"
            )
        if kind not in (bytes((SCS_16,)), bytes((SCS_18,))) or len(frame.block) != 1:
            raise HardwareError(
                f"{self._name} answered without a seal, so the gate ignores it: someone may have tampered with the line. {_WIRES}"
            )
        if not session.is_reply(frame.signed, frame.mac):
            raise HardwareError(
                f"{self._name} answered with a wrong seal: someone may have tampered with the line. {_WIRES}"
            )
        body, is_encrypted = frame.body, frame.block[0] == SCS_18
        if is_encrypted:
            try:
                body = body[:1] + session.decrypt_reply(body[1:])
            except ValueError as error:
                raise HardwareError(
                    f"{self._name} sent an answer that cannot be decrypted ({error}). Give it its key again ({_DOCS})"
                ) from error
        if body[0] == frames.NAK:
            reason = body[1] if len(body) > 1 else 0
            raise HardwareError(f"{self._name} refused a command (reason {reason}). Restart the reader ({_DOCS})")
        return body, is_encrypted


_DOCS: Final = "docs/readers/README.md"
_WIRES: Final = "Look along its wires A and B"
