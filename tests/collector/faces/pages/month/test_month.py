"""Does the month show what all sessions come to, to whom, and what is left to do; and nothing before billing starts?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.utils import translation

from fabgate.collector.ground.models import BillingTerms, Change, Member, Payer, UsageSession
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing import month as months
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.currencies import DIGITS
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.paper.figures import NOTHING, Money
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import MONTH, NOON
from tests.collector.faces.pages.racing import at_once, sent
from tests.collector.faces.pages.tables import rows
from tests.collector.faces.pages.used import Used, text
from tests.collector.money.billing import oracle

pytestmark = pytest.mark.usefixtures("database")
#: The month after the first one, which is the current one.
NEXT = f"{terms.next_month(billing.FIRST):%Y-%m}"


@pytest.fixture
def manager(browse):
    return browse("manager", beside_worker=True)


# --- before and after the start ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["manager", "accountant", "auditor"])
def test_before_billing_starts_no_page_shows_a_price(browse, shop, role):
    shop.session("s-1", "m-1", NOON, 30)
    client = browse(role)
    for path in ("/use", "/use/s-1"):
        page = text(client.get(path))
        assert 'href="/month"' not in page
        assert "Price, step by step" not in page
        assert ('href="/month/start"' in page) is (path == "/use" and role != "auditor")
    assert client.get("/month").headers["Location"] == "/month/start"
    for path in ("/month/tariffs", "/month/plans", "/month/try", "/month/payer/m-1", "/month/session/s-1"):
        assert client.get(path).status_code == 404


def test_billing_is_started_once(manager, monkeypatch):
    monkeypatch.setattr(settings, "TIME_ZONE", "Africa/Tunis")
    page = manager.get("/month/start")
    assert page.context["form"]["currency"].value() == "TND"
    assert "Africa/Tunis" in text(page)
    assert "checked" not in text(page)  # the choice is final: nothing is chosen for the person
    assert "This choice is final." in text(page)
    assert "art. 261-7-1" in text(page)
    this = f"{billing.used.NOON:%Y-%m}"
    typed = {"currency": "CHF", "vat": "excluded", "first": this}
    assert manager.post("/month/start", {**typed, "currency": "XAU", "vat": ""}).context["form"].errors.keys() == {
        "currency",
        "vat",
    }
    assert not BillingTerms.objects.exists()
    assert manager.post("/month/start", typed).headers["Location"] == "/month/tariffs"
    found = terms.get()
    assert (found.currency, found.includes_vat, f"{found.first_month:%Y-%m}", found.zone) == (
        *("CHF", False, this),
        "Africa/Tunis",
    )
    assert Change.objects.get(verb="billing.started").actor == "manager"
    manager.post("/month/start", {**typed, "currency": "EUR"})
    assert terms.get().currency == "CHF"
    assert "CHF" in text(manager.get("/month/start"))


@pytest.mark.parametrize(
    ("vat", "stored", "words"),
    [
        ("included", True, "Prices include VAT."),
        ("excluded", False, "Prices exclude VAT."),
        ("not-applicable", None, "VAT not applicable, art. 293 B CGI."),
    ],
)
def test_pages_say_what_prices_have_to_do_with_vat(manager, vat, stored, words):
    manager.post("/month/start", {"currency": "EUR", "vat": vat, "first": billing.MONTH})
    assert terms.get().includes_vat is stored
    assert words in text(manager.get("/month"))
    assert ("without VAT (art. 293 B CGI)" in text(manager.get("/month/tariffs/new"))) is (stored is None)
    assert ("have no VAT" in text(manager.get("/month/start"))) is (stored is None)


def test_two_people_never_start_billing_twice(browse):
    typed = {"vat": "included", "first": f"{billing.used.NOON:%Y-%m}"}
    answers = at_once(
        sent(browse("manager"), "/month/start", {**typed, "currency": "EUR"}),
        sent(browse("accountant"), "/month/start", {**typed, "currency": "CHF"}),
    )
    assert {answer.status_code for answer in answers} <= {303, 400, 409}
    assert [answer.status_code for answer in answers].count(303) == 1
    assert Change.objects.filter(verb="billing.started").count() == 1


@pytest.mark.parametrize("role", ["manager", "accountant", "auditor", "desk", "member", "trainer"])
def test_the_tab_appears_for_those_who_read_it(browse, role):
    billing.start()
    client = browse(role)
    shown = 'href="/month"' in text(client.get("/me"))
    assert shown is (role in {"manager", "accountant", "auditor"})
    assert (client.get("/month").status_code == 200) is shown


# --- what it comes to -------------------------------------------------------------------------------------------------


@pytest.fixture
def billed(shop) -> Used:
    """Sessions of every class but waived, at the band saw with a price and at the lathe without one."""
    billing.start()
    billing.plan("student", "m-1", free_minutes=20, discount_percent=Decimal("12.5"))
    billing.rule("price=0.10 grace_s=60 daily_cap=2.50", machine="bandsaw")
    for number, (member, minutes, gate) in enumerate(
        [("m-1", 15, "saw-1"), ("m-1", 16, "saw-1"), ("m-2", 31, "saw-1"), ("m-2", 1, "saw-1"), ("m-3", 9, "lathe-1")]
    ):
        shop.session(f"s-{number}", member, NOON + timedelta(hours=number), minutes, gate)
    shop.session("s-5", "m-3", NOON + timedelta(hours=6), 5, uncertainty_ms=90_000, reason="power-loss")
    shop.session("s-6", "m-2", NOON + timedelta(hours=7), 12)
    corrections.correct("s-6", "purpose", "maintenance", author="maya", reason="oiled")
    shop.session("s-next", "m-2", NOON + timedelta(days=31), 12)
    return shop


def test_the_classes_add_up_to_all_sessions_of_the_month(billed, manager):
    page = manager.get(f"/month?month={MONTH}")
    assert rows(page.content.decode(), "Sessions and lines by class") == [
        ["Billed", "2", "0:47:00", "€3.46"],
        ["Free", "1", "0:15:00", "€0.00"],
        ["Too short", "1", "0:01:00", "€0.00"],
        ["In review", "1", "0:05:00", NOTHING],
        ["No tariff", "1", "0:09:00", NOTHING],
        ["Not billable", "1", "0:12:00", NOTHING],
        ["Total", "7", "1:29:00", "€3.46"],
    ]
    assert [row[:2] + row[3:] for row in rows(page.content.decode(), "Payers")] == [
        ["Bjørn Sørensen", "3", "€2.50"],
        ["Zoé Müller", "2", "€0.96"],
        ["Zoé Petit", "2", "€0.00"],
    ]


def test_what_is_open_leads_to_payers_without_an_address_and_to_the_month_to_close_first(billed, manager):
    payers.ensure(Payer(id="m-2", member_id="m-2", address="1 rue Neuve"), actor="maya")
    page = text(manager.get(f"/month?month={MONTH}"))
    assert "1 payer without an address" in page
    page = manager.get(f"/month?month={MONTH}&without=address").content.decode()
    assert [row[0] for row in rows(page, "Payers")] == ["Zoé Müller"]
    assert 'href="/people/payers/m-1"' in text(manager.get(f"/month/payer/m-1?month={MONTH}"))
    assert "not closed yet" not in page
    assert f"{billing.FIRST:%B %Y} is not closed yet" in text(manager.get(f"/month?month={NEXT}"))


def test_a_month_without_charges_says_so_and_what_is_open(shop, manager):
    billing.start()
    page = text(manager.get(f"/month?month={NEXT}"))
    assert "No session and no line in this month" in page
    assert f'href="/month?month={MONTH}">{billing.FIRST:%B %Y} is not closed yet</a>' in page
    page = text(manager.get(f"/month?month={MONTH}"))
    assert "No session and no line in this month" in page
    assert "is not closed yet" not in page
    assert "2 gates with missing entries" in page  # neither was seen since the month ended
    assert "Metal lathe, Band saw" in page  # the names of the machines, not of their gates


def test_a_month_without_charges_and_with_nothing_open_says_only_the_former(shop, manager):
    billing.start(first=terms.next_month(billing.FIRST))
    page = text(manager.get("/month"))
    assert "No session and no line in this month" in page
    assert "To do before closing" not in page
    assert "statements are complete" not in page


def test_amounts_are_those_of_the_second_implementation(billed, manager):
    rules = terms.for_rating(terms.get())
    facts = [facts for _payer, facts in months.sessions(billing.FIRST, ZoneInfo("UTC"))]
    by_payer = {
        user: oracle.judge([one for one in facts if one.user == user], rules) for user in {one.user for one in facts}
    }
    for user, judged in by_payer.items():
        page = manager.get(f"/month/payer/{user}?month={MONTH}")
        shown = sorted(row[-1] for row in rows(page.content.decode(), "Sessions and lines")[:-1])
        wanted = [
            f"€{minor / 100:.2f}" if kind in {"billed", "free", "grace"} else NOTHING for kind, minor in judged.values()
        ]
        assert shown == sorted(wanted)


def test_what_is_open_has_its_link(billed, manager):
    billed.write("saw-1", "gate.started", billed.now, version="1")
    page = text(manager.get(f"/month?month={MONTH}"))
    assert '<a href="/use/review">1 session to review</a>' in page
    assert '<a href="/month/tariffs#unpriced">1 session without a tariff</a>' in page


def test_a_month_follows_each_change(billed, manager):
    def total() -> str:
        return rows(manager.get(f"/month?month={MONTH}").content.decode(), "Sessions and lines by class")[-1][-1]

    assert total() == "€3.46"
    corrections.correct("s-1", "time", str(26 * 60_000), author="maya", reason="wrong")
    assert total() == "€4.34"
    billing.rule("price=0.20", NOON.date(), machine="lathe")
    assert total() == "€6.14"
    billed.session("s-7", "m-4", NOON + timedelta(hours=9), 10)
    assert total() == "€7.14"


def test_a_payer_sees_the_sessions_of_others_that_they_pay_for(billed, manager):
    UsageSession.objects.filter(pk="s-1").update(payer="m-2")
    page = manager.get(f"/month/payer/m-2?month={MONTH}").content.decode()
    found = rows(page, "Sessions and lines")
    assert len(found) == 5
    assert [row[1] for row in found[:-1]].count("Zoé Müller") == 1


def test_a_session_is_explained_with_its_steps(billed, manager):
    page = manager.get("/month/session/s-1").content.decode()
    steps = re.findall(r"<tr><th[^>]*>(.*?)</th><td[^>]*>(.*?)</td></tr>", page)
    assert steps[1:] == [
        ("On: 0:16:00 from 13:00:00, of which 0:05:00 free, at €0.10 a minute", "€1.10"),
        ("Discount of the plan", "\N{MINUS SIGN}€0.1375"),
        ("Rounded", "€0.96"),
    ]
    assert manager.get("/month/session/s-none").status_code == 404
    assert "Price, step by step" in text(manager.get("/use/s-1"))


def test_french_amounts_and_steps(billed, browse, account):
    client = browse(account("manager", lang="fr"), beside_worker=True)
    assert "3,46\N{NO-BREAK SPACE}€" in client.get(f"/month?month={MONTH}").content.decode()
    page = client.get("/month/session/s-1").content.decode()
    assert "Allumée\N{NO-BREAK SPACE}: 0:16:00 à partir de 13:00:00" in page
    assert "à 0,10\N{NO-BREAK SPACE}€ la minute" in page


@pytest.mark.parametrize(
    ("currency", "lang", "minor", "shown"),
    [
        ("EUR", "en", 123_456_789, "€1,234,567.89"),
        ("EUR", "fr", -1250, "\N{MINUS SIGN}12,50\N{NO-BREAK SPACE}€"),
        ("CHF", "en", 5, "CHF\N{NO-BREAK SPACE}0.05"),
        ("JPY", "en", 1250, "¥1,250"),
        ("TND", "fr", 938, "0,938\N{NO-BREAK SPACE}TND"),
    ],
)
def test_an_amount_is_written_as_its_readers_do(currency, lang, minor, shown):
    with translation.override(lang):
        assert Money(currency, DIGITS[currency]).minor(minor) == shown


@pytest.mark.parametrize("month", ["2020-01", "soon", "9999-12", "2027-13"])
def test_a_month_that_is_not_billed_is_404(manager, month):
    billing.start()
    assert manager.get(f"/month?month={month}").status_code == 404


def test_the_arrows_lead_from_the_first_month_to_this_one(manager, shop):
    billing.start()
    first, this = text(manager.get(f"/month?month={MONTH}")), text(manager.get(f"/month?month={NEXT}"))
    assert "The month before" not in first
    assert "The month after" in first
    assert f'href="?month={MONTH}"' in this
    assert "The month after" not in this
    assert "No session and no line in this month" in this


def test_it_opens_on_the_month_that_can_be_closed(shop, manager):
    billing.start()
    page = manager.get("/month")
    assert page.context["month"] == billing.FIRST
    assert "Close this month…" in text(page)
    closing.close(billing.FIRST, datetime.now(UTC) + timedelta(days=60), actor="maya", reason="all seen")
    assert f"{manager.get('/month').context['month']:%Y-%m}" == NEXT


def test_lines_are_not_called_sessions(billed, manager):
    Member.objects.create(id="m-9", name="Only Lines")
    decisions.add_line("m-9", "Plywood", 1_200, day=billing.FIRST, author="maya")
    decisions.add_line("m-9", "Screws", 300, day=billing.FIRST, author="maya")
    decisions.add_line("m-2", "Glue", 200, day=billing.FIRST, author="maya")
    page = manager.get(f"/month?month={MONTH}").content.decode()
    counted = {row[0]: row[1] for row in (*rows(page, "Payers"), *rows(page, "Sessions and lines by class"))}
    assert (counted["Only Lines"], counted["Bjørn Sørensen"], counted["Zoé Müller"]) == ("2 lines", "3 + 1 line", "2")
    assert (counted["Lines"], counted["Total"]) == ("3 lines", "7 + 3 lines")
    page = text(manager.get(f"/month/payer/m-9?month={MONTH}"))
    assert "2 lines" in page
    assert "0 sessions" not in page
    assert "3 sessions" in text(manager.get(f"/month/payer/m-2?month={MONTH}"))


@pytest.mark.parametrize(
    ("typed", "found"),
    [("zoe", ["Zoé Müller", "Zoé Petit"]), ("SØREN", ["Bjørn Sørensen"]), ("m-3", ["Zoé Petit"]), ("nobody", [])],
)
def test_payers_are_found_by_name_or_number(billed, manager, typed, found):
    page = manager.get("/month", {"month": MONTH, "q": typed, "sort": "name"})
    shown = rows(page.content.decode(), "Payers") if found else []
    assert [row[0] for row in shown] == found
    assert ("No payer of this month" in text(page)) is (not found)
    assert "€3.46" in text(page)  # the sums are those of all payers


def test_many_payers_are_paged(manager, shop):
    billing.start()
    billing.rule("price=1")
    Member.objects.bulk_create(Member(id=f"n-{number}", name=f"N {number:03}") for number in range(60))
    shop.session("s-0", "m-1", NOON, 5)
    row = UsageSession.objects.get()
    for number in range(60):
        row.pk, row.used_by, row.payer = f"s-n{number}", f"n-{number}", f"n-{number}"
        row.save(force_insert=True)
    page = manager.get(f"/month?month={MONTH}&sort=name")
    assert len(rows(page.content.decode(), "Payers")) == 50
    more = manager.get(f"/month{page.context['page'].after}")
    assert len(rows(more.content.decode(), "Payers")) == 11
    assert more.context["page"].before == f"?month={MONTH}&sort=name"
