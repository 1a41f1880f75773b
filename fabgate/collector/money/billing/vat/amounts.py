"""Splits amounts into net amount, VAT and gross amount. Pure.

Round once for each payer, month, settlement and VAT code (docs/decisions/0126): sum the charges and lines of one code first,
and give the sums to `of`; give what several payers or settlements come to, each rounded by itself, to `together`.

Amounts are in minor units. A negative amount is split as the positive one, so a reversal takes back what it reverses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple


class Part(NamedTuple):
    """The amounts of one VAT code. What cannot be known without a rate is None."""

    #: "" for prices without a code.
    vat_code: str
    #: None: the code has no rate, or VAT is not applicable.
    vat_percent: Decimal | None
    net_minor: int | None
    vat_minor: int | None
    gross_minor: int | None


class Amounts(NamedTuple):
    """The amounts of all VAT codes, in the order of the codes."""

    parts: tuple[Part, ...] = ()

    @property
    def net_minor(self) -> int | None:
        """Return the sum without VAT, or None if it is not known for each code."""
        return _sum(part.net_minor for part in self.parts)

    @property
    def vat_minor(self) -> int | None:
        """Return the VAT, or None if it is not known for each code."""
        return _sum(part.vat_minor for part in self.parts)

    @property
    def gross_minor(self) -> int | None:
        """Return the sum with VAT, or None if it is not known for each code."""
        return _sum(part.gross_minor for part in self.parts)

    @property
    def without_rate(self) -> tuple[str, ...]:
        """Return the codes whose VAT is not known, because they have no rate."""
        return tuple(part.vat_code for part in self.parts if part.vat_minor is None)


#: What nothing comes to.
NOTHING: Final = Amounts()


def of(sums: Mapping[str, int], rates: Mapping[str, Decimal], *, includes_vat: bool | None) -> Amounts:
    """Return the amounts of a sum of prices for each VAT code.

    `rates` are in percent, by code. `includes_vat` is that of the terms of billing: None if VAT is not applicable, which
    takes no rates: the VAT is 0. A code without a rate has no VAT, but its gross amount is known where prices include VAT.
    A sum of 0 is 0 at each rate.
    """
    return Amounts(tuple(_part(code, amount, rates.get(code), includes_vat) for code, amount in sorted(sums.items())))


def together(found: Iterable[Amounts]) -> Amounts:
    """Return the sum of amounts that were rounded one by one. What is not known of one is not known of all."""
    by_code: dict[str, list[Part]] = defaultdict(list)
    for amounts in found:
        for part in amounts.parts:
            by_code[part.vat_code].append(part)
    return Amounts(tuple(_added(code, parts) for code, parts in sorted(by_code.items())))


def split(amount_minor: int, percent: Decimal, *, includes_vat: bool) -> tuple[int, int]:
    """Return (net, VAT) of an amount. Where it includes VAT, the net amount is rounded half up, and VAT is the rest."""
    if includes_vat:
        net_minor = _rounded(Decimal(amount_minor) * 100 / (100 + percent))
        return net_minor, amount_minor - net_minor
    return amount_minor, _rounded(amount_minor * percent / 100)


def _part(code: str, amount_minor: int, percent: Decimal | None, includes_vat: bool | None) -> Part:
    if includes_vat is None:
        return Part(code, None, amount_minor, 0, amount_minor)
    if not amount_minor:
        return Part(code, percent, 0, 0, 0)
    if percent is None:
        return Part(code, None, None if includes_vat else amount_minor, None, amount_minor if includes_vat else None)
    net_minor, vat_minor = split(amount_minor, percent, includes_vat=includes_vat)
    return Part(code, percent, net_minor, vat_minor, net_minor + vat_minor)


def _added(code: str, parts: list[Part]) -> Part:
    return Part(
        code,
        parts[0].vat_percent,
        _sum(part.net_minor for part in parts),
        _sum(part.vat_minor for part in parts),
        _sum(part.gross_minor for part in parts),
    )


def _sum(amounts: Iterable[int | None]) -> int | None:
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
