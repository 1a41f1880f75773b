"""Do the pages show what is charged: late sessions, reversals, lines and closed months?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.ground.models import ClosedMonth, ManualLine, Member, Plan, Waiver
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.paper.figures import MINUS
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.tables import rows
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("database")
NEXT = terms.next_month(FIRST)


@pytest.fixture
def corrected_shop(shop: Used) -> Used:
    """A closed month with a session of m-1, which m-2 pays since then, and a line."""
    billing.start()
    billing.rule("price=0.10")
    shop.session("s-1", "m-1", NOON, 30)
    closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")
    corrections.correct("s-1", "payer", "m-2", author="maya", reason="wrong payer")
    decisions.add_line("m-2", "Plywood", 1_250, day=FIRST, author="maya", session="s-1")
    return shop


@pytest.fixture
def manager(browse):
    return browse("manager", beside_worker=True)


def test_a_closed_month_stays_and_the_open_one_has_the_reversal_the_new_charge_and_the_line(manager, corrected_shop):
    page = text(manager.get(f"/month?month={FIRST:%Y-%m}"))
    assert rows(page, "Payers") == [["Zoé Müller", "1", "0:30:00", "€3.00"]]
    assert "these amounts are final" in page
    assert "To do before closing" not in page
    page = text(manager.get(f"/month?month={NEXT:%Y-%m}"))
    assert [row for row in rows(page, "Sessions and lines by class") if row[0] != "Total"] == [
        ["Lines", "1 line", "", "€12.50"]
    ]
    assert sorted(rows(page, "Payers")) == [
        ["Bjørn Sørensen", "1 + 1 line", "0:30:00", "€15.50"],
        ["Zoé Müller", f"{MINUS}1", f"{MINUS}0:30:00", f"{MINUS}€3.00"],
    ]


def test_a_payer_sees_of_which_month_a_charge_is(manager, corrected_shop):
    page = text(manager.get(f"/month/payer/m-1?month={NEXT:%Y-%m}"))
    assert rows(page, "Sessions and lines")[0][2:] == [
        f"{MINUS}0:30:00",
        f"Reversal ({FIRST:%B %Y})",
        f"{MINUS}€3.00",
    ]
    page = text(manager.get(f"/month/payer/m-2?month={NEXT:%Y-%m}"))
    assert [row[-2:] for row in rows(page, "Sessions and lines")] == [
        [f"Billed ({FIRST:%B %Y})", "€3.00"],
        ["Line Remove Plywood", "€12.50"],
        ["", "€15.50"],
    ]
    assert "Plywood" in page


def test_a_session_shows_all_its_charges(manager, corrected_shop):
    page = text(manager.get("/month/session/s-1"))
    assert rows(page, "Charges") == [
        [f"{FIRST:%B %Y}", "Zoé Müller", "Billed", "€3.00"],
        [f"{NEXT:%B %Y}", "Zoé Müller", f"Reversal ({FIRST:%B %Y})", f"{MINUS}€3.00"],
        [f"{NEXT:%B %Y}", "Bjørn Sørensen", f"Billed ({FIRST:%B %Y})", "€3.00"],
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
    assert "This session was charged according to the rules, plans and free minutes of that time." in page
    assert rows(page, "Charges") == [[f"{FIRST:%B %Y}", "Zoé Müller", "Free", "€0.00"]]


# --- closing a month --------------------------------------------------------------------------------------------------


def test_a_month_that_is_over_is_closed_after_a_look_at_what_is_open(manager):
    found = Used()
    billing.start()
    billing.rule("price=0.10")
    found.session("s-1", "m-1", NOON, 30, uncertainty_ms=90_000, reason="power-loss")
    assert f'href="/month/close?month={FIRST:%Y-%m}"' in text(manager.get(f"/month?month={FIRST:%Y-%m}"))
    page = text(manager.get(f"/month/close?month={FIRST:%Y-%m}"))
    assert "1 session to review" in page
    sent = {"sure": "1", "month": f"{FIRST:%Y-%m}", "reason": ""}
    refused = manager.post("/month/close", sent)
    assert refused.status_code == 400
    assert "Something is left to do: say why you close the month anyway." in text(refused)
    assert not ClosedMonth.objects.exists()
    answer = manager.post("/month/close", {**sent, "reason": "the books are due"})
    assert answer.headers["Location"] == f"/month?month={FIRST:%Y-%m}"
    assert ClosedMonth.objects.get().reason == "the books are due"
    page = text(manager.get(answer.headers["Location"]))
    assert "these amounts are final" in page
    assert "/month/close" not in page
    assert manager.post("/month/close", {**sent, "reason": "again"}).status_code == 404


@pytest.mark.parametrize("month", ["", "2020-01", "now", f"{NEXT:%Y-%m}"])
def test_another_month_cannot_be_closed(manager, month):
    billing.start()
    assert manager.post("/month/close", {"sure": "1", "month": month, "reason": "x"}).status_code == 404
    assert not ClosedMonth.objects.exists()


@pytest.mark.parametrize("role", ["auditor", "desk", "trainer", "member"])
def test_other_roles_close_waive_and_charge_nothing(browse, corrected_shop, role):
    client = browse(role)
    assert client.post("/month/close", {"sure": "1", "month": f"{NEXT:%Y-%m}"}).status_code == 403
    assert client.post("/month/waive/s-1", {"sure": "1", "reason": "x"}).status_code == 403
    assert (
        client.post("/month/line/m-1", {"sure": "1", "text": "x", "day": f"{FIRST}", "amount": "1"}).status_code == 403
    )
    assert not Waiver.objects.exists()
    assert ManualLine.objects.count() == 1


# --- waivers and lines ------------------------------------------------------------------------------------------------


def test_a_session_is_waived_and_charged_again(manager, corrected_shop):
    assert "Waive" in text(manager.get("/month/session/s-1"))
    page = text(manager.get("/month/waive/s-1"))
    assert "Zoé Müller · Band saw" in page
    assert "€3.00" in page
    assert manager.post("/month/waive/s-1", {"sure": "1", "reason": ""}).status_code == 400
    manager.post("/month/waive/s-1", {"sure": "1", "reason": "the machine was faulty"})
    assert rows(text(manager.get("/month/session/s-1")), "Charges")[-1][2:] == [f"Waived ({FIRST:%B %Y})", "€0.00"]
    page = text(manager.get("/month/waive/s-1"))
    assert "the machine was faulty" in page
    waiver = Waiver.objects.get()
    assert f'name="waiver" value="{waiver.pk}"' in page
    manager.post("/month/waive/s-1", {"sure": "1", "waiver": waiver.pk, "reason": "it was not"})
    assert rows(text(manager.get("/month/session/s-1")), "Charges")[-1][2:] == [f"Billed ({FIRST:%B %Y})", "€3.00"]


def test_a_second_click_takes_no_waiver_back(manager, corrected_shop):
    waived = {"sure": "1", "waiver": "", "reason": "the machine was faulty"}
    answers = [manager.post("/month/waive/s-1", waived) for _click in range(2)]
    assert [answer.status_code for answer in answers] == [303, 409]
    waiver = Waiver.objects.get()
    charged = {"sure": "1", "waiver": waiver.pk, "reason": "it was not"}
    answers = [manager.post("/month/waive/s-1", charged) for _click in range(2)]
    assert [answer.status_code for answer in answers] == [303, 409]
    assert not Waiver.objects.exists()


def test_a_second_click_is_asked_about_and_charges_nothing_twice(manager, corrected_shop):
    sent = {"sure": "1", "text": "Plywood", "day": f"{NEXT}", "amount": "12.50"}
    assert manager.post("/month/line/m-1", sent).status_code == 303
    again = manager.post("/month/line/m-1", sent)
    assert again.status_code == 409
    assert "Is this a second line?" in text(again)
    assert ManualLine.objects.filter(payer="m-1").count() == 1
    assert manager.post("/month/line/m-1", {**sent, "is_meant": "1"}).status_code == 303
    assert ManualLine.objects.filter(payer="m-1").count() == 2


@pytest.mark.parametrize(("typed", "minor"), [("12.5", 1_250), ("-3", -300), ("0.01", 1)])
def test_a_line_is_added_and_removed(manager, corrected_shop, typed, minor):
    sent = {"sure": "1", "text": "Plywood", "day": f"{NEXT}", "amount": typed}
    answer = manager.post("/month/line/m-1", sent)
    assert answer.headers["Location"] == f"/month/payer/m-1?month={NEXT:%Y-%m}"
    line = ManualLine.objects.get(payer="m-1")
    assert (line.amount_minor, line.author) == (minor, "manager")
    assert f"/month/lines/{line.pk}/remove" in text(manager.get(answer.headers["Location"]))
    manager.post(f"/month/lines/{line.pk}/remove")
    assert not ManualLine.objects.filter(payer="m-1").exists()


def test_the_day_of_a_line_decides_its_month_also_while_an_earlier_one_is_open(manager):
    Used()
    billing.start()
    page = text(manager.get("/month/line/m-1"))
    assert "in the month of the chosen day" in page
    assert "are closed" not in page
    for day in (NEXT, FIRST):
        answer = manager.post("/month/line/m-1", {"sure": "1", "text": "Plywood", "day": f"{day}", "amount": "12.50"})
        assert answer.headers["Location"] == f"/month/payer/m-1?month={day:%Y-%m}"
        assert f"Plywood: charged in {day:%B %Y}." in text(manager.get(answer.headers["Location"]))
    assert [(line.day, line.month) for line in ManualLine.objects.order_by("pk")] == [(NEXT, NEXT), (FIRST, FIRST)]


def test_a_line_of_a_closed_month_is_charged_in_the_first_open_one_and_the_page_says_so_before_and_after(
    manager, corrected_shop
):
    page = text(manager.get("/month/line/m-1"))
    assert f"Months before {NEXT:%B %Y} are closed: a line of an earlier day is charged in {NEXT:%B %Y}." in page
    day = NOON.date()
    answer = manager.post("/month/line/m-1", {"sure": "1", "text": "Glue", "day": f"{day}", "amount": "3"})
    line = ManualLine.objects.get(payer="m-1")
    assert (line.day, line.month) == (day, NEXT)
    page = text(manager.get(answer.headers["Location"]))
    assert f"Glue: charged in {NEXT:%B %Y}, because {FIRST:%B %Y} is closed." in page
    assert f'<time datetime="{day}">' in page


@pytest.mark.parametrize("typed", ["", "soon", "1999-12-31", f"{datetime.now(UTC).date() + timedelta(days=2)}"])
def test_a_day_that_cannot_be_is_refused_at_its_field(manager, corrected_shop, typed):
    answer = manager.post("/month/line/m-1", {"sure": "1", "text": "Plywood", "day": typed, "amount": "3"})
    assert answer.status_code == 400
    assert "day" in answer.context["form"].errors
    assert not ManualLine.objects.filter(payer="m-1").exists()


def test_french_amounts_have_a_comma(browse, account, corrected_shop):
    client = browse(account("accountant", name="tom", lang="fr"))
    client.post("/month/line/m-1", {"sure": "1", "text": "Contreplaqué", "day": f"{NEXT}", "amount": "12,50"})
    assert ManualLine.objects.get(payer="m-1").amount_minor == 1_250


@pytest.mark.parametrize("typed", ["", "0", "a lot", "1.005", "NaN", "Infinity", "100000.01"])
def test_an_amount_that_cannot_be_charged_is_refused_at_its_field(manager, corrected_shop, typed):
    answer = manager.post("/month/line/m-1", {"sure": "1", "text": "Plywood", "day": f"{NEXT}", "amount": typed})
    assert answer.status_code == 400
    assert "amount" in answer.context["form"].errors
    assert not ManualLine.objects.filter(payer="m-1").exists()


def test_a_line_of_a_closed_month_stays(manager, corrected_shop):
    closing.close(NEXT, NOON + timedelta(days=90), actor="maya", reason="a test")
    line = ManualLine.objects.get()
    assert f"/month/lines/{line.pk}/remove" not in text(manager.get(f"/month/payer/m-2?month={NEXT:%Y-%m}"))
    answer = manager.post(f"/month/lines/{line.pk}/remove")
    assert answer.status_code == 400
    assert "to reverse this line, add another one of -12.50 EUR" in text(answer)


def test_an_accountant_decides_nothing_about_their_own_money(browse, account, corrected_shop):
    client = browse(account("accountant", name="zoe", member=Member.objects.get(pk="m-1")))
    for path in ("/month/waive/s-1", "/month/line/m-1"):
        assert client.post(path, {"sure": "1", "reason": "x", "text": "x", "amount": "-1"}).status_code == 403
    assert "Waive" not in text(client.get("/month/session/s-1"))
    assert "/month/line/m-1" not in text(client.get(f"/month/payer/m-1?month={NEXT:%Y-%m}"))
    assert not Waiver.objects.exists()
    assert ManualLine.objects.count() == 1
