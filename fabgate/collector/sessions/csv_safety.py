"""Which text in a CSV file would a spreadsheet compute, and how is it written so that it stays a text?

With an apostrophe in front, as people write it. A spreadsheet that cuts lines at another sign than the file (a file with
commas opens so in France) makes cells of parts of a text, so the apostrophe also stands behind whatever may cut. It
stands before each such formula, also where the text has one there of its own: a program gets the text back by taking
exactly one away wherever `ADDED` finds it (docs/reference.md, "Files of sessions and usage").
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

#: What a formula begins with; spreadsheets skip blanks, quotes and an apostrophe to find it.
_FORMULA: Final = r"""(?=(?:['"\u200b\ufeff]|[^\S\t\r\n])*[=+\-@\uff1d\uff0b\uff0d\uff20])"""
#: Where a cell begins, whatever the spreadsheet cuts at.
_BEGINS: Final = r"(?:^|(?<=[,;\t\r\n]))"
_BEFORE: Final = re.compile(_BEGINS + _FORMULA)
ADDED: Final = re.compile(f"{_BEGINS}'{_FORMULA}")
_CUTS: Final = re.compile(r"[,;\t\r\n]")


def kept_text(text: str) -> str:
    """Return a text of which no spreadsheet computes a part."""
    # Nearly every text is empty or has neither, and a file has millions of them.
    if not text or (text[0].isalnum() and not _CUTS.search(text)):
        return text
    return _BEFORE.sub("'", text)


def kept_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its texts so."""
    return {name: kept_text(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
