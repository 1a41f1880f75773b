"""The 100,000 members, each with one 7-byte badge under the benchmark's badge key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fabgate import wire
from fabgate.badge import Badge, Kind, digest
from fabgate.gate.roster.directory import store

SITE, GATE = "bench", "laser-1"
BADGE_KEY = b"the badge key of the benchmarks."
GATE_KEY = b"the gate key of the benchmarks.."
SMALL, LARGE = 1_000, 100_000


def uid(number: int) -> bytes:
    """Return the UID of a member."""
    return b"\x04" + number.to_bytes(6, "big")


def badge(number: int) -> str:
    """Return the digest of a member's badge."""
    return digest(Badge(Kind.ISO14443A, uid(number)), BADGE_KEY)


def roster(numbers: Sequence[int], *, version: int = 1, machine: wire.MachineRules | None = None) -> wire.Roster:
    """Return a roster of these members, with the fields that a collector writes."""
    members = [
        wire.Member(
            id=f"m-{number:06d}",
            badges=[badge(number)],
            name=f"Member{number}",
            basis=f"training-{number % 7}",
            valid_until="2099-12-31",
        )
        for number in numbers
    ]
    return wire.Roster(
        version=version, site=SITE, gate=GATE, machine=machine or wire.MachineRules(finish="cut"), members=members
    )


def stored(path: Path, size: int) -> Path:
    """Store a roster of `size` members as a gate does; return the file."""
    store(roster(range(size)), path)
    return path
