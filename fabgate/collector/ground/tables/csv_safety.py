"""Prevents spreadsheets from executing text cells of CSV files as formulas.

An apostrophe is put before text that looks like a formula. A spreadsheet that splits lines at another separator than
the file's (French ones expect semicolons) may split a text into several cells, so an apostrophe is also added after
each possible separator. It is added even if there is one already: programs restore the text by removing exactly one
where `ADDED` matches (docs/reference.md, "Files of sessions and usage").
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

#: The start of a formula; spreadsheets skip blanks, quotes and an apostrophe before it.
_FORMULA: Final = r"""(?=(?:['"\u200b\ufeff]|[^\S\t\r\n])*[=+\-@\uff1d\uff0b\uff0d\uff20])"""
#: Where a cell may begin, at any separator.
_BEGINS: Final = r"(?:^|(?<=[,;\t\r\n]))"
_BEFORE: Final = re.compile(_BEGINS + _FORMULA)
ADDED: Final = re.compile(f"{_BEGINS}'{_FORMULA}")
_CUTS: Final = re.compile(r"[,;\t\r\n]")


def escape_cell(text: str) -> str:
    """Return the text, escaped so that no spreadsheet executes a part of it."""
    # The usual text is empty or plain, and a file has millions of them.
    if not text or (text[0].isalnum() and not _CUTS.search(text)):
        return text
    return _BEFORE.sub("'", text)


def escape_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its texts escaped."""
    return {name: escape_cell(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
