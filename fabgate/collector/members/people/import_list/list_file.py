"""The parts that all imported lists have in common, and how the command line reads a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from fabgate.collector.members.people import names
from fabgate.collector.members.people.import_list.columns import Mistake
from fabgate.collector.members.people.import_list.dates import DateReader
from fabgate.errors import UsageError

#: For how many unknown ids a similar one is suggested. Each search compares all members; with more, it is another list.
MOST_GUESSED: Final = 20


@dataclass(frozen=True, slots=True)
class ListFile:
    """The content of a file: its `columns`, `notes` about it, and the `mistakes` of its rows, by line.

    `dates` is how its dates were read.
    """

    columns: frozenset[str]
    notes: list[str]
    mistakes: list[Mistake]
    dates: DateReader


_File = TypeVar("_File", bound=ListFile)


def read(path: Path, parse: Callable[..., _File], *, dates: str = "") -> _File:
    """Read and check a whole file. Raises UsageError with a line for each error, or for ambiguous dates.

    `parse` takes the file's content, its name and `dates`. `dates` is one of dates.ORDERS, or empty.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        found = parse(raw, path.name, dates=dates)
    except UsageError as error:
        raise UsageError("\n".join(f"{path}, {line}" for line in str(error).splitlines())) from error
    if found.mistakes:
        raise UsageError("\n".join(f"{path}, {mistake}" for mistake in found.mistakes))
    if found.dates.is_ambiguous and not dates:
        raise UsageError(
            f"{path}: found the date {found.dates.example!r}, which can be read in two ways; add"
            " --dates day-first or --dates month-first"
        )
    return replace(found, notes=[f"{path}: {note}" for note in found.notes])


def bad_lines(mistakes: Iterable[Mistake]) -> set[int]:
    """Return the lines with errors."""
    return {line for mistake in mistakes for line in (mistake.line, mistake.also) if line is not None}


def unknown_ids(
    ids: Iterable[tuple[int, str]], known: set[str], text: str, nearly: str, also: Iterable[str] = ()
) -> list[Mistake]:
    """Return an error for each unknown (line, id): `text`, or `nearly` where a similar id, or one of `also`, exists."""
    suggested = {*known, *also}
    mistakes: list[Mistake] = []
    for line, found in ids:
        if found not in known:
            near = names.similar_ids(found, suggested, 1) if len(mistakes) < MOST_GUESSED else []
            values = {"id": names.shown(found[:64]), "near": "".join(near)}
            mistakes.append(Mistake(line, (nearly if near else text) % values))
    return mistakes
