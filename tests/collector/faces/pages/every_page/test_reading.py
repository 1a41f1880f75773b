"""Does reading charge nothing, at any route, and does each page with charges say that some are missing?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    BillingProgress,
    Charge,
    ClosedMonth,
    Heartbeat,
    LedgerLine,
    Plan,
    Review,
)
from fabgate.collector.money.billing.charges import behind, refresh
from fabgate.collector.recording.sessions import corrections
from tests.browser import sample_data
from tests.collector.faces.api.asked import ask
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.used import Used, text

#: The tables that only the follower writes; it locks the last of them first.
TABLES: Final = ("collector_charge", "collector_chargeterms", "collector_billingprogress")
_WRITES: Final = re.compile(rf"\s*(INSERT|UPDATE|DELETE)\b.*\b({'|'.join(TABLES)})\b", re.IGNORECASE | re.DOTALL)
_LOCKS: Final = re.compile(rf"\b{TABLES[-1]}\b.*FOR (NO KEY )?UPDATE", re.IGNORECASE | re.DOTALL)
#: The pages with charges or balances of open months. The others of the month show prices, entries of the credit ledger, or
#: statements of closed months.
WITH_CHARGES: Final = {
    *("month", "month-payer", "month-session", "month-statement", "month-close", "month-waive"),
    *("month-credits-left", "people-credit", "people-credit-add", "people-credit-refund", "people-credit-take-back"),
    *("people-one", "people-leave"),
    *("my-minutes", "my-minutes-contest", "my-minutes-credit", "my-statements", "my-statement"),
}
#: These show a card, where their payer has credit.
WITH_CARDS: Final = {"people-group", "people-payer-one"}
WAITING: Final = "Not charged yet: sessions that ended or changed since"
REPRICED: Final = "Prices, plans or machines changed: amounts have not been up to date since"


@pytest.fixture
def site(env: Any, told: list[Any]) -> dict[str, Any]:
    """A workshop of two months in which everything is charged, and the worker is alive."""
    found = sample_data.fill()
    Heartbeat.beat(Heartbeat.WORKER, datetime.now(UTC))
    assert behind.now() is None
    return found


def leave_behind() -> None:
    """Change sessions of the month that is open, of every payer, so that each has something that is not charged."""
    lines = LedgerLine.objects.filter(pk__gt=BillingProgress.objects.get().position)
    open_month = refresh.open_book().open_month
    for name in sorted(
        set(Charge.objects.filter(month__gte=open_month, reverses="").values_list("session", flat=True))
    ):
        corrections.correct(name, "time", "60000", author="maya", reason="the clock")
    assert lines.count() > behind.FEW


@contextmanager
def noting(found: list[str]) -> Iterator[None]:
    """Note each statement that would charge."""

    def listen(execute: Callable[..., Any], statement: str, *more: Any) -> Any:
        if _WRITES.match(statement) or _LOCKS.search(statement):
            found.append(statement)
        return execute(statement, *more)

    with connection.execute_wrapper(listen):
        yield


def opened(address: str, who: str) -> Any:
    client = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
    if who:
        client.force_login(Account.objects.get(name=who))
    answer = client.get(address)
    if answer.streaming and not answer.is_async:
        list(answer)
    answer.close()
    return answer


def shows_charges(page: dict[str, str], shown: str) -> bool:
    """Return whether a page shows what may change: also the card of a credit, but no closed month."""
    is_final = page["path"].endswith(f"{ClosedMonth.objects.get().month:%Y-%m}") and "close" not in page["path"]
    return not is_final and (page["route"] in WITH_CHARGES or (page["route"] in WITH_CARDS and "credit-title" in shown))


def test_no_page_and_no_program_that_reads_charges_anything(site):
    for page in site["pages"]:
        if page["route"] in WITH_CHARGES | WITH_CARDS:
            shown = opened(page["path"], page["as"]).content.decode()
            assert WAITING not in shown, page
            assert REPRICED not in shown, page
    leave_behind()
    before, position = list(Charge.objects.order_by("pk").values()), BillingProgress.objects.values().get()
    sent: list[str] = []
    silent = []
    with noting(sent):
        for page in site["pages"]:
            answer = opened(page["path"], page["as"])
            shown = "" if answer.streaming else answer.content.decode()
            if answer.status_code == 200 and shows_charges(page, shown) is not (WAITING in shown):
                silent.append(page["path"])
        for route, address in site["no_pages"].items():
            opened(address, sample_data.MEMBER if route.startswith("my-") else sample_data.MANAGER)
        _row, token = ApiKey.make("Invoices", ["charges:read", "sessions:read"], made_by=None, expires_at=None)
        month = f"{refresh.open_book().open_month:%Y-%m}"
        for address in ("charges", "statements", f"charges/month?month={month}", f"statements/month?month={month}"):
            answer = ask(token, address)
            assert "month?" not in address or answer["not_charged_since"] is not None
        for address in ("/metrics", "/healthz", "/api/v1/sessions"):
            Client(headers={"host": "localhost", "Authorization": f"Bearer {token}"}).get(address)
    assert not sent
    assert not silent
    assert {page["route"] for page in site["pages"]} >= WITH_CHARGES | WITH_CARDS
    assert list(Charge.objects.order_by("pk").values()) == before
    assert BillingProgress.objects.values().get() == position


@pytest.fixture
def charged_shop(shop: Used) -> Used:
    billing.start()
    billing.rule("price=0.10")
    shop.session("s-1", "m-1", NOON, 30)
    refresh.refresh_all()
    Heartbeat.beat(Heartbeat.WORKER, datetime.now(UTC))
    return shop


def test_new_prices_are_named_and_a_worker_that_does_not_run(charged_shop, browse):
    billing.rule("price=0.20", since=FIRST + timedelta(days=1))
    manager = browse("manager")
    shown = text(manager.get("/month"))
    assert REPRICED in shown
    assert "Reload in a moment." in shown
    stopped = datetime.now(UTC) - timedelta(hours=3)
    Heartbeat.beat(Heartbeat.WORKER, stopped)
    shown = text(manager.get("/month"))
    assert f"{timezone.localtime(stopped):%H:%M}" in shown
    assert "Ask the person who runs the collector to start it." in shown
    Heartbeat.objects.all().delete()
    assert "worker has never run." in text(manager.get("/month"))
    refresh.refresh_all()
    assert "has never run" not in text(manager.get("/month"))


def test_a_month_is_not_closed_while_many_changes_are_not_charged(charged_shop, browse):
    for number in range(behind.FEW + 1):
        charged_shop.session(f"t-{number}", "m-2", NOON + timedelta(hours=number), 10, gate="lathe-1")
    manager = browse("manager")
    sent = {"sure": "1", "month": f"{FIRST:%Y-%m}", "reason": "the books are due"}
    answer = manager.post("/month/close", sent)
    assert answer.status_code == 409
    assert "Charges are not up to date yet. Close the month in a moment." in text(answer)
    assert Charge.objects.count() == 1
    refresh.refresh_all()
    assert manager.post("/month/close", sent).status_code == 303


def test_acts_of_a_page_are_charged_when_it_shows_what_they_changed(charged_shop, browse):
    """The worker does not run: a correction, a review and a plan show their own money."""
    charged_shop.session("s-2", "m-2", NOON + timedelta(hours=2), 30, reason="power-loss", uncertainty_ms=90_000)
    manager = browse("manager")
    typed = {"time": "0:10:00", "member": "Zoé Müller", "payer": "Zoé Müller", "purpose": "own", "reason": "the clock"}
    page = manager.get("/use/s-1").content.decode()
    seen = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
    assert manager.post("/use/s-1", {**seen, **typed}).status_code == 303
    assert Charge.objects.get(session="s-1").amount_minor == 100
    review = Review.objects.get(session="s-2")
    assert manager.post("/use/review", {"decision": "accepted", "review": review.pk, "note": ""}).status_code == 303
    assert Charge.objects.get(session="s-2").amount_minor == 300
    half = Plan.objects.create(name="half", discount_percent=50)
    typed = {"plan": half.pk, "since": FIRST.isoformat()}
    seen = manager.post("/people/m-1/plan", typed).context["difference"]["seen"]  # it is shown before it is stored
    assert manager.post("/people/m-1/plan", {**typed, "sure": seen}).status_code == 303
    assert Charge.objects.get(session="s-1").amount_minor == 50
