"""Rosters of many members, and files of rosters that somebody altered."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fabgate import badge, wire

KEY = b"a badge key of some workshop...."


def digest(number: int) -> str:
    return badge.digest(badge.from_uid(bytes((4, *number.to_bytes(6, "big")))), KEY)


def people(count: int, *, start: int = 0) -> list[wire.Member]:
    return [wire.Member(id=f"m-{n}", name=f"N{n}", badges=[digest(n)]) for n in range(start, start + count)]


def of(members, refusals=(), **changes) -> wire.Roster:
    values = {"version": 1, "site": "lyon", "gate": "saw", **changes}
    return wire.Roster(members=list(members), refusals=list(refusals), **values)


def alter(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
