"""Are VAT rates set as people type them, and are those of closed months only shown?"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from fabgate.collector.ground.models import BillingTerms, Change, TariffRule
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.vat import rates
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST
from tests.collector.faces.pages.racing import at_once, sent
from tests.collector.faces.pages.tables import words
from tests.collector.faces.pages.used import Used

pytestmark = pytest.mark.usefixtures("database")

VAT = "/month/vat"
LATER = billing.NOON + timedelta(days=400)


@pytest.fixture(autouse=True)
def _started(database) -> None:
    billing.start()
    Used()
    billing.rule("price=0.10 vat_code=S20")
    billing.rule("price=0.20", machine="lathe")


def line(code: str) -> None:
    decisions.add_line("m-1", "plywood", 1_200, day=FIRST, author="maya", vat_code=code)


def typed(**changes: str) -> dict[str, str]:
    """Return what the form sends: what was shown, and what was typed."""
    known = {code: f"{percent:f}" for code, percent in rates.known().items()}
    open_codes = [code for code in rates.codes() if code not in known or not rates.is_final(code)]
    shown = {f"initial-rate:{code}": known.get(code, "") for code in open_codes}
    shown["closed"] = str(terms.first_open_day() or "")
    return {**shown, **{f"rate:{code}": changes.get(code or "none", known.get(code, "")) for code in open_codes}}


def test_rates_are_typed_changed_and_removed(browse):
    manager = browse("manager")
    page = words(manager.get("/month/tariffs"))
    assert "VAT rates Prices without a code no rate S20 no rate" in page
    assert manager.post(VAT, typed(S20="2", none="5.5")).status_code == 303
    assert rates.known() == {"": Decimal("5.5"), "S20": Decimal(2)}
    assert "Prices without a code 5.5% S20 2%" in words(manager.get("/month/tariffs"))
    assert manager.post(VAT, typed(S20="20", none="")).status_code == 303
    assert rates.known() == {"S20": Decimal(20)}
    assert manager.post(VAT, typed()).status_code == 303
    logged = Change.objects.filter(kind="vatrate").order_by("pk").values_list("verb", flat=True)
    assert sorted(logged) == ["vat-rate.added", "vat-rate.added", "vat-rate.changed", "vat-rate.removed"]


def test_tariffs_lead_to_the_rates_before_there_is_a_rule(browse):
    TariffRule.objects.all().delete()
    manager = browse("manager")
    assert f'href="{VAT}"' in manager.get("/month/tariffs").content.decode()
    assert "No rule and no line yet." in words(manager.get(VAT))


def test_the_page_says_what_is_typed_how_a_code_gets_there_and_when_its_rate_is_final(browse):
    page = words(browse("manager").get(VAT))
    assert "S20 (%)" in page
    assert "To add a code, type it in the field “VAT code”" in page
    assert "makes the rates of its VAT codes final" in page


def test_a_rate_is_typed_as_the_language_writes_it(browse, account):
    manager = browse(account("manager", lang="fr"))
    assert manager.post(VAT, typed(S20="5,5")).status_code == 303
    assert rates.known() == {"S20": Decimal("5.5")}
    assert 'value="5,5"' in manager.get(VAT).content.decode()


@pytest.mark.parametrize("percent", ["-1", "100", "5.55555", "many"])
def test_a_rate_that_cannot_be_is_named_at_its_field(browse, percent):
    answer = browse("manager").post(VAT, typed(S20=percent, none="20"))
    assert answer.status_code == 400
    assert 'class="errorlist" id="id_rate:S20_error"' in answer.content.decode()
    assert not rates.known()


def test_only_what_was_changed_on_the_page_is_stored(browse):
    manager, shown = browse("manager"), typed(none="5.5")
    rates.set_rate("S20", Decimal(20), actor="kim")
    assert manager.post(VAT, shown).status_code == 303
    assert rates.known() == {"": Decimal("5.5"), "S20": Decimal(20)}


def test_a_rate_of_closed_months_is_shown_but_cannot_be_typed(browse):
    manager = browse("manager")
    line("S20")
    line("late")
    rates.set_rate("S20", Decimal(20), actor="kim")
    before = typed(S20="19")
    closing.close(FIRST, LATER, actor="kim", reason="a test")
    page = manager.get(VAT).content.decode()
    assert 'name="rate:S20"' not in page
    assert "S20 20% Closed months use these rates" in words(manager.get(VAT))
    assert page.count("Closed months use this code. Once you save its rate, the rate cannot be changed.") == 1
    for stale in (
        before,
        {**before, "rate:S20": "20", "rate:late": "2"},
    ):  # the page that was open since before the closing
        answer = manager.post(VAT, stale)
        assert answer.status_code == 400
        assert "A month was closed in the meantime, and nothing was saved." in words(answer)
    assert rates.known() == {"S20": Decimal(20)}
    assert manager.post(VAT, typed(late="5.5")).status_code == 303
    assert rates.known()["late"] == Decimal("5.5")
    assert 'name="rate:late"' not in manager.get(VAT).content.decode()


def test_a_month_that_is_closed_at_the_same_moment_never_has_a_rate_that_changes_later(browse):
    line("S20")
    rates.set_rate("S20", Decimal(20), actor="kim")
    form = typed(S20="19")
    answer, _closed = at_once(
        sent(browse("manager"), VAT, form), lambda: closing.close(FIRST, LATER, actor="kim", reason="a test")
    )
    assert (answer.status_code, rates.known()["S20"]) in ((303, Decimal(19)), (400, Decimal(20)))
    refusals = ("their totals cannot change", "A month was closed in the meantime")
    assert answer.status_code == 303 or any(words in words(answer) for words in refusals)
    assert rates.is_final("S20")


def test_a_workshop_without_vat_has_no_rates(browse):
    BillingTerms.objects.update(includes_vat=None)
    manager = browse("manager")
    assert manager.get(VAT).status_code == 404
    assert "VAT rates" not in words(manager.get("/month/tariffs"))


def test_an_auditor_reads_the_rates_and_changes_none(browse):
    auditor = browse("auditor")
    assert "VAT rates" in words(auditor.get("/month/tariffs"))
    assert "Change the rates" not in words(auditor.get("/month/tariffs"))
    assert auditor.post(VAT, typed(S20="20")).status_code == 403
    assert not rates.known()


# --- totals -----------------------------------------------------------------------------------------------------------


def month_page(manager: Any, address: str = "/month") -> str:
    return words(manager.get(f"{address}?month={billing.MONTH}"))


def amounts_of(page: str) -> list[str]:
    """Return the amounts without VAT, of VAT, and with VAT, of the whole page."""
    return re.findall(r"Excluding VAT (\S+) VAT (\S+) Including VAT (\S+)", page)[0]


def test_the_month_and_each_payer_have_totals_with_and_without_vat(manager):
    line("S20")
    decisions.add_line("m-2", "glue", 309, day=FIRST, author="maya", vat_code="S20")
    rates.set_rate("S20", Decimal(20), actor="kim")
    page = month_page(manager)
    assert amounts_of(page) == ("€12.58", "€2.51", "€15.09")
    assert "Amount Including VAT" not in page, "each payer's amount includes it"
    assert amounts_of(month_page(manager, "/month/payer/m-2")) == ("€2.58", "€0.51", "€3.09")


def test_where_prices_exclude_vat_each_payer_has_the_amount_with_it(manager):
    BillingTerms.objects.update(includes_vat=False)
    line("S20")
    decisions.add_line("m-2", "glue", 309, day=FIRST, author="maya", vat_code="S20")
    rates.set_rate("S20", Decimal(20), actor="kim")
    page = month_page(manager)
    assert amounts_of(page) == ("€15.09", "€3.02", "€18.11")
    assert "€12.00 €14.40" in page
    assert "€3.09 €3.71" in page
    decisions.add_line("m-2", "paint", 100, day=FIRST, author="maya", vat_code="new")
    page = month_page(manager)
    assert "Excluding VAT" not in page
    assert "€12.00 €14.40" in page
    assert "€4.09 \N{EN DASH}" in page, "what is not known is not shown"


@pytest.mark.parametrize("includes_vat", [True, False, None])
def test_without_any_rate_there_is_no_total_with_vat_and_something_is_open_only_where_prices_exclude_it(
    manager, includes_vat
):
    BillingTerms.objects.update(includes_vat=includes_vat)
    line("S20")
    page = month_page(manager)
    assert not {"Excluding VAT", "Including VAT"} & set(re.findall(r"(?:Ex|In)cluding VAT", page))
    is_unknown = includes_vat is False  # what the payer owes
    assert ("VAT code without a rate" in page) is is_unknown
    assert left().without_rate == (("S20",) if is_unknown else ())


def left() -> closing.Open:
    refresh.refresh_all()
    return closing.open_in(FIRST, refresh.open_book(), LATER)


def test_a_month_with_a_code_without_a_rate_is_closed_only_with_a_reason(manager):
    line("S20")
    line("")
    rates.set_rate("late", Decimal(20), actor="kim")
    assert "2 VAT codes without a rate Prices without a code, S20" in month_page(manager)
    assert "These VAT codes have no rate: Prices without a code, S20" in month_page(manager, "/month/close")
    assert left().without_rate == ("", "S20")
    assert left()
    with pytest.raises(UsageError, match="these VAT codes have no rate: prices without a code, S20\n"):
        closing.close(FIRST, LATER, actor="kim")
    rates.set_rate("", Decimal(0), actor="kim")
    with pytest.raises(UsageError, match="these VAT codes have no rate: S20\n"):
        closing.close(FIRST, LATER, actor="kim")
    assert closing.close(FIRST, LATER, actor="kim", reason="the rate is not known yet").reason


def test_the_page_of_a_payer_names_the_codes_that_keep_its_totals_with_vat_unknown(manager):
    line("S20")
    decisions.add_line("m-2", "steel", 500, day=FIRST, author="maya", vat_code="S10")
    rates.set_rate("S10", Decimal(10), actor="kim")
    missing = "These VAT codes have no rate: S20"
    assert missing in month_page(manager, "/month/payer/m-1")
    assert "These VAT codes" not in month_page(manager, "/month/payer/m-2")
    rates.set_rate("S20", Decimal(20), actor="kim")
    assert "These VAT codes" not in month_page(manager, "/month/payer/m-1")


def test_only_codes_with_an_amount_need_a_rate(manager):
    line("S20")
    rates.set_rate("S20", Decimal(20), actor="kim")
    assert TariffRule.objects.filter(vat_code="").exists()
    assert not left().without_rate
    assert "VAT code without a rate" not in month_page(manager)
