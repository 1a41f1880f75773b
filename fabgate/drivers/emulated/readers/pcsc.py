"""An emulated contactless card in a real pcscd: it speaks to vpcd, the virtual reader of the project vsmartcard.

    apt install pcscd vsmartcard-vpcd python3-pyscard

    with VirtualCard(bytes.fromhex("04A1B2C3D4E5F6")):
        input("A gate with reader: {driver: pcsc, name: Virtual PCD 00 00} reads a badge ")

The protocol is that of vsmartcard: each message is its length in two bytes, then its bytes; one of one byte is an order.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from functools import reduce
from operator import xor
from typing import Final, Self

from fabgate.drivers.readers.pcsc import GET_UID

#: Where vpcd listens for the card of its first reader.
PORT: Final = 35963
_SEND_ATR: Final = b"\x04"
_DONE, _UNKNOWN = b"\x90\x00", b"\x6d\x00"


def storage_atr(standard: int = 0x03, name: int = 0x0003) -> bytes:
    """Return the ATR that a reader makes for a storage card (PC/SC part 3): 03h is type A, 0003h a MIFARE Ultralight."""
    return with_tck(bytes.fromhex("8F8001804F0CA000000306") + bytes((standard,)) + name.to_bytes(2) + bytes(4))


def iso14443_4_atr(historical: bytes) -> bytes:
    """Return the ATR that a reader makes for a card with ISO/IEC 14443-4."""
    return with_tck(bytes((0x80 | len(historical), 0x80, 0x01)) + historical)


def with_tck(rest: bytes) -> bytes:
    """Return an ATR of direct convention with its check byte (ISO/IEC 7816-3)."""
    return b"\x3b" + rest + bytes((reduce(xor, rest, 0),))


class VirtualCard:
    """A card that lies on the virtual reader until it is removed. Raises ConnectionError without vpcd."""

    def __init__(self, uid: bytes, atr: bytes | None = None, *, port: int = PORT) -> None:
        self._uid = uid
        self._atr = storage_atr() if atr is None else atr
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve, name="virtual card", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Take the card off the reader."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                answer = self._answer(stream.read(int.from_bytes(head)))
                if answer:
                    self._socket.sendall(len(answer).to_bytes(2) + answer)

    def _answer(self, message: bytes) -> bytes:
        if len(message) == 1:
            return self._atr if message == _SEND_ATR else b""  # power off, power on and reset are not answered
        return self._uid + _DONE if message == bytes(GET_UID) else _UNKNOWN
