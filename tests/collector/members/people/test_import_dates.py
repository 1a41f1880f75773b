"""Dates as spreadsheets write them."""

from __future__ import annotations

from datetime import date

import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from fabgate.collector.members.people.import_list import dates
from fabgate.collector.members.people.import_list.dates import DAY_FIRST, MONTH_FIRST

LAST = date(2026, 12, 31)


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-31",
        "2026/12/31",
        "2026.12.31",
        "31/12/2026",
        "31-12-2026",
        "31.12.2026",
        "31/12/2026 00:00",
        " 31/12/2026 ",
    ],
)
def test_a_date_is_read_as_spreadsheets_write_it(text):
    assert dates.reader([text]).read(text) == LAST


def test_the_american_order_is_understood_where_a_date_proves_it():
    found = dates.reader(["01/02/2027", "12/31/2026"])
    assert (found.order, found.is_ambiguous) == (MONTH_FIRST, False)
    assert found.read("12/31/2026") == LAST
    assert found.read("01/02/2027") == date(2027, 1, 2)


def test_one_date_with_one_reading_decides_for_all_of_them():
    found = dates.reader(["01/02/2027", "31/12/2026"], chosen=MONTH_FIRST)
    assert (found.order, found.is_ambiguous) == (DAY_FIRST, False)
    assert found.read("01/02/2027") == date(2027, 2, 1)


def test_where_no_date_decides_day_first_is_assumed_and_another_order_can_be_chosen():
    found = dates.reader(["2026-12-31", "01/02/2027"])
    assert (found.order, found.is_ambiguous, found.example) == (DAY_FIRST, True, "01/02/2027")
    assert found.read("01/02/2027") == date(2027, 2, 1)
    assert dates.reader(["01/02/2027"], chosen=MONTH_FIRST).read("01/02/2027") == date(2027, 1, 2)


def test_in_a_file_with_both_orders_one_can_be_chosen_and_the_other_dates_are_refused():
    found = dates.reader(["31/12/2026", "12/31/2026"])
    assert (found.order, found.is_ambiguous) == (DAY_FIRST, True)
    with pytest.raises(ValueError, match="month"):
        found.read("12/31/2026")
    assert dates.reader(["31/12/2026", "12/31/2026"], chosen=MONTH_FIRST).read("12/31/2026") == LAST


def test_dates_that_need_no_order_have_none():
    found = dates.reader(["2026-12-31", "31.12.2026", "", "soon"], chosen=MONTH_FIRST)
    assert (found.order, found.is_ambiguous) == ("", False)
    assert found.read("01.02.2027") == date(2027, 2, 1)


@pytest.mark.parametrize(("epoch", "serial"), [(CALENDAR_WINDOWS_1900, "46387"), (CALENDAR_MAC_1904, "44925")])
def test_a_workbooks_serial_number_is_a_date(epoch, serial):
    assert dates.reader([serial], epoch=epoch).read(serial) == LAST


@pytest.mark.parametrize(
    "text", ["46387", "2027", "31/12/26", "31 December", "soon", "31/02/2026", "31/12/2026 18:00", "1/2-2027"]
)
def test_other_text_is_no_date(text):
    with pytest.raises(ValueError, match=r"."):
        dates.reader([text]).read(text)
