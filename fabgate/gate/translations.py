"""In which languages does a gate speak? English, and those with a catalogue under ``fabgate/locale``.

gettext reads compiled catalogues only, and neither a compiler nor Babel belongs on a gate: the ``.po`` files are
compiled in memory, once, when this module is imported, so that no tap ever waits for the disk. The format of a
compiled catalogue: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
"""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import struct
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Final

log = logging.getLogger(__name__)

SOURCE_LANG: Final = "en"
#: Languages with a catalogue. Another one: copy ``fr``, translate, and name it here and in ``gate/config.py``.
LANGUAGES: Final = ("fr",)
_MAGIC: Final = 0x950412DE


def read_po(text: str) -> dict[str, str]:
    """Return the finished translations of a ``.po`` file by their source text; the header stands under ''.

    Raises ValueError for a line that is not of this format. Plurals and contexts are not used here and refused.
    """
    found: dict[str, str] = {}
    source: list[str] = []
    target: list[str] = []
    into = source
    fuzzy = next_fuzzy = False
    for raw in [*text.splitlines(), 'msgid ""']:  # the last one closes the entry before it
        line = raw.strip()
        keyword, _, quoted = line.partition(" ")
        if line.startswith("#"):
            next_fuzzy = next_fuzzy or (line.startswith("#,") and "fuzzy" in line)
        elif keyword == "msgid":
            if "".join(target) and not fuzzy:
                found["".join(source)] = "".join(target)
            fuzzy, next_fuzzy = next_fuzzy, False
            into = source = [_text(quoted)]
            target = []
        elif keyword == "msgstr":
            into = target = [_text(quoted)]
        elif line:
            into.append(_text(line))
    return found


def _text(quoted: str) -> str:
    found: str | None = None
    if quoted.startswith('"'):
        with contextlib.suppress(SyntaxError):
            found = ast.literal_eval(quoted)
    if found is None:
        raise ValueError(f"found {quoted[:60]!r}, wanted msgid, msgstr or a comment, and text in double quotes")
    return found


def compiled(texts: dict[str, str]) -> bytes:
    """Return the bytes that ``msgfmt`` would make of the translations."""
    pairs = [(source.encode(), target.encode()) for source, target in sorted(texts.items())]
    tables = 28  # the header's seven numbers
    data = tables + 16 * len(pairs)
    sources, targets, body = b"", b"", b""
    for at in (0, 1):
        for pair in pairs:
            place = struct.pack("<II", len(pair[at]), data + len(body))
            sources, targets = (sources + place, targets) if at == 0 else (sources, targets + place)
            body += pair[at] + b"\0"
    head = struct.pack("<7I", _MAGIC, 0, len(pairs), tables, tables + 8 * len(pairs), 0, 0)
    return head + sources + targets + body


def for_language(wanted: str | None, default: str = SOURCE_LANG) -> NullTranslations:
    """Return the catalogue for a language tag such as ``fr`` or ``fr-CH``, or for the `default` language."""
    for tag in (wanted, default):
        found = CATALOGUES.get((tag or "").replace("_", "-").partition("-")[0].lower())
        if found is not None:
            return found
    return CATALOGUES[SOURCE_LANG]


def _load() -> dict[str, NullTranslations]:
    found: dict[str, NullTranslations] = {SOURCE_LANG: NullTranslations()}
    for lang in LANGUAGES:
        file = files("fabgate").joinpath("locale", lang, "LC_MESSAGES", "fabgate.po")
        try:
            texts = read_po(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            # A gate that speaks English works; a gate that does not start does not.
            log.warning("%s: this language is left out (%s)", file, error)
            continue
        found[lang] = GNUTranslations(io.BytesIO(compiled(texts)))
    return found


CATALOGUES: Final = _load()
