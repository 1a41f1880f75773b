"""Composes one payer's statement of a month from charges, lines and words. Pure.

Charges are grouped by person and machine, so that it reads like a telephone bill. What it says in a language is
written by paper/statements/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.prepaid.words import PREPAID, RECEIVABLE
from fabgate.collector.money.billing.statements import priced
from fabgate.collector.money.billing.statements.priced import Priced, Prices
from fabgate.collector.money.billing.vat import amounts
from fabgate.collector.money.billing.vat.amounts import Amounts


def number_of(month: date, payer: str) -> str:
    """Return the number of a payer's statement of a month."""
    return f"{month:%Y-%m}/{payer}"


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a statement: its payer, its month and the terms of billing."""

    month: date
    #: The id of the payer.
    payer: str
    currency: str
    digits: int
    #: None: VAT is not applicable (art. 293 B CGI).
    includes_vat: bool | None
    #: The time zone of its days and times.
    zone: str
    #: When its month was closed; None while the statement is provisional.
    closed_at: datetime | None = None
    #: Since when changes are not charged yet; None if all are, and in a closed month.
    not_charged_since: datetime | None = None

    @property
    def number(self) -> str:
        """Return the number of the statement: the same for the same month and payer."""
        return number_of(self.month, self.payer)

    @property
    def file_name(self) -> str:
        """Return a name for files, without their ending."""
        return f"{self.month:%Y-%m}-{self.payer.replace(':', '-')}"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a statement; in a closed month as they were when it was closed.

    `payer` has ``name``, ``address``, ``registration_number``, ``vat_number`` and ``lang``. Once they are erased, ids
    stand in the place of names.
    """

    payer: Mapping[str, str]
    #: Names of people by their ids.
    people: Mapping[str, str]
    #: Reasons by the ids of charges: why one is waived, corrected, reversed or late.
    why: Mapping[str, str]
    #: Titles of machines by their names.
    machines: Mapping[str, str]
    #: The details of the workshop: the columns of its table that are not empty (ground/models/billing/statements.py).
    workshop: Mapping[str, Any]
    #: The ids of charges, and the numbers of lines as text, that are contested and not answered.
    contested: Collection[str] = ()


class Item(NamedTuple):
    """A session that is charged, or the reversal of a charge."""

    charge: Record
    vat_code: str
    #: Why it is waived, corrected, reversed or late, in the words of who decided it; or "".
    why: str
    #: Whether it is due by statement although its payer prepays (money/billing/prepaid/settlement.py).
    is_due: bool = False
    is_contested: bool = False
    #: How its amount was made; None without a price.
    priced: Priced | None = None

    @property
    def billed_ms(self) -> int | None:
        """Return the time that has a price, negative in a reversal; None if no time has one."""
        found = self.priced.billed_ms if self.priced else None
        return -found if found is not None and self.is_reversal else found

    @property
    def is_corrected(self) -> bool:
        """Return whether somebody corrected the session before its month was closed."""
        is_other = self.is_reversal or self.is_of_other_month or self.charge.kind == rating.WAIVED
        return bool(self.why) and not is_other

    @property
    def is_reversal(self) -> bool:
        """Return whether it takes an earlier charge back."""
        return bool(self.charge.reverses)

    @property
    def is_of_other_month(self) -> bool:
        """Return whether the session ended in a month that was closed before it was known or changed."""
        return self.charge.of_month != self.charge.month


class Line(NamedTuple):
    """A charge or credit for something besides sessions."""

    #: The day that it is about, and when it was added.
    day: date
    at: datetime
    text: str
    amount_minor: int
    vat_code: str
    #: The session that it is about, or "".
    session: str
    #: The number under which it is stored.
    number: int = 0
    #: Whether it is due by statement although its payer prepays.
    is_due: bool = False
    is_contested: bool = False


class Total(NamedTuple):
    """A sum of charges: sessions that count, their billed time, and the amount. A reversal takes its session away."""

    sessions: int = 0
    billed_ms: int = 0
    amount_minor: int = 0

    def plus(self, other: Total) -> Total:
        """Return both together."""
        return Total(*map(sum, zip(self, other, strict=True)))


class OnMachine(NamedTuple):
    """What one person used of one machine."""

    name: str
    title: str
    items: list[Item]
    total: Total


class OfPerson(NamedTuple):
    """What one person used."""

    id: str
    name: str
    machines: list[OnMachine]
    total: Total


class CreditEntry(NamedTuple):
    """A credit, a refund or a reversed credit of the month (ground/models/billing/prepaid.py)."""

    day: date
    kind: str
    method: str
    till_number: str
    reason: str
    amount_minor: int


class Credit(NamedTuple):
    """The prepaid credit of a month: balance before, entries, what the statement takes from it, balance after."""

    opening_minor: int
    entries: list[CreditEntry]
    used_minor: int
    #: What is due by statement although the payer prepays: it corrects what was not paid from credit.
    due_minor: int = 0

    @property
    def closing_minor(self) -> int:
        """Return the balance at the end of the month."""
        return self.opening_minor + sum(entry.amount_minor for entry in self.entries) - self.used_minor


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: the sum of all its persons and lines is its amount."""

    head: Head
    words: Words
    persons: list[OfPerson]
    lines: list[Line]
    #: None for a payer who does not prepay.
    credit: Credit | None = None
    #: Whether it is paid from credit, but for what is due by statement.
    is_prepaid: bool = False
    #: The VAT rates in percent, by code.
    rates: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def payer_name(self) -> str:
        """Return the legal name of the payer, or the id."""
        return self.words.payer.get("name") or self.head.payer

    @property
    def sessions(self) -> Total:
        """Return the sum of all sessions."""
        return _sum(person.total for person in self.persons)

    @property
    def lines_minor(self) -> int:
        """Return the sum of the lines."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def amount_minor(self) -> int:
        """Return the total of the statement."""
        return self.sessions.amount_minor + self.lines_minor

    @property
    def due_minor(self) -> int:
        """Return what of it is due by statement although the payer prepays."""
        sessions = sum(item.charge.amount_minor for item in self.items if item.is_due)
        return sessions + sum(line.amount_minor for line in self.lines if line.is_due)

    @property
    def items(self) -> Iterable[Item]:
        """Yield every charge, in the order in which they are printed."""
        return (item for person in self.persons for machine in person.machines for item in machine.items)

    @property
    def by_vat_code(self) -> dict[str, int]:
        """Return the amount of each VAT code, those without one under ""; without amounts of 0."""
        return self._by_code(is_due=None)

    @property
    def settled(self) -> dict[str, Amounts]:
        """Return the amounts with and without VAT by settlement, each rounded by itself; only settlements with amounts."""
        parts = {PREPAID: False, RECEIVABLE: True} if self.is_prepaid else {RECEIVABLE: None}
        sums = {settlement: self._by_code(is_due=is_due) for settlement, is_due in parts.items()}
        return {
            settlement: amounts.of(found, self.rates, includes_vat=self.head.includes_vat)
            for settlement, found in sums.items()
            if found
        }

    @property
    def vat(self) -> Amounts:
        """Return the amounts with and without VAT of all of it."""
        return amounts.together(self.settled.values())

    @property
    def to_pay_minor(self) -> int | None:
        """Return what is due by statement, with VAT; below 0 it is owed to the payer. None: a code has no rate."""
        return self.settled.get(RECEIVABLE, amounts.NOTHING).gross_minor

    def _by_code(self, *, is_due: bool | None) -> dict[str, int]:
        """Return the amount of each VAT code; with `is_due`, of what is due by statement, or of what is not."""
        found: dict[str, int] = defaultdict(int)
        for item in self.items:
            if is_due in (None, item.is_due):
                found[item.vat_code] += item.charge.amount_minor
        for line in self.lines:
            if is_due in (None, line.is_due):
                found[line.vat_code] += line.amount_minor
        return {code: amount for code, amount in sorted(found.items()) if amount}


def compose(
    head: Head,
    words: Words,
    charges: Iterable[Record],
    lines: Iterable[Line],
    vat_codes: Mapping[str, str],
    due: Collection[str] = (),
    prices: Mapping[str, Prices] = MappingProxyType({}),
) -> Statement:
    """Return the statement. `due` has the ids of `Item.is_due`.

    `vat_codes` and `prices` have the code and the prices of each charge's terms, by their digest.

    The payer's own sessions come first, then those of others by their names; sessions by their starts.
    """
    found: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    zone = ZoneInfo(head.zone)
    for charge in charges:
        code = vat_codes[charge.terms] if charge.terms else ""
        item = Item(
            charge,
            code,
            words.why.get(charge.id, ""),
            is_due=charge.id in due,
            is_contested=charge.id in words.contested,
            priced=priced.of(charge, prices[charge.terms], zone, head.digits) if charge.terms else None,
        )
        found[charge.used_by][charge.machine].append(item)
    persons = [_person(pk, by_machine, words) for pk, by_machine in found.items()]
    persons.sort(key=lambda person: (person.id != head.payer, folded(person.name), person.id))
    return Statement(head, words, persons, sorted(lines))


def _person(pk: str, by_machine: Mapping[str, list[Item]], words: Words) -> OfPerson:
    machines = []
    for name, items in by_machine.items():
        items.sort(key=_order)
        title = words.machines.get(name) or name
        machines.append(OnMachine(name, title, items, _sum(map(_total, items))))
    machines.sort(key=lambda machine: (folded(machine.title), machine.name))
    return OfPerson(pk, words.people.get(pk) or pk, machines, _sum(machine.total for machine in machines))


def _order(item: Item) -> tuple[datetime, str, bool]:
    """Return the order of a session's start; a reversal comes before the charge that follows it."""
    charge = item.charge
    return charge.started_at or charge.ended_at, charge.session, not charge.reverses


def _total(item: Item) -> Total:
    return Total(-1 if item.is_reversal else 1, item.billed_ms or 0, item.charge.amount_minor)


def _sum(totals: Iterable[Total]) -> Total:
    found = Total()
    for total in totals:
        found = found.plus(total)
    return found
