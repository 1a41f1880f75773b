"""Is a badge one identity, however it is spelled, and never two?"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.badge import (
    CASCADE_TAG,
    NUMBERS,
    PREFIXES,
    UID_LENGTHS,
    WIEGAND_PAYLOAD_BITS,
    AmbiguousError,
    Badge,
    Kind,
    RandomUidError,
    digest,
    example,
    from_uid,
    number,
    parse,
    spellings,
    wiegand,
)
from fabgate.badge.short_forms import SHORT_FORMS
from fabgate.errors import UsageError
from tests.support.vectors import table

KEY = bytes(range(32))
#: What the collector's column `spelling` holds.
LONGEST_SPELLING = 40


def _is_real(raw: bytes) -> bool:
    return len(raw) != 4 or raw[0] not in {CASCADE_TAG, 0x08}


uids = st.sampled_from(UID_LENGTHS).flatmap(lambda size: st.binary(min_size=size, max_size=size)).filter(_is_real)
cards = st.builds(Badge, st.just(Kind.ISO14443A), uids)
fobs = st.builds(Badge, st.just(Kind.EM4100), st.binary(min_size=5, max_size=5))
frames = st.sampled_from(sorted(WIEGAND_PAYLOAD_BITS.items())).flatmap(
    lambda frame: st.builds(wiegand, st.just(frame[0]), st.integers(0, (1 << frame[1]) - 1))
)
numbers = st.sampled_from(NUMBERS).flatmap(
    lambda one: st.integers(0, (1 << 8 * one.size) - 1).map(
        lambda value: number(one.name, f"{value:0{one.digits}{'d' if one.base == 10 else 'X'}}")
    )
)
badges = cards | fobs | frames | numbers
#: How many spellings a badge has, by its kind.
SPELLINGS = {Kind.WIEGAND26: 1, Kind.EM4100: 3, Kind.NUMBER: 1}


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
    if badge.kind is Kind.WIEGAND:
        assert len(found) == (2 if badge.raw[0] == 34 else 1)
    else:
        assert len(found) == SPELLINGS.get(badge.kind, 6 if len(badge.raw) == 4 else 5)
    assert len(str(badge)) <= LONGEST_SPELLING
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
        AmbiguousError, match=f"two different cards: write hex:{digits} .*, dec:{digits} .*, dec-rev.* or number8-"
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
        ("number8:12345678", "number8:12345678"),
        ("number8-reversed:12345678", "number8-reversed:12345678"),
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


@pytest.mark.parametrize(
    ("kind", "raw", "because"),
    [
        (Kind.WIEGAND26, bytes(4), "wanted 3"),
        (Kind.EM4100, bytes(4), "found a badge of 4 bytes, wanted 5"),
        (Kind.WIEGAND, b"", "found a Wiegand badge of 0 bits, wanted 34 or 37"),
        (
            Kind.WIEGAND,
            bytes((26, 1, 2, 3)),
            "found a Wiegand badge of 26 bits, wanted 34 or 37",
        ),  # it has its own kind
        (Kind.WIEGAND, bytes((34, 1, 2, 3)), "another payload of 34 bits than 32 bits"),
        (Kind.WIEGAND, bytes((37, 8, 0, 0, 0, 0)), "another payload of 37 bits than 35 bits"),
        (Kind.NUMBER, b"", "unknown number format"),
        (Kind.NUMBER, b"\x631234", "unknown number format"),
        (Kind.NUMBER, b"\x01123456789", "found 9 digits, wanted all 10, with leading zeros"),
        (Kind.NUMBER, b"\x0104a1b2c3d4", "wanted 10 decimal digits"),
        (Kind.NUMBER, b"\x0504a1b2c3", "wanted 8 hex digits"),  # letters are upper-case
        (Kind.NUMBER, b"\x014294967296", "too large"),
    ],
)
def test_bytes_that_a_kind_does_not_have_are_no_badge_of_it(kind, raw, because):
    with pytest.raises(UsageError, match=because):
        Badge(kind, raw)


@pytest.mark.parametrize(("bits", "payload"), [(25, 0), (32, 0), (26, 1 << 24), (34, 1 << 32), (37, 1 << 35), (34, -1)])
def test_a_wiegand_frame_of_another_length_or_with_too_much_in_it_is_no_badge(bits, payload):
    with pytest.raises(UsageError, match=r"wanted .* (?:frame|bits)"):
        wiegand(bits, payload)


@given(payload=st.integers(0, (1 << 24) - 1))
def test_equal_payloads_in_frames_of_other_lengths_and_equal_digits_in_other_formats_are_other_badges(payload):
    found = [wiegand(bits, payload) for bits in WIEGAND_PAYLOAD_BITS]
    found += [number(one.name, f"{payload:0{one.digits}{'d' if one.base == 10 else 'X'}}") for one in NUMBERS]
    found += [Badge(Kind.EM4100, payload.to_bytes(5, "big"))]
    assert len({digest(one, KEY) for one in found}) == len({str(one) for one in found}) == len(found)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_prefix_has_an_example_that_is_read(prefix):
    assert example(f" {prefix.upper()}: 1x") == (found := example(prefix))
    assert found.startswith(f"{prefix}:")
    assert parse(found)
    assert example("hello:1") == ""


# --- digests and logs -------------------------------------------------------------------------------------------------


@given(one=badges, other=badges)
def test_no_two_badges_share_a_digest(one, other):
    assert (digest(one, KEY) == digest(other, KEY)) == (one == other)


@given(badge=badges)
def test_kind_and_length_are_inside_the_digest(badge):
    message = bytes([badge.kind, len(badge.raw)]) + badge.raw
    assert digest(badge, KEY) == hashlib.blake2b(message, key=KEY, digest_size=32).hexdigest()
    assert digest(badge, KEY) != digest(badge, KEY[::-1])


@given(badge=badges)
def test_a_log_never_shows_a_badge_in_full(badge):
    if badge.kind is Kind.NUMBER:
        assert badge.masked() == f"{len(badge.raw) - 1}D-..{str(badge)[-2:]}"
    else:
        assert badge.masked() == f"{len(badge.raw)}B-..{badge.raw[-1]:02X}"


@pytest.mark.parametrize(
    ("whole", "form", "short"),
    [
        # As on the fob: all ten hex digits, ten decimal digits of four bytes, and facility and number of three.
        ("em-hex:0A00B1C2D3", "em:number10", "number10:0011649747"),
        ("em-hex:0A00B1C2D3", "em:number8", "number8:11649747"),
        ("em-hex:0A00B1C2D3", "em:w26", "w26:177,49875"),
        ("em-hex:0A00B1C2D3", "em:w34", "w34-hex:00B1C2D3"),
        ("em-hex:0A00B1C2D3", "em:number8-reversed", "number8-reversed:13877937"),
        ("em-hex:0A00B1C2D3", "uid-last:w26", None),
        ("04A1B2C3D4E5F6", "em:w26", None),
        ("04A1B2C3D4E5F6", "uid-first:w26", "w26:4,41394"),
        ("04A1B2C3D4E5F6", "uid-last:w26-reversed", "w26:246,58836"),
        ("04A1B2C3D4E5F6", "uid-last:number8-hex", "number8-hex:C3D4E5F6"),
        ("04A1B2C3D4E5F6", "uid-first:number8-hex-reversed", "number8-hex-reversed:C3B2A104"),
        ("04A1B2C3", "uid-last:number10", "number10:0077705923"),
        ("04A1B2C3", "uid-first:number10-reversed", "number10-reversed:3283263748"),
        ("number10:0011649747", "em:number8", None),
    ],
)
def test_a_short_form_is_what_a_reader_makes_of_these_bytes(whole, form, short):
    made = SHORT_FORMS[form].of(parse(whole))
    assert (made and str(made)) == short


@given(badges, st.sampled_from(sorted(SHORT_FORMS)))
def test_every_short_form_is_a_badge_that_can_be_written_and_read(badge, form):
    made = SHORT_FORMS[form].of(badge)
    assert made is None or (parse(str(made)) == made and made != badge)
