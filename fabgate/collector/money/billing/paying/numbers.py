"""Checks registration and VAT numbers, and the numbers of bank accounts, as far as their form tells.

A wrong refusal is worse than a wrong number, which the accounting system finds. So only what is certainly mistyped is
refused: a SIREN or a SIRET by its check digit, a VAT number of the European Union by its form, an IBAN by its check digits.
"""

from __future__ import annotations

import re
from typing import Final

from django.utils.translation import gettext as _

from fabgate.errors import UsageError

_SIREN_DIGITS: Final = 9
_SIRET_DIGITS: Final = 14
#: La Poste's branches have numbers of their own: their digits add up to a multiple of five (INSEE).
_LA_POSTE: Final = "356000000"
_SEPARATORS: Final = re.compile(r"[\s.\-/\u2013]+")
#: The form of a VAT number after the country's code (ec.europa.eu, VIES). Greece is EL, Northern Ireland XI.
_VAT: Final = {
    country: re.compile(form, re.ASCII)
    for country, form in {
        "AT": r"U\d{8}",
        "BE": r"[01]?\d{9}",
        "BG": r"\d{9,10}",
        "CY": r"\d{8}[A-Z]",
        "CZ": r"\d{8,10}",
        "DE": r"\d{9}",
        "DK": r"\d{8}",
        "EE": r"\d{9}",
        "EL": r"\d{9}",
        "ES": r"[0-9A-Z]\d{7}[0-9A-Z]",
        "FI": r"\d{8}",
        "FR": r"[0-9A-HJ-NP-Z]{2}\d{9}",
        "HR": r"\d{11}",
        "HU": r"\d{8}",
        "IE": r"\d[0-9A-Z+*]\d{5}[A-Z]{1,2}",
        "IT": r"\d{11}",
        "LT": r"\d{9}(?:\d{3})?",
        "LU": r"\d{8}",
        "LV": r"\d{11}",
        "MT": r"\d{8}",
        "NL": r"[0-9A-Z+*]{10}\d{2}",
        "PL": r"\d{10}",
        "PT": r"\d{9}",
        "RO": r"\d{2,10}",
        "SE": r"\d{12}",
        "SI": r"\d{8}",
        "SK": r"\d{10}",
        "XI": r"(?:\d{9}(?:\d{3})?|GD\d{3}|HA\d{3})",
    }.items()
}


def registration_number(typed: str) -> str:
    """Return a registration number as it is stored: a SIREN or a SIRET without spaces, others as typed.

    Raises UsageError for 9 or 14 digits that cannot be one. A number with its country's code in front is taken as it is.
    """
    text = " ".join(typed.upper().split())
    digits = _SEPARATORS.sub("", text)
    if not re.fullmatch(r"[0-9]+", digits) or len(digits) not in (_SIREN_DIGITS, _SIRET_DIGITS):
        return text
    is_la_poste = len(digits) == _SIRET_DIGITS and digits.startswith(_LA_POSTE) and sum(map(int, digits)) % 5 == 0
    if not (_has_check_digit(digits[:_SIREN_DIGITS]) and (_has_check_digit(digits) or is_la_poste)):
        kind = "SIREN" if len(digits) == _SIREN_DIGITS else "SIRET"
        wrong = _(
            "Found %(found)s, which is not a valid %(kind)s: a digit is wrong. For a number of another country, type"
            " the country's code first, such as DE %(found)s."
        )
        raise UsageError(wrong % {"found": digits, "kind": kind})
    return digits


def vat_number(typed: str) -> str:
    """Return a VAT number as it is stored: in capitals, without separators.

    Raises UsageError if it does not begin with a country's code, or does not have the form that its country uses.
    """
    text = _SEPARATORS.sub("", typed.upper())
    if not text:
        return ""
    if text.startswith("GR"):
        text = f"EL{text[2:]}"
    country, rest = text[:2], text[2:]
    if not re.fullmatch(r"[A-Z]{2}", country) or not rest:
        wrong = _("Found %(found)s, wanted a VAT number with its country's code, such as FR40303265045.")
        raise UsageError(wrong % {"found": text[:20]})
    form = _VAT.get(country)
    if form is not None and not form.fullmatch(rest):
        wrong = _(
            "Found %(found)s, which does not have the form of a VAT number of %(country)s. Compare it with an invoice."
        )
        raise UsageError(wrong % {"found": text[:20], "country": country})
    return text


def iban(typed: str) -> str:
    """Return an IBAN as it is stored: in capitals, without separators.

    Raises UsageError if it does not have the form of one, or its check digits are wrong (ISO 13616, ISO/IEC 7064 MOD 97-10).
    """
    text = _SEPARATORS.sub("", typed.upper())
    if not text:
        return ""
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", text):
        wrong = _("Found %(found)s, wanted an IBAN, such as FR76 3000 6000 0112 3456 7890 189.")
        raise UsageError(wrong % {"found": text[:40]})
    if int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 != 1:
        wrong = _("Found %(found)s, which is not a valid IBAN: a letter or a digit is wrong.")
        raise UsageError(wrong % {"found": text})
    return text


def bic(typed: str) -> str:
    """Return a BIC as it is stored: in capitals, without spaces. Raises UsageError if it has another form (ISO 9362)."""
    text = "".join(typed.upper().split())
    if text and not re.fullmatch(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", text):
        wrong = _("Found %(found)s, wanted a BIC of 8 or 11 letters and digits, such as AGRIFRPP.")
        raise UsageError(wrong % {"found": text[:20]})
    return text


def _has_check_digit(digits: str) -> bool:
    """Return whether digits end with their check digit (ISO/IEC 7812-1, Luhn)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
