"""What other readers show for a card, and in which reading a roster knows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import badge
from fabgate.badge import Kind
from fabgate.errors import UsageError
from fabgate.gate.terminal import card as cards
from fabgate.rules.vocabulary import Barred, Emergency, Member

KEYS = {"new": b"n" * 32, "old": b"o" * 32}
ADA = Member(id="m-1", name="Ada")


def shown(spelling: str) -> dict[str, str]:
    return {reading.reader: reading.shows for reading in cards.readings(badge.parse(spelling))}


def known(spelling: str, members: dict[str, object], key: str = "new") -> cards.Known:
    """Look a card up in a roster of these spellings."""
    stored = {badge.digest(badge.parse(one), KEYS[key]): holder for one, holder in members.items()}
    return cards.known(badge.parse(spelling), KEYS, stored.get)


def test_a_short_card_in_the_readings_of_other_readers():
    assert shown("04A1B2C3") == {
        "last byte first, hex": "C3B2A104",
        "26-bit Wiegand, first bytes": "4,41394",
        "26-bit Wiegand, first bytes turned": "178,41220",
        "26-bit Wiegand, last bytes": "161,45763",
        "26-bit Wiegand, last bytes turned": "195,45729",
        "shortened to 10 digits": "0077705923",
        "shortened to 10 digits, last byte first": "3283263748",
    }


def test_a_long_card_is_shortened_by_many_readers_and_then_shared():
    found = {one.reader: one for one in cards.readings(badge.parse("04A1B2C3D4E5F6"))}
    assert found["cut after the cascade tag"].shows == "8804A1B2"
    assert found["first four bytes"].shows == "04A1B2C3"
    assert found["last four bytes"].shows == "C3D4E5F6"
    assert found["shortened to 10 digits, last bytes"].shows == "3285509622"
    assert found["shortened to 10 digits, first bytes, last byte first"].shows == "3283263748"
    assert all(one.shared for one in found.values() if one.reader != "last byte first, hex")
    # What cannot be a badge is refused by `parse` too: the number of SimpleMFRC522, and half a UID.
    for reader, prefix in (("SimpleMFRC522", "simple:"), ("cut after the cascade tag", "hex:")):
        assert found[reader].card is None
        with pytest.raises(UsageError, match="7-byte"):
            badge.parse(prefix + found[reader].shows)


@given(st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_every_reading_that_can_be_a_badge_is_spelled_as_that_badge(uid):
    one = badge.Badge(Kind.ISO14443A, uid)
    for reading in cards.readings(one):
        if reading.card is not None:
            name = "number10-reversed:" if reading.reader.endswith("last byte first") else "number10:"
            prefix = "w26:" if "," in reading.shows else name if reading.reader.startswith("shortened") else "hex:"
            assert badge.parse(prefix + reading.shows) == reading.card


def test_a_125_khz_badge_is_shortened_by_most_readers():
    assert shown("em-hex:0A00B1C2D3") == {
        "shortened to 10 digits": "0011649747",
        "shortened to 10 digits, last byte first": "3552751872",
        "shortened to 8 digits": "11649747",
        "shortened to 8 digits, last byte first": "13877937",
        "26-bit Wiegand": "177,49875",
    }
    printed = "\n".join(
        cards.lines(badge.parse("em-hex:0A00B1C2D3"), known("em-hex:0A00B1C2D3", {"number10:0011649747": ADA}))
    )
    assert "but it knows number10:0011649747" in printed
    # What `fabgate collector badge-forms` calls it.
    assert "11649747              65,536 badges have the same (em:number8)" in printed


def test_the_holder_is_found_under_each_key_of_the_gate():
    assert known("04A1B2C3", {"04A1B2C3": ADA}, "old") == cards.Known(ADA, ())


def test_a_card_that_stands_in_the_list_the_wrong_way_round_is_found():
    found = known("04A1B2C3", {"hex:C3B2A104": ADA, "w26:161,45763": Barred(("expired",), "m-2")})
    assert found.holder is None
    assert {(str(reading.card), holder.id) for reading, holder in found.others} == {
        ("C3B2A104", "m-1"),
        ("w26:161,45763", "m-2"),
    }
    text = "\n".join(cards.lines(badge.parse("04A1B2C3"), found))
    assert "no member has this card" in text
    assert "but it knows C3B2A104 (last byte first, hex): m-1 (Ada) has this card" in text
    assert "m-2 has this card, and is refused: expired" in text
    assert "Write 04A1B2C3 in the list of members" in text


def test_an_emergency_badge_is_told_and_a_wiegand_badge_has_no_other_reading():
    found = known("w26:1,2", {"w26:1,2": Emergency("keys")})
    assert list(cards.lines(badge.parse("w26:1,2"), found)) == [
        "",
        "roster            an emergency badge of gate.yaml: keys",
    ]


def test_a_roster_that_cannot_be_read_is_not_called_without_the_card():
    assert list(cards.lines(badge.parse("w26:1,2"), "no badge key")) == [
        "",
        "roster            not checked: no badge key",
    ]
    assert cards.as_json(badge.parse("w26:1,2"), "no badge key")["roster"] is None
