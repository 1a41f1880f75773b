"""Text for displays of four lines of twenty characters, and the message of a locked machine.

A gate shows the message, and the collector's pages preview it.
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

#: The message of a locked machine; the gate's other texts are in gate/panel/messages.py.
TEXTS: Final[dict[str, str]] = {
    "blocked-lock": "Out of service\n{reason}\nDo not use",
    "blocked-lock.back": "Out of service\n{reason}\nDo not use\nBack: {back}",
    "blocked-lock.no-reason": "Locked by staff",
    "day": "{day} {month}",
}
#: The usual reasons of a lock. It is stored in English and shown in the reader's language.
REASONS: Final = (
    "Something is broken",
    "Waiting for parts",
    "Maintenance",
    "Needs cleaning",
    "Reserved: course",
)
#: The reason of a machine that has left the workshop; it cannot be chosen.
RETIRED: Final = "Retired"
#: For languages that write a date with the name of the month.
MONTHS: Final = tuple(
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)


def clean(text: str) -> str:
    """Return `text` on one line, composed, without characters that no display shows (controls, joiners, marks)."""
    shown = "".join(" " if char.isspace() else char for char in unicodedata.normalize("NFC", text))
    return " ".join("".join(char for char in shown if unicodedata.category(char)[0] != "C").split())


def cut(text: str, columns: int = COLUMNS) -> str:
    """Return `text`, cleaned, in at most `columns` characters; longer text ends in an ellipsis."""
    text = clean(text)
    if len(text) <= columns:
        return text
    return text[: columns - 1].rstrip() + ELLIPSIS if columns > 0 else ""


def clock(ms: int) -> str:
    """Return a time in milliseconds as ``4:05``, from an hour on as ``1:04:05``, from 100 hours on as ``100 h``."""
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours} h"
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def locked(catalogue: NullTranslations, reason: str, back: str | None) -> tuple[str, ...]:
    """Return the lines for a lock, in a language: the reason has two lines where `back` is unknown.

    `back` is the day when the machine is expected back, as an ISO date; other text is shown unchanged.
    """
    shown = reason_in(catalogue, clean(reason)) or catalogue.gettext(TEXTS["blocked-lock.no-reason"])
    if day := _day(catalogue, back) if back else "":
        lines = catalogue.gettext(TEXTS["blocked-lock.back"]).split("\n")
        return tuple(fill(line, {"reason": shown, "back": day}) for line in lines)
    title, _, *rest = catalogue.gettext(TEXTS["blocked-lock"]).split("\n")
    return (title, *textwrap.wrap(shown, COLUMNS, max_lines=2, placeholder=ELLIPSIS), *rest)


def reason_in(catalogue: NullTranslations, reason: str) -> str:
    """Return a lock's reason in a language. The usual reasons are translated; other text stays as it is."""
    return catalogue.gettext(reason) if reason in {*REASONS, RETIRED} else reason


def fill(line: str, values: dict[str, str]) -> str:
    """Return a line with its values filled in. A value that is too long is cut; the text around it is not."""
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
