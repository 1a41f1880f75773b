"""Names are found without their accents, and sorted as people expect."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models import Member


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Zoé Müller-Østergård", "zoe muller-ostergard"),
        ("  Jürgen   GROß ", "jurgen gross"),
        ("Wiktoria Łęcka", "wiktoria lecka"),
        ("Oğuz Y\u0131lmaz", "oguz yilmaz"),
        ("İnci", "inci"),
        ("O\u2019Neill", "o'neill"),
        ("", ""),
    ],
)
def test_accents_capitals_and_spaces_do_not_matter(name, expected):
    assert folded(name) == expected


def test_a_member_is_found_by_their_name_or_else_by_their_id(database):
    member = Member.objects.create(id="M-1")
    assert member.folded == "m-1"
    member.name = "Zoé"
    member.save(update_fields=["name"])
    assert Member.objects.get().folded == "zoe"


def test_a_name_whose_characters_expand_still_fits():
    assert len(folded("\ufdfa" * 120)) == 300
