"""Do the pages show what is charged: late sessions, reversals, lines and closed months?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate.collector.billing.charges import closing, decisions, refresh
from fabgate.collector.models import Plan
from fabgate.collector.pages.formatting import MINUS
from fabgate.collector.sessions import corrections
from tests.collector.pages import billing
from tests.collector.pages.billing import FIRST, NOON
from tests.collector.pages.test_month import rows
from tests.collector.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("database")
NEXT = refresh.following(FIRST)


@pytest.fixture
def shop() -> Used:
    """A closed month with a session of m-1, which m-2 pays since then, and a line."""
    found = Used()
    billing.start()
    billing.rule("price=0.10")
    found.session("s-1", "m-1", NOON, 30)
    closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")
    corrections.correct("s-1", "payer", "m-2", author="maya", reason="wrong payer")
    decisions.add_line("m-2", "Plywood", 1_250, author="maya", session="s-1")
    return found


@pytest.fixture
def manager(browse):
    return browse("manager")


def test_a_closed_month_stays_and_the_open_one_has_the_reversal_the_new_charge_and_the_line(manager, shop):
    page = text(manager.get(f"/month?month={FIRST:%Y-%m}"))
    assert rows(page, "Payers") == [["Zoé Müller", "1", "0:30:00", "€3.00"]]
    assert "these amounts are final" in page
    assert "What is open" not in page
    page = text(manager.get(f"/month?month={NEXT:%Y-%m}"))
    assert [row for row in rows(page, "Sessions by class") if row[0] != "Total"] == [
        ["Lines", "0", "0:00:00", "€12.50"]
    ]
    assert sorted(rows(page, "Payers")) == [
        ["Bjørn Sørensen", "1", "0:30:00", "€15.50"],
        ["Zoé Müller", f"{MINUS}1", f"{MINUS}0:30:00", f"{MINUS}€3.00"],
    ]


def test_a_payer_sees_of_which_month_a_charge_is(manager, shop):
    page = text(manager.get(f"/month/payer/m-1?month={NEXT:%Y-%m}"))
    assert rows(page, "Sessions")[0][2:] == [f"{MINUS}0:30:00", f"Reversal, of {FIRST:%B %Y}", f"{MINUS}€3.00"]
    page = text(manager.get(f"/month/payer/m-2?month={NEXT:%Y-%m}"))
    assert [row[-2:] for row in rows(page, "Sessions")] == [
        [f"Billed, of {FIRST:%B %Y}", "€3.00"],
        ["Line", "€12.50"],
        ["", "€15.50"],
    ]
    assert "Plywood" in page


def test_a_session_shows_all_its_charges(manager, shop):
    page = text(manager.get("/month/session/s-1"))
    assert rows(page, "Charges") == [
        [f"{FIRST:%B %Y}", "Zoé Müller", "Billed", "€3.00"],
        [f"{NEXT:%B %Y}", "Zoé Müller", f"Reversal, of {FIRST:%B %Y}", f"{MINUS}€3.00"],
        [f"{NEXT:%B %Y}", "Bjørn Sørensen", f"Billed, of {FIRST:%B %Y}", "€3.00"],
    ]


def test_a_price_that_would_be_another_one_today_is_not_explained_by_todays_plans(manager):
    found = Used()
    billing.start()
    billing.rule("price=0.10")
    billing.plan("student", "m-1", free_minutes=30)
    found.session("s-1", "m-1", NOON, 30)
    closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")
    Plan.objects.update(free_minutes=10)
    page = text(manager.get("/month/session/s-1"))
    assert "It was charged by the rules and plans of its month." in page
    assert rows(page, "Charges") == [[f"{FIRST:%B %Y}", "Zoé Müller", "Free", "€0.00"]]
