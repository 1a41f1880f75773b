"""Are remembered sums always those of a month that is rated as a whole?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache

from fabgate.collector.billing import member_plans, rating, rule_store, summary, terms
from fabgate.collector.models import Change, LedgerLine, Review
from fabgate.collector.sessions import corrections
from tests.collector.pages import billing
from tests.collector.pages.billing import FIRST, NOON
from tests.collector.pages.used import Used

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def shop() -> Used:
    """Two sessions of each of three people, one of them in review."""
    found = Used()
    billing.start()
    billing.plan("student", free_minutes=20)
    billing.rule("price=0.10 daily_cap=4")
    for number in range(6):
        found.session(f"s-{number}", f"m-{number % 3 + 1}", NOON + timedelta(hours=number), 20 + number)
    found.session("s-6", "m-1", NOON + timedelta(hours=7), 5, uncertainty_ms=90_000, reason="power-loss")
    return found


@pytest.fixture
def rated(monkeypatch) -> list[set[str]]:
    """The users of each group of sessions that is rated."""
    found: list[set[str]] = []
    rate = rating.rate

    def noted(sessions, *args, **more):
        sessions = list(sessions)
        found.append({facts.user for facts in sessions})
        return rate(sessions, *args, **more)

    monkeypatch.setattr(rating, "rate", noted)
    return found


def as_whole() -> summary.Summary:
    """Rate the month without what is remembered."""
    cache.clear()
    return summary.of(FIRST, terms.get())


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
def test_what_is_remembered_follows_each_change(shop, change):
    before = as_whole()
    CHANGES[change](shop)
    found = summary.of(FIRST, terms.get())
    wanted = as_whole()
    assert found.payers == wanted.payers
    assert (found.payers != before.payers) is (change not in {"nothing", "a session ends in another month"})


def test_several_changes_one_after_the_other(shop):
    as_whole()
    for change in ("the payer is corrected", "a session ends"):
        CHANGES[change](shop)
        summary.of(FIRST, terms.get())
    correct("payer", "m-2")(shop)
    correct("payer", "m-4", "s-3")(shop)
    found = summary.of(FIRST, terms.get())
    assert found.by_payer == as_whole().by_payer


def test_only_the_payers_of_changed_sessions_are_rated_again(shop, rated):
    as_whole()
    rated.clear()
    summary.of(FIRST, terms.get())
    assert not rated
    correct("payer", "m-3")(shop)  # of a session of m-2
    summary.of(FIRST, terms.get())
    assert sorted(map(sorted, rated)) == [["m-2"], ["m-2", "m-3"]]


def test_many_changes_are_rated_as_a_whole(shop, rated, monkeypatch):
    as_whole()
    monkeypatch.setattr(summary, "_MOST_LINES", 1)
    shop.session("s-7", "m-4", NOON + timedelta(hours=9), 10)
    shop.session("s-8", "m-4", NOON + timedelta(hours=10), 10)
    rated.clear()
    summary.of(FIRST, terms.get())
    assert len(rated) == 4


@pytest.mark.parametrize("rows", [LedgerLine, Change])
def test_after_a_restore_nothing_is_remembered(shop, rated, rows):
    """Another history has other rows with the same ids."""
    as_whole()
    newest = rows.objects.order_by("-pk")[0]
    rows.objects.filter(pk=newest.pk).update(at=datetime(2001, 1, 1, tzinfo=UTC))
    rated.clear()
    summary.of(FIRST, terms.get())
    assert len(rated) == 3
