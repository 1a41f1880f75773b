"""Can a payer do each statement again by hand, from what its PDF and its CSV file print alone?

Months come from chance (lives.py), and a second implementation does them again (reckoner.py). What it cannot reach, the
statement does not print.
"""

from __future__ import annotations

import io
import os
from collections import defaultdict
from fractions import Fraction

import pytest
from pypdf import PdfReader

from fabgate.collector.money.billing.statements import read
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper.statements import csv_file, language, pdf
from tests.collector.money.billing.statements import lives, reckoner
from tests.collector.money.billing.statements.lives import FIRST, NEXT, THIRD, Life
from tests.collector.money.billing.statements.reckoner import Paper, Row

SEEDS = 30 if os.environ.get("FABGATE_SOAK") else 8


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_statement_of_a_random_life_is_reached_by_hand(database, seed):
    life = Life(seed)
    life.first_month()
    everything(FIRST)
    life.close(FIRST)
    life.later()
    everything(NEXT)
    life.close(NEXT)
    life.later()
    for month in (FIRST, NEXT, THIRD):
        everything(month)


def everything(month) -> None:
    for payer in lives.MEMBERS:
        by_hand(read.of(month, payer))


def by_hand(statement: Statement) -> None:
    """Do a statement again from its files, and compare it with what they print and with what is charged."""
    lang = language.of(statement)
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.of(statement))).pages)
    table = reckoner.read_csv(csv_file.of(statement), lang)
    unit = 10**statement.head.digits
    amount = Fraction(statement.amount_minor, unit)
    assert len(table) == len(list(statement.items)) + len(statement.lines)
    reached(table)
    assert sum(row.amount or 0 for row in table) == amount
    if not table:
        return
    paper = reckoner.read_pdf(text, lang)
    reached(paper.rows)
    assert [(row.amount or 0, row.time_ms) for row in paper.rows] == [(row.amount, row.time_ms) for row in table]
    adds_up(paper)
    assert paper.total == (total_ms(paper.rows) if statement.persons else None, amount)
    taxed(table, paper, statement.head.digits, includes_vat=statement.head.includes_vat)


def reached(rows: list[Row]) -> None:
    for row in rows:
        if row.reckoned is not None:
            assert row.reckoned == (row.amount or 0), row
        if row.has_times:
            assert row.times_ms == row.time_ms, row


def total_ms(rows: list[Row]) -> int:
    return sum(row.time_ms or 0 for row in rows)


def adds_up(paper: Paper) -> None:
    """Compare the sums of machines and persons with the rows above them."""
    machines: list[tuple[int, int, Fraction]] = []
    before = 0
    for count, sessions, time, amount in paper.sums:
        if count > before:  # the sum of a machine
            rows = paper.rows[before:count]
            assert (time, amount) == (total_ms(rows), sum(row.amount or 0 for row in rows))
            machines.append((sessions, time, amount))
            before = count
            continue
        sums = [tuple(map(sum, zip(*machines[-k:], strict=True))) for k in range(2, len(machines) + 1)]
        assert (sessions, time, amount) in sums


def taxed(table: list[Row], paper: Paper, digits: int, *, includes_vat: bool | None) -> None:
    """Do the VAT of each code again, and what is to be paid."""
    sums: dict[tuple[str, bool], Fraction] = defaultdict(Fraction)
    for row in table:
        sums[row.code, row.is_due or not paper.is_prepaid] += row.amount or 0
    sums = {key: amount for key, amount in sums.items() if amount}
    gross: Fraction | None = sum(amount for (_code, is_due), amount in sums.items() if is_due)
    if includes_vat is None:
        assert not paper.vat
    elif paper.vat or not includes_vat:
        assert paper.vat.keys() == sums.keys()
        again = {
            key: (percent, reckoner.with_vat(sums[key], percent, digits, includes_vat=includes_vat))
            for key, (percent, _split) in paper.vat.items()
        }
        assert again == paper.vat
        columns = list(zip(*(split for _percent, split in again.values()), strict=True)) or [(0,), (0,), (0,)]
        totals = tuple(None if None in column else sum(column) for column in columns)
        assert paper.vat_total == (totals if paper.vat else None)
        due = [split[2] for (_code, is_due), (_percent, split) in again.items() if is_due]
        gross = None if None in due else sum(due)
    assert paper.is_unknown == (gross is None)
    assert paper.to_pay == (gross if gross is not None and gross > 0 else None)
