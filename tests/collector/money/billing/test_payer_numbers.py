"""Which registration and VAT numbers are certainly mistyped?"""

from __future__ import annotations

import pytest

from fabgate.collector.money.billing.paying import numbers
from fabgate.collector.money.billing.paying.numbers import registration_number, vat_number
from fabgate.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", ""),
        ("732 829 320", "732829320"),
        ("732 829 320 00074", "73282932000074"),
        ("732.829.320-00074", "73282932000074"),
        ("356 000 000 49837", "35600000049837"),  # a branch of La Poste: 5 divides the sum of its digits
        ("NO 974 760 674", "NO 974 760 674"),
        ("hrb 12345 b", "HRB 12345 B"),
        ("0403.170.701", "0403.170.701"),
        ("W691012345", "W691012345"),
    ],
)
def test_a_registration_number_is_kept_and_a_siren_or_siret_without_spaces(typed, stored):
    assert registration_number(typed) == stored
    assert registration_number(stored) == stored


@pytest.mark.parametrize(
    "typed", ["732829321", "732 829 320 00075", "732 829 321 00073", "35600000049838", "974760674"]
)
def test_a_siren_or_siret_with_a_wrong_digit_is_refused(typed):
    with pytest.raises(
        UsageError, match=r"which is not a valid SIRE[NT]: a digit is wrong.*type the country's code first"
    ):
        registration_number(typed)


def test_each_single_wrong_digit_of_a_siret_is_found():
    valid = "73282932000074"
    for place, digit in enumerate(valid):
        for other in set("0123456789") - {digit}:
            with pytest.raises(UsageError):
                registration_number(valid[:place] + other + valid[place + 1 :])


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", ""),
        (" - ", ""),
        ("fr 40 303 265 045", "FR40303265045"),
        ("FR K7 303265045", "FRK7303265045"),
        ("BE 0403.170.701", "BE0403170701"),
        ("DE136695976", "DE136695976"),
        ("ATU13585627", "ATU13585627"),
        ("ESB58378431", "ESB58378431"),
        ("IE6433435F", "IE6433435F"),
        ("NL004495445B01", "NL004495445B01"),
        ("GR 094259216", "EL094259216"),
        ("CHE-107.787.577 MWST", "CHE107787577MWST"),
        ("GB 434 0314 94", "GB434031494"),
    ],
)
def test_a_vat_number_is_kept_without_separators(typed, stored):
    assert vat_number(typed) == stored
    assert vat_number(stored) == stored


@pytest.mark.parametrize(
    "typed", ["303265045", "FR", "FR4030326504", "FRO1303265045", "DE12345678", "ITU12345678", "?"]
)
def test_a_vat_number_that_its_country_does_not_have_is_refused(typed):
    with pytest.raises(UsageError, match=r"^Found "):
        vat_number(typed)


@pytest.mark.parametrize("read", [numbers.vat_number, numbers.iban])
def test_digits_of_another_script_are_refused(read):
    """Python takes them for digits; no bank and no tax office does."""
    known = {numbers.vat_number: "FR40303265045", numbers.iban: "FR7630006000011234567890189"}[read]
    assert read(known) == known
    with pytest.raises(UsageError):
        read(known.translate({ord("0") + digit: 0x0660 + digit for digit in range(10)}))
