"""Reads ``.po`` files and compiles them in memory, for gates and collectors.

gettext reads compiled catalogues only, and a gate should need neither a compiler nor Babel. The format of a compiled
catalogue: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
"""

from __future__ import annotations

import ast
import contextlib
import struct
from typing import Final

_MAGIC: Final = 0x950412DE
#: Separates a context from its text.
CONTEXT_ENDS: Final = "\x04"


def read_po(text: str) -> dict[str, str]:
    """Return the translations of a ``.po`` file by their source text, without fuzzy ones; the header has the key ''.

    The forms of a plural are joined by NUL, and a context precedes its text and EOT, as in a compiled catalogue. Raises
    ValueError for a line that is not of this format.
    """
    translations: dict[str, str] = {}
    source: list[str] = []
    target: list[str] = []
    into = source
    context: list[str] = []
    fuzzy = next_fuzzy = False
    for raw in [*text.splitlines(), 'msgid ""']:  # the extra line closes the last entry
        line = raw.strip()
        keyword, _, quoted = line.partition(" ")
        if line.startswith("#"):
            next_fuzzy = next_fuzzy or (line.startswith("#,") and "fuzzy" in line)
        elif keyword == "msgctxt":
            into = context = [_text(quoted)]
        elif keyword == "msgid":
            if all("".join(target).split("\0")) and not fuzzy:
                translations["".join(source)] = "".join(target)
            fuzzy, next_fuzzy = next_fuzzy, False
            into = source = [*context, CONTEXT_ENDS, _text(quoted)] if context else [_text(quoted)]
            target, context = [], []
        elif keyword == "msgid_plural":
            source += ["\0", _text(quoted)]
        elif keyword in {"msgstr", "msgstr[0]"}:
            into = target = [_text(quoted)]
        elif keyword.startswith("msgstr["):
            target += ["\0", _text(quoted)]
        elif line:
            into.append(_text(line))
    return translations


def compiled(texts: dict[str, str]) -> bytes:
    """Return the compiled catalogue, as ``msgfmt`` would make it."""
    pairs = [(source.encode(), target.encode()) for source, target in sorted(texts.items())]
    tables = 28  # the header's seven numbers
    data = tables + 16 * len(pairs)
    sources, targets, body = bytearray(), bytearray(), bytearray()
    for at, table in enumerate((sources, targets)):
        for pair in pairs:
            table.extend(struct.pack("<II", len(pair[at]), data + len(body)))
            body.extend(pair[at] + b"\0")
    head = struct.pack("<7I", _MAGIC, 0, len(pairs), tables, tables + 8 * len(pairs), 0, 0)
    return bytes(head + sources + targets + body)


def _text(quoted: str) -> str:
    plain = quoted[1:-1]
    if quoted == f'"{plain}"' and "\\" not in plain and '"' not in plain:
        return plain  # most lines; the parser below takes eight times as long
    text: str | None = None
    if quoted.startswith('"'):
        with contextlib.suppress(SyntaxError):
            text = ast.literal_eval(quoted)
    if text is None:
        raise ValueError(
            f"found {quoted[:60]!r}, wanted msgctxt, msgid, msgstr or a comment, and text in double quotes"
        )
    return text
