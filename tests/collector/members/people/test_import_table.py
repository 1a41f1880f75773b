"""A table is read as spreadsheets write it, and what is far larger than a list of people is refused unread."""

from __future__ import annotations

import io
import random
import zipfile
from datetime import date, datetime

import pytest

from fabgate.collector.ground.base.body_limit import MAX_FILE_BYTES
from fabgate.collector.members.people.import_list import table
from fabgate.errors import UsageError
from tests.collector.workbooks import workbook


def problem(raw: bytes) -> str:
    with pytest.raises(UsageError) as caught:
        table.read_table(raw)
    return str(caught.value)


def test_a_workbook_is_read_as_what_it_shows():
    raw = workbook(
        ("id", "name", "valid_until", "minor", "badges"),
        ("m-1", "Zoé", date(2027, 3, 1), True, None),
        (12, "Ada ", datetime(2027, 3, 1, 12, 30), False, 77705924.0),  # noqa: DTZ001 (a workbook's have no zone)
        (None, None, None, None, None),
        (1.5, "x"),
    )
    found = table.read_table(raw)
    assert found.header == ["id", "name", "valid_until", "minor", "badges"]
    assert found.rows == [
        (2, ["m-1", "Zoé", "2027-03-01", "yes", ""]),
        (3, ["12", "Ada ", "2027-03-01", "no", "77705924"]),
        (5, ["1.5", "x", "", "", ""]),
    ]


def rewritten(raw: bytes, **parts: tuple[str, str]) -> bytes:
    """Return a workbook in which one text stands for another, by the part's name without its ending."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            body = old.read(part).decode()
            for name, (before, after) in parts.items():
                if part.filename.endswith(f"{name}.xml"):
                    assert before in body
                    body = body.replace(before, after)
            new.writestr(part.filename, body)
    return file.getvalue()


@pytest.mark.parametrize(
    ("stored", "text", "is_missing"),
    [
        ('<c r="B2"><f>1+1</f><v /></c>', "", True),
        ('<c r="B2"><f>1+1</f></c>', "", True),
        ('<c r="B2" t="str"><f>1+1</f></c>', "", True),
        ('<c r="B2"><f t="shared" si="0"/><v></v></c>', "", True),
        ('<c r="B2" t="str"><f>1+1</f><v></v></c>', "", False),
        ('<c r="B2" t="str"><f>1+1</f><v>two</v></c>', "two", False),
        ('<c r="B2"><f>1+1</f><v>2</v></c>', "2", False),
        ('<c r="B2" t="e"><f>1+1</f><v>#REF!</v></c>', "#REF!", True),
        ('<c r="B2" t="e"><v>#NAME?</v></c>', "#NAME?", True),
    ],
)
def test_a_formula_is_what_was_stored_of_it_and_nothing_is_taken_for_a_value(stored, text, is_missing):
    raw = workbook(("id", "name"), ("m-1", "=1+1"))
    found = table.read_table(rewritten(raw, sheet1=('<c r="B2"><f>1+1</f><v /></c>', stored)))
    ((_line, cells),) = found.rows
    assert cells == ["m-1", text]
    assert isinstance(cells[1], table.Missing) == is_missing


def test_a_row_of_nothing_but_formulas_without_values_is_not_empty():
    ((line, cells),) = table.read_table(workbook(("id", "name"), ("=A9", "=B9"))).rows
    assert (line, [isinstance(cell, table.Missing) for cell in cells]) == (2, [True, True])
    with pytest.raises(UsageError, match="more than 20000 rows"):
        table.read_table(workbook(("id",), *[("=A1",)] * (table.MAX_ROWS + 1)))


def test_an_empty_workbook_has_no_header():
    assert table.read_table(workbook()).header == []


def test_a_small_workbook_that_unpacks_to_far_more_is_refused_unread():
    file = io.BytesIO(workbook(("id",), ("m-1",)))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb.bin", bytes(table.MAX_UNPACKED + 1))
    assert len(file.getvalue()) < MAX_FILE_BYTES
    assert "far larger than a list of people" in problem(file.getvalue())


def test_a_workbook_of_which_hundreds_of_times_as_much_unpacks_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(8 * 1024 * 1024))
    assert "far larger than a list of people" in problem(file.getvalue())


def test_a_workbook_of_thousands_of_parts_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(table.MAX_PARTS + 1):
            archive.writestr(f"{number}", b"")
    assert "far larger than a list of people" in problem(file.getvalue())


@pytest.mark.parametrize("raw", [b"PK\x03\x04", workbook(("id",))[:-30], b"PK\x03\x04" + b"\0" * 5000])
def test_a_broken_workbook_is_said_so(raw):
    assert "cannot be read as a workbook" in problem(raw)


def test_a_zip_that_is_no_workbook_is_said_so():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", b"hello")
    assert "cannot be read as a workbook" in problem(file.getvalue())


def test_a_workbook_with_entities_that_grow_is_refused():
    grown = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(("id",), ("m-1",)))) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            body = old.read(part)
            if part.filename == "xl/workbook.xml":
                body = f"<?xml version='1.0'?>{grown}]><workbook>&j;</workbook>".encode()
            new.writestr(part.filename, body)
    assert "cannot be read as a workbook" in problem(file.getvalue())


def test_an_old_excel_file_is_asked_for_anew():
    assert "old Excel file" in problem(b"\xd0\xcf\x11\xe0rest")


def test_too_many_bytes_rows_and_columns_are_refused():
    assert "wanted at most 5 MB" in problem(b"id\n" + b"x" * MAX_FILE_BYTES)
    assert "more than 20000 rows" in problem(b"id\n" + b"x\n" * (table.MAX_ROWS + 1))
    assert "more than 100 columns" in problem(b"a," * 100 + b"id\n")
    assert "more than 100 columns" in problem(workbook(("x",) * 101))


def test_a_workbook_that_lies_about_its_size_is_read_to_its_end_and_no_further():
    raw = rewritten(workbook(("id",), ("m-1",), ("m-2",)), sheet1=('ref="A1:A3"', 'ref="A1:XFD1048576"'))
    assert [line for line, _cells in table.read_table(raw).rows] == [2, 3]


def test_a_sheet_whose_last_line_was_touched_is_read_and_what_stands_there_is_told_by_its_line():
    sheet = workbook(("id",), ("m-1",))
    touched = rewritten(sheet, sheet1=("</sheetData>", '<row r="1048576"/></sheetData>'))
    assert table.read_table(touched).rows == [(2, ["m-1"])]
    cell = '<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>m-2</t></is></c></row></sheetData>'
    assert table.read_table(rewritten(sheet, sheet1=("</sheetData>", cell))).rows == [
        (2, ["m-1"]),
        (1048576, ["m-2"]),
    ]


@pytest.mark.parametrize("line", [table.LAST_LINE + 1, 2_000_000_000])
def test_a_line_that_no_sheet_has_is_refused_before_the_lines_up_to_it_are_counted(line):
    raw = rewritten(workbook(("id",), ("m-1",)), sheet1=("</sheetData>", f'<row r="{line}"/></sheetData>'))
    assert len(raw) < 10_000
    assert problem(raw) == "found a row after row 1048576, the last that a sheet can have; save the workbook again"


@pytest.mark.parametrize("tag", ["<row/>", "<x/>"])
def test_millions_of_empty_tags_are_refused_unread(tag):
    flood = tag * (table.MAX_TAGS + 1)
    file = io.BytesIO(rewritten(workbook(("id",), ("m-1",)), sheet1=("</sheetData>", f"{flood}</sheetData>")))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("xl/media/photo.jpg", random.Random(1).randbytes(100_000))
    assert len(flood) < table.MAX_UNPACKED
    assert len(flood) < table.MAX_RATIO * len(file.getvalue())
    assert "far larger than a list of people" in problem(file.getvalue())


def test_a_file_that_only_has_the_name_of_a_workbook_is_refused_as_one():
    with pytest.raises(UsageError, match=r"people\.XLSX is not a spreadsheet file"):
        table.read_table(b"this is no xlsx at all", "people.XLSX")
    assert table.read_table(b"id\nm-1\n", "people.csv").rows == [(2, ["m-1"])]
