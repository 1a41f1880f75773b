"""No spreadsheet computes a part of a text, whatever it cuts lines at, and a program gets the text back as it was."""

from __future__ import annotations

import csv
import io
import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.ground.tables.csv_safety import ADDED, escape_cell, escape_row

#: As spreadsheets find one.
COMPUTED: Final = re.compile(r"""['"]?["\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]""")
TEXTS: Final = st.text(st.sampled_from("""=+-@a1'", ;\t\r\n\u00a0\uff1d\u200b"""), max_size=12)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+2", "'=1+2"),
        ("x;=1+1", "x;'=1+1"),
        ("x,=1", "x,'=1"),
        ("x\t@A", "x\t'@A"),
        ("x\r\n-1", "x\r\n'-1"),
        ('x; "=1"', 'x;\' "=1"'),
        ("\t=1", "\t'=1"),
        ("'=1", "''=1"),
        ("\uff1d1", "'\uff1d1"),
    ],
)
def test_an_apostrophe_stands_before_what_would_be_computed(text, written):
    assert escape_cell(text) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Zoé Müller",
        "Saw, bench; large",
        "O'Neil",
        "'t Hooft",
        "a-b",
        "a=1",
        "2026-11-24T13:00:02+01:00",
        "Ada (-1)",
    ],
)
def test_another_text_stays_as_it_is(text):
    assert escape_cell(text) == text


@given(TEXTS)
def test_a_program_gets_the_text_back(text):
    assert ADDED.sub("", escape_cell(text)) == text


@given(st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from(",;"))
def test_no_cell_is_computed_at_whatever_the_line_is_cut(texts, separator):
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerow([escape_cell(text) for text in texts])
    for part in re.split(r"[,;\t\r\n]", file.getvalue()):
        begin = COMPUTED.match(part)
        assert begin is None or begin[0].lstrip('"').startswith("'"), part


def test_numbers_of_a_row_stay_numbers():
    assert escape_row({"name": "=1", "ms": -1, "end": None}) == {"name": "'=1", "ms": -1, "end": None}
