"""Is each statement sent once, to whom it belongs, in their language, and is what became of it kept?"""

from __future__ import annotations

import io
from datetime import UTC, datetime, time, timedelta

import pytest
from pypdf import PdfReader

from fabgate.collector.ground import mails
from fabgate.collector.ground.models import Change, IssuedStatement, Member, Payer, StatementMail
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.statements import issue
from fabgate.collector.money.paper.statements import mailing, pdf
from fabgate.collector.processes import restored_database
from fabgate.collector.processes.worker import Worker
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH, NOON
from tests.collector.faces.pages.used import Used
from tests.collector.mailing import use_mail


@pytest.fixture(autouse=True)
def month(database) -> None:
    """A closed month: m-1 reads French, m-2 has an address of the payer's record, m-3 has none."""
    shop = Used()
    billing.start()
    billing.rule("price=0.10")
    Member.objects.filter(pk="m-1").update(email="zoe@example.org", lang="fr")
    Payer.objects.create(id="m-2", member_id="m-2", email="books@example.org")
    for number, member in enumerate(("m-1", "m-2", "m-3")):
        shop.session(f"s-{number}", member, NOON + timedelta(hours=number), 30)
    closing.close(FIRST, NOON + timedelta(days=60), actor="maya", reason="a test")


def states() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for mail in StatementMail.objects.order_by("pk").select_related("statement"):
        found.setdefault(mail.statement.payer, []).append(mail.state)
    return found


def logged() -> list[tuple[str, str, str]]:
    rows = Change.objects.filter(kind="issuedstatement").order_by("pk")
    return [(row.actor, row.verb, row.after["email"]) for row in rows]


def test_the_statements_of_a_month_are_sent_once_by_the_worker(mail_server):
    got = mail_server()
    assert mailing.queue(FIRST, author="maya") == 2
    assert mailing.queue(FIRST, author="maya") == 0
    Worker().mail()
    Worker().mail()
    assert mailing.queue(FIRST, author="maya") == 0
    assert [(to, message["Subject"].split(":")[1].split("(")[0].strip()) for to, message in got.taken] == [
        ("zoe@example.org", "votre relevé"),
        ("books@example.org", f"your statement for {FIRST:%B %Y}"),
    ]
    message = got.taken[0][1]
    body = message.get_body().get_content()
    assert body.startswith("Bonjour Zoé Müller,")
    assert "3,00" in body
    (file,) = message.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == (f"{MONTH}-m-1.pdf", "application/pdf")
    text = PdfReader(io.BytesIO(file.get_content())).pages[0].extract_text()
    assert "Relevé ne valant pas facture" in text
    assert "Bjørn" not in text
    assert states() == {"m-1": ["sent"], "m-2": ["sent"]}
    assert logged() == [("maya", mailing.MAILED, "zoe@example.org"), ("maya", mailing.MAILED, "books@example.org")]


def test_one_statement_is_sent_again_on_purpose_alone(mail_server):
    got = mail_server()
    assert mailing.send_one(FIRST, "m-1", author="maya") == ""
    assert mailing.send_one(FIRST, "m-1", author="maya") == ""
    assert mailing.queue(FIRST, author="maya") == 1
    assert len(got.taken) == 2
    assert states()["m-1"] == ["sent", "sent"]
    assert mailing.send_one(FIRST, "m-3", author="maya") == "the payer has no e-mail address"
    assert mailing.of(terms.next_month(FIRST), "m-1") is None


def test_a_refused_address_fails_alone_and_is_sent_with_the_next_ones(mail_server, monkeypatch):
    monkeypatch.setattr(mailing, "AT_ONCE", 1)
    got = mail_server(refused={"zoe@example.org"})
    mailing.queue(FIRST, author="maya")
    Worker().mail()
    Worker().mail()
    assert states() == {"m-1": ["failed"], "m-2": ["sent"]}
    assert "refused the address" in StatementMail.objects.get(state="failed").problem
    assert logged()[-1] == ("maya", mailing.NOT_MAILED, "zoe@example.org")
    got.refused.clear()
    assert mailing.queue(FIRST, author="maya") == 1
    Worker().mail()
    assert states()["m-1"] == ["failed", "sent"]


def test_without_a_server_all_mails_fail_at_once_without_a_wait_for_each(monkeypatch):
    monkeypatch.setattr(mailing, "AT_ONCE", 1)
    use_mail(monkeypatch, "smtp://localhost:1/?tls=none")
    mailing.queue(FIRST, author="maya")
    assert [mail.state for mail in mailing.send_waiting()] == ["failed"]
    assert mailing.send_waiting() == []
    assert states() == {"m-1": ["failed"], "m-2": ["failed"]}
    assert {row[1] for row in logged()} == {mailing.MAILED, mailing.NOT_MAILED}


def test_a_process_that_ends_while_it_sends_sends_nothing_twice(mail_server, monkeypatch):
    got = mail_server()
    mailing.queue(FIRST, author="maya")

    def killed(_mails):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mails, "send", killed)
        with pytest.raises(KeyboardInterrupt):
            mailing.send_waiting()
    Worker().mail()
    assert mailing.queue(FIRST, author="maya") == 0
    assert got.taken == []
    assert states() == {"m-1": ["sending"], "m-2": ["sending"]}
    assert mailing.send_one(FIRST, "m-1", author="maya") == ""
    assert len(got.taken) == 1


def test_a_statement_without_a_session_or_a_line_is_not_sent(mail_server):
    """Who only paid in has a statement of 0, which says nothing that the acknowledgement did not."""
    got = mail_server()
    after = terms.next_month(FIRST)
    Member.objects.filter(pk="m-4").update(email="paid-in@example.org")
    at = datetime.combine(after, time(12), UTC)
    modes.set_mode("m-4", after, prepays=True, actor="maya")
    ledger.credit("m-4", 2_000, Paid("cash"), author="kim", now=at)
    decisions.add_line("m-1", "Plywood", 100, day=FIRST, author="maya")
    closing.close(after, at + timedelta(days=60), actor="maya", reason="a test")
    assert {row.payer for row in IssuedStatement.objects.filter(month=after)} == {"m-1", "m-4"}
    assert mailing.queue(after, author="maya") == 1
    Worker().mail()
    assert [to for to, _message in got.taken] == ["zoe@example.org"]
    assert mailing.send_one(after, "m-4", author="maya") == "nothing is charged on it"
    assert len(got.taken) == 1
    assert "m-4" not in states()


def test_a_statement_that_cannot_be_made_has_failed_and_the_others_are_sent(mail_server, monkeypatch):
    got, made = mail_server(), pdf.of

    def breaks(statement):
        if statement.head.payer == "m-1":
            raise ValueError("no glyph")
        return made(statement)

    mailing.queue(FIRST, author="maya")
    with monkeypatch.context() as patched:
        patched.setattr(pdf, "of", breaks)
        Worker().mail()
        assert states() == {"m-1": ["failed"], "m-2": ["sent"]}
        assert mailing.send_one(FIRST, "m-1", author="maya") == "its PDF cannot be made (ValueError: no glyph)"
    assert states()["m-1"] == ["failed", "failed"]
    assert StatementMail.objects.filter(state="failed")[0].problem == "its PDF cannot be made (ValueError: no glyph)"
    assert logged()[-1][1] == mailing.NOT_MAILED
    # once it can be made, it is sent with the next ones
    assert mailing.queue(FIRST, author="maya") == 1
    Worker().mail()
    assert states() == {"m-1": ["failed", "failed", "sent"], "m-2": ["sent"]}
    assert sorted(to for to, _message in got.taken) == ["books@example.org", "zoe@example.org"]


def test_erased_statements_are_not_sent(mail_server):
    mail_server()
    decisions.add_line("m-1", "Plywood", 100, day=FIRST, author="maya")
    issue.erase_words(terms.next_month(FIRST), actor="maya", at=NOON)
    assert mailing.queue(FIRST, author="maya") == 0
    assert IssuedStatement.objects.count() == 3


def test_what_waited_in_a_restored_copy_may_be_sent_already_and_waits_for_a_person(mail_server, tmp_path):
    got = mail_server()
    mailing.queue(FIRST, author="maya")
    restored_database.invalidate(tmp_path)
    Worker().mail()
    assert got.taken == []
    assert states() == {"m-1": ["sending"], "m-2": ["sending"]}


def test_a_mail_that_cannot_be_built_has_failed_and_the_others_are_sent(mail_server):
    """The id of a payer has a line end, which the name of the attached file cannot have."""
    got, after = mail_server(), terms.next_month(FIRST)
    odd = Payer.objects.create(id="o-1\x0b", name="Foo SARL", email="foo@example.org").pk
    for payer in (odd, "m-1", "m-2"):
        decisions.add_line(payer, "Plywood", 100, day=FIRST, author="maya")
    closing.close(after, NOON + timedelta(days=90), actor="maya", reason="a test")
    assert mailing.queue(after, author="maya") == 3
    Worker().mail()
    Worker().mail()
    assert states() == {"m-1": ["sent"], "m-2": ["sent"], odd: ["failed"]}
    problem = StatementMail.objects.get(state="failed").problem
    assert problem.startswith("the mail cannot be composed (ValueError: ")
    assert mailing.send_one(after, odd, author="maya") == problem
    assert sorted(to for to, _message in got.taken) == ["books@example.org", "zoe@example.org"]
    assert logged()[-1] == ("maya", mailing.NOT_MAILED, "foo@example.org")
    # a later run tries it again, and only it
    assert mailing.queue(after, author="maya") == 1
    Worker().mail()
    assert states()[odd] == ["failed"] * 3
