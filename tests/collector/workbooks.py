"""Workbooks as a program writes them: rows of values, as XLSX."""

from __future__ import annotations

import io
from typing import Any

import openpyxl


def workbook(*rows: tuple[Any, ...]) -> bytes:
    """Return a workbook of one sheet."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()
