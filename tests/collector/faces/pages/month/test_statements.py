"""Do the pages show the statements of a month, only to people with the right to see them?"""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from pypdf import PdfReader

from fabgate.collector.faces.pages.lists import numbered
from fabgate.collector.ground.models import Change, ClosedMonth, Group, Member, Payer, StatementMail, Workshop
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.paper.statements import mailing
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH, NOON
from tests.collector.faces.pages.used import Used, body, text

pytestmark = pytest.mark.usefixtures("database")
NEXT = f"{terms.next_month(FIRST):%Y-%m}"


@pytest.fixture
def charged_shop(shop: Used) -> Used:
    """A month with sessions of m-1 and m-2, whom m-1 pays for, and a line."""
    billing.start()
    billing.rule("price=0.10 vat_code=V20")
    Payer.objects.create(id="m-1", member_id="m-1", address="1 quai de Saône\n69001 Lyon")
    Member.objects.filter(pk="m-2").update(payer="m-1")
    shop.session("s-1", "m-1", NOON, 30)
    shop.session("s-2", "m-2", NOON + timedelta(hours=1), 45)
    shop.session("s-3", "m-3", NOON + timedelta(hours=2), 10)
    decisions.add_line("m-1", "Plywood", 1_250, day=FIRST, author="maya")
    return shop


def close() -> ClosedMonth:
    return closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_page_and_the_pdf_have_the_same_figures_in_the_language_of_the_payer(browse, charged_shop):
    manager = browse("manager", beside_worker=True)
    Payer.objects.filter(pk="m-1").update(lang="fr")
    answer = manager.get(f"/month/statement/m-1?month={MONTH}")
    page = words(text(answer))
    file = manager.get(f"/month/statement-pdf/m-1?month={MONTH}")
    assert file.headers["Content-Disposition"] == f'attachment; filename="{MONTH}-m-1.pdf"'
    paper = " ".join(PdfReader(io.BytesIO(file.content)).pages[0].extract_text().split())
    for shown in (
        *("Relevé ne valant pas facture", "1 quai de Saône", "Zoé Müller", "Bjørn Sørensen", "Band saw", "Plywood"),
        *("0:30:00", "3,00\N{NO-BREAK SPACE}€", "4,50\N{NO-BREAK SPACE}€", "12,50\N{NO-BREAK SPACE}€", "V20"),
        *("20,00\N{NO-BREAK SPACE}€", f"{MONTH}/m-1", "Provisoire"),
    ):
        assert " ".join(shown.split()) in page, shown
        assert " ".join(shown.split()) in paper, shown
    # what surrounds it is in the language of who looks
    assert "Tariffs" in page
    assert '<html lang="en"' in text(answer)
    table = manager.get(f"/month/statement-csv/m-1?month={MONTH}").content.decode("utf-8-sig").splitlines()
    assert len(table) == 4
    assert "Bjørn Sørensen" not in words(text(manager.get(f"/month/statement/m-3?month={MONTH}")))


def test_a_member_sees_their_own_statements_alone(account, browse, charged_shop):
    Group.objects.create(name="Class 4b").members.add("m-2")
    close()
    mine = browse(account("member", member_id="m-1"), beside_worker=True)
    page = words(text(mine.get("/my-minutes")))
    assert "My statements" in page
    assert f"{FIRST:%B %Y} €20.00" in page
    page = words(text(mine.get(f"/my-minutes/statements/{MONTH}")))
    assert "Bjørn Sørensen" in page
    assert "Final" in page
    assert mine.get(f"/my-minutes/statements/{MONTH}/pdf").content.startswith(b"%PDF")
    assert "s-2" in mine.get(f"/my-minutes/statements/{MONTH}/csv").content.decode()
    # who is paid for has no statement of it
    other = browse(account("member", "bjorn", member_id="m-2"), beside_worker=True)
    assert "My statements" not in words(text(other.get("/my-minutes")))
    assert "No statements yet" in words(text(other.get("/my-minutes/statements")))
    empty = words(text(other.get(f"/my-minutes/statements/{MONTH}")))
    assert "Nothing is charged in this month." in empty
    assert "Band saw" not in empty
    for path in (f"/month/statement/m-1?month={MONTH}", f"/month/statement-pdf/m-1?month={MONTH}"):
        assert other.get(path).status_code == 403
    for path in ("2001-01", "2199-01", "rubbish", f"{MONTH}-01"):
        assert mine.get(f"/my-minutes/statements/{path}").status_code == 404


def test_a_long_statement_is_paged_and_each_page_says_whose_sessions_it_has(browse, charged_shop):
    for day in range(numbered.SIZE):
        charged_shop.session(f"t-{day}", "m-3", NOON + timedelta(hours=4 + day), 5, gate="lathe-1")
    manager = browse("manager", beside_worker=True)
    first = text(manager.get(f"/month/statement/m-3?month={MONTH}"))
    (after,) = re.findall(r'href="(\?[^"]*after=\d+)" rel="next"', first)
    second = words(text(manager.get(f"/month/statement/m-3{after.replace('&amp;', '&')}")))
    assert re.search("Amount Zoé Petit Metal lathe", second)
    assert "€1.00" not in second
    assert "€26.00" in second


def test_the_archive_of_a_closed_month_is_downloaded_by_those_who_read_it(browse, charged_shop):
    manager = browse("manager", beside_worker=True)
    assert manager.get(f"/month/archive/{MONTH}.json?month={MONTH}").status_code == 404
    closed, auditor = close(), browse("auditor")
    page = text(manager.get(f"/month?month={MONTH}"))
    for name, sha256 in closed.archive.items():
        assert sha256 in page
        assert body(auditor.get(f"/month/archive/{name}?month={MONTH}"))
    assert "Zoé Müller" in body(manager.get(f"/month/archive/{MONTH}-names.json?month={MONTH}")).decode()
    assert manager.get(f"/month/archive/rubbish?month={MONTH}").status_code == 404
    assert browse("desk").get(f"/month/archive/{MONTH}.json?month={MONTH}").status_code == 403


def test_the_workshop_stands_at_the_head_of_open_statements(browse, charged_shop):
    manager = browse("manager", beside_worker=True)
    close()
    answer = manager.post(
        "/month/workshop",
        {
            "name": "Atelier des Deux-Rives",
            "address": " 12 rue de la Charité \n69002 Lyon ",
            "contact": "compta@example.org",
            "registration_number": "303 265 045",
            "vat_number": "",
        },
    )
    assert answer.status_code == 303
    assert Workshop.objects.get().address == "12 rue de la Charité\n69002 Lyon"
    assert Change.objects.get(verb="workshop.updated").after["name"] == "Atelier des Deux-Rives"
    assert "Atelier des Deux-Rives" in text(manager.get(f"/month/statement/m-1?month={NEXT}"))
    assert "Atelier des Deux-Rives" not in text(manager.get(f"/month/statement/m-1?month={MONTH}"))
    answer = manager.post("/month/workshop", {"name": "", "registration_number": "303265046", "vat_number": "X"})
    assert answer.status_code == 400
    assert text(answer).count("errorlist") == 3
    assert Workshop.objects.count() == 1


def test_how_statements_are_paid_is_typed_checked_logged_and_shown(browse, charged_shop):
    manager = browse("manager")
    typed = {
        "name": "Atelier des Deux-Rives",
        "iban": "fr76 3000 6000 0112 3456 7890 189",
        "bic": "agri frpp",
        "account_holder": "Les Amis de la Gravière",
        "due_days": "30",
        "payment_text": "Cash at the desk, too.",
    }
    answer = manager.post("/month/workshop", {**typed, "iban": typed["iban"][:-1] + "8", "bic": "X", "due_days": "-1"})
    assert answer.status_code == 400
    assert text(answer).count("errorlist") == 3
    assert "a letter or a digit is wrong" in text(answer)
    assert not Workshop.objects.exists()
    assert manager.post("/month/workshop", typed).status_code == 303
    row = Workshop.objects.get()
    assert (row.iban, row.bic, row.due_days) == ("FR7630006000011234567890189", "AGRIFRPP", 30)
    assert Change.objects.get(verb="workshop.updated").after["iban"] == row.iban
    page = text(manager.get(f"/month/statement/m-1?month={MONTH}"))
    assert "Do not pay yet" in page
    assert "<svg" not in page.partition('class="payment"')[2]
    close()
    page = text(manager.get(f"/month/statement/m-1?month={MONTH}")).partition('class="payment"')[2]
    for shown in (
        "To pay",
        "€20.00",
        "FR76 3000 6000 0112 3456 7890 189",
        "Cash at the desk, too.",
        "not in this system",
    ):
        assert shown in page
    assert "<svg viewBox" in page


def test_all_statements_of_a_month_are_sent_and_those_without_an_address_are_listed(browse, charged_shop, mail_server):
    mail_server()
    manager = browse("manager", beside_worker=True)
    assert manager.get(f"/month/statements?month={MONTH}").status_code == 404
    Member.objects.filter(pk="m-1").update(email="zoe@example.org")
    close()
    page = words(text(manager.get(f"/month/statements?month={MONTH}")))
    for shown in ("1 statement to send", "1 payer has no e-mail address", "Hello Zoé Müller,", f"{MONTH}-m-1.pdf"):
        assert shown in page
    narrowed = words(text(manager.get(f"/month/statements?month={MONTH}&which=no-address")))
    assert "Zoé Petit" in narrowed
    assert "zoe@example.org" not in narrowed.replace("Recipient zoe@example.org", "")
    assert manager.post(f"/month/statements?month={MONTH}").status_code == 303
    assert "1 statement is being sent." in words(text(manager.get(f"/month/statements?month={MONTH}")))
    mailing.send_waiting()
    page = words(text(manager.get(f"/month/statements?month={MONTH}")))
    assert "statement to send" not in page
    assert "zoe@example.org Sent" in page


def test_a_statement_on_which_nothing_is_charged_is_listed_and_not_sent(browse, charged_shop, mail_server):
    mail_server()
    manager = browse("manager")
    Member.objects.update(email="zoe@example.org")
    modes.set_mode("m-4", FIRST, prepays=True, actor="maya")
    ledger.credit("m-4", 2_000, Paid("cash"), author="kim", now=NOON)
    close()
    page = words(text(manager.get(f"/month/statements?month={MONTH}")))
    assert "2 statements to send" in page
    assert "1 statement has no session and no line, and is not sent." in page
    assert "not sent: nothing is charged" in page
    path = f"/month/statement-send/m-4?month={MONTH}"
    assert "Nothing is charged on this statement, so it is not sent." in words(text(manager.get(path)))
    assert manager.post(path).status_code == 404


def test_statements_that_may_have_been_sent_are_counted_and_listed(browse, charged_shop, mail_server):
    mail_server()
    manager = browse("manager", beside_worker=True)
    Member.objects.filter(pk__in=["m-1", "m-3"]).update(email="zoe@example.org")
    close()
    mailing.queue(FIRST, author="maya")
    StatementMail.objects.filter(statement__payer="m-1").update(state=StatementMail.SENDING)
    page = text(manager.get(f"/month/statements?month={MONTH}"))
    assert "1 statement may have been sent, or not" in words(page)
    assert f'href="?month={MONTH}&amp;which=uncertain"' in page
    narrowed = text(manager.get(f"/month/statements?month={MONTH}&which=uncertain"))
    assert "send it again from its page" in words(narrowed)
    assert "/month/statement/m-1" in narrowed
    assert "/month/statement/m-3" not in narrowed
    mailing.send_one(FIRST, "m-1", author="maya")
    assert "may have been sent" not in words(text(manager.get(f"/month/statements?month={MONTH}")))


def test_one_statement_is_sent_after_a_preview(browse, charged_shop, mail_server):
    got = mail_server()
    manager = browse("manager", beside_worker=True)
    Member.objects.filter(pk="m-1").update(email="zoe@example.org")
    close()
    path = f"/month/statement-send/m-1?month={MONTH}"
    assert "Hello Zoé Müller," in words(text(manager.get(path)))
    assert got.taken == []
    assert manager.post(path)["Location"] == f"/month/statement/m-1?month={MONTH}"
    assert [to for to, _message in got.taken] == ["zoe@example.org"]
    assert "Send it again" in words(text(manager.get(path)))
    assert "no e-mail address" in words(text(manager.get(path.replace("m-1", "m-3"))))
    assert manager.post(path.replace("m-1", "m-3")).status_code == 404
    assert manager.get(f"/month/statement-send/m-1?month={NEXT}").status_code == 404
    assert browse("auditor").post(path).status_code == 403
