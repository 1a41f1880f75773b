"""Formats a gate's stored roster and journal as lines of text for people; programs use the JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from fabgate import wire

#: Versions are milliseconds since 1970 (wire: a roster's version); a smaller one was made by another tool.
_LEAST_TIME_MS: Final = 1_000_000_000_000
_HEAD: Final = ("id", "name", "level", "lang", "badges", "limit", "until", "then", "when", "flags")


def roster(version: int, tz: str, machine: wire.MachineRules, people: list[wire.Member], now: datetime) -> list[str]:
    """Return a stored roster as lines: its version and age at `now`, a table of its members, the machine's rules."""
    lines = [f"roster      {roster_version(version, now)}", f"members     {len(people)}", f"time zone   {tz}", ""]
    lines += _table([_HEAD, *(_person(member) for member in sorted(people, key=lambda member: member.id))])
    return [*lines, "", "machine", *(f"  {name:<16}{value}" for name, value in _rules(machine))]


def roster_version(version: int, now: datetime) -> str:
    """Return a version with the time when it was made, and its age at `now`."""
    if version < _LEAST_TIME_MS:
        return f"version {version}"
    try:
        made = datetime.fromtimestamp(version / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"version {version}"
    age_s = int((now - made).total_seconds())
    age = f"{span(age_s)} old" if age_s >= 0 else "in the future: is the clock right?"
    return f"version {version}, made {made:%Y-%m-%d %H:%M:%S} UTC ({age})"


def span(seconds: int) -> str:
    """Return a time span with its two largest units."""
    left, parts = seconds, []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def entry(body: bytes) -> str:
    """Return one stored entry as a line, without a badge in full."""
    found = wire.decode_entry(body)
    time = f"{found.time:%Y-%m-%d %H:%M:%S} " if isinstance(found.time, datetime) else "(clock unknown)     "
    return f"{found.seq:>7} {time} {wire.short_type(found.type):<17} {_data(bytes(found.data))}".rstrip()


def _person(member: wire.Member) -> tuple[str, ...]:
    windows = (f"{_days(window.days)} {window.start}-{window.to}" for window in member.windows)
    until = f"{member.valid_until or ''}{f' +{member.grace_days} d' if member.grace_days else ''}"
    then = member.until_reason if member.valid_until else ""
    limit = "" if member.limit_s is None else span(member.limit_s)
    flags = "supervised" if member.supervised else ""
    own = (member.id, member.name, member.level, member.lang, str(len(member.badges)))
    return (*own, limit, until, then, "; ".join(windows), flags)


def _days(days: list[int]) -> str:
    """Return ISO weekdays as in a roster file: 1-5, or 2,4."""
    whole = list(range(days[0], days[-1] + 1)) if days else []
    return f"{days[0]}-{days[-1]}" if days == whole and len(days) > 2 else ",".join(map(str, days))


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Return the rows as text, without empty columns."""
    clean = [tuple(map(_printable, row)) for row in rows]
    columns = [column for column in zip(*clean, strict=True) if any(column[1:]) or len(rows) == 1]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _rules(machine: wire.MachineRules) -> Iterable[tuple[str, str]]:
    for name in machine.__struct_fields__:
        value = getattr(machine, name)
        if name == "lock":
            yield name, "none in this roster" if value is None else _lock(value)
        elif isinstance(value, bool):
            yield name, "yes" if value else "no"
        elif name.endswith("_s") and value is not None:
            yield name, f"{value} ({span(value)})" if value >= 60 else f"{value} s"
        elif value not in (None, []):
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else _printable(str(value))


def _lock(lock: wire.Lock) -> str:
    back = "" if lock.back is None else f", expected back {lock.back}"
    return _printable(f"{lock.reason} (locks {'now' if lock.when == 'now' else 'when idle'}{back})")


def _printable(text: str) -> str:
    # A name may contain characters that move a terminal's cursor.
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _data(data: bytes) -> str:
    found = json.loads(data)
    found.pop("clock", None)
    for key in ("badge", "session"):
        if isinstance(found.get(key), str):
            found[key] = f"…{found[key][-6:]}"
    return " ".join(f"{key}={_plain(value)}" for key, value in found.items() if value not in (None, [], False))


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return str(value.get("kind", value))
    return str(value)
