"""Finds out which kind of list a file holds, and checks it."""

from __future__ import annotations

from fabgate.collector.members.people.import_list import file, trainings
from fabgate.collector.members.people.import_list.columns import TRAININGS, Columns, of_header
from fabgate.collector.members.people.import_list.table import read_table


def parse(raw: bytes, name: str) -> Columns:
    """Check a list and return the columns of its kind. Raises UsageError where it cannot be read."""
    table = read_table(raw, name)
    columns = of_header(table.header)
    parse_table = trainings.parse_table if columns is TRAININGS else file.parse_table
    parse_table(table)
    return columns
