"""Is a badge one identity, however it is spelled, and never two?"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.badge import (
    CASCADE_TAG,
    UID_LENGTHS,
    AmbiguousError,
    Badge,
    Kind,
    RandomUidError,
    digest,
    from_uid,
    parse,
    spellings,
)
from fabgate.errors import UsageError
from tests.test_seal import table

KEY = bytes(range(32))


def _is_real(raw: bytes) -> bool:
    return len(raw) != 4 or raw[0] not in {CASCADE_TAG, 0x08}


uids = st.sampled_from(UID_LENGTHS).flatmap(lambda size: st.binary(min_size=size, max_size=size)).filter(_is_real)
cards = st.builds(Badge, st.just(Kind.ISO14443A), uids)
wiegands = st.builds(Badge, st.just(Kind.WIEGAND26), st.binary(min_size=3, max_size=3))
badges = cards | wiegands


# --- vectors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "raw", "key", "wanted"), table("Badge digests"))
def test_digests_are_those_of_the_vectors(kind, raw, key, wanted):
    assert digest(Badge(Kind(int(kind)), bytes.fromhex(raw)), bytes.fromhex(key)) == wanted


@pytest.mark.parametrize(("spelling", "badge"), table("Spellings"))
def test_each_spelling_of_the_vectors_is_the_badge_beside_it(spelling, badge):
    assert str(parse(spelling)) == badge
    assert parse(badge) == parse(spelling)


@pytest.mark.parametrize(("spelling", "because"), table("Spellings that are refused"))
def test_each_spelling_that_is_refused_says_why(spelling, because):
    with pytest.raises(UsageError, match=because):
        parse(spelling)


# --- spellings --------------------------------------------------------------------------------------------------------


@given(badge=badges)
def test_every_spelling_parses_back_in_any_case_and_with_blanks(badge):
    found = spellings(badge)
    assert found["canonical"] == str(badge)
    assert len(found) == (1 if badge.kind is Kind.WIEGAND26 else 6 if len(badge.raw) == 4 else 5)
    for spelling in found.values():
        for written in (spelling, spelling.lower(), spelling.upper(), f"  {spelling}\n"):
            assert parse(written) == badge


@given(one=badges, other=badges)
def test_no_spelling_is_two_badges(one, other):
    shared = set(spellings(one).values()) & set(spellings(other).values())
    assert not shared or one == other


def test_one_digit_is_one():
    with pytest.raises(UsageError, match="'A' has 1 hex digit: a zero is missing"):
        parse("A")


@given(text=st.text(max_size=60) | st.text(alphabet="0123456789abcdefABCDEF:,.- x", max_size=60))
def test_no_text_crashes_it(text):
    try:
        badge = parse(text)
    except UsageError:
        return
    assert parse(str(badge)) == badge


@given(digits=st.text(alphabet="0123456789", min_size=8, max_size=8))
def test_eight_digits_are_no_badge_until_they_say_what_they_are_and_every_reading_is_told(digits):
    with pytest.raises(
        AmbiguousError, match=f"two different cards: write hex:{digits} .*, dec:{digits} .* or dec-rev"
    ) as caught:
        parse(digits)
    told = {spelling: found for spelling, _, found in caught.value.readings}
    for spelling in (f"hex:{digits}", f"dec:{digits}", f"dec-reversed:{digits}"):
        try:
            wanted = parse(spelling)
        except UsageError:
            assert spelling not in told
        else:
            assert told[spelling] == wanted


def test_eight_digits_have_two_cards_and_more():
    with pytest.raises(AmbiguousError) as caught:
        parse("12345678")
    assert [(spelling, str(found)) for spelling, _, found in caught.value.readings] == [
        ("hex:12345678", "12:34:56:78"),
        ("dec:12345678", "00BC614E"),
        ("dec-reversed:12345678", "4E61BC00"),
    ]


@given(badge=cards)
def test_the_canonical_spelling_has_colons_only_where_it_could_be_a_decimal(badge):
    plain = badge.raw.hex().upper()
    colons = len(plain) == 8 and plain.isdecimal()
    assert str(badge) == (badge.raw.hex(":") if colons else plain)


@pytest.mark.parametrize(
    "text", ["w26:{},1", "{},1", "w26:1,{}", "simple:{}", "dec:{}", "dec-reversed:{}", "{}", "hex:{}"]
)
def test_a_number_of_five_thousand_digits_is_refused_as_any_other(text):
    with pytest.raises(UsageError):
        parse(text.format("9" * 5000))


@given(rest=st.binary(min_size=3, max_size=3))
def test_a_uid_that_is_made_anew_each_time_is_refused_in_every_spelling(rest):
    badge = Badge(Kind.ISO14443A, b"\x08" + rest)
    assert badge.is_random
    for spelling in spellings(badge).values():
        with pytest.raises(RandomUidError, match="use another card"):
            parse(spelling)
    with pytest.raises(RandomUidError):
        from_uid(badge.raw)


@given(rest=st.binary(min_size=3, max_size=3))
def test_half_of_a_seven_byte_uid_is_refused_in_every_spelling(rest):
    badge = Badge(Kind.ISO14443A, bytes([CASCADE_TAG]) + rest)
    assert badge.is_half
    for spelling in spellings(badge).values():
        with pytest.raises(UsageError, match="7-byte"):
            parse(spelling)
    with pytest.raises(UsageError, match="7-byte"):
        from_uid(badge.raw)


@given(uid=uids)
def test_what_a_reader_gives_is_a_badge(uid):
    assert from_uid(uid).raw == uid
    assert not from_uid(uid).is_random


@pytest.mark.parametrize("length", [0, 1, 3, 5, 8, 11])
def test_a_uid_of_another_length_is_no_badge(length):
    with pytest.raises(UsageError, match=f"found a badge of {length} bytes, wanted 4 or 7 or 10"):
        Badge(Kind.ISO14443A, bytes(length))
    with pytest.raises(UsageError):
        from_uid(bytes(length))


def test_a_wiegand_number_has_three_bytes():
    with pytest.raises(UsageError, match="wanted 3"):
        Badge(Kind.WIEGAND26, bytes(4))


# --- digests and logs -------------------------------------------------------------------------------------------------


@given(one=badges, other=badges)
def test_no_two_badges_share_a_digest(one, other):
    assert (digest(one, KEY) == digest(other, KEY)) == (one == other)


@given(badge=badges)
def test_kind_and_length_are_inside_the_digest(badge):
    message = bytes([badge.kind, len(badge.raw)]) + badge.raw
    assert digest(badge, KEY) == hashlib.blake2b(message, key=KEY, digest_size=32).hexdigest()
    assert digest(badge, KEY) != digest(badge, KEY[::-1])


@given(badge=cards)
def test_a_log_never_shows_a_badge_in_full(badge):
    assert badge.masked() == f"{len(badge.raw)}B-..{badge.raw[-1]:02X}"
