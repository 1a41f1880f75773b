"""A month reckoned again by a spreadsheet: formulas from docs/billing.md, computed by LibreOffice, give the same money.

The workbook has one row for each session, in the order of their starts, with the facts of the session and a formula for
each step of its price. It knows nothing of our code, and a treasurer can follow each number in it.
"""

from __future__ import annotations

import csv
import io
import random
import subprocess
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.rating import Facts, Plan, Rated, Terms
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.pricing.tariffs import ON, RUNNING, Peak, Tariff

#: Three weeks without a change of the clocks.
FIRST, DAYS = date(2027, 3, 1), 21
PARIS = ZoneInfo("Europe/Paris")
WORKDAYS = frozenset(range(5))
TARIFFS: Final = {
    "laser": Tariff(
        Decimal("0.10"),
        peaks=(Peak(WORKDAYS, time(17), time(21, 30), Decimal("0.25")),),
        session_fee=Decimal("0.50"),
        minimum=Decimal("1.00"),
        daily_cap=Decimal("15.00"),
        grace_s=60,
    ),
    "saw": Tariff(Decimal("0.07"), peaks=(Peak(WORKDAYS, time(18), time(20), Decimal(0)),), step_s=900),
    "mill": Tariff(Decimal("0.333333"), charged_for=RUNNING, idle_price=Decimal("0.041"), step_s=60),
    "printer": Tariff(Decimal(0), session_fee=Decimal("2.00"), daily_cap=Decimal("5.00"), grace_s=30),
}
PLANS: Final = {
    "": Plan(""),
    "student": Plan("student", 90, Decimal("12.5")),
    "club": Plan("club", 300, Decimal(0)),
}
MINUTE_MS: Final = 60_000
NO_CAP: Final = 1_000_000
INPUTS: Final = ("session", "payer", "user", "machine", "day", "weekday", "start", "counted", "running", "plan")
#: The columns of the sheet of tariffs, from the second one on.
TARIFF: Final = (
    *(
        "price",
        "is_running",
        "idle_price",
        "peak_price",
        "peak_days",
        "peak_start",
        "peak_end",
        "fee",
        "minimum",
        "cap",
    ),
    *("grace", "step"),
)
#: Each step is a column: names in braces are other columns of the same row, and {above:X} is X in the rows before.
STEPS: Final = {
    "is_peak_day": "=ISNUMBER(SEARCH({weekday},{peak_days}))",
    "first": "=IF({is_running}=1,MIN({running},{counted}),"
    "IF({is_peak_day},MAX(0,MIN({start}+{counted},{peak_start})-{start}),{counted}))",
    "second": "=IF({is_running}=1,IF({idle_price}>0,{counted}-{first},0),"
    "IF({is_peak_day},MAX(0,MIN({start}+{counted},{peak_end})-MAX({start},{peak_start})),0))",
    "third": "=IF(AND({is_running}=0,{is_peak_day}),MAX(0,{start}+{counted}-MAX({start},{peak_end})),0)",
    "second_price": "=IF({is_running}=1,{idle_price},{peak_price})",
    "added": "=MOD(-({first}+{second}+{third}),{step})",
    "first_ms": "={first}+IF(AND({first}>0,{second}=0,{third}=0),{added},0)",
    "second_ms": "={second}+IF(AND({second}>0,{third}=0),{added},0)",
    "third_ms": "={third}+IF({third}>0,{added},0)",
    "is_grace": "={counted}<={grace}",
    "free_left": "=MAX(0,{plan_free}-SUMIFS({above:free},{above:payer},{payer},{above:user},{user}))",
    "first_free": "=IF({price}>0,MIN({free_left},{first_ms}),0)",
    "second_free": "=IF({second_price}>0,MIN({free_left}-{first_free},{second_ms}),0)",
    "third_free": "=IF({price}>0,MIN({free_left}-{first_free}-{second_free},{third_ms}),0)",
    "free": "=IF({is_grace},0,{first_free}+{second_free}+{third_free})",
    "time": "=(({first_ms}-{first_free})*{price}+({second_ms}-{second_free})*{second_price}"
    "+({third_ms}-{third_free})*{price})/60000",
    "costs_nothing": "=OR({is_grace},AND({time}=0,OR({price}>0,{idle_price}>0,{peak_price}>0)))",
    "gross": "=MAX({time}+{fee},{minimum})",
    "cap_left": "=MAX(0,{cap}-SUMIFS({above:capped},{above:payer},{payer},{above:user},{user},"
    "{above:machine},{machine},{above:day},{day}))",
    "under_cap": "=IF({costs_nothing},0,MIN({gross},{cap_left}))",
    # Half up; the inner rounding takes away what binary fractions lack.
    "capped": "=ROUND(ROUND({under_cap},9),2)",
    "amount": "=ROUND(ROUND({under_cap}*(1-{discount}/100),9),2)",
}


def month(seed: int, sessions: int = 400) -> list[tuple[str, Facts]]:
    """Return (payer, facts) of sessions; each starts and ends on one day."""
    chance = random.Random(seed)
    made = []
    for number in range(sessions):
        day = FIRST + timedelta(days=chance.randrange(DAYS))
        start = datetime.combine(day, time(8), PARIS) + timedelta(milliseconds=chance.randrange(12 * 3_600_000))
        longest_ms = chance.choice([90_000, 3_600_000, 3 * 3_600_000])
        counted_ms = chance.choice([chance.randrange(longest_ms), chance.randrange(1, 180) * MINUTE_MS])
        user = f"m-{chance.randrange(12)}"
        made.append(
            (
                "school" if chance.random() < 0.2 else user,
                Facts(
                    session=f"s-{number:04}",
                    user=user,
                    machine=chance.choice([*TARIFFS]),
                    machine_category="",
                    plan={"m-1": "student", "m-2": "club", "m-3": "student"}.get(user, ""),
                    purpose="own",
                    start=start,
                    end=start + timedelta(milliseconds=counted_ms),
                    counted_ms=counted_ms,
                    running_ms=chance.randrange(counted_ms + 1),
                ),
            )
        )
    return sorted(made, key=lambda pair: (pair[1].start, pair[1].session))


def rated(sessions: list[tuple[str, Facts]]) -> dict[str, Rated]:
    rules = [Rule(number, tariff, FIRST, machine=name) for number, (name, tariff) in enumerate(TARIFFS.items(), 1)]
    terms = Terms(rules, PLANS, PARIS, 2)
    payers = {payer for payer, _facts in sessions}
    return {
        one.facts.session: one
        for payer in payers
        for one in rating.rate([facts for whose, facts in sessions if whose == payer], terms)
    }


def workbook(sessions: list[tuple[str, Facts]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet, tariffs, plans = book.active, book.create_sheet("Tariffs"), book.create_sheet("Plans")
    for name, tariff in TARIFFS.items():
        tariffs.append((name, *tariff_row(tariff)))
    for name, plan in PLANS.items():
        plans.append((name or "none", plan.free_minutes * MINUTE_MS, float(plan.discount_percent)))
    looked_up = {
        **{name: f"=VLOOKUP({{machine}},Tariffs.$A$1:$M$9,{place},0)" for place, name in enumerate(TARIFF, 2)},
        "plan_free": "=VLOOKUP({plan},Plans.$A$1:$C$9,2,0)",
        "discount": "=VLOOKUP({plan},Plans.$A$1:$C$9,3,0)",
    }
    formulas = {
        name: text.replace("Tariffs.", "Tariffs!").replace("Plans.", "Plans!") for name, text in looked_up.items()
    }
    formulas |= STEPS
    columns = (*INPUTS, *formulas)
    letters = {name: openpyxl.utils.get_column_letter(place) for place, name in enumerate(columns, 1)}
    sheet.append(columns)
    for row, (payer, facts) in enumerate(sessions, 2):
        cells = {name: f"{letter}{row}" for name, letter in letters.items()}
        cells |= {f"above:{name}": f"{letter}$1:{letter}${row - 1}" for name, letter in letters.items()}
        sheet.append([*input_row(payer, facts), *(filled(text, cells) for text in formulas.values())])
    return book


def filled(formula: str, cells: dict[str, str]) -> str:
    for name, cell in cells.items():
        formula = formula.replace(f"{{{name}}}", cell)
    return formula


def tariff_row(tariff: Tariff) -> tuple[object, ...]:
    peak = tariff.peaks[0] if tariff.peaks else Peak(frozenset(), time(), time(), Decimal(0))
    days = "".join(map(str, sorted(peak.days))) or "-"
    cap = NO_CAP if tariff.daily_cap is None else float(tariff.daily_cap)
    return (
        *(float(tariff.price), int(tariff.charged_for != ON), float(tariff.idle_price), float(peak.price), days),
        *(milliseconds(peak.start), milliseconds(peak.end), float(tariff.session_fee), float(tariff.minimum), cap),
        *(tariff.grace_s * 1000, tariff.step_s * 1000),
    )


def input_row(payer: str, facts: Facts) -> tuple[object, ...]:
    assert facts.start is not None
    assert facts.end.date() == facts.start.date()
    return (
        *(facts.session, payer, facts.user, facts.machine, facts.end.toordinal(), facts.start.weekday()),
        *(milliseconds(facts.start.time()), facts.counted_ms, facts.running_ms, facts.plan or "none"),
    )


def milliseconds(wall: time) -> int:
    return ((wall.hour * 60 + wall.minute) * 60 + wall.second) * 1000 + wall.microsecond // 1000


def computed(book: openpyxl.Workbook, folder: Path) -> dict[str, dict[str, str]]:
    """Let LibreOffice compute a workbook; return its rows by session."""
    book.save(folder / "month.xlsx")
    subprocess.run(
        [
            *("soffice", f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"),
            *("--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1", "--outdir", str(folder)),
            str(folder / "month.xlsx"),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    text = (folder / "month.csv").read_text(encoding="utf-8")
    return {row["session"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.mark.parametrize("seed", range(3))
def test_a_spreadsheet_computes_the_same_amounts(tmp_path, seed):
    sessions = month(seed)
    ours, theirs = rated(sessions), computed(workbook(sessions), tmp_path)
    assert ours.keys() == theirs.keys()
    different = {
        session: (one.facts, one.amount_minor, theirs[session])
        for session, one in ours.items()
        if Decimal(theirs[session]["amount"]) * 100 != one.amount_minor or int(theirs[session]["free"]) != one.free_ms
    }
    assert not different
    kinds = {one.kind for one in ours.values()}
    assert kinds == {rating.BILLED, rating.FREE, rating.GRACE}
    assert any(one.price and one.price.capped for one in ours.values())
    assert any(one.price and one.price.discounted for one in ours.values())
