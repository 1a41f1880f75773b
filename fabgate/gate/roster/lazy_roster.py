"""Decodes a roster of 100,000 members one member at a time, without stopping the loop that owns the power.

Decoding all of it is one call that keeps the interpreter for half a second, and needs memory for all members at once.
Finding where each member begins, with one call for all of them, still took 15 ms. So the bytes stay as they came, the
members are searched for one window of bytes at a time, and each member is decoded again at each iteration. Measured by
``make bench ONLY=roster-swap``.
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

#: How many bytes become text at once: some hundred members.
WINDOW_BYTES: Final = 64 * 1024
#: No member and no other value of a roster is as large as this.
MAX_VALUE_BYTES: Final = 1024 * 1024
#: Numbers stay text here: their values are not needed, and Python refuses to convert thousands of digits.
_VALUE: Final = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_SIGN: Final = re.compile(rb"[ \t\r\n]*(.?)[ \t\r\n]*", re.DOTALL)
_LISTS: Final[dict[str, type[wire.Message]]] = {"members": wire.Member, "refusals": wire.Barred}

M = TypeVar("M", bound=wire.Message)


class LazyList(Generic[M]):
    """Members or barred people who are decoded one by one during each iteration."""

    def __init__(self, body: bytes | bytearray, kind: type[M]) -> None:
        self._body = body
        self._kind: type[M] = kind
        self._starts = array("I")
        self._ends = array("I")

    def add(self, start: int, end: int) -> None:
        """Add the item in these bytes."""
        self._starts.append(start)
        self._ends.append(end)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._starts)

    def __iter__(self) -> Iterator[M]:
        """Decode and yield the items. Raises UsageError at an invalid one."""
        spans = zip(self._starts, self._ends, strict=True)
        return (wire.decode(bytes(self._body[start:end]), self._kind) for start, end in spans)


class PackedList(LazyList[M]):
    """A list that keeps its items as bytes: 100,000 are freed at once, which would take 70 ms for objects."""

    def __init__(self, kind: type[M]) -> None:
        self._packed = bytearray()
        super().__init__(self._packed, kind)

    def append(self, item: M) -> None:
        """Add an item. Raises UnicodeEncodeError for text that UTF-8 cannot represent."""
        start = len(self._packed)
        self._packed += wire.encode(item)
        self.add(start, len(self._packed))


class JoinedLists(Generic[M]):
    """Several lists that are iterated as one, without copying them."""

    def __init__(self, *lists: list[M] | LazyList[M]) -> None:
        self._lists = lists

    def __len__(self) -> int:
        """Return the number of items in all lists."""
        return sum(map(len, self._lists))

    def __iter__(self) -> Iterator[M]:
        """Iterate over all items."""
        return itertools.chain.from_iterable(self._lists)


def decode(body: bytes) -> wire.Roster:
    """Decode a roster. Raises UsageError; for an invalid member only when the iteration reaches it."""
    text = _Text(body)
    rest: list[bytes] = []
    lists: dict[str, Any] = {name: LazyList(body, kind) for name, kind in _LISTS.items()}
    sign, at = text.sign(0, b"{")
    more = body[at : at + 1] != b"}"
    while more:
        start = at
        key, at = text.value(at)
        _, at = text.sign(at, b":")
        if isinstance(key, str) and key in _LISTS and body[at : at + 1] == b"[":
            lists[key] = LazyList(body, _LISTS[key])
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


def _list(text: _Text, body: bytes, at: int, parts: LazyList[Any]) -> int:
    """Add the items of the list at `at` to `parts`; return where the list ends."""
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
    """JSON of which one window at a time is text.

    Each byte becomes one character (Latin-1), so that positions in the text are positions in the bytes. JSON's
    punctuation is ASCII, and no byte of any other UTF-8 character is: the end of a value is found without decoding it.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._window = ""
        self._base = 0

    def value(self, at: int) -> tuple[Any, int]:
        """Return the value at a position, and where it ends. Raises UsageError where there is none."""
        size = WINDOW_BYTES
        while True:
            last = self._base + len(self._window) == len(self._body)
            try:
                value, end = _VALUE(self._window, at - self._base)
            except (ValueError, RecursionError):
                if self._base == at and (last or len(self._window) >= MAX_VALUE_BYTES):
                    self._wrong(at)
            else:
                if end < len(self._window) or last:  # otherwise it may be a number that continues
                    return value, self._base + end
            self._base, self._window = at, self._body[at : at + size].decode("latin-1")
            size = min(size * 2, MAX_VALUE_BYTES)

    def sign(self, at: int, wanted: bytes) -> tuple[bytes, int]:
        """Return the punctuation mark at a position, which must be one of `wanted`, and where the next value begins."""
        match = _SIGN.match(self._body, at)
        assert match is not None
        sign: bytes = match[1]
        if sign not in wanted or bool(sign) != bool(wanted):
            self._wrong(match.start(1))
        return sign, match.end()

    def _wrong(self, at: int) -> NoReturn:
        too_large = (
            f", or a value of more than {MAX_VALUE_BYTES} bytes" if len(self._body) - at > MAX_VALUE_BYTES else ""
        )
        raise UsageError(f"found a message that is not a valid Roster: invalid JSON from byte {at}{too_large}")
