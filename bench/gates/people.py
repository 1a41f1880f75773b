"""The 100,000 members, each with one 7-byte badge under the benchmark's badge key."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from fabgate import wire
from fabgate.badge import Badge, Kind, digest

SITE, GATE, COLLECTOR = "bench", "laser-1", "bench"
BADGE_KEY = b"the badge key of the benchmarks."
GATE_KEY = b"the gate key of the benchmarks.."
SMALL, LARGE = 1_000, 100_000


def uid(number: int) -> bytes:
    """Return the UID of a member."""
    return b"\x04" + number.to_bytes(6, "big")


def badge(number: int) -> str:
    """Return the digest of a member's badge."""
    return digest(Badge(Kind.ISO14443A, uid(number)), BADGE_KEY)


def badges(seed: int, size: int) -> Iterator[str]:
    """Yield the badges of members by chance, the same in each run."""
    choose = random.Random(seed)
    while True:
        yield badge(choose.randrange(size))


def roster(numbers: Sequence[int]) -> wire.Roster:
    """Return version 1 of a roster of these members, with the fields that a collector writes."""
    members = [
        wire.Member(
            id=f"m-{number:06d}",
            badges=[badge(number)],
            name=f"Member{number}",
            grant=f"training-{number % 7}",
            valid_until="2099-12-31",
        )
        for number in numbers
    ]
    return wire.Roster(
        version=1, site=SITE, gate=GATE, collector=COLLECTOR, machine=wire.MachineRules(finish="cut"), members=members
    )
