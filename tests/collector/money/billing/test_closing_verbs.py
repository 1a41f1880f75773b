"""Do the verbs that close months, waive sessions and add lines do so, and does the worker keep charges up to date?"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from unittest import mock

import pytest

from fabgate.collector.ground import mails
from fabgate.collector.ground.models import (
    Change,
    Charge,
    ClosedMonth,
    Collector,
    Gate,
    Journal,
    Machine,
    ManualLine,
    Member,
    Payer,
    Plan,
    Workshop,
)
from fabgate.collector.money.billing import closing, member_plans, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.paper.statements import mailing
from fabgate.collector.processes.verify import run as books
from fabgate.collector.processes.worker import Worker
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import AlteredError, FabgateError, UsageError
from tests.collector.faces.pages.used import NOON
from tests.collector.money.billing.booked import FIRST, MONTHS, amounts, session

pytestmark = pytest.mark.usefixtures("env", "told")


def test_a_month_is_closed_and_checked(billed_shop, run, capsys):
    session(billed_shop, "s-1", FIRST, 10)
    run("bill-line", "m-1", "12.50", "Plywood, 9 mm", "--day", f"{FIRST}", "--session", "s-1")
    printed = run("bill-close", f"{FIRST:%Y-%m}", "--reason", "the gate is being repaired")
    closed = ClosedMonth.objects.get()
    assert printed.splitlines() == [
        f"{FIRST:%Y-%m} is closed: 13.50 EUR (charges: 1, lines: 1)",
        f"sha256 {closed.sha256}",
    ]
    assert closed.sha256 in run("verify-periods")
    assert Change.objects.get(verb="month.closed").after["sha256"] == closed.sha256
    Charge.objects.update(amount_minor=0)
    with pytest.raises(AlteredError, match="the SHA-256 differs"):
        run("verify-periods", "--json")
    (month,) = json.loads(capsys.readouterr().out)["months"]
    assert month["sha256"] == closed.sha256
    assert len(month["altered"]) == 2


def test_a_session_is_waived_and_the_waiver_withdrawn(billed_shop, run):
    session(billed_shop, "s-1", FIRST, 10)
    assert run("bill-waive", "s-1", "--reason", "a fault") == "s-1 is waived: a fault\n"
    assert amounts() == [("s-1", "waived", 0)]
    assert run("bill-waive", "s-1", "--withdraw", "--reason", "no fault") == "s-1 is no longer waived\n"
    assert amounts() == [("s-1", "billed", 100)]
    assert [row.verb for row in Change.objects.order_by("pk")][-2:] == ["session.waived", "waiver.withdrawn"]
    with pytest.raises(UsageError, match="found no session 's-9' that has ended"):
        run("bill-waive", "s-9", "--reason", "a fault")


def test_a_session_of_a_closed_month_shows_what_it_was_charged_and_not_what_it_would_cost_now(billed_shop, run):
    member_plans.set_plan(Member.objects.get(pk="m-1"), "student", FIRST, actor="eve")
    session(billed_shop, "s-1", FIRST, 40)
    closing.close(FIRST, billed_shop.now + timedelta(days=400), actor="eve", reason="a test")
    Plan.objects.filter(name="student").update(free_minutes=0)
    assert run("bill-session", "s-1").splitlines()[1:] == [
        "  charged: 1.00 EUR; rated by the rules and plans of today it would cost something else"
    ]
    corrections.correct("s-1", "payer", "m-2", author="eve", reason="a test")
    lines = run("bill-session", "s-1").splitlines()
    assert lines[-3:] == [
        f"  charged in {FIRST:%Y-%m} to m-1: billed, 1.00 EUR",
        f"  charged in {MONTHS[1]:%Y-%m} to m-1: reversal, -1.00 EUR",
        f"  charged in {MONTHS[1]:%Y-%m} to m-2: billed, 1.00 EUR",
    ]
    found = json.loads(run("bill-session", "s-1", "--json"))
    assert (found["kind"], found["amount_minor"], found["steps"]) == ("billed", 100, [])
    assert [charge["amount_minor"] for charge in found["charges"]] == [100, -100, 100]


def test_a_line_is_added_and_removed(billed_shop, run):
    assert run("bill-line", "m-1", "-3", "Half of a session", "--day", f"{FIRST}") == (
        f"line 1, {FIRST:%Y-%m}: m-1: Half of a session: -3.00 EUR\n"
    )
    table = [line.split() for line in run("bill-month", f"{FIRST:%Y-%m}").splitlines()]
    assert ["all", "line", "0", "0:00:00", "-3.00"] in table
    assert table[-1] == ["all", "0", "0:00:00", "-3.00"]
    run("bill-line-remove", "1", "--reason", "entered twice")
    assert not ManualLine.objects.exists()
    with pytest.raises(UsageError, match="found no line with the number 1"):
        run("bill-line-remove", "1", "--reason", "entered twice")


def test_a_line_without_a_day_is_of_today_and_one_of_a_closed_month_says_where_it_went(billed_shop, run):
    closing.close(FIRST, billed_shop.now + timedelta(days=400), actor="eve", reason="a test")
    run("bill-line", "m-1", "5", "Glue")
    assert ManualLine.objects.get().day == ManualLine.objects.get().at.date()
    printed = run("bill-line", "m-1", "5", "Tape", "--day", f"{FIRST}")
    assert printed.startswith(f"line 2, {MONTHS[1]:%Y-%m} ({FIRST:%Y-%m} is closed): m-1: Tape")
    with pytest.raises(UsageError, match="--day: found 'soon', wanted a date such as 2027-03-01"):
        run("bill-line", "m-1", "5", "Tape", "--day", "soon")


@pytest.mark.parametrize("amount", ["a lot", "1.005", "NaN", "1e400"])
def test_an_amount_that_cannot_be_paid_is_refused(billed_shop, run, amount):
    with pytest.raises(UsageError, match=r"AMOUNT: found|amount: found"):
        run("bill-line", "m-1", amount, "Plywood")


def test_the_worker_follows_the_ledger_and_rests_while_nothing_changes(billed_shop):
    worker = Worker()
    assert worker.charge()
    session(billed_shop, "s-1", MONTHS[0], 10)
    assert worker.charge()
    assert amounts() == [("s-1", "billed", 100)]
    with mock.patch.object(terms, "lock_charges", side_effect=AssertionError("nothing has changed")):
        assert worker.charge()
    corrections.correct("s-1", "time", "60000", author="eve", reason="a test")
    worker.charge()
    assert amounts() == [("s-1", "billed", 10)]


def test_a_fault_in_billing_does_not_keep_loans_from_ending(billed_shop, caplog):
    session(billed_shop, "s-1", FIRST, 10)
    worker = Worker()
    with mock.patch.object(refresh, "open_book", side_effect=KeyError("student")):
        assert not worker.charge()
    assert "charges cannot be brought up to date" in caplog.text
    assert worker.charge()
    assert amounts() == [("s-1", "billed", 100)]


def test_without_billing_the_worker_charges_nothing(database):
    assert not Worker().charge()


def seen(at: datetime, *gates: str) -> None:
    Gate.objects.filter(name__in=gates).update(seen_at=at)


def test_a_month_whose_entries_are_all_there_needs_no_reason(billed_shop):
    seen(billed_shop.now, "saw-1", "lathe-1")
    assert closing.close(FIRST, billed_shop.now, actor="eve").reason == ""


def test_a_gate_that_was_not_seen_since_the_month_may_have_more_entries_of_it(billed_shop):
    seen(billed_shop.now, "lathe-1")
    for last in (NOON - timedelta(days=80), datetime.combine(MONTHS[1], time(), UTC) - timedelta(seconds=1)):
        seen(last, "saw-1")
        with pytest.raises(UsageError, match="entries of these gates may be missing: saw-1\n"):
            closing.close(FIRST, billed_shop.now, actor="eve")
    seen(datetime.combine(MONTHS[1], time(), UTC), "saw-1")
    assert closing.close(FIRST, billed_shop.now, actor="eve").reason == ""


def test_a_gate_of_a_retired_machine_keeps_no_month_open_unless_entries_are_missing(billed_shop):
    seen(billed_shop.now, "lathe-1")
    seen(NOON - timedelta(days=80), "saw-1")
    Machine.objects.filter(name="bandsaw").update(retired_at=billed_shop.now)
    Journal.objects.filter(gate__name="saw-1").update(head=99)
    with pytest.raises(UsageError, match="entries of these gates may be missing: saw-1\n"):
        closing.close(FIRST, billed_shop.now, actor="eve")
    Journal.objects.filter(gate__name="saw-1").update(head=0)
    assert closing.close(FIRST, billed_shop.now, actor="eve").reason == ""


def test_the_nightly_verification_names_an_altered_month(billed_shop, tmp_path):
    Collector.objects.update_or_create(id=1, defaults={"site": "lyon", "rolled_tz": "UTC"})
    session(billed_shop, "s-1", FIRST, 10)
    closing.close(FIRST, billed_shop.now + timedelta(days=400), actor="eve", reason="a test")
    assert "closedmonth" not in books.run(tmp_path).counts
    Charge.objects.update(payer="m-2")
    report = books.run(tmp_path)
    assert report.compared["closedmonth"] == 1
    (found,) = [finding.text for finding in report.findings if finding.table == "closedmonth"]
    assert found.startswith(f"closedmonth {FIRST:%Y-%m}: was changed: the SHA-256 differs")


def test_a_statement_is_printed_and_saved_in_the_language_of_its_payer(billed_shop, run, tmp_path):
    Member.objects.filter(pk="m-1").update(lang="fr")
    session(billed_shop, "s-1", FIRST, 10)
    month = f"{FIRST:%Y-%m}"
    printed = run("bill-statement", month, "m-1")
    assert printed.splitlines()[0].startswith("Relevé ne valant pas facture: Zoé Müller, ")
    assert "1,00" in printed.splitlines()[-1]
    found = json.loads(run("bill-statement", month, "m-1", "--json"))
    assert (found["number"], found["amount_minor"], found["is_final"]) == (f"{month}/m-1", 100, False)
    assert [charge["session"] for charge in found["charges"]] == ["s-1"]
    run("bill-statement", month, "m-1", "--pdf", str(tmp_path / "one.pdf"))
    run("bill-statement", month, "m-1", "--csv", str(tmp_path / "one.csv"))
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert b";s-1" in (tmp_path / "one.csv").read_bytes()
    for words, wrong in (
        ((month, "m-99"), "PAYER: found 'm-99'"),
        (("2001-01", "m-1"), "or later, because billing starts then"),
        ((month, "m-1", "--pdf", str(tmp_path / "one.pdf" / "two.pdf")), "name a file that can be written"),
    ):
        with pytest.raises(UsageError, match=wrong):
            run("bill-statement", *words)


def test_an_archive_is_saved_with_its_digests_and_reports_alterations(billed_shop, run, tmp_path):
    session(billed_shop, "s-1", FIRST, 10)
    month = f"{FIRST:%Y-%m}"
    with pytest.raises(UsageError, match="is not closed"):
        run("bill-archive", month, "--to", str(tmp_path))
    run("bill-close", month, "--reason", "the gate is being repaired")
    run("bill-archive", month, "--to", str(tmp_path / "new"))
    sums = (tmp_path / "new" / f"{month}-SHA256SUMS").read_text().splitlines()
    assert len(sums) == 4
    for line in sums:
        sha256, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "new" / name).read_bytes()).hexdigest() == sha256
    assert "Zoé Müller" in (tmp_path / "new" / f"{month}-names.json").read_text()
    assert run("bill-erase-names", "--before", f"{MONTHS[1]:%Y-%m}").startswith("names erased in 1 statements")
    run("bill-archive", month, "--to", str(tmp_path / "new"))
    assert "Zoé Müller" not in (tmp_path / "new" / f"{month}-names.json").read_text()
    Charge.objects.update(amount_minor=1)
    with pytest.raises(AlteredError, match=r"charges\.csv"):
        run("bill-archive", month, "--to", str(tmp_path))


def test_the_workshop_says_at_the_command_line_how_statements_are_paid(billed_shop, run):
    with pytest.raises(UsageError) as refused:
        run("bill-workshop", "--iban", "FR7630006000011234567890188", "--bic", "X", "--due-days", "soon")
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["--iban", "--bic", "--due-days", "--name"]
    assert not Workshop.objects.exists()
    iban = "FR76 3000 6000 0112 3456 7890 189"
    printed = run("bill-workshop", "--name", "Atelier", "--address", "1 quai de Saône\n69001 Lyon", "--iban", iban)
    assert "1 quai de Saône, 69001 Lyon" in printed
    run("bill-workshop", "--due-days", "30", "--actor", "kim")
    row = Workshop.objects.get()
    assert (row.name, row.iban, row.due_days) == ("Atelier", iban.replace(" ", ""), 30)
    before, after = Change.objects.filter(verb="workshop.updated").order_by("pk")
    assert (before.after["iban"], after.actor, after.after["due_days"]) == (row.iban, "cli:kim", 30)
    run("bill-workshop", "--due-days", "", "--iban", "")
    assert (Workshop.objects.get().iban, Workshop.objects.get().due_days) == ("", None)


def test_statements_are_sent_at_the_command_line(billed_shop, run, mail_server, capsys):
    got = mail_server(refused={"bob@example.org"})
    Member.objects.filter(pk="m-1").update(email="zoe@example.org")
    Member.objects.filter(pk="m-2").update(email="bob@example.org")
    for number in (1, 2, 3):
        session(billed_shop, f"s-{number}", FIRST + timedelta(days=number), 10, f"m-{number}")
    month = f"{FIRST:%Y-%m}"
    modes.set_mode("m-4", FIRST, prepays=True, actor="maya")
    ledger.credit("m-4", 2_000, Paid("cash"), author="kim", now=datetime.combine(FIRST, time(12), UTC))
    with pytest.raises(UsageError, match="is not closed"):
        run("bill-send", month)
    run("bill-close", month, "--reason", "the gate is being repaired")
    with pytest.raises(FabgateError, match="some statements were not sent"):
        run("bill-send", month)
    assert [to for to, _message in got.taken] == ["zoe@example.org"]
    got.refused.clear()
    assert "m-2 bob@example.org: not sent: the mail server refused the address" in capsys.readouterr().out
    printed = run("bill-send", month)
    assert printed.splitlines() == [
        *("m-2 bob@example.org: sent", "m-3: no e-mail address", "m-4: not sent, because nothing is charged"),
    ]
    assert run("bill-send", month).splitlines() == printed.splitlines()[1:]
    assert run("bill-send", month, "--payer", "m-1") == "m-1: sent\n"
    assert [to for to, _message in got.taken] == ["zoe@example.org", "bob@example.org", "zoe@example.org"]


def test_statements_of_a_send_that_was_killed_are_listed_until_a_person_sends_them_again(
    billed_shop, run, mail_server, capsys, monkeypatch
):
    got = mail_server()
    for number in (1, 2, 3):
        Member.objects.filter(pk=f"m-{number}").update(email=f"m-{number}@example.org")
        session(billed_shop, f"s-{number}", FIRST + timedelta(days=number), 10, f"m-{number}")
    month = f"{FIRST:%Y-%m}"
    run("bill-close", month, "--reason", "the gate is being repaired")
    monkeypatch.setattr(mailing, "AT_ONCE", 2)

    def killed(some):
        mails.send(some[:1])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mailing, "mails", SimpleNamespace(**vars(mails) | {"send": killed}))
        with pytest.raises(KeyboardInterrupt):
            run("bill-send", month)
    uncertain = ["m-1 m-1@example.org: may have been sent", "m-2 m-2@example.org: may have been sent"]
    for more in (["m-3 m-3@example.org: sent"], []):
        with pytest.raises(FabgateError, match="send it again with --payer") as error:
            run("bill-send", month)
        assert error.value.exit_code == 1
        assert capsys.readouterr().out.splitlines() == more + uncertain
    assert run("bill-send", month, "--payer", "m-2") == "m-2: sent\n"
    with pytest.raises(FabgateError, match="send it again with --payer"):
        run("bill-send", month)
    assert capsys.readouterr().out.splitlines() == uncertain[:1]
    assert run("bill-send", month, "--payer", "m-1") == "m-1: sent\n"
    assert run("bill-send", month) == ""
    assert [to.split("@")[0] for to, _message in got.taken] == ["m-1", "m-3", "m-2", "m-1"]


def test_a_statement_whose_mail_cannot_be_built_is_listed_and_the_next_run_tries_it_again(
    billed_shop, run, mail_server, capsys
):
    """The id of its payer has a line end, which the name of the attached file cannot have."""
    got, odd = mail_server(), Payer.objects.create(id="o-1\x0b", name="Foo SARL", email="foo@example.org").pk
    Member.objects.filter(pk="m-2").update(email="bob@example.org")
    for payer in (odd, "m-2"):
        decisions.add_line(payer, "Plywood", 100, day=FIRST, author="maya")
    month = f"{FIRST:%Y-%m}"
    run("bill-close", month, "--reason", "the gate is being repaired")
    for others in (["m-2 bob@example.org: sent"], []):
        with pytest.raises(FabgateError, match="some statements were not sent") as error:
            run("bill-send", month)
        assert error.value.exit_code == 1
        printed = sorted(capsys.readouterr().out.splitlines())
        assert printed[:-1] == others
        assert printed[-1].startswith("o-1")
        assert "foo@example.org: not sent: the mail cannot be composed (ValueError: " in printed[-1]
    assert [to for to, _message in got.taken] == ["bob@example.org"]
