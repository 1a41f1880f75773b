"""Does a member see what their own sessions cost, and nothing of what others pay?"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from fabgate.collector.ground.models import Member, Payer, UsageSession
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing, used
from tests.collector.faces.pages.billing import FIRST, MONTH, NOON
from tests.collector.faces.pages.used import MINUTE, text

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def mine(browse, account, shop) -> Any:
    """A browser in which Zoé Müller is signed in."""
    return browse(account("member", name="zoe", member=Member.objects.get(pk="m-1")))


def page(mine: Any, month: str = MONTH) -> str:
    refresh.refresh_all()
    return text(mine.get(f"/my-minutes?month={month}"))


def costs(shown: str) -> list[str]:
    """Return the cost of each session, the newest first."""
    cells = re.findall(r'<td[^>]*class="number cost">(.*?)</td>', shown)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells]


def test_before_billing_and_before_its_first_month_no_page_says_anything_of_costs(mine, shop):
    shop.session("s-1", "m-1", NOON, 30)
    assert "Cost" not in text(mine.get(f"/my-minutes?month={MONTH}"))
    billing.start(first=terms.next_month(FIRST))
    assert "Cost" not in page(mine)
    assert "Cost" not in text(mine.get("/my-minutes/sessions/s-1"))


def test_each_session_has_its_cost_or_why_it_has_none_and_the_month_their_sum(mine, shop):
    billing.start()
    billing.rule("price=0.10 grace_s=60", machine="bandsaw")
    for number, minutes in enumerate((30, 1, 20, 10, 5)):
        shop.session(f"s-{number}", "m-1", NOON - number * 60 * MINUTE, minutes)
    shop.session("s-5", "m-1", NOON - 400 * MINUTE, 15, "lathe-1")
    shop.session("s-6", "m-2", NOON - 500 * MINUTE, 60)
    decisions.waive("s-2", reason="The saw was faulty", author="maya")
    corrections.contest(UsageSession.objects.get(pk="s-3"), "That was not me", author="zoe")
    corrections.correct("s-4", "purpose", "maintenance", author="maya", reason="a repair")
    shown = page(mine)
    assert costs(shown) == [
        "€3.00",
        "€0.00 too short to cost anything",
        "€0.00 waived: “The saw was faulty”",
        "no price before the review",
        "not billed",
        "no price yet",
    ]
    assert '<strong class="number">€3.00</strong> <span class="soft">provisional:' in shown
    assert "free minutes" not in shown


def test_the_price_is_explained_step_by_step(mine, shop):
    billing.start()
    billing.rule("price=0.10 session_fee=0.50")
    shop.session("s-1", "m-1", NOON, 30)
    refresh.refresh_all()
    shown = text(mine.get("/my-minutes/sessions/s-1"))
    assert "Price, step by step" in shown
    assert "Session fee" in shown
    assert "€3.50" in shown
    assert "provisional: the month is not closed yet" in shown
    closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")
    assert "provisional" not in text(mine.get("/my-minutes/sessions/s-1"))
    assert "provisional" not in page(mine)


def test_a_correction_after_closing_is_in_the_sum_and_says_in_which_month_it_is_charged(mine, shop):
    billing.start()
    billing.rule("price=0.10")
    shop.session("s-1", "m-1", NOON, 30)
    closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")
    corrections.correct("s-1", "time", "600000", author="maya", reason="ten minutes")
    shown = page(mine)
    assert costs(shown) == ["€1.00"]
    assert '<strong class="number">€1.00</strong>' in shown
    assert f"{terms.next_month(FIRST):%B %Y}" in text(mine.get("/my-minutes/sessions/s-1"))


def test_a_member_for_whom_a_school_pays_sees_who_pays_and_no_amount(mine, shop):
    billing.start()
    billing.rule("price=0.10")
    billing.plan("student", "m-1", free_minutes=60)
    Member.objects.filter(pk="m-1").update(payer=Payer.objects.create(id="payer:1", name="Lycée Ampère"))
    shop.session("s-1", "m-1", NOON, 30)
    shown = page(mine)
    assert costs(shown) == ["paid by Lycée Ampère"]
    assert "0:30:00" in shown
    for said in (shown, text(mine.get("/my-minutes/sessions/s-1")), page(mine, f"{used.NOON:%Y-%m}")):
        assert "€" not in said
        assert "step by step" not in said
        assert "free minutes" not in said


def test_free_minutes_that_are_left_are_those_of_the_current_month(mine, shop, monkeypatch):
    billing.start()
    billing.rule("price=0.10")
    billing.plan("student", "m-1", free_minutes=60)
    shop.session("s-1", "m-1", NOON, 45)
    monkeypatch.setattr("fabgate.collector.faces.pages.my.costs.timezone.localdate", lambda **_: NOON.date())
    shown = page(mine)
    assert costs(shown) == ["€0.00 free"]
    assert "15 of 60 free minutes left" in shown
    shop.session("s-2", "m-1", NOON + 90 * MINUTE, 45)
    shown = page(mine)
    assert costs(shown) == ["€3.00", "€0.00 free"]
    assert "0 of 60 free minutes left" in shown


def test_a_session_that_ended_just_now_is_charged_in_a_moment(mine, shop):
    billing.start()
    billing.rule("price=0.10")
    shop.session("s-1", "m-1", NOON, 30)
    assert "step by step" not in text(mine.get("/my-minutes/sessions/s-1"))
    shown = text(mine.get(f"/my-minutes?month={MONTH}"))
    assert costs(shown) == ["being calculated"]
