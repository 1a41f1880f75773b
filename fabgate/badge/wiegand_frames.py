"""Which badge is in a Wiegand frame? Frames have no checksum but their two parity bits, and both have to agree.

The first bit makes the ones under it even, the last one makes those under it odd. Under each is one half of the payload;
in 37 bits both cover the bit in its middle. Sources: HID H10301 (26 bits), H10306 (34), H10302 and H10304 (37, with and
without a facility, which differ in the meaning of the payload only). Of random frames, one in four passes.
"""

from __future__ import annotations

from typing import Final

from fabgate.badge.kinds import WIEGAND_PAYLOAD_BITS, Badge, Kind, wiegand
from fabgate.errors import UsageError

#: How many bits of the payload each parity bit covers, by the bits of the frame.
_COVERED: Final = {26: 12, 34: 16, 37: 18}


def from_wiegand_frame(bits: int, frame: int) -> Badge:
    """Return the badge of a frame of `bits` bits, of which the one that came first is the highest.

    Raises UsageError for another length than 26, 34 or 37 bits, and for wrong parity.
    """
    if bits not in _COVERED or not 0 <= frame < 1 << bits:
        raise UsageError(f"found a frame of {bits} bits, wanted {' or '.join(map(str, _COVERED))}")
    payload = frame >> 1 & (1 << WIEGAND_PAYLOAD_BITS[bits]) - 1
    if frame != wiegand_frame(wiegand(bits, payload))[1]:
        raise UsageError(f"found wrong parity in a frame of {bits} bits")
    return wiegand(bits, payload)


def wiegand_frame(badge: Badge) -> tuple[int, int]:
    """Return how many bits the frame of a Wiegand badge has, and the frame with its parity bits."""
    bits, raw = (26, badge.raw) if badge.kind is Kind.WIEGAND26 else (badge.raw[0], badge.raw[1:])
    payload, size, covered = int.from_bytes(raw, "big"), WIEGAND_PAYLOAD_BITS[bits], _COVERED[bits]
    even = (payload >> size - covered).bit_count() & 1
    odd = (payload & (1 << covered) - 1).bit_count() & 1 ^ 1
    return bits, even << bits - 1 | payload << 1 | odd
