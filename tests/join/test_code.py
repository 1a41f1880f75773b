"""Is the code the one that a person meant?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.errors import UsageError
from fabgate.join import code
from fabgate.join.code import ALPHABET, Code

CODES = st.builds(Code, st.text(ALPHABET, min_size=2, max_size=2), st.text(ALPHABET, min_size=8, max_size=8))


@given(CODES)
def test_a_code_is_read_as_it_is_shown(made):
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2}", made.text)
    assert code.parse(made.text) == made


@pytest.mark.parametrize(
    "typed",
    [
        "K7QF-2M9X-41",
        "k7qf2m9x41",
        " K7QF 2M9X 41\n",
        "K7QF\N{EN DASH}2M9X\N{EM DASH}41",
        "k7 qf-2m-9x-4l",
        "K7QF-2M9X-4I",
        "K7QF\N{NO-BREAK SPACE}2M9X\N{NON-BREAKING HYPHEN}41",
    ],
)
def test_what_people_type_is_forgiven(typed):
    assert code.parse(typed) == Code("K7", "QF2M9X41")


def test_look_alikes_are_what_they_look_like():
    assert code.parse("oOiIlLuUoO") == Code("00", "1111VV00")


@pytest.mark.parametrize("typed", ["", "ABCD-EFGH-J", "ABCD-EFGH-JKM", "ABCD-EFGH-J!", "ABCD-EFGH-Jé", "ß" * 10])
def test_another_text_is_refused_and_not_repeated(typed):
    with pytest.raises(UsageError, match="such as K7QF-2M9X-4T") as raised:
        code.parse(typed)
    assert "ABCD" not in str(raised.value)


def test_a_secret_is_not_shown_by_accident():
    assert "QF2M9X4T" not in repr(Code("K7", "QF2M9X4T"))


def test_names_and_secrets_use_the_whole_alphabet():
    assert set("".join(code.new_secret() for _ in range(200))) == set(ALPHABET)
    assert {len(code.new_name()), len(code.new_secret())} == {2, 8}
