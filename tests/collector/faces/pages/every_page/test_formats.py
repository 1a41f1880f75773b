"""How is a day written short?"""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import translation

from fabgate.collector.ground import formats


@pytest.mark.parametrize(("lang", "day", "month"), [("en", "26 Nov", "Nov 2026"), ("fr", "26 nov.", "nov. 2026")])
def test_a_month_is_cut_short_as_its_language_does(lang, day, month):
    with translation.override(lang):
        assert formats.short(date(2026, 11, 26)) == day
        assert formats.short(date(2026, 11, 26), "M Y") == month
