"""Numbers and seals the rows of the audit log, so that a changed, added or missing row is found.

Each row has the next number and a *seal*: the HMAC-SHA-256 of the seal before it, its number and its values, under a key
derived from ``secret.key``. Rows are added under the pulse lock (ground/db/pulse.py), so ids, numbers and commits have
one order. Decided in docs/decisions/0091.

Source: RFC 2104 (HMAC).
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from django.conf import settings

from fabgate.collector.ground.db import bulk, statements

SEAL_BYTES: Final = 32
#: The seal before row 1.
FIRST: Final = bytes(SEAL_BYTES)
#: How many rows are read or sealed at once.
AT_ONCE: Final = 2_000
_NUMBER: Final = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Head:
    """The number and the seal of a chain's last row. It vouches for all rows before it."""

    number: int = 0
    seal: bytes = FIRST

    def __str__(self) -> str:
        return f"{self.number}:{self.seal.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Return the head in `text`. Raises ValueError."""
        number, colon, seal = text.strip().partition(":")
        if not colon or not _NUMBER.fullmatch(number):
            raise ValueError("wanted a number, a colon and 64 hexadecimal digits")
        found = cls(int(number), bytes.fromhex(seal))
        if len(found.seal) != SEAL_BYTES:
            raise ValueError("wanted a number, a colon and 64 hexadecimal digits")
        return found


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A stored row: its id, number, seal and values. `values` is None if they cannot be read."""

    pk: int
    number: int | None
    seal: bytes | None
    values: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of one table. `columns` are sealed in this order; `as_json` of them hold JSON."""

    table: str
    columns: tuple[str, ...]
    as_json: frozenset[str] = frozenset()

    def links(self, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, bytes]]:
        """Yield the number and the seal of each of the new `rows`, given as values. Call it under the pulse lock."""
        return self.continued(self.head(), rows)

    def continued(self, head: Head, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, bytes]]:
        """Yield the number and the seal of each row that follows `head`."""
        number, seal = head.number, head.seal
        for values in rows:
            number += 1
            seal = self.seal(seal, number, values)
            yield number, seal

    def seal(self, before: bytes, number: int, values: Sequence[Any]) -> bytes:
        """Return the seal of the row with this number, which follows the one with the seal `before`."""
        text = _encode([number, *map(_plain, values)])
        return hmac.digest(_key(self.table, settings.SECRET_KEY), before + text.encode("ascii"), "sha256")

    def head(self) -> Head:
        """Return the head as it is stored."""
        with statements.cursor() as cursor:
            cursor.execute(
                f"SELECT number, seal FROM {self.table} WHERE number IS NOT NULL ORDER BY id DESC LIMIT 1"  # noqa: S608
            )
            found = cursor.fetchall()
        return Head(found[0][0], bytes(found[0][1] or b"")) if found else Head()

    def has(self, head: Head) -> bool:
        """Return whether the table still has the row of `head`, unchanged."""
        if head == Head():
            return True
        with statements.cursor() as cursor:
            # Read backwards, because the row is usually among the newest: `number` has no index.
            cursor.execute(
                f"SELECT seal FROM {self.table} WHERE number = %s ORDER BY id DESC LIMIT 1",  # noqa: S608
                [head.number],
            )
            return any(bytes(seal or b"") == head.seal for (seal,) in cursor.fetchall())

    def rows(self, after: int = 0) -> Iterator[SealedRow]:
        """Yield the rows with a higher id than `after`, in order; each page of them is one query."""
        select = f"SELECT id, number, seal, {', '.join(self.columns)} FROM {self.table}"  # noqa: S608
        while True:
            with statements.cursor() as cursor:
                cursor.execute(f"{select} WHERE id > %s ORDER BY id LIMIT {AT_ONCE}", [after])
                page = cursor.fetchall()
            for pk, number, seal, *values in page:
                yield SealedRow(pk, number, None if seal is None else bytes(seal), self._read(values))
            if len(page) < AT_ONCE:
                return
            after = page[-1][0]

    def seal_all(self) -> int:
        """Add numbers and seals to all rows in the order of their ids; return how many. The demo dates its log back."""
        head, count = Head(), 0
        for page in statements.pages(self.rows(), AT_ONCE):
            sealed = list(self.continued(head, [row.values or () for row in page]))
            bulk.many(
                f"UPDATE {self.table} SET number = %s, seal = %s WHERE id = %s",  # noqa: S608
                [(number, seal, row.pk) for (number, seal), row in zip(sealed, page, strict=True)],
            )
            head, count = Head(*sealed[-1]), count + len(page)
        return count

    def _read(self, values: Sequence[Any]) -> tuple[Any, ...] | None:
        try:
            return tuple(
                json.loads(value) if name in self.as_json and isinstance(value, str) else value
                for name, value in zip(self.columns, values, strict=True)
            )
        except ValueError:
            return None


#: The audit log.
CHANGES: Final = Chain(
    "collector_change",
    ("at", "actor", "verb", "kind", "key", "before", "after", "reason", "rosters"),
    frozenset({"before", "after", "rosters"}),
)


def digest_of(text: str, *where: str) -> str:
    """Return a digest of a text that may have to be erased. `where` it is stored is part of it, so equal texts differ."""
    return hmac.digest(_key("texts", settings.SECRET_KEY), "\0".join((*where, text)).encode(), "sha256").hex()


#: The types of most values.
_AS_THEY_ARE: Final = frozenset({str, int, bool, type(None)})


@lru_cache(8)
def _key(table: str, secret: str) -> bytes:
    return hmac.digest(secret.encode(), f"fabgate chain {table}".encode(), "sha256")


def _plain(value: Any) -> Any:
    """Return a value in the one form that both databases return: times in UTC, JSON keys as text, 2.0 as 2."""
    if value.__class__ in _AS_THEY_ARE:
        return value
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds")
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
