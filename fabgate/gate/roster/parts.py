"""How is a roster of 100,000 members read without stopping the loop that owns the power? One member at a time.

Decoding all of it is one call that holds the interpreter for half a second, and memory for all members at once. Finding
where each member begins, with one call for all of them, still held it for 15 ms. So the bytes stay as they came, a
window of them after the other is searched for the members, and each member is decoded anew whenever somebody goes
through them. Measured by ``make bench ONLY=roster-swap``.
"""

from __future__ import annotations

import itertools
import json
import re
from array import array
from collections.abc import Iterator
from typing import Any, Final, Generic, NoReturn, TypeVar

import msgspec

from fabgate import wire
from fabgate.errors import UsageError

#: So much becomes text at once: some hundred members.
WINDOW_BYTES: Final = 64 * 1024
#: No member, and nothing else in a roster, is as large as this.
MAX_VALUE_BYTES: Final = 1024 * 1024
#: The numbers are nobody's business here, and Python refuses to make some out of thousands of digits.
_VALUE: Final = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_SIGN: Final = re.compile(rb"[ \t\r\n]*(.?)[ \t\r\n]*", re.DOTALL)
_LISTS: Final[dict[str, type[wire.Message]]] = {"members": wire.Member, "refusals": wire.Refusal}

M = TypeVar("M", bound=wire.Message)


class Parts(Generic[M]):
    """Members or refusals to go through, which decodes each one on the way and keeps none."""

    def __init__(self, body: bytes | bytearray, kind: type[M]) -> None:
        self._body = body
        self._kind: type[M] = kind
        self._starts = array("I")
        self._ends = array("I")

    def add(self, start: int, end: int) -> None:
        """Take what stands in these bytes for one more."""
        self._starts.append(start)
        self._ends.append(end)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._starts)

    def __iter__(self) -> Iterator[M]:
        """Decode one after the other. Raises UsageError at one that means nothing."""
        spans = zip(self._starts, self._ends, strict=True)
        return (wire.decode(bytes(self._body[start:end]), self._kind) for start, end in spans)


class Packed(Parts[M]):
    """People who come one after the other: 100,000 of them as bytes are let go of at once, as objects in 70 ms."""

    def __init__(self, kind: type[M]) -> None:
        self._packed = bytearray()
        super().__init__(self._packed, kind)

    def append(self, one: M) -> None:
        """Take one more. Raises UnicodeEncodeError for text that UTF-8 does not have."""
        start = len(self._packed)
        self._packed += wire.encode(one)
        self.add(start, len(self._packed))


class Joined(Generic[M]):
    """Some people and some more, to go through as one list without making one."""

    def __init__(self, *lists: list[M] | Parts[M]) -> None:
        self._lists = lists

    def __len__(self) -> int:
        """Return how many there are in all."""
        return sum(map(len, self._lists))

    def __iter__(self) -> Iterator[M]:
        """Go through all of them."""
        return itertools.chain.from_iterable(self._lists)


def decode(body: bytes) -> wire.Roster:
    """Read a roster. Raises UsageError; for a member that means nothing, only when somebody comes to that member."""
    text = _Text(body)
    rest: list[bytes] = []
    lists: dict[str, Any] = {name: Parts(body, kind) for name, kind in _LISTS.items()}
    sign, at = text.sign(0, b"{")
    more = body[at : at + 1] != b"}"
    while more:
        start = at
        key, at = text.value(at)
        _, at = text.sign(at, b":")
        if isinstance(key, str) and key in _LISTS and body[at : at + 1] == b"[":
            lists[key] = Parts(body, _LISTS[key])
            at = _list(text, body, at, lists[key])
        else:
            _, at = text.value(at)
            rest.append(body[start:at])
        sign, at = text.sign(at, b",}")
        more = sign == b","
    if sign == b"{":
        _, at = text.sign(at, b"}")
    text.sign(at, b"")
    frame = wire.decode(b"{%b}" % b",".join(rest), wire.Roster)
    return msgspec.structs.replace(frame, **lists)


def _list(text: _Text, body: bytes, at: int, parts: Parts[Any]) -> int:
    """Note what the list at `at` holds; return where it ends."""
    sign, at = text.sign(at, b"[")
    if body[at : at + 1] == b"]":
        return text.sign(at, b"]")[1]
    while sign != b"]":
        start = at
        _, at = text.value(start)
        parts.add(start, at)
        sign, at = text.sign(at, b",]")
    return at


class _Text:
    """JSON of which a window is text at a time.

    Each byte becomes one letter (Latin-1), so that places in the text are places in the bytes. The signs of JSON are
    ASCII and the bytes of other letters are not: where a value ends, nobody has to know how its letters are encoded.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._window = ""
        self._base = 0

    def value(self, at: int) -> tuple[Any, int]:
        """Return the value at a place, and where it ends. Raises UsageError where there is none."""
        size = WINDOW_BYTES
        while True:
            last = self._base + len(self._window) == len(self._body)
            try:
                found, end = _VALUE(self._window, at - self._base)
            except (ValueError, RecursionError):
                if self._base == at and (last or len(self._window) >= MAX_VALUE_BYTES):
                    self._wrong(at)
            else:
                if end < len(self._window) or last:  # or else it may be a number that goes on
                    return found, self._base + end
            self._base, self._window = at, self._body[at : at + size].decode("latin-1")
            size = min(size * 2, MAX_VALUE_BYTES)

    def sign(self, at: int, wanted: bytes) -> tuple[bytes, int]:
        """Return the sign at a place, and where the next thing begins; `wanted` are the signs that may be there."""
        found = _SIGN.match(self._body, at)
        assert found is not None
        sign: bytes = found[1]
        if sign not in wanted or bool(sign) != bool(wanted):
            self._wrong(found.start(1))
        return sign, found.end()

    def _wrong(self, at: int) -> NoReturn:
        much = f", or a value of more than {MAX_VALUE_BYTES} bytes" if len(self._body) - at > MAX_VALUE_BYTES else ""
        raise UsageError(f"found a message that is no Roster: no JSON from byte {at} on{much}")
