"""Two sessions and a refusal to export, and readers for what is exported."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest
from openpyxl import load_workbook

from fabgate.collector.tables.table import Cell, Column, Table
from tests.collector.pages.used import MINUTE, NOON, Used, body


@pytest.fixture(name="used")
def two_sessions(database) -> Used:
    used = Used()
    used.begin("s-1", "m-1", NOON)
    used.end("s-1", "m-1", NOON + 30 * MINUTE, 1_799_877, energy_wh=340)
    used.session("s-2", "m-4", NOON + 60 * MINUTE, 20, gate="lathe-1", reason="power-loss", uncertainty_ms=900_001)
    used.refuse("b" * 64, "m-1", NOON, "expired", "training-missing")
    return used


def table(response: Any) -> list[dict[str, str]]:
    content = body(response).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content), delimiter=";" if ";" in content.partition("\n")[0] else ","))


def sheet(response: Any) -> list[dict[str, Any]]:
    rows = list(load_workbook(io.BytesIO(body(response))).active.values)
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def some(rows: Sequence[Sequence[Cell]], kinds: str) -> Table:
    return Table("Some", [Column(head, kind) for head, kind in zip("abc", kinds.split(), strict=False)], rows)
