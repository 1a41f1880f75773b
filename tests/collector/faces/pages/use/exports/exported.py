"""Readers for what is exported."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from openpyxl import load_workbook

from fabgate.collector.ground.tables.table import Cell, Column, Table
from tests.collector.faces.pages.used import body


def table(response: Any) -> list[dict[str, str]]:
    content = body(response).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content), delimiter=";" if ";" in content.partition("\n")[0] else ","))


def sheet(response: Any) -> list[dict[str, Any]]:
    rows = list(load_workbook(io.BytesIO(body(response))).active.values)
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def some(rows: Sequence[Sequence[Cell]], kinds: str) -> Table:
    return Table("Some", [Column(head, kind) for head, kind in zip("abc", kinds.split(), strict=False)], rows)
