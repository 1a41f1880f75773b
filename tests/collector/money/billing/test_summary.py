"""Are the sums of a month always those of its sessions, rated as a whole?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from fabgate.collector.ground.models import Review
from fabgate.collector.money.billing import closing, member_plans, month, rating, rule_store, summary, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.month import Sum
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.used import Used

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def reviewed_shop(shop: Used) -> Used:
    """Two sessions of each of three people, one of them in review."""
    billing.start()
    billing.plan("student", free_minutes=20)
    billing.rule("price=0.10 daily_cap=4")
    for number in range(6):
        shop.session(f"s-{number}", f"m-{number % 3 + 1}", NOON + timedelta(hours=number), 20 + number)
    shop.session("s-6", "m-1", NOON + timedelta(hours=7), 5, uncertainty_ms=90_000, reason="power-loss")
    return shop


def as_whole() -> dict[str, dict[str, Sum]]:
    """Rate the month from the sessions."""
    found: dict[str, dict[str, Sum]] = {}
    for payer, rated in month.rate(FIRST, terms.for_rating(terms.get())):
        own = found.setdefault(payer, {})
        own[rated.kind] = own.get(rated.kind, Sum()).plus(rated)
    return found


def charged(month: date) -> summary.Summary:
    """Return the sums of a month once the worker has followed the ledger."""
    refresh.refresh_all()
    return summary.of(month)


def correct(field: str, value: str, session: str = "s-1") -> Callable[[Used], object]:
    return lambda _shop: corrections.correct(session, field, value, author="maya", reason="wrong")


CHANGES: dict[str, Callable[[Used], object]] = {
    "nothing": lambda _shop: None,
    "a session ends": lambda shop: shop.session("s-7", "m-4", NOON + timedelta(hours=9), 10),
    "a session ends in another month": lambda shop: shop.session("s-7", "m-2", NOON + timedelta(days=31), 10),
    "the time is corrected": correct("time", str(50 * 60_000)),
    "the person is corrected": correct("member", "m-3"),
    "the payer is corrected": correct("payer", "m-4"),
    "the purpose is corrected": correct("purpose", "training"),
    "a review is settled": lambda _shop: corrections.accept(Review.objects.get(session="s-6"), author="maya", note=""),
    "a rule is added": lambda _shop: billing.rule("price=0.30", machine="bandsaw"),
    "a rule is removed": lambda _shop: rule_store.remove(1, "maya"),
    "a member gets a plan": lambda _shop: member_plans.set_plans({"m-1": "student"}, FIRST, actor="maya"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_charges_follow_each_change(reviewed_shop, change):
    before = charged(FIRST)
    CHANGES[change](reviewed_shop)
    found = charged(FIRST)
    assert found.payers == as_whole()
    assert (found.payers != before.payers) is (change not in {"nothing", "a session ends in another month"})


def test_several_changes_one_after_the_other(reviewed_shop):
    for change in ("the payer is corrected", "a session ends"):
        CHANGES[change](reviewed_shop)
        charged(FIRST)
    correct("payer", "m-2")(reviewed_shop)
    correct("payer", "m-4", "s-3")(reviewed_shop)
    assert charged(FIRST).payers == as_whole()


def test_reversals_and_lines_count_in_the_month_in_which_they_are_charged(reviewed_shop):
    later = terms.next_month(FIRST)
    closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")
    closed = charged(FIRST)
    correct("payer", "m-4")(reviewed_shop)
    decisions.add_line("m-4", "Plywood", 1_250, day=FIRST, author="maya")
    assert charged(FIRST) == closed
    assert charged(later).payers == {
        "m-2": {rating.BILLED: Sum(-1, -21 * 60_000, -210)},
        "m-4": {rating.BILLED: Sum(1, 21 * 60_000, 210), summary.LINE: Sum(0, 0, 1_250)},
    }
    assert summary.added(charged(later).classes.values()) == Sum(0, 0, 1_250)
