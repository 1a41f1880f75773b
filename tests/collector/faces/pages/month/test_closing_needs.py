"""Is a month whose statements would have no sender, or no way to be paid, closed only with a reason?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.ground.models import ClosedMonth, ManualLine, Member, Workshop
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.prepaid import modes
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH
from tests.collector.faces.pages.tables import words

NO_SENDER = "the statements have no sender"
NO_PAYMENT = "the statements do not say how to pay"
#: The month is over.
LATER = datetime.combine(terms.next_month(FIRST), datetime.min.time(), UTC) + timedelta(hours=1)
pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def manager(browse):
    billing.start()
    return browse("manager")


def line(amount_minor: int, payer: str = "m-1") -> None:
    ManualLine.objects.create(
        month=FIRST, day=FIRST, payer=payer, text="Plywood", amount_minor=amount_minor, author="kim", at=LATER
    )


def left() -> closing.Open:
    return closing.open_in(FIRST, refresh.open_book(), LATER)


def needs() -> tuple[bool, bool]:
    return left().without_sender, left().without_payment


def details(**changed: str) -> None:
    Workshop.objects.update_or_create(id=1, defaults={"name": "Lyon lab", "address": "1 rue X\n69001 Lyon", **changed})


def test_a_month_that_asks_for_payment_without_sender_and_account_is_closed_only_with_a_reason(manager):
    line(1_250)
    for page in (f"/month?month={MONTH}", f"/month/close?month={MONTH}"):
        shown = words(manager.get(page))
        assert "Workshop details are missing" in shown, page
        assert "Nothing says how to pay" in shown, page
    with pytest.raises(UsageError, match=f"{NO_SENDER}.*\n{NO_PAYMENT}.*\nto close the month anyway"):
        closing.close(FIRST, LATER, actor="kim")
    sent = {"sure": "1", "month": MONTH, "reason": ""}
    assert manager.post("/month/close", sent).status_code == 400
    assert not ClosedMonth.objects.exists()
    assert manager.post("/month/close", {**sent, "reason": "paid in cash"}).status_code == 303
    assert ClosedMonth.objects.get().reason == "paid in cash"


def test_with_sender_and_account_it_is_closed_without_a_reason(manager):
    line(1_250)
    details(iban="FR7630006000011234567890189")
    assert needs() == (False, False)
    shown = words(manager.get(f"/month?month={MONTH}"))
    assert "Workshop details are missing" not in shown
    assert "Nothing says how to pay" not in shown
    assert closing.close(FIRST, LATER, actor="kim").reason == ""


def test_words_about_payment_are_enough(manager):
    line(1_250)
    details()
    assert needs() == (False, True)
    details(payment_text="By card at the desk")
    assert needs() == (False, False)


@pytest.mark.parametrize("missing", ["name", "address"])
def test_name_and_address_are_both_needed(manager, missing):
    line(1_250)
    details(iban="FR7630006000011234567890189", **{missing: " "})
    assert needs() == (True, False)


def test_a_month_without_statements_needs_neither(manager):
    assert needs() == (False, False)


def test_nobody_has_to_say_how_to_pay_what_is_owed_to_payers_or_paid_from_credit(manager):
    line(-500)
    assert needs() == (True, False)
    Member.objects.create(id="m-2", name="Bob")
    modes.set_mode("m-2", FIRST, prepays=True, actor="kim")
    line(1_250, "m-2")
    assert needs() == (True, False)
    line(100, "m-3")
    assert needs() == (True, True)
