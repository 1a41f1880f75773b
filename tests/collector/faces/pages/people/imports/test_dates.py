"""Dates in an imported list, and the template to fill in."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Account, Member
from fabgate.collector.members.people.import_list.columns import MEMBERS
from tests.collector.faces.pages.counter import text
from tests.collector.faces.pages.people.imports.importing import look, take
from tests.collector.workbooks import workbook

pytestmark = pytest.mark.usefixtures("house")

DATED = "id;name;Membre jusqu'au\nm-1;Ada Lovelace;{}\nm-2;Zoé Müller-Østergård;{}\n"


def until(page) -> dict[str, str]:
    """Return the last days of membership that a preview shows."""
    return {
        person.row.id: str(field.after)
        for person in page.context["found"].changed
        for field in person.fields
        if field.name == "valid_until"
    }


@pytest.mark.parametrize("date", ["31/12/2026", "31.12.2026", "12/31/2026", "2026-12-31"])
def test_dates_are_understood_as_spreadsheets_write_them(manager, date):
    page = look(manager, DATED.format(date, date))
    assert until(page) == {"m-1": "2026-12-31", "m-2": "2026-12-31"}
    assert not page.context["lines"]
    assert "Both readings are possible" not in text(page)
    take(manager, page)
    assert str(Member.objects.get(pk="m-1").valid_until) == "2026-12-31"


def test_the_order_of_ambiguous_dates_is_shown_and_can_be_changed_before_they_are_imported(manager):
    page = look(manager, DATED.format("01/02/2027", "03/04/2027"))
    assert "Dates such as 01/02/2027 were read as day/month/year. Both readings are possible" in text(page)
    assert until(page) == {"m-1": "2027-02-01", "m-2": "2027-04-03"}
    path = page.request["PATH_INFO"]
    assert 'href="?dates=month-first"' in text(page)
    other = manager.get(f"{path}?dates=month-first")
    assert "Dates such as 01/02/2027 were read as month/day/year." in text(other)
    assert 'href="?dates=day-first"' in text(other)
    assert until(other) == {"m-1": "2027-01-02", "m-2": "2027-03-04"}
    # What is imported is what that page showed, and not the other order.
    assert take(manager, other).status_code == 409
    assert take(manager, other, dates="month-first").status_code == 303
    assert str(Member.objects.get(pk="m-1").valid_until) == "2027-01-02"


def test_an_order_that_the_file_proves_cannot_be_changed(manager):
    page = look(manager, DATED.format("01/02/2027", "31/12/2026"))
    assert "were read as day/month/year." in text(page)
    assert "?dates=" not in text(page)
    assert until(manager.get(f"{page.request['PATH_INFO']}?dates=month-first")) == {
        "m-1": "2027-02-01",
        "m-2": "2026-12-31",
    }


def test_a_wrong_date_is_named_with_the_form_that_the_other_rows_have(manager):
    page = look(manager, DATED.format("12/31/2026", "soon"))
    wanted = "valid_until: found 'soon', wanted a date such as 2026-12-31, or 12/31/2026 as in the other rows"
    assert page.context["lines"] == [("Row 3", wanted)]


@pytest.mark.parametrize(
    ("typed", "year", "meant"),
    [
        ("31/12/26", "0026", "31/12/2026"),
        ("26-12-31", "0026", "31/12/2026"),
        ("26/12/31", "0026", "31/12/2026"),
        ("31-12-26", "0026", "31/12/2026"),
        ("31/12/0026", "0026", "31/12/2026"),
        ("31.12.26", "0026", "2026-12-31"),
        ("12/31/2062", "2062", "12/31/2026"),
        ("1930-12-31", "1930", "2030-12-31"),
    ],
)
def test_a_mistyped_year_is_asked_about_and_changes_nobody(manager, typed, year, meant):
    page = look(manager, DATED.format(typed, "2026-12-31"))
    asked = f"found '{typed}', which would be in the year {year}; did you mean {meant}?"
    assert page.context["lines"] == [("Row 2", f"valid_until: {asked}")]
    assert until(page) == {"m-2": "2026-12-31"}
    page = look(manager, f"id;training;since\nm-1;laser;{typed}\n")
    assert page.context["lines"] == [("Row 2", f"since: {asked}")]
    assert not page.context["takes"]


def test_a_membership_without_end_is_an_empty_cell(manager):
    page = look(manager, DATED.format("9999-12-31", ""))
    wanted = "wanted a day from 1950-01-01 to 2060-12-31; leave the cell empty for no end"
    assert page.context["lines"] == [("Row 2", f"valid_until: found '9999-12-31', {wanted}")]


def test_a_first_day_of_plans_is_asked_about(manager):
    page = look(manager, DATED.format("2026-12-31", ""))
    answer = manager.get(f"{page.request['PATH_INFO']}?plans_from=0026-12-31")
    assert answer.status_code == 400
    assert "in the year 0026: did you mean 31 Dec 2026?" in text(answer)


def test_a_serial_number_of_a_workbook_is_a_date(manager):
    page = look(manager, workbook(("id", "valid_until"), ("m-1", 46387)))
    assert until(page) == {"m-1": "2026-12-31"}


@pytest.mark.parametrize(("lang", "name", "separator"), [("en", "members", ","), ("fr", "membres", ";")])
def test_the_template_has_every_column_in_the_pages_language_and_can_be_imported(manager, lang, name, separator):
    Account.objects.update(lang=lang)
    response = manager.get("/people/import/template.csv")
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    raw = response.content.decode()
    assert raw.startswith("\N{BYTE ORDER MARK}")
    titles = raw.strip("\N{BYTE ORDER MARK}\r\n").split(separator)
    problems: list[str] = []
    assert MEMBERS.header(titles, problems) == list(MEMBERS.names)
    assert not problems
    assert not look(manager, response.content).context["lines"]
    assert 'href="/people/import/template.csv"' in text(manager.get("/people/import"))
