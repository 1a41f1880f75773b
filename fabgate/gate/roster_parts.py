"""How is a roster of 100,000 members read without stopping the loop that owns the power? One member at a time.

Decoding all of it is one call that holds the interpreter for half a second, and memory for all members at once
(measured: 553 ms and 267 MiB; this way see ``make bench ONLY=roster-swap``). So only its frame is decoded at once; its
lists stay bytes, and each member is decoded anew whenever somebody goes through them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

import msgspec

from fabgate import wire

M = TypeVar("M", wire.Member, wire.Refusal)


class Roster(wire.Roster, frozen=True, kw_only=True):
    """A roster whose members and refusals are not decoded yet."""

    members: list[msgspec.Raw] = []  # type: ignore[assignment]  # what stands there for a moment
    refusals: list[msgspec.Raw] = []  # type: ignore[assignment]


class Parts(Sequence[M], Generic[M]):
    """A list of members or refusals that decodes each one when it is asked for, and keeps none."""

    def __init__(self, raw: list[msgspec.Raw], kind: type[M]) -> None:
        self._raw = raw
        self._kind = kind

    def __len__(self) -> int:
        return len(self._raw)

    def __iter__(self) -> Iterator[M]:
        return (wire.decode(bytes(one), self._kind) for one in self._raw)

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: int | slice) -> M | list[M]:
        if isinstance(index, slice):
            return list(Parts(self._raw[index], self._kind))
        return wire.decode(bytes(self._raw[index]), self._kind)


def decode(body: bytes) -> wire.Roster:
    """Read a roster. Raises UsageError, for a member that means nothing only when that member is asked for."""
    frame = wire.decode(body, Roster)
    found: wire.Roster = msgspec.structs.replace(
        frame, members=Parts(frame.members, wire.Member), refusals=Parts(frame.refusals, wire.Refusal)  # type: ignore[type-var, arg-type]
    )
    return found
