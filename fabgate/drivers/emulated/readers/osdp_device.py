"""An emulated OSDP reader: a pseudo-terminal on which a device answers the panel, in its secure channel.

    device = OsdpDevice(key)
    with OsdpLine(Path("/tmp/reader"), device):
        device.tap(bytes.fromhex("04A1B2C3D4E5F6"))

A gate with ``reader: {driver: osdp, port: /tmp/reader, key_file: osdp.key, format: uid}`` then reads a badge.
"""

from __future__ import annotations

import os
import select
import threading
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from fabgate.drivers.readers.osdp import frames
from fabgate.drivers.readers.osdp.frames import REPLY, SCS_12, SCS_14, SCS_16, SCS_17, SCS_18, Frame
from fabgate.drivers.readers.osdp.secure_channel import DEFAULT_KEY, RANDOM_BYTES, Session
from fabgate.errors import HardwareError

#: Reasons of osdp_NAK (annex B): unknown command, no security block of this kind, encryption is required.
UNKNOWN, NO_SUCH_BLOCK, NOT_SECURE = 3, 5, 6
#: Its maker, model, version, serial number and firmware, as osdp_PDID has them.
PDID: Final = bytes.fromhex("0A00170300CAFEDEED015002")


class OsdpDevice:
    """A reader with a key; with ``DEFAULT_KEY`` one that is as from the factory, and takes a key. Pure: bytes in, bytes out."""

    def __init__(self, key: bytes, *, address: int = 0, random: Callable[[int], bytes] = os.urandom) -> None:
        self.key = key
        self.address = address
        self.is_old = False  # it knows no secure channel
        self._random = random
        self._replies: deque[bytes] = deque()
        self._received = self._last = b""
        self._sequence = -1
        self._challenged: tuple[Session, bytes] | None = None
        self._session: Session | None = None

    def tap(self, raw: bytes, bits: int | None = None) -> None:
        """Report a card at the next poll: its bits from the left, which are all of `raw` unless `bits` says fewer."""
        count = len(raw) * 8 if bits is None else bits
        self.report(bytes((frames.RAW, 0, 0)) + count.to_bytes(2, "little") + raw)

    def report(self, reply: bytes) -> None:
        """Answer the next poll with this reply."""
        self._replies.append(reply)

    def restart(self) -> None:
        """Lose the session, as a reader does that was without power."""
        self._session, self._sequence = None, -1

    def answer(self, received: bytes) -> bytes:
        """Return what the device sends for these bytes of the panel."""
        self._received += received
        sent = b""
        while True:
            frame, self._received = frames.take(self._received, self.address)
            if frame is None:
                return sent
            if frame.sequence == 0:
                self._session = None
            elif frame.sequence == self._sequence:
                sent += self._last  # the panel has not received it
                continue
            self._sequence = frame.sequence
            self._last = self._reply(frame)
            sent += self._last

    def _reply(self, frame: Frame) -> bytes:
        code, data = frame.body[0], frame.body[1:]
        if code == frames.CHLNG:  # a panel may begin again at any time
            self._session = None
        session = self._session
        if session is None:
            return self._in_clear(frame, code, data)
        if not frame.mac or session.seal_command(frame.signed)[: frames.MAC_BYTES] != frame.mac:
            self._session = None
            return self._build(frame, bytes((frames.NAK, NOT_SECURE)))
        if frame.block[0] == SCS_17:
            data = session.decrypt_command(data)
        block, body = SCS_16, self._body(code, data)
        if len(body) > 1:
            block, body = SCS_18, body[:1] + session.encrypt_reply(body[1:])
        return self._build(frame, body, bytes((block,)), session.seal_reply)

    def _in_clear(self, frame: Frame, code: int, data: bytes) -> bytes:
        which = frame.block[1:2]
        if code == frames.ID:
            return self._build(frame, bytes((frames.PDID,)) + PDID)
        if code == frames.CHLNG and not self.is_old:
            if (which == b"\0") != (self.key == DEFAULT_KEY):
                return self._build(frame, bytes((frames.NAK, NOT_SECURE)))
            session, mine = Session(self.key, data), self._random(RANDOM_BYTES)
            self._challenged = session, mine
            body = bytes((frames.CCRYPT,)) + PDID[:8] + mine + session.device_cryptogram(mine)
            return self._build(frame, body, bytes((SCS_12,)) + which)
        if code == frames.SCRYPT and self._challenged is not None:
            (session, mine), self._challenged = self._challenged, None
            if session.panel_cryptogram(mine) == data:
                self._session = session
                return self._build(frame, bytes((frames.RMAC_I,)) + session.start(data), bytes((SCS_14, 1)))
        return self._build(frame, bytes((frames.NAK, NO_SUCH_BLOCK if self.is_old and frame.block else NOT_SECURE)))

    def _body(self, code: int, data: bytes) -> bytes:
        """Return the reply in the secure channel."""
        if code == frames.POLL:
            return self._replies.popleft() if self._replies else bytes((frames.ACK,))
        if code == frames.KEYSET and self.key == DEFAULT_KEY and data[:2] == b"\x01\x10" and len(data) == 18:
            self.key = data[2:]
            return bytes((frames.ACK,))
        return bytes((frames.NAK, UNKNOWN))

    def _build(
        self, frame: Frame, body: bytes, block: bytes = b"", mac: Callable[[bytes], bytes] | None = None
    ) -> bytes:
        return frames.build(self.address | REPLY, frame.sequence, body, block=block, mac=mac)


class OsdpLine:
    """A serial line whose device is at `path`, with a reader at its other end, which answers in a thread."""

    def __init__(self, path: Path, device: OsdpDevice) -> None:
        self._path = path
        self._device = device
        self.plug()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug(self) -> None:
        """Let the line appear."""
        self._device_end, line = os.openpty()
        tty.setraw(line)
        self._path.symlink_to(os.ttyname(line))
        os.close(line)
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._answer, name="emulated OSDP reader", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Let the line vanish, as a USB adapter does that is pulled."""
        if self._path.is_symlink():
            self._path.unlink()
            os.close(self._wake)
            self._thread.join()
            os.close(self._woken)
            os.close(self._device_end)

    def _answer(self) -> None:
        while True:
            ready = select.select([self._device_end, self._woken], [], [])[0]
            if self._woken in ready:
                return
            try:
                received = os.read(self._device_end, 4096)
            except OSError:  # nobody has the line open
                if select.select([self._woken], [], [], 0.05)[0]:
                    return
                continue
            os.write(self._device_end, self._device.answer(received))


class OsdpWire:
    """The same without a terminal, a thread and time: what ``SerialLine`` does, for tests. `sleep` lets the time pass."""

    def __init__(self, device: OsdpDevice, *, sleep: Callable[[float], None]) -> None:
        self.device = device
        self.is_plugged = True
        #: What the line does with the bytes of the device: it may lose, change or add some.
        self.disturb: Callable[[bytes], bytes] = bytes
        self.sent: list[bytes] = []
        #: How many bytes come at once.
        self.piece = 4096
        self._sleep = sleep
        self._waiting = b""

    def open(self, _port: str, _speed_bps: int) -> Self:
        """Return this wire as a line."""
        self._check()
        return self

    def write(self, data: bytes) -> None:
        """Pass bytes of the panel to the device."""
        self._check()
        self.sent.append(data)
        self._waiting = self.disturb(self.device.answer(data))

    def read(self, wait_s: float) -> bytes:
        """Return what the device sent, or let the time pass."""
        self._check()
        received, self._waiting = self._waiting[: self.piece], self._waiting[self.piece :]
        if not received:
            self._sleep(max(wait_s, 0.001))
        return received

    def close(self) -> None:
        """Do nothing."""

    def _check(self) -> None:
        if not self.is_plugged:
            raise HardwareError("the emulated line was unplugged")
