"""``fabgate collector verify``: what it prints, as text and as JSON, and its exit codes."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace

import pytest
from django.conf import settings
from pypdf import PdfReader

from fabgate.collector.cli import progress_bar
from fabgate.collector.cli.books import verify
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.db.chains import CHANGES
from fabgate.collector.ground.models import Change, Collector, LedgerLine, Member, UsageSession, Verification
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.processes.verify import audit_head
from fabgate.collector.processes.verify.run import CannotVerifyError
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.gates import NOON, Journal
from tests.support.baseline import log_the_rest


@pytest.fixture(autouse=True)
def books(database, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, data=tmp_path))
    Collector.objects.create(id=1, collector="c", site="lyon", rolled_tz="Europe/Paris")
    audit_head.keep_up(tmp_path)  # as the first start does
    Member.objects.create(id="m-1")
    log_the_rest()
    journal = Journal()
    Store("lyon").store([journal.start("s-1"), journal.end("s-1", 60_000)], NOON)


def run(
    capsys, *, head: str = "", is_json: bool = False, is_nightly: bool = False, file: str = "", confirm: bool = False
) -> tuple[int, str]:
    code = verify.verify(
        argparse.Namespace(head=head, json=is_json, nightly=is_nightly, pdf=file, confirm_head=confirm)
    )
    return code, capsys.readouterr().out


def test_untouched_books_are_code_0_and_the_head_is_printed_and_kept(capsys):
    audit.record("eve", "member.exported", Member.objects.get())
    head = CHANGES.head()
    code, text = run(capsys)
    assert code == 0, text
    assert "Compared: 2 entries, 1 journals, 1 boots, 1 gates, 1 sessions, 1 ledger lines," in text
    assert f"Head of the audit log: {head}\n" in text
    assert text.endswith("Nothing was altered.\n")
    assert audit_head.noted(settings.ENVIRONMENT.data) == CHANGES.head()
    assert run(capsys, head=str(head))[0] == 0


def test_a_missing_head_is_a_finding_until_it_is_confirmed(capsys):
    audit.record("eve", "member.exported", Member.objects.get())
    (settings.ENVIRONMENT.data / ".audit-head").unlink()
    for _ in range(2):
        code, text = run(capsys)
        assert code == 6
        assert "ALTERED audithead .audit-head: is missing: " in text
        assert "say so with --confirm-head" in text
    code, text = run(capsys, confirm=True)
    assert (code, text.splitlines()[-1]) == (0, "Nothing was altered.")
    assert run(capsys)[0] == 0
    with pytest.raises(UsageError, match="only a log without one can be confirmed"):
        run(capsys, confirm=True)


def test_what_was_altered_is_named_with_what_to_do_and_is_code_6(capsys):
    UsageSession.objects.update(counted_ms=1)
    code, text = run(capsys)
    assert code == 6
    assert "ALTERED usagesession s-1: counted_ms: found '1', wanted '60000'\n" in text
    assert "What to do: correct the row as shown" in text
    code, text = run(capsys, is_json=True)
    found = json.loads(text)
    assert (code, found["ok"], found["counts"]["usagesession"]) == (6, False, 1)
    row = {"table": "usagesession", "row": "s-1", "problem": "changed", "since": None}
    assert row | {"column": "counted_ms", "found": "1", "wanted": "60000"} in found["findings"]


def test_many_findings_of_a_table_are_counted_and_the_first_are_printed(capsys, monkeypatch):
    monkeypatch.setattr("fabgate.collector.processes.verify.findings.MOST_KEPT", 2)
    LedgerLine.objects.update(payer="x", used_by="x", category="x", purpose="x")
    _code, text = run(capsys)
    assert text.count("ALTERED ledgerline") == 2
    assert "and 2 more\n" in text
    assert "4 findings" in text


def test_a_part_that_cannot_be_compared_is_code_6_and_stored(capsys, monkeypatch):
    def fail(*_args: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("fabgate.collector.processes.verify.sums.check", fail)
    UsageSession.objects.update(counted_ms=1)
    code, text = run(capsys)
    assert code == 6
    assert "ALTERED usageday: could not be compared (KeyError: 'x')\n  What to do: correct what the other" in text
    assert "ALTERED usagesession s-1: counted_ms: found '1', wanted '60000'\n" in text
    assert Verification.last().findings > 1
    assert ("usageday", "unchecked") in [(row["table"], row["problem"]) for row in Verification.last().shown]


def test_any_other_failure_is_stored_as_the_result(capsys, monkeypatch):
    def fail(*_args: object) -> None:
        raise OSError("no space left on device")

    assert run(capsys)[0] == 0
    monkeypatch.setattr("fabgate.collector.processes.verify.sums.check", fail)
    with pytest.raises(CannotVerifyError, match="no space left"):
        run(capsys)
    assert "no space left on device" in Verification.last().trouble


def test_what_cannot_be_checked_says_why(capsys):
    Collector.objects.update(rolled_tz="")
    with pytest.raises(CannotVerifyError, match="start the collector once") as failed:
        run(capsys)
    assert failed.value.exit_code == 1
    with pytest.raises(UsageError, match="--head: found 'x'"):
        run(capsys, head="x")


def test_the_result_is_stored_and_a_night_without_findings_leaves_a_checkpoint(capsys, monkeypatch):
    monkeypatch.setattr(verify, "_NICER", 0)
    head = str(CHANGES.head())
    assert run(capsys, is_nightly=True) == (0, "")
    last = Verification.last()
    assert (last.findings, last.trouble, last.compared["usagesession"], last.head) == (0, "", 1, head)
    checkpoint = Change.objects.get(verb="books.verified")
    assert (checkpoint.actor, checkpoint.after["ledger_after"]) == ("worker", 0)
    UsageSession.objects.update(counted_ms=1)
    assert run(capsys, is_nightly=True) == (6, "")
    last = Verification.last()
    assert last.findings > 1
    assert "counted_ms" in [row["column"] for row in last.shown]
    assert Change.objects.filter(verb="books.verified").count() == 1
    Collector.objects.update(rolled_tz="")
    with pytest.raises(CannotVerifyError):
        run(capsys)
    assert (Verification.last().findings, Verification.last().shown) == (0, [])
    assert "start the collector once" in Verification.last().trouble


def test_a_terminal_gets_a_bar_and_a_pipe_none(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(progress_bar, "_DRAW_EVERY_S", -1)
    for out, wanted in ((Terminal(), "░░░  50 %, "), (io.StringIO(), "")):
        bar = progress_bar.Bar(out)
        bar.show(5, 10)
        assert wanted in out.getvalue()
        bar.clear()
    assert out.getvalue() == ""


def test_the_result_is_also_a_page_for_an_auditor(capsys, tmp_path):
    file = tmp_path / "new" / "verified.pdf"
    assert run(capsys, file=str(file))[0] == 0
    assert "Nothing was altered." in PdfReader(file).pages[0].extract_text()
    with pytest.raises(UsageError, match="name a file that can be written"):
        run(capsys, file=str(tmp_path))


def test_charges_that_are_not_up_to_date_are_noted(capsys):
    billing.start(first=NOON.date().replace(day=1))
    code, text = run(capsys)
    assert (code, "Note: some sessions have no up-to-date charge yet; their charges were not compared.\n" in text) == (
        0,
        True,
    )
    refresh.refresh_all()
    code, text = run(capsys)
    assert (code, "Note:" in text, "1 charges of open months" in text) == (0, False, True)
