"""The frames that a host and a PN532 exchange. Pure.

From NXP's user manual of the PN532, UM0701-02, section 6.2.1:

========  ==================================================================================
normal    00  00 FF  LEN LCS  TFI data  DCS  00           LEN counts TFI and data, up to 255
extended  00  00 FF  FF FF LENM LENL LCS  TFI data  DCS 00
ACK       00  00 FF  00 FF  00
NACK      00  00 FF  FF 00  00                            the host asks for the last answer again
error     00  00 FF  01 FF  7F 81  00                     the chip does not know the command
========  ==================================================================================

LEN and LCS add up to 0 in one byte, and so do LENM, LENL and LCS; and so do TFI, data and DCS.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import msgspec

ACK: Final = bytes.fromhex("0000FF00FF00")
NACK: Final = bytes.fromhex("0000FFFF0000")
ERROR: Final = bytes.fromhex("0000FF01FF7F8100")
#: TFI: the direction of a frame.
TO_CHIP, TO_HOST = 0xD4, 0xD5
_TFI_ERROR: Final = 0x7F
_START: Final = b"\x00\xff"
#: TFI and data of the longest frame: section 6.2.1.2 allows 264 bytes of data after the TFI.
LONGEST: Final = 265


class Kind(Enum):
    """What a frame is. A damaged one has a wrong checksum, direction or length."""

    DATA = auto()
    ACK = auto()
    NACK = auto()
    ERROR = auto()
    DAMAGED = auto()


class Frame(msgspec.Struct, frozen=True):
    """A frame that was received; `data` is what follows the TFI: the code of a command or answer, and its bytes."""

    kind: Kind
    data: bytes = b""


def build(data: bytes, tfi: int = TO_CHIP) -> bytes:
    """Return the frame of a command (its code, then its parameters), or of an answer."""
    body = bytes((tfi,)) + data
    length = len(body)
    if length > LONGEST:
        raise ValueError(f"found {length} bytes, wanted {LONGEST} at most")
    if length <= 0xFF:
        head = bytes((length, -length & 0xFF))
    else:
        head = bytes((0xFF, 0xFF, length >> 8, length & 0xFF, -(length >> 8) - length & 0xFF))
    return b"\x00" + _START + head + body + bytes((-sum(body) & 0xFF, 0x00))


def take(received: bytes, tfi: int = TO_HOST) -> tuple[Frame | None, bytes]:
    """Return the first frame of `received`, or None if none is whole; and the bytes after it, or those that may become one.

    What stands before the start code is skipped, and after a damaged head the search goes on right behind its start code.
    """
    start = received.find(_START)
    if start < 0:
        return None, received[-1:] if received.endswith(_START[:1]) else b""
    rest = received[start:]
    head = rest[2:7]
    if len(head) < 2:
        return None, rest
    first = (head[0], head[1])
    if first == (0x00, 0xFF):
        return Frame(Kind.ACK), rest[4:]
    if first == (0xFF, 0x00):
        return Frame(Kind.NACK), rest[4:]
    length, check, begin = head[0], sum(first), 4
    if first == (0xFF, 0xFF):
        if len(head) < 5:
            return None, rest
        length, check, begin = head[2] << 8 | head[3], sum(head[2:5]), 7
    if check & 0xFF or not 0 < length <= LONGEST:
        return Frame(Kind.DAMAGED), rest[2:]
    end = begin + length
    if len(rest) <= end:
        return None, rest
    body = rest[begin:end]
    return _checked(body, rest[end], tfi), rest[end + 1 :]


def _checked(body: bytes, checksum: int, tfi: int) -> Frame:
    if sum(body) + checksum & 0xFF:
        return Frame(Kind.DAMAGED)
    if body == bytes((_TFI_ERROR,)):
        return Frame(Kind.ERROR)
    if body[0] != tfi or len(body) < 2:
        return Frame(Kind.DAMAGED)
    return Frame(Kind.DATA, body[1:])
