"""Is each change of a rate logged, does a closed month keep its totals for ever, and is each settlement rounded by itself?"""

from __future__ import annotations

import contextlib
import os
import random
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ObjectDoesNotExist

from fabgate.collector.faces.api.programs import rows
from fabgate.collector.ground.models import BillingTerms, Change, Charge, ClosedMonth, TariffRule, VatRate
from fabgate.collector.money.billing import rule_store, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import modes
from fabgate.collector.money.billing.sinks import feeds
from fabgate.collector.money.billing.sinks.postings import Chart, WithoutRateError, entries
from fabgate.collector.money.billing.statements import read
from fabgate.collector.money.billing.tariffs.typed_rule import Typed
from fabgate.collector.money.billing.vat import amounts, months, rates
from fabgate.collector.money.billing.vat.amounts import Amounts
from fabgate.collector.money.paper.month import tables
from fabgate.collector.money.paper.month.read import MonthRead
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from fabgate.pricing.tariffs import Tariff
from tests.collector import postgresql
from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.booked import FIRST, MONTHS, billed, close, session

pytestmark = pytest.mark.usefixtures("database")

LIVES = 30 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 3
CODES = ("", "S20", "S5")


def rate(code: str, percent: str) -> bool:
    return rates.set_rate(code, Decimal(percent), actor="maya")


def line(amount: int, code: str = "", payer: str = "m-1", day: date = FIRST) -> None:
    decisions.add_line(payer, "plywood", amount, day=day, author="maya", vat_code=code)


def unlike_the_log() -> list[str]:
    report = Report()
    logged.check(report)
    return [finding.text for finding in report.findings if finding.table == "vatrate"]


def test_a_rate_is_set_changed_and_removed_and_each_is_logged(billed_shop):
    assert rate("S20", "2")
    assert rate("S20", "20.00")
    assert not rate("S20", "20")
    assert rate("", "5.5")
    assert rates.known() == {"": Decimal("5.5"), "S20": Decimal(20)}
    assert [str(percent) for percent in rates.known().values()] == ["5.5", "20"]
    assert rates.remove("", actor="maya")
    assert not rates.remove("", actor="maya")
    changes = Change.objects.filter(kind="vatrate").order_by("pk").values_list("verb", "actor", "before", "after")
    pk = VatRate.objects.get().pk
    assert list(changes) == [
        ("vat-rate.added", "maya", {}, {"id": pk, "code": "S20", "percent": "2.0000"}),
        ("vat-rate.changed", "maya", {"percent": "2.0000"}, {"percent": "20.0000"}),
        ("vat-rate.added", "maya", {}, {"id": pk + 1, "code": "", "percent": "5.5000"}),
        ("vat-rate.removed", "maya", {"id": pk + 1, "code": "", "percent": "5.5000"}, {}),
    ]
    assert not unlike_the_log()
    VatRate.objects.update(percent=Decimal(19))
    assert [text.split(":")[0] for text in unlike_the_log()] == [f"vatrate {pk}"]


@pytest.mark.parametrize("percent", ["-1", "100", "NaN", "Infinity", "5.55555", "1e3"])
def test_a_rate_that_cannot_be_is_refused(billed_shop, percent):
    with pytest.raises(UsageError, match="wanted at least 0 and below 100 percent, with at most 4 decimals"):
        rate("S20", percent)


@pytest.mark.parametrize("code", ["x" * 21, "a\nb", " S20", "S20 "])
def test_a_code_that_cannot_be_is_refused(billed_shop, code):
    with pytest.raises(UsageError, match="wanted at most 20 visible characters"):
        rate(code, "20")
    with pytest.raises(UsageError, match="wanted at most 20 visible characters"):
        decisions.add_line("m-1", "Plywood", 500, day=FIRST, author="eve", vat_code=code)  # it could never get a rate


def test_a_charge_keeps_its_vat_when_its_rule_is_removed_until_it_is_rated_again(billed_shop):
    """The month and the files came to 0 meanwhile, the statement to 12.00 without VAT, and the API to both."""
    BillingTerms.objects.update(includes_vat=False)
    dearer = rule_store.unsaved((None, "", None), FIRST, Typed(Tariff(Decimal("0.20")), frozenset({"own"}), "S20"))
    dearer.valid_from = FIRST + timedelta(days=1)
    rule_store.add(dearer, "eve")
    rate("S20", "20")
    rate("", "0")
    session(billed_shop, "s-1", FIRST + timedelta(days=2), 60)
    refresh.refresh_all()
    rule_store.remove(dearer.pk, "eve")
    whole = {"net_minor": 1_200, "vat_minor": 240, "gross_minor": 1_440}
    assert {name: getattr(months.by_payer(FIRST)["m-1"], name) for name in whole} == whole
    assert {name: getattr(read.of(FIRST, "m-1").vat, name) for name in whole} == whole
    table = tables.payers(MonthRead.of(FIRST))
    assert {"12.00", "2.40", "14.40"} <= set(next(iter(table.rows)))
    ((_payer, statement),) = MonthRead.of(FIRST).statements()
    assert statement.by_vat_code == {"S20": 1_200}
    row = rows.charge_rows(list(refresh.records(Charge.objects.all())), {}, {})[0]
    assert (row["vat_code"], row["vat_percent"]) == ("S20", "20")
    rates.remove("S20", actor="eve")
    assert months.without_rate(FIRST) == ("S20",)
    refresh.refresh_all()
    assert months.by_payer(FIRST)["m-1"].gross_minor == 600
    assert months.without_rate(FIRST) == ()


def test_a_typed_rate():
    assert rates.read_percent(" 5,5 ") == rates.read_percent("5.5") == Decimal("5.5")
    with pytest.raises(UsageError, match="found the VAT rate 'twenty', wanted a number of percent such as 20"):
        rates.read_percent("twenty")


def test_a_workshop_without_vat_takes_no_rate(billed_shop):
    BillingTerms.objects.update(includes_vat=None)
    with pytest.raises(UsageError, match="wanted none: VAT is not applicable to this workshop"):
        rate("S20", "20")


def test_a_rate_that_closed_months_have_stays(billed_shop):
    line(1_000, "S20")
    line(1_000, "later", day=MONTHS[1])
    for code in ("S20", "later"):
        rate(code, "20")
    close(FIRST)
    with pytest.raises(UsageError, match="closed months have charges or lines at 20 % with the VAT code 'S20'"):
        rate("S20", "5.5")
    with pytest.raises(UsageError, match="Make a new code for another rate"):
        rates.remove("S20", actor="maya")
    assert not rate("S20", "20")
    assert rate("later", "5.5")
    assert rates.remove("later", actor="maya")
    assert rates.known() == {"S20": Decimal(20)}


def test_a_code_of_a_closed_month_can_be_given_its_rate_once(billed_shop):
    session(billed_shop, "s-1", FIRST, 10)  # by a rule without a code
    close(FIRST)
    assert rates.is_final("")
    assert months.by_payer(FIRST)["m-1"].without_rate == ("",)
    assert rate("", "20")
    assert months.by_payer(FIRST)["m-1"].vat_minor == 17
    with pytest.raises(UsageError, match="their totals cannot change"):
        rate("", "10")


def test_what_is_due_by_statement_is_rounded_apart_from_what_credit_pays(billed_shop):
    """The reversal of a month that was not paid from credit is due by statement (docs/decisions/0118)."""
    rate("", "20")
    session(billed_shop, "s-1", FIRST, 10)
    close(FIRST)
    modes.set_mode("m-1", MONTHS[1], prepays=True, actor="maya")
    session(billed_shop, "s-2", MONTHS[1], 14)
    corrections.correct("s-1", "time", str(3 * 60_000), author="maya", reason="it stood still")
    refresh.refresh_all()
    # -1.00 + 0.30 is due, of which 0.58 net; 1.40 is from credit, of which 1.17 net; 0.70 at once would have 0.58 net
    assert months.by_payer(MONTHS[1])["m-1"] == amounts.together(
        amounts.of({"": amount}, {"": Decimal(20)}, includes_vat=True) for amount in (-70, 140)
    )
    assert months.by_payer(MONTHS[1], payer="m-2") == {}


def from_the_feed(first: date) -> dict[str, Amounts]:
    """Return what each payer comes to, from the charges that programs receive."""
    (month,) = feeds.Months(first).again([_Letter(first)]).values()  # type: ignore[list-item]
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in month:
        if one.amount_minor or one.kind == "billed":
            sums[one.payer, one.settlement][one.vat_code] += one.amount_minor
    found: dict[str, list[Amounts]] = defaultdict(list)
    for (payer, _settlement), by_code in sums.items():
        found[payer].append(amounts.of(by_code, rates.known(), includes_vat=terms.get().includes_vat))
    return {payer: amounts.together(some) for payer, some in found.items()}


def booked(first: date) -> dict[str, int]:
    """Return the tax that the journal books for each payer; raises WithoutRateError."""
    (month,) = feeds.Months(first).again([_Letter(first)]).values()  # type: ignore[list-item]
    accounts = dict.fromkeys(CODES, "44571")
    chart = Chart("411", "4191", "706", (), accounts, rates.known(), terms.get().includes_vat)
    found: dict[str, int] = defaultdict(int)
    for entry in entries(month, chart):
        found[entry.payer] -= sum(posting.debit_minor for posting in entry.postings if posting.account == "44571")
    return dict(found)


class _Letter:
    def __init__(self, month: date) -> None:
        self.month, self.key = month, f"{month:%Y-%m}"


def totals(found: dict[str, Amounts]) -> dict[str, tuple[int | None, ...]]:
    """Return the amounts of the payers who come to something."""
    rows = {payer: (one.net_minor, one.vat_minor, one.gross_minor) for payer, one in found.items()}
    return {payer: row for payer, row in rows.items() if any(row) or None in row}


def act(chance: random.Random, shop: Used, step: int) -> None:
    """Do something that may change what a month comes to."""
    payer, code, month = f"m-{chance.randint(1, 2)}", chance.choice(CODES), chance.choice(MONTHS)
    minutes = chance.randint(1, 59)
    match chance.choice(["rate", "rate", "remove", "line", "line", "session", "correct", "mode", "close"]):
        case "rate":
            rate(code, chance.choice(["20", "5.5", "2.1", "0"]))
        case "remove":
            rates.remove(code, actor="maya")
        case "line":
            line(chance.randint(-500, 999), code, payer, month)
        case "session":
            session(shop, f"s-{step}", month + timedelta(days=chance.randint(1, 20)), minutes, payer)
        case "correct":
            ms = str(minutes * 60_000)
            corrections.correct(f"s-{chance.randint(0, step)}", "time", ms, author="maya", reason="a test")
        case "mode":
            modes.set_mode(payer, month, prepays=chance.random() < 0.5, actor="maya")
        case "close":
            close(MONTHS[ClosedMonth.objects.count() % 3])


@pytest.mark.parametrize("includes_vat", [True, False])
@pytest.mark.parametrize("life", range(LIVES))
def test_random_lives_never_change_a_total_of_a_closed_month(life, includes_vat):
    """Rates, lines, sessions, settlements and corrections by chance: a total that was known once stays."""
    chance, shop = random.Random(life), Used()
    billed()
    BillingTerms.objects.update(includes_vat=includes_vat)
    TariffRule.objects.update(vat_code=chance.choice(CODES))
    seen: dict[date, dict[str, tuple[int | None, ...]]] = {}
    for step in range(60):
        with contextlib.suppress(UsageError, ObjectDoesNotExist):
            act(chance, shop, step)
        for month in ClosedMonth.objects.values_list("pk", flat=True):
            found = totals(months.by_payer(month))
            assert found == totals(from_the_feed(month))
            with contextlib.suppress(WithoutRateError):
                assert booked(month) == {payer: row[1] for payer, row in found.items()}
            for payer, before in seen.get(month, {}).items():
                now = found.get(payer, (0, 0, 0))
                assert all(old in (None, new) for old, new in zip(before, now, strict=True))
            seen[month] = found
    assert not unlike_the_log()
