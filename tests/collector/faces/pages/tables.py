"""The words and the tables of a page, without their tags."""

from __future__ import annotations

import re
from typing import Any


def rows(page: str, caption: str) -> list[list[str]]:
    """Return the cells of the table with this caption, body and foot."""
    table = re.search(rf"<caption[^>]*>{caption}</caption>(.*?)</table>", page, re.DOTALL)
    assert table, caption
    lines = re.findall(r"<tr>(.*?)</tr>", table[1].split("</thead>")[1], re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    return [[" ".join(re.sub(r"<small.*?</small>|<[^>]+>", "", cell).split()) for cell in line] for line in cells]


def words(response: Any) -> str:
    """Return the words of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())
