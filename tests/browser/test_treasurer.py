"""A treasurer goes from "Start billing" to a closed month and its statements, by what the pages say, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.sample_data import UNBILLED
from tests.browser.used_site import UsedSite, make_sample_data
from tests.browser.window import inaccessible, set_look, too_wide

TREASURER = "tom"
#: What the treasurer reads and clicks.
WORDS = {
    "en": {
        "start": "Start billing",
        "first": "First month",
        "vat": "include VAT",
        "rule": "Add the first rule",
        "price": "Price per minute",
        "save": "Save",
        "month": "Month",
        "close": "Close this month…",
        "why": "Reason to close although something is left to do",
        "sure": "Close the month",
        "closed": "Its charges are final.",
        "statement": "Statement",
    },
    "fr": {
        "start": "Démarrer la facturation",
        "first": "Premier mois",
        "vat": "TTC",
        "rule": "Ajouter la première règle",
        "price": "Prix par minute",
        "save": "Enregistrer",
        "month": "Mois",
        "close": "Clôturer ce mois…",
        "why": "Motif pour clôturer malgré ce qui reste à traiter",
        "sure": "Clôturer le mois",
        "closed": "Ses montants sont définitifs.",
        "statement": "Relevé",
    },
}


@pytest.fixture
def unbilled(tmp_path: Path) -> Iterator[UsedSite]:
    """A site with two months of sessions, where billing has not been started."""
    make_sample_data(tmp_path / "data", UNBILLED)
    made = UsedSite(tmp_path, tmp_path / "data")
    yield made
    made.close()


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_treasurer_closes_a_first_month(unbilled: UsedSite, person, lang: str) -> None:
    words = WORDS[lang]
    tom = person(unbilled.address, lang=lang)
    tom.sign_in(TREASURER, unbilled.password)
    page = tom.page
    page.goto("/use")
    page.locator("main").get_by_text(words["start"]).click()
    page.get_by_label(words["first"]).select_option(index=0)  # last month
    first = page.get_by_label(words["first"]).input_value()
    page.get_by_label(words["vat"]).check()  # nothing is chosen before
    page.get_by_role("button", name=words["start"]).click()
    page.get_by_text(words["rule"]).click()
    page.get_by_label(words["price"], exact=True).first.fill("0,10" if lang == "fr" else "0.10")
    page.get_by_role("button", name=words["save"]).click()
    page.locator(".message.success").wait_for()
    unbilled.charge(first[:7])

    page.locator(".tabs").get_by_text(words["month"]).click()
    owed = page.locator(".big.number").inner_text()
    assert re.search(r"[1-9]", owed)
    page.get_by_text(words["close"]).click()
    page.get_by_label(words["why"]).fill("…")
    page.get_by_role("button", name=words["sure"]).click()
    page.locator(".message.success", has_text=words["closed"]).wait_for()
    assert page.locator(".big.number").inner_text() == owed

    page.locator("tbody th a[href*='/month/payer/']").first.click()
    page.locator("main").get_by_text(words["statement"], exact=True).click()
    page.locator(".statement h1").wait_for()  # in the payer's language
    for width, dark in ((390, True), (1280, False)):
        set_look(page, width, dark=dark)
        assert not [*too_wide(page), *inaccessible(page)]
    printed = download(page, "PDF")
    assert printed.startswith(b"%PDF-")
    assert printed == download(page, "PDF")
    assert download(page, "CSV").count(b"\n") > 3


def download(page: Any, name: str) -> bytes:
    with page.expect_download() as taken:
        page.locator("main").get_by_text(name, exact=True).click()
    found: bytes = taken.value.path().read_bytes()
    return found
