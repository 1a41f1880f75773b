"""Which days are believed, and which were probably mistyped."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import days


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("0026-12-31", date(2026, 12, 31)),
        ("26-12-31", date(2026, 12, 31)),
        ("31-12-26", date(2026, 12, 31)),
        ("27-03-15", date(2027, 3, 15)),
        ("15-03-27", date(2027, 3, 15)),
        ("26-04-31", date(2031, 4, 26)),
        ("1930-12-31", date(2030, 12, 31)),
        ("2062-03-01", date(2026, 3, 1)),
        ("3026-03-01", date(2026, 3, 1)),
        ("0202-03-01", None),
        ("2099-12-31", None),
        ("9999-12-31", None),
        ("2064-02-29", None),
    ],
)
def test_a_mistyped_year_is_asked_about(typed: str, meant: date | None) -> None:
    with pytest.raises(days.UnlikelyDay) as caught:
        days.read(typed)
    assert caught.value.meant == meant
    assert (f"did you mean {meant}?" in str(caught.value)) == (meant is not None)


@pytest.mark.parametrize(
    "text", ["", "soon", "31/12/2026", "2026-02-31", "20261231", "2026-12-31T08:00", "2026-1", "2026-W53-4", "00-12-00"]
)
def test_text_that_is_no_day_is_no_day(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        days.read(text)
    assert not isinstance(caught.value, days.UnlikelyDay)


@given(st.dates())
def test_each_day_is_read_as_it_is_written_or_asked_about(day: date) -> None:
    if days.FIRST <= day <= days.LAST:
        assert days.read(day.isoformat()) == day
        return
    with pytest.raises(days.UnlikelyDay) as caught:
        days.read(day.isoformat())
    meant = caught.value.meant
    assert caught.value.day == day
    if meant is not None:
        assert days.read(meant.isoformat()) == meant
        assert (meant.month, meant.day) == (day.month, day.day)
        assert sorted(str(meant.year)[2:]) == sorted(str(day.year).zfill(2)[-2:])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-03-01", "2027-03-01T00:00:00"),
        ("2027-3-1", "2027-03-01T00:00:00"),
        ("2027-03-01T18:00", "2027-03-01T18:00:00"),
        (" 2027-03-01 18:00:30 ", "2027-03-01T18:00:30"),
        ("2027-03-01T18:00:00.250", "2027-03-01T18:00:00.250000"),
        ("2027-03-01T18:00Z", "2027-03-01T18:00:00+00:00"),
        ("2027-03-01T18:00:00+01:00", "2027-03-01T18:00:00+01:00"),
    ],
)
def test_a_moment_is_a_day_and_perhaps_a_time(text: str, expected: str) -> None:
    assert days.read_moment(text).isoformat() == expected


@pytest.mark.parametrize("text", ["0026-12-31T10:00", "26-12-31 10:00", "2062-12-31", "3026-12-31T10:00Z"])
def test_a_moment_in_a_mistyped_year_is_asked_about(text: str) -> None:
    with pytest.raises(days.UnlikelyDay) as caught:
        days.read_moment(text)
    assert caught.value.meant == date(2026, 12, 31)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "01/02/2027 10:00", "12/31/62 10:00", "20621231", "2026-W53-4", "2027-03-01T10", "2027-03-01T25:00"],
)
def test_text_that_is_no_moment_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        days.read_moment(text)
    assert not isinstance(caught.value, days.UnlikelyDay)
