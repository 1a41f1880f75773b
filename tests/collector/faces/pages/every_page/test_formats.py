"""How is a day written, in full and short?"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from django.template import Context, Template
from django.utils import translation

import fabgate.collector
from fabgate.collector.ground import formats


@pytest.mark.parametrize(("lang", "day", "month"), [("en", "26 Nov", "Nov 2026"), ("fr", "26 nov.", "nov. 2026")])
def test_a_month_is_cut_short_as_its_language_does(lang, day, month):
    with translation.override(lang):
        assert formats.short(date(2026, 11, 26)) == day
        assert formats.short(date(2026, 11, 26), "M Y") == month


FIRST = date(2026, 9, 1)


@pytest.mark.parametrize(
    ("lang", "pattern", "shown"),
    [
        ("en", "DATE_FORMAT", "1 September 2026"),
        ("fr", "DATE_FORMAT", "1er septembre 2026"),
        ("fr", "SHORT_DATE_FORMAT", "01/09/2026"),
        ("fr", "l j F", "mardi 1er septembre"),
        ("fr", "F Y", "septembre 2026"),
        ("fr", "Y-m-d", "2026-09-01"),
    ],
)
def test_the_first_of_a_month_is_1er_in_french_in_code_and_in_templates(lang, pattern, shown):
    at = datetime(2026, 9, 1, 9, 5, tzinfo=UTC)
    page = Template("{{ day|date:pattern }}")
    with translation.override(lang):
        assert formats.date_format(FIRST, pattern) == shown
        assert formats.date_format(at, pattern) == shown
        assert page.render(Context({"day": FIRST, "pattern": pattern})) == shown
        assert "1er" not in formats.date_format(date(2026, 11, 21), pattern)


def test_a_short_first_of_a_month_is_1er_too():
    with translation.override("fr"):
        assert formats.short(FIRST) == "1er sept."
        assert formats.date_format(time(9, 5), "H:i") == "09:05"


def test_nothing_writes_a_day_by_djangos_own_function():
    """Its French has no "1er"."""
    package = Path(fabgate.collector.__file__).parent
    own = package / "ground" / "formats" / "__init__.py"
    imported = re.compile(r"from django\.utils\.(formats import .*\bdate_format\b|dateformat import)")
    assert [str(path) for path in package.rglob("*.py") if path != own and imported.search(path.read_text())] == []
