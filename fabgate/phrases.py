"""The words of doctor, self-test, calibration and commissioning sheet in another language than English.

Their texts have values in them: a path, a number, an error. So a text is found by its shape: the catalogue has
"there is no {1}: SPI is off", and what stands at {1} is translated in the same way where the catalogue has it, and stays
as it is where it has not. A text that the catalogue has not stays in English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from fabgate.po import read_po

#: A value; those of an English text are numbered in their order.
_PLACE: Final = re.compile(r"\{\d\}")
_LANG: Final = re.compile(r"^lang:\s*[\"']?([a-z]+)", re.MULTILINE)


class Phrases:
    """A catalogue. Call it with an English text to get the text in its language."""

    def __init__(self, catalogue: Mapping[str, str]) -> None:
        self._whole = {source: target for source, target in catalogue.items() if not _PLACE.search(source)}
        shapes = [source for source in catalogue if _PLACE.search(source)]
        shapes.sort(key=lambda source: len(_PLACE.sub("", source)), reverse=True)  # the one that says most comes first
        self._shapes = [(_pattern(source), catalogue[source]) for source in shapes]

    def __call__(self, text: str) -> str:
        """Return a text in the language of this catalogue, as far as it has it."""
        if text in self._whole:
            return self._whole[text]
        for pattern, target in self._shapes:
            if found := pattern.fullmatch(text):
                return target.format(*map(self, ("", *found.groups())))
        if " | " in text:  # of several readers
            return " | ".join(map(self, text.split(" | ")))
        name, colon, rest = text.partition(": ")
        if colon and (name in self._whole or self(rest) != rest):
            return self(name) + self._whole.get(colon, colon) + self(rest)
        for join in ("; ", ", "):
            parts = text.split(join)
            if len(parts) > 1 and (said := [self(part) for part in parts]) != parts:
                return join.join(said)
        if re.fullmatch(r"\S+(?: (?:and|or) \S+)+", text):  # names
            return " ".join(self._whole.get(word, word) for word in text.split(" "))
        return text


def _pattern(source: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, _PLACE.split(source))), re.DOTALL)


@cache
def phrases(lang: str) -> Phrases:
    """Return the catalogue of a language, an empty one for English and for a language that has none."""
    file = files("fabgate").joinpath("locale", lang, "LC_MESSAGES", "examination.po")
    found = read_po(file.read_text("utf-8")) if file.is_file() else {}
    found.pop("", None)
    return Phrases(found)


def lang_of(path: Path) -> str:
    """Return the language that a gate.yaml names, also where it has mistakes; English where it cannot be read."""
    try:
        found = _LANG.search(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return "en"
    return found[1] if found else "en"
