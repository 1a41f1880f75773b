"""Cells of exported spreadsheets and CSV files: numbers, dates, texts, and no formula."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from fabgate.collector.faces.pages.use.exports import tables
from fabgate.collector.ground.models import Change
from fabgate.collector.ground.tables import csv_file, xlsx_file
from fabgate.collector.ground.tables.csv_safety import escape_cell
from fabgate.collector.ground.tables.table import DECIMAL, DURATION, MOMENT, Column, Table
from tests.collector.faces.pages.use.exports.exported import sheet, some, table
from tests.collector.faces.pages.used import MINUTE, NOON, body

pytestmark = pytest.mark.usefixtures("database")


def test_a_sheet_has_the_same_with_numbers_as_numbers_and_no_formula(used, browse):
    rows = sheet(browse("accountant").get("/use/export.xlsx?what=sessions"))
    assert [(row["Session"], row["Person"], row["Powered on (ms)"]) for row in rows] == [
        ("s-1", "Zoé Müller", 1_799_877),
        ("s-2", "=1+2", 1_200_000),
    ]
    response = browse("manager").get("/use/export.xlsx?what=sessions")
    cell = load_workbook(io.BytesIO(body(response))).active["C3"]
    assert (cell.value, cell.data_type) == ("=1+2", "s")


def test_a_sheet_has_dates_and_durations_that_a_spreadsheet_can_count_with(used, browse):
    used.begin("s-3", "m-2", used.now - 5 * MINUTE)
    client = browse("accountant")
    page = load_workbook(io.BytesIO(body(client.get("/use/export.xlsx")))).active
    assert (page.title, page.freeze_panes, page.auto_filter.ref) == ("Sessions", "A2", f"A1:{page.dimensions[3:]}")
    first, still = sheet_cells(page, 2), sheet_cells(page, 4)
    for name, moment in (("Started (local)", NOON), ("Ended (local)", NOON + 30 * MINUTE)):
        assert first[name].value == moment.replace(tzinfo=None)
        assert (first[name].is_date, first[name].number_format) == (True, "yyyy-mm-dd hh:mm:ss")
    assert abs(first["Powered on"].value - timedelta(milliseconds=1_799_877)) < timedelta(milliseconds=1)
    assert (first["Powered on"].number_format, first["Powered on (ms)"].value) == ("[h]:mm:ss", 1_799_877)
    assert first["Started (UTC)"].value == NOON.isoformat(timespec="milliseconds")
    assert still["Ended (local)"].value is None
    assert table(client.get("/use/export.csv"))[0]["Powered on"] == "0:29:59"


def sheet_cells(page: Any, row: int) -> dict[str, Any]:
    return dict(zip([cell.value for cell in page[1]], page[row], strict=True))


@pytest.mark.parametrize(
    ("what", "title", "name", "value"),
    [
        ("usage", "Usage", "From", datetime(NOON.year, NOON.month, NOON.day)),  # noqa: DTZ001 (a sheet has no zones)
        ("refusals", "Refusals", "When (local)", NOON.replace(tzinfo=None)),
    ],
)
def test_every_sheet_is_named_after_what_it_holds_and_has_dates(used, browse, what, title, name, value):
    query = f"what={what}&first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}"
    page = load_workbook(io.BytesIO(body(browse("accountant").get(f"/use/export.xlsx?{query}")))).active
    cell = sheet_cells(page, 2)[name]
    assert (page.title, cell.value, cell.is_date) == (title, value, True)


def test_an_empty_sheet_opens_too(used, browse):
    page = load_workbook(io.BytesIO(body(browse("accountant").get("/use/export.xlsx?member=m-3")))).active
    assert (page.max_row, page.auto_filter.ref.partition(":")[0]) == (1, "A1")


@pytest.mark.parametrize(
    ("iso", "local"),
    [
        ("2026-10-25T02:30:00.000+02:00", datetime(2026, 10, 25, 2, 30)),  # noqa: DTZ001 (a sheet has no zones)
        ("2026-10-25T02:30:00.000+01:00", datetime(2026, 10, 25, 2, 30)),  # noqa: DTZ001
        ("2026-12-31T23:59:59.999+05:30", datetime(2026, 12, 31, 23, 59, 59, 999_000)),  # noqa: DTZ001
        ("2000-02-29T00:00:00.001-03:00", datetime(2000, 2, 29, 0, 0, 0, 1000)),  # noqa: DTZ001
    ],
)
def test_a_moment_in_a_sheet_is_the_local_one_to_the_millisecond(tmp_path, iso, local):
    columns = [Column("at", MOMENT), Column("on", DURATION)]
    with (tmp_path / "sheet.xlsx").open("w+b") as file:
        xlsx_file.write_xlsx(file, Table("Some", columns, [[iso, 500 * 3_600_000]]))
    _head, (at, on) = load_workbook(tmp_path / "sheet.xlsx").active.values
    assert (at, on) == (local, timedelta(hours=500))


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_a_csv_begins_like_a_formula(text):
    content = b"".join(csv_file.write_csv(some([[text, f"a{text}", -1]], "text text number"), ",")).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(content, newline="")))[1] == [f"'{text}", f"a{text}", "-1"]


@given(st.lists(st.tuples(st.text(), st.text("a ,;\"'\r\n=-")), max_size=20), st.sampled_from(",;"))
def test_whatever_people_write_comes_back_from_a_csv_as_it_was_kept(rows, separator):
    content = b"".join(csv_file.write_csv(some(rows, "text text"), separator)).decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(content, newline=""), delimiter=separator))[1:]
    assert found == [[escape_cell(cell) for cell in row] for row in rows]


def test_a_sheet_holds_what_xml_cannot_and_what_looks_like_xml(tmp_path):
    with (tmp_path / "sheet.xlsx").open("w+b") as file:
        xlsx_file.write_xlsx(file, some([["<b>&amp;", 0, "x\0y\x1f"], ["", 7, "Zoé\nMüller"]], "text number text"))
    rows = list(load_workbook(tmp_path / "sheet.xlsx").active.values)
    assert rows == [("a", "b", "c"), ("<b>&amp;", 0, "xy"), (None, 7, "Zoé\nMüller")]


def test_a_sheet_shows_blanks_and_codes_as_people_wrote_them(tmp_path):
    texts = ["  two before", "one behind ", "line\n", "_x0041_ and _X0041_", "a_b"]
    with (tmp_path / "sheet.xlsx").open("w+b") as file:
        xlsx_file.write_xlsx(file, some([[text] for text in texts], "text"))
    cells = ET.fromstring(zipfile.ZipFile(tmp_path / "sheet.xlsx").read("xl/worksheets/sheet1.xml")).iter(
        "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}t"
    )
    # As the format has it (ECMA-376, ST_Xstring): blanks at the ends count where that is said, and a code is escaped.
    kept = "{http://www.w3.org/XML/1998/namespace}space"
    assert [(cell.text, cell.get(kept) == "preserve") for cell in cells][1:] == [
        (texts[0], True),
        (texts[1], True),
        (texts[2], True),
        ("_x005F_x0041_ and _X0041_", False),
        ("a_b", False),
    ]


@pytest.mark.parametrize("sign", ["x", "\N{DROMEDARY CAMEL}"])
def test_a_text_that_no_cell_has_room_for_is_cut_in_a_sheet_and_whole_in_a_csv(tmp_path, sign):
    whole = f"<{sign * 60_000}"
    with (tmp_path / "sheet.xlsx").open("w+b") as file:
        xlsx_file.write_xlsx(file, some([[whole]], "text"))
    found = load_workbook(tmp_path / "sheet.xlsx").active["A2"].value
    assert (found[-1], whole.startswith(found[:-1])) == ("…", True)
    assert xlsx_file.MAX_CELL - 1 <= len(found.encode("utf-16-le")) // 2 <= xlsx_file.MAX_CELL
    assert whole in b"".join(csv_file.write_csv(some([[whole]], "text"), ",")).decode()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_moments_are_written_as_python_would_also_when_the_clocks_change(zone):
    moments = tables._Moments(ZoneInfo(zone))
    start = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
    for minutes in range(0, 12 * 60, 7):
        moment = start + timedelta(minutes=minutes, milliseconds=minutes % 3)
        text = moment.replace(tzinfo=None).isoformat(" ")
        wanted = (
            moment.isoformat(timespec="milliseconds"),
            moment.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds"),
        )
        assert moments.both(text) == moments.both(moment) == wanted


def test_more_rows_than_a_sheet_has_are_refused_with_what_to_do(used, browse, monkeypatch):
    monkeypatch.setattr(xlsx_file, "MAX_ROWS", 2)
    response = browse("accountant").get("/use/export.xlsx")
    assert response.status_code == 400
    assert "export CSV" in response.content.decode()
    assert not Change.objects.filter(verb="data.exported").exists()


def amounts(title: str, *cells: str) -> Table:
    return Table(title, [Column("Name"), Column("Amount", DECIMAL)], [["=1+2", cell] for cell in cells])


def test_a_decimal_number_is_a_number_with_its_decimals():
    file = io.BytesIO()
    xlsx_file.write_xlsx(file, amounts("Euros", "1234.50", "-0.05", ""), amounts("Dinars", "0.938", "5"))
    book = load_workbook(file)
    cells = {page.title: [(row[1].value, row[1].number_format) for row in page.iter_rows(min_row=2)] for page in book}
    assert cells == {
        "Euros": [(1234.5, "0.00"), (-0.05, "0.00"), (None, "General")],
        "Dinars": [(0.938, "0.000"), (5, "0")],
    }
    assert [page["A2"].data_type for page in book] == ["s", "s"]


def test_no_sheet_stays_open_when_the_last_one_is_too_long(monkeypatch):
    monkeypatch.setattr(xlsx_file, "MAX_ROWS", 2)
    with pytest.raises(xlsx_file.TooLong):
        xlsx_file.write_xlsx(io.BytesIO(), amounts("Short", "1"), amounts("Long", "1", "2"))


@pytest.mark.parametrize(
    ("lang", "wanted"), [("fr", "'=1+2;-1234,50"), ("en", "'=1+2,-1234.50"), ("nn", "'=1+2,-1234.50")]
)
def test_a_decimal_number_is_written_as_spreadsheets_of_the_language_read_it(lang, wanted):
    _head, line = b"".join(csv_file.write_csv(amounts("Euros", "-1234.50"), *csv_file.dialect_of(lang))).splitlines()
    assert line.decode() == wanted
