"""Formats durations and tables for people. CSV and JSON, for programs, have exact values."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from typing import TextIO


def clock(ms: int) -> str:
    """Return a duration in milliseconds as h:mm:ss, to the nearest second: 3_725_000 is 1:02:05."""
    minutes, seconds = divmod((abs(ms) + 500) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'-' if ms < 0 else ''}{hours}:{minutes:02d}:{seconds:02d}"


def plain(text: str | None) -> str:
    r"""Return a text with its control characters as \x1b: text from outside could move the cursor.

    Letters and spaces stay as they are, such as the no-break spaces of French amounts.
    """
    return "".join(map(_visible, text or ""))


def _visible(letter: str) -> str:
    is_shown = letter.isprintable() or unicodedata.category(letter) == "Zs"
    return letter if is_shown else ascii(letter)[1:-1]


def write(
    rows: Iterable[tuple[str, ...]], out: TextIO, *, right: Collection[int] = (), rule_before: int | None = None
) -> None:
    """Write rows as columns of the needed widths, those in `right` aligned right, with a line above one row."""
    table = [tuple(map(plain, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, row in enumerate(table):
        if number == rule_before:
            out.write("-" * (sum(widths) + 2 * (len(widths) - 1)) + "\n")
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        out.write("  ".join(cells).rstrip() + "\n")
