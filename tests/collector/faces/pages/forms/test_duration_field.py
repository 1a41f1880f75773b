"""Does a field for a duration read what people type, and show what it stores so that it is read as the same?"""

from __future__ import annotations

import pytest
from django import forms
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from fabgate import wire
from fabgate.collector.faces.pages.forms.duration_field import DurationField

FIELD = DurationField(most_s=wire.MAX_SECONDS, too_long="At most 31 days.")


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("30", 1800),
        (" 30 min ", 1800),
        ("1.5", 90),
        ("1,5", 90),
        ("0.75", 45),
        ("1:30", 5400),
        ("0:00:45", 45),
        ("45 s", 45),
        ("45s", 45),
        ("0", 0),
        ("-1", -60),
        ("44640", wire.MAX_SECONDS),
    ],
)
def test_what_people_type_is_read_in_one_unit(typed, seconds):
    assert FIELD.clean(typed) == seconds


@pytest.mark.parametrize("typed", ["soon", "--1", "1:75", "1.5 s", "nan", "1e3", "٣", "1:2:3", "1.", "9" * 40])
def test_what_is_no_duration_is_answered_with_examples(typed):
    with pytest.raises(forms.ValidationError, match=r"Enter minutes \(90 or 1\.5\)"):
        FIELD.clean(typed)


@pytest.mark.parametrize("typed", ["44640.1", "745:00", "2678401 s"])
def test_what_is_too_long_is_refused(typed):
    with pytest.raises(forms.ValidationError, match="At most 31 days"):
        FIELD.clean(typed)


@pytest.mark.parametrize(
    ("lang", "stored", "shown"),
    [
        ("en", 1800, "30 min"),
        ("en", 90, "1.5 min"),
        ("fr", 90, "1,5 min"),
        ("en", 20, "20 s"),
        ("en", 100, "100 s"),
        ("en", 0, "0 min"),
        ("en", "1:30", "90 min"),
        ("en", "soon", "soon"),
    ],
)
def test_it_is_shown_with_its_unit(lang, stored, shown):
    with translation.override(lang):
        assert FIELD.prepare_value(stored) == shown


@given(st.integers(0, wire.MAX_SECONDS), st.sampled_from(["en", "fr"]))
def test_what_is_shown_is_read_as_the_same(seconds, lang):
    with translation.override(lang):
        assert FIELD.clean(FIELD.prepare_value(seconds)) == seconds
        assert not FIELD.has_changed(seconds, FIELD.prepare_value(seconds))
