"""What fits a display of four lines of twenty letters, and what does it say of a machine that is locked?

A gate shows it, and the collector's pages show beforehand how it will look.
"""

from __future__ import annotations

import textwrap
import unicodedata
from datetime import date
from gettext import NullTranslations
from string import Formatter
from typing import Final

LINES: Final = 4
COLUMNS: Final = 20
ELLIPSIS: Final = "…"

#: What a locked machine says; the gate's other texts are in gate/panel/messages.py.
TEXTS: Final[dict[str, str]] = {
    "blocked-lock": "Out of service\n{reason}\nDo not use",
    "blocked-lock.back": "Out of service\n{reason}\nDo not use\nBack: {back}",
    "blocked-lock.no-reason": "Locked by staff",
    "day": "{day} {month}",
}
#: What is wrong most often. A lock keeps it in English, and whoever reads it reads it in their own language.
REASONS: Final = (
    "Something is broken",
    "Waiting for parts",
    "Maintenance",
    "Needs cleaning",
    "Reserved: course",
)
#: Why a machine is locked that left the workshop: nobody chooses that.
RETIRED: Final = "Retired"
#: For languages that write a day with its month's name.
MONTHS: Final = tuple(
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)


def clean(text: str) -> str:
    """Return `text` on one line, composed, without what no display shows (controls, joiners, direction marks)."""
    shown = "".join(" " if char.isspace() else char for char in unicodedata.normalize("NFC", text))
    return " ".join("".join(char for char in shown if unicodedata.category(char)[0] != "C").split())


def cut(text: str, columns: int = COLUMNS) -> str:
    """Return `text`, cleaned, in at most `columns` characters; what is longer ends in an ellipsis."""
    text = clean(text)
    if len(text) <= columns:
        return text
    return text[: columns - 1].rstrip() + ELLIPSIS if columns > 0 else ""


def locked(catalogue: NullTranslations, reason: str, back: str | None) -> tuple[str, ...]:
    """Return the lines for a lock, in a language: the manager's words have two of them where no day is known.

    `back` is the day on which the machine is expected back, as ISO writes it; what is none is shown as it was written.
    """
    told = reason_in(catalogue, clean(reason)) or catalogue.gettext(TEXTS["blocked-lock.no-reason"])
    if day := _day(catalogue, back) if back else "":
        lines = catalogue.gettext(TEXTS["blocked-lock.back"]).split("\n")
        return tuple(fill(line, {"reason": told, "back": day}) for line in lines)
    title, _, *rest = catalogue.gettext(TEXTS["blocked-lock"]).split("\n")
    return (title, *textwrap.wrap(told, COLUMNS, max_lines=2, placeholder=ELLIPSIS), *rest)


def reason_in(catalogue: NullTranslations, reason: str) -> str:
    """Return a lock's reason in a language: one of ours is translated, anybody's own words stay as they are."""
    return catalogue.gettext(reason) if reason in {*REASONS, RETIRED} else reason


def fill(line: str, values: dict[str, str]) -> str:
    """Return a line with its values in it; a value that is too long is cut, so that the words around it stay."""
    names = [name for _, name, _, _ in Formatter().parse(line) if name]
    room = COLUMNS - len(line.format_map(dict.fromkeys(names, "")))
    fitted = {}
    for name in names:
        fitted[name] = cut(values.get(name, ""), room)
        room -= len(fitted[name])
    return line.format_map(fitted).strip()


def _day(catalogue: NullTranslations, text: str) -> str:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return clean(text)
    return catalogue.gettext(TEXTS["day"]).format(
        day=str(day.day),
        month=catalogue.gettext(MONTHS[day.month - 1]),
        dd=f"{day.day:02d}",
        mm=f"{day.month:02d}",
    )
