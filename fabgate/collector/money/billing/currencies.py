"""The currencies that can be billed in, with the decimals of their smallest unit: ISO 4217, list one, of 2026.

Left out: precious metals, units of account such as CLF and UYW, funds codes, and codes for tests.
"""

from __future__ import annotations

from typing import Final

#: Currencies whose smallest unit is not a hundredth.
_OTHER_DIGITS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
_HUNDREDTHS: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK
DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP
PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH
USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
#: Code: decimals.
DIGITS: Final = {**dict.fromkeys(_HUNDREDTHS.split(), 2), **_OTHER_DIGITS}
#: Zone, or the part of it before the slash: the currency that a workshop there most likely bills in.
_BY_ZONE: Final = {
    "America": "USD",
    **dict.fromkeys(
        ("America/Toronto", "America/Montreal", "America/Vancouver", "America/Halifax", "America/Winnipeg"), "CAD"
    ),
    "Africa/Casablanca": "MAD",
    "Africa/Tunis": "TND",
    "Africa/Algiers": "DZD",
    **dict.fromkeys(("Africa/Dakar", "Africa/Abidjan", "Africa/Bamako", "Africa/Lome", "Africa/Ouagadougou"), "XOF"),
    **dict.fromkeys(("Africa/Douala", "Africa/Libreville", "Africa/Brazzaville"), "XAF"),
    "Asia/Tokyo": "JPY",
    "Asia/Kolkata": "INR",
    "Australia": "AUD",
    "Europe/Copenhagen": "DKK",
    "Europe/London": "GBP",
    "Europe/Oslo": "NOK",
    "Europe/Prague": "CZK",
    "Europe/Stockholm": "SEK",
    "Europe/Warsaw": "PLN",
    "Europe/Zurich": "CHF",
    "Pacific/Auckland": "NZD",
    "Pacific/Noumea": "XPF",
}


def likely(zone: str) -> str:
    """Return the currency to propose to a workshop in this time zone; EUR where nothing else is likely."""
    return _BY_ZONE.get(zone) or _BY_ZONE.get(zone.partition("/")[0], "EUR")


def text(amount_minor: int, currency: str, digits: int) -> str:
    """Return an amount for terminals and files: ``12.50 EUR``."""
    return f"{decimal_text(amount_minor, digits)} {currency}"


def decimal_text(amount_minor: int, digits: int) -> str:
    """Return an amount of the smallest unit in the main unit: 1250 is ``12.50`` with 2 digits."""
    sign, number = "-" if amount_minor < 0 else "", f"{abs(amount_minor):0{digits + 1}d}"
    return f"{sign}{number[:-digits]}.{number[-digits:]}" if digits else f"{sign}{number}"
