"""Does a document show what was written to it, on every page, and is it always the same?"""

from __future__ import annotations

import hashlib
import io
import re
from datetime import UTC, datetime

import pytest
from django.utils import translation
from pypdf import PdfReader

from fabgate.collector.money.paper import sheet
from fabgate.collector.money.paper.letterhead import Letterhead
from fabgate.collector.money.paper.sheet import Column, Heading, Sheet, Sum, TableRow

FONTS = sheet._FONTS
COLUMNS = [Column("Day", 1), Column("Time", 1, is_number=True), Column("Class", 2), Column("Amount", 1, is_number=True)]


def made(name="Atelier des Deux-Rives", **more) -> Sheet:
    values = {"title": "A document", "footer": "2027-01", "made_at": datetime(2027, 2, 1, tzinfo=UTC)}
    return Sheet(Letterhead(name, ("12 rue de la Charité",)), **{**values, **more})


def pages(document: Sheet) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(bytes(document))).pages]


def test_a_document_shows_latin_greek_and_cyrillic_names_whole():
    document = made("Zażółć gęślą jaźń")
    names = ["Đorđe Nguyễn", "Σωκράτης Παπαδόπουλος", "Дмитрий Ђорђевић", "Zoe\N{COMBINING DIAERESIS} Łęcki"]
    document.recipient(names)
    document.title("Statement", "January 2027")
    document.facts([("Number", "2027-01/m-117")])
    document.paragraph("\N{MINUS SIGN}€1,010.50 \N{NARROW NO-BREAK SPACE}≈ 10\N{NO-BREAK SPACE}%")
    (text,) = pages(document)
    for wanted in (
        "Zażółć gęślą jaźń",
        *names[:3],
        "Zoë Łęcki",
        "2027-01/m-117",
        "\N{MINUS SIGN}€1,010.50",
        "≈ 10",
        "Page 1 of 1",
    ):
        assert wanted in text


def test_a_long_label_of_a_fact_does_not_reach_its_value():
    def place_of_value(label: str) -> float:
        """Return how far the value is from the left, in points."""
        document, found = made(), []
        document.facts([(label, "20261")])
        (page,) = PdfReader(io.BytesIO(bytes(document))).pages
        page.extract_text(visitor_text=lambda text, _cm, tm, *_font: found.append(tm[4]) if "20261" in text else None)
        return float(found[0])

    assert place_of_value("Payer") == place_of_value("Amount")
    assert place_of_value("Numéro de ticket ou de chèque") > place_of_value("Payer") + 10


def test_a_character_that_the_font_does_not_have_is_shown_as_unknown(caplog):
    document = made()
    document.paragraph("李 Ada \a🙂")
    assert "� Ada ��" in pages(document)[0]
    assert not caplog.records


def test_a_long_table_repeats_its_columns_and_headings_on_each_page():
    document = made()
    rows: list[TableRow | Heading | Sum] = []
    for person in ("Ada", "Bob"):
        rows += [Heading(person), Heading("Laser", level=2)]
        rows += [
            TableRow([f"{person} {day}", "1:00", "Billed " * 12, "€1.00"], ["late " * 40, "paid"]) for day in range(40)
        ]
        rows.append(Sum(["Laser", "40:00", "", "€40.00"]))
    document.table(COLUMNS, [*rows, Sum(["Total", "", "", "€80.00"], is_last=True)])
    texts = pages(document)
    assert len(texts) > 3
    assert all("Amount" in text and text.endswith(f"Page {n} of {len(texts)}") for n, text in enumerate(texts, 1))
    assert all("Ada · Laser" in text or "Bob" in text for text in texts[1:])
    assert [word for text in texts for word in re.findall(r"(?:Ada|Bob) \d+", text)] == [
        f"{person} {day}" for person in ("Ada", "Bob") for day in range(40)
    ]
    # a note that has no room on one line has more of them
    assert " ".join(texts).count("late") == 80 * 40
    assert " ".join(texts).count("paid") == 80


@pytest.mark.parametrize("rows", range(34, 48))
def test_a_heading_is_never_the_last_line_of_a_page(rows):
    document = made()
    filled = [TableRow([f"{n}", "", "", ""]) for n in range(rows)]
    document.table(COLUMNS, [*filled, Heading("Bob"), Heading("Saw", level=2), TableRow(["the row", "", "", ""])])
    text = next(text for text in pages(document) if "the row" in text)
    assert re.search(r"Bob\s+Saw\s+the row", text)


@pytest.mark.parametrize("rows", range(34, 46))
def test_a_heading_is_on_the_page_of_the_table_and_of_the_code_below_it(rows):
    document = made()
    document.table(COLUMNS, [TableRow([f"{n}", "", "", ""]) for n in range(rows)])
    document.heading("By code")
    document.table(COLUMNS, [TableRow(["the row", "", "", ""]), Sum(["the sum", "", "", ""])])
    document.heading("Payment", code=[[1, 0], [0, 1]])
    document.facts([("Account", "FR76")], code=[[1, 0], [0, 1]], code_label="Scan it")
    found = pages(document)
    table = next(text for text in found if "By code" in text)
    assert re.search(r"By code\s.*the row\s.*the sum", table, re.DOTALL)
    assert all("Scan it" in text for text in found if "Payment" in text)


@pytest.mark.parametrize("rows", range(40, 44))
def test_no_page_begins_with_a_sum(rows):
    document = made()
    lines = [TableRow(["1 Jan", "10:00", "Billed", f"row {number}"]) for number in range(rows)]
    sums = [Sum(["", "1:00", "Laser", "1"]), Sum(["Total", "1:00", "", "whole"], is_last=True)]
    document.table(COLUMNS, [Heading("Ada", 1), *lines, *sums])
    last = pages(document)[-1]
    assert last.index(f"row {rows - 1}") < last.index("whole")


def test_a_heading_of_a_person_ends_the_machine_of_the_one_before():
    shown = [Heading("Ada"), Heading("Laser", 2), Heading("Bob"), Heading("Saw", 2)]
    assert sheet._over(shown, []) == [Heading("Bob"), Heading("Saw", 2)]
    assert sheet._over(shown, [Heading("Laser", 2)]) == [Heading("Bob")]
    assert sheet._over(shown, [Heading("Cleo"), Heading("Saw", 2)]) == []


def test_the_same_words_make_the_same_bytes_in_the_language_of_the_reader():
    found = {}
    for lang in ("en", "fr"):
        with translation.override(lang):
            documents = [made() for _n in range(2)]
            for document in documents:
                document.recipient(["Ada Martin"])
            first, second = map(bytes, documents)
        assert first == second
        reader = PdfReader(io.BytesIO(first))
        found[lang] = reader.pages[0].extract_text()
        assert reader.trailer["/Root"]["/Lang"] == lang
        assert reader.metadata.creation_date == datetime(2027, 2, 1, tzinfo=UTC)
    assert "Page 1 of 1" in found["en"]
    assert "Page 1 sur 1" in found["fr"]


def test_every_font_is_named_with_its_hash():
    table = (FONTS / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \|.* \| `([0-9a-f]{64})` \|$", table, re.MULTILINE))
    assert {*rows, "README.md", "Roboto.LICENSE"} == {path.name for path in FONTS.iterdir()}
    for name, digest in rows.items():
        assert hashlib.sha256((FONTS / name).read_bytes()).hexdigest() == digest, name
