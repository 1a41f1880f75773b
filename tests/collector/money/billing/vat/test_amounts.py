"""Is VAT rounded once for each sum, is nothing lost or added, and is no total with VAT shown that is not known?"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.money.billing.vat import amounts
from fabgate.collector.money.billing.vat.amounts import Amounts, Part

RATES = {"normal": Decimal(20), "low": Decimal("5.5"), "odd": Decimal("2.1"), "none": Decimal(0), "": Decimal("8.1")}
CODES = st.sampled_from([*RATES, "unknown", "new"])
#: Thirds and hundreds have halves to round.
HALVES = st.integers(-300, 300).flatmap(lambda n: st.sampled_from([n, 3 * n, 100 * n]))
SUMS = st.dictionaries(CODES, st.integers(-(10**9), 10**9) | HALVES)
TERMS = st.sampled_from([True, False, None])


def half_up(exact: Fraction) -> int:
    """Round without Decimal: the half goes away from zero."""
    return floor(exact + Fraction(1, 2)) if exact >= 0 else -floor(-exact + Fraction(1, 2))


def reckoned(code: str, amount: int, *, includes_vat: bool | None) -> tuple[int | None, int | None, int | None]:
    """Return net, VAT and gross of a sum as a person would reckon them, with fractions."""
    if includes_vat is None or amount == 0:
        return amount, 0, amount
    if code not in RATES:
        return (None, None, amount) if includes_vat else (amount, None, None)
    factor = 1 + Fraction(str(RATES[code])) / 100
    if includes_vat:
        net = half_up(amount / factor)
        return net, amount - net, amount
    gross = amount + half_up(amount * (factor - 1))
    return amount, gross - amount, gross


@given(SUMS, TERMS)
def test_amounts_are_those_of_an_independent_reckoning(sums, includes_vat):
    found = amounts.of(sums, RATES, includes_vat=includes_vat)
    assert [part.vat_code for part in found.parts] == sorted(sums)
    for part in found.parts:
        assert part[2:] == reckoned(part.vat_code, sums[part.vat_code], includes_vat=includes_vat)
        assert part.vat_percent == (None if includes_vat is None else RATES.get(part.vat_code))
    for name in ("net_minor", "vat_minor", "gross_minor"):
        values = [getattr(part, name) for part in found.parts]
        assert getattr(found, name) == (None if None in values else sum(values))
    without = {code for code, amount in sums.items() if amount and code not in RATES}
    assert set(found.without_rate) == (set() if includes_vat is None else without)


@given(SUMS, TERMS)
def test_the_tax_is_within_half_a_unit_and_a_reversal_takes_all_of_it_back(sums, includes_vat):
    found = amounts.of(sums, RATES, includes_vat=includes_vat)
    back = amounts.of({code: -amount for code, amount in sums.items()}, RATES, includes_vat=includes_vat)
    for part in found.parts:
        if part.vat_minor is None or includes_vat is None:
            continue
        rate = Fraction(str(RATES.get(part.vat_code, 0)))
        exact = sums[part.vat_code] * rate / ((100 + rate) if includes_vat else 100)
        assert abs(part.vat_minor - exact) <= Fraction(1, 2)
        assert part.net_minor + part.vat_minor == part.gross_minor
    for part in amounts.together([found, back]).parts:
        known = [value for value in part[2:] if value is not None]
        assert known == [0] * len(known)


@given(st.lists(SUMS, max_size=5), TERMS)
def test_sums_of_several_payers_are_not_rounded_again(some, includes_vat):
    split = [amounts.of(sums, RATES, includes_vat=includes_vat) for sums in some]
    found = amounts.together(split)
    assert [part.vat_code for part in found.parts] == sorted({code for sums in some for code in sums})
    for name in ("net_minor", "vat_minor", "gross_minor"):
        values = [getattr(one, name) for one in split]
        assert getattr(found, name) == (None if None in values else sum(values))
    assert amounts.together([*split, amounts.NOTHING]) == found


def test_what_is_not_known_without_a_rate():
    included = amounts.of({"": 1_200, "normal": 1_200}, {"normal": Decimal(20)}, includes_vat=True)
    assert included.parts == (Part("", None, None, None, 1_200), Part("normal", Decimal(20), 1_000, 200, 1_200))
    assert (included.net_minor, included.vat_minor, included.gross_minor) == (None, None, 2_400)
    excluded = amounts.of({"": 1_200, "normal": 1_200}, {"normal": Decimal(20)}, includes_vat=False)
    assert excluded.parts == (Part("", None, 1_200, None, None), Part("normal", Decimal(20), 1_200, 240, 1_440))
    assert (excluded.net_minor, excluded.vat_minor, excluded.gross_minor) == (2_400, None, None)
    assert included.without_rate == excluded.without_rate == ("",)


def test_prices_of_art_293_b_have_no_vat():
    found = amounts.of({"": 1_200, "normal": -50}, {}, includes_vat=None)
    assert (found.net_minor, found.vat_minor, found.gross_minor, found.without_rate) == (1_150, 0, 1_150, ())
    assert Amounts() == amounts.NOTHING
    assert (amounts.NOTHING.net_minor, amounts.NOTHING.vat_minor, amounts.NOTHING.gross_minor) == (0, 0, 0)


@pytest.mark.parametrize(
    ("amount", "includes_vat", "split"),
    [
        (309, True, (258, 51)),  # 257.5 without tax
        (309, False, (309, 62)),  # 61.8
        (-309, True, (-258, -51)),
        (5, False, (5, 1)),
        (2, False, (2, 0)),
    ],
)
def test_an_amount_is_rounded_once(amount, includes_vat, split):
    assert amounts.split(amount, Decimal(20), includes_vat=includes_vat) == split


def test_halves_go_away_from_zero():
    assert amounts.split(3, Decimal(20), includes_vat=True) == (3, 0)  # 2.5 without tax
    assert amounts.split(-3, Decimal(20), includes_vat=True) == (-3, 0)
    assert amounts.split(300, Decimal("5.5"), includes_vat=False) == (300, 17)  # 16.5
    assert amounts.split(-300, Decimal("5.5"), includes_vat=False) == (-300, -17)
