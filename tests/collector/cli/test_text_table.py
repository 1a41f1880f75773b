"""Does a terminal show texts as they are, but for what could move its cursor?"""

from __future__ import annotations

import io

import pytest

from fabgate.collector.cli import text_table


@pytest.mark.parametrize(
    "text",
    [
        "Définitif\N{NO-BREAK SPACE}: le mois a été clôturé",
        "1\N{NARROW NO-BREAK SPACE}010,50\N{NO-BREAK SPACE}€",
        "L'atelier",
        "",
    ],
)
def test_letters_and_no_break_spaces_stay_as_they_are(text):
    assert text_table.plain(text) == text


def test_only_the_signs_that_are_not_seen_are_escaped():
    text = "Zoé\x1b[2J\n\N{RIGHT-TO-LEFT OVERRIDE}\N{LINE SEPARATOR}\x85 10\N{NO-BREAK SPACE}€"
    assert text_table.plain(text) == "Zoé\\x1b[2J\\n\\u202e\\u2028\\x85 10\N{NO-BREAK SPACE}€"


def test_columns_of_amounts_with_no_break_spaces_are_aligned():
    out = io.StringIO()
    text_table.write([("a", "10,00\N{NO-BREAK SPACE}€"), ("b", "1,00\N{NO-BREAK SPACE}€")], out, right={1})
    assert out.getvalue() == "a  10,00\N{NO-BREAK SPACE}€\nb   1,00\N{NO-BREAK SPACE}€\n"
