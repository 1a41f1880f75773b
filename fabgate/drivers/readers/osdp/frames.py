"""Frames of OSDP: from bytes that come from a line, and to bytes (SIA OSDP v2.2, 5.9; numbers in annexes A and B)."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SOM: Final = 0x53
#: A reply has the address of its device and this bit.
REPLY: Final = 0x80
#: Bits of the control byte: the sequence number, a CRC instead of a checksum, a security block.
_SEQUENCE, _CRC, _BLOCK = 0x03, 0x04, 0x08
_HEADER: Final = 5
_CRC_BYTES: Final = 2
MAC_BYTES: Final = 4
#: The longest frame that is read. A card has at most 255 bits here, a device's answer to osdp_ID 20 bytes.
LONGEST: Final = 128

# Commands and replies.
POLL, ID, LSTAT, KEYSET, CHLNG, SCRYPT = 0x60, 0x61, 0x64, 0x75, 0x76, 0x77
ACK, NAK, PDID, LSTATR, RAW, FMT, CCRYPT, RMAC_I, BUSY = 0x40, 0x41, 0x45, 0x48, 0x50, 0x51, 0x76, 0x78, 0x79
# Types of security blocks: the handshake; then sealed, and sealed and encrypted, commands and replies.
SCS_11, SCS_12, SCS_13, SCS_14, SCS_15, SCS_16, SCS_17, SCS_18 = range(0x11, 0x19)
#: The types whose frame ends with a seal (MAC).
SEALED: Final = (SCS_15, SCS_16, SCS_17, SCS_18)


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame. `block` is its security block without the length, and empty in clear text; `body` a code and its data.

    A sealed frame also has `mac`, the first four bytes of the seal over `signed`.
    """

    address: int
    sequence: int
    block: bytes
    body: bytes
    signed: bytes = b""
    mac: bytes = b""


def build(
    address: int, sequence: int, body: bytes, *, block: bytes = b"", mac: Callable[[bytes], bytes] | None = None
) -> bytes:
    """Return the bytes of a frame; `mac` returns the seal over what stands before it."""
    control = sequence | _CRC | (_BLOCK if block else 0)
    inside = (bytes((len(block) + 1,)) + block if block else b"") + body
    size = _HEADER + len(inside) + (MAC_BYTES if mac else 0) + _CRC_BYTES
    frame = bytes((SOM, address)) + size.to_bytes(2, "little") + bytes((control,)) + inside
    if mac is not None:
        frame += mac(frame)[:MAC_BYTES]
    return frame + _crc(frame)


def take(received: bytes, address: int) -> tuple[Frame | None, bytes]:
    """Return the first whole frame that has this address, None without one; and the bytes that come after it.

    Everything else is skipped: marks, frames of others, an echo of what was sent, and noise.
    """
    at = received.find(SOM)
    while at >= 0 and len(received) - at >= _HEADER:
        size = int.from_bytes(received[at + 2 : at + 4], "little")
        if received[at + 1] == address and _HEADER + 1 + _CRC_BYTES <= size <= LONGEST:
            if len(received) - at < size:
                return None, received[at:]
            frame = _parse(received[at : at + size])
            if frame is not None:
                return frame, received[at + size :]
        at = received.find(SOM, at + 1)
    return None, received[at:] if at >= 0 else b""


def _parse(raw: bytes) -> Frame | None:
    """Return the frame in these bytes, or None if its CRC or its parts disagree."""
    signed, control, start = raw[:-_CRC_BYTES], raw[4], _HEADER
    if control & ~(_SEQUENCE | _BLOCK) != _CRC or _crc(signed) != raw[-_CRC_BYTES:]:
        return None
    block = mac = b""
    if control & _BLOCK:
        start += raw[_HEADER]
        block = raw[_HEADER + 1 : start]
        if not block:
            return None
        if block[0] in SEALED:
            signed, mac = signed[:-MAC_BYTES], signed[-MAC_BYTES:]
    body = signed[start:]
    return Frame(raw[1], control & _SEQUENCE, block, body, signed, mac) if body else None


def _crc(data: bytes) -> bytes:
    """Return the CRC-16 with the polynomial 0x1021 and the start 0x1D0F, low byte first (annex C)."""
    return crc_hqx(data, 0x1D0F).to_bytes(2, "little")
