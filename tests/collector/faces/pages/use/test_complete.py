"""Does the page say in words, and by number, what is stored and what is missing?"""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pypdf import PdfReader

from fabgate.collector.ground.models import Gate, Hole, Journal, Quarantine, Verification
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.collector.money.paper.verification.words import TABLES
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.entries import completeness
from fabgate.collector.recording.intake.store import Store
from tests.collector.faces.pages.used import NOON, Used, text
from tests.collector.gates import Journal as Gates

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def used(database) -> Used:
    used = Used()
    for gate, journal in used.journals.items():
        Store("lyon").store([journal.status()], used.now)
        used.session(f"s-{gate}", "m-1", NOON, 5, gate=gate)
    return used


def test_everything_is_there(used, browse):
    shown = text(browse("auditor").get("/use/complete"))
    assert "Everything the gates recorded until then is stored; nothing is missing." in shown
    assert "stored up to 3" in shown


def test_what_is_on_its_way_is_named_by_number(used, browse):
    journal = used.journals["saw-1"]
    journal.write("gate.stopping", reason="x")
    last = journal.write("gate.stopping", reason="x")
    Store("lyon").store([last, journal.status(head=7)], used.now)
    shown = text(browse("auditor").get("/use/complete"))
    assert "Waiting for: saw-1." in shown
    assert "waiting for entry 4" in shown
    assert "waiting for entries 6 to 7" in shown
    assert "3 entries on their way" in shown


def test_what_is_lost_is_named_by_number(used, browse):
    journal = Journal.objects.get(name="journal-saw-1")
    Hole.objects.create(journal=journal, first=412, last=415, state=Hole.LOST, found_at=NOON)
    shown = text(browse("auditor").get("/use/complete"))
    assert "4 entries are lost" in shown
    assert "entries 412 to 415 are missing" in shown


def test_a_message_that_could_not_be_taken_is_shown_without_its_content(used, browse):
    Store("lyon").store([Received("fabgate/v1/lyon/saw-1/event/gate/started", b"{secret", "x", "1")], used.now)
    assert Quarantine.objects.count() == 1
    shown = text(browse("auditor").get("/use/complete"))
    assert "undecodable" in shown
    assert "{secret" not in shown


def test_without_any_gate_it_says_what_will_be_here(browse):
    assert "No gate has connected yet" in text(browse("auditor").get("/use/complete"))


def test_of_a_gate_whose_clock_is_behind_it_says_when_the_last_word_arrived(used, browse):
    Gate.objects.filter(name="saw-1").update(clock_off_ms=-3_600_000)
    arrived = f"{used.now:%-d %b %Y, %H:%M}"
    shown = text(browse("auditor").get("/use/complete"))
    assert shown.count("wrong clock; arrived at") == 1
    assert f"wrong clock; arrived at {arrived}" in shown


def test_the_last_word_is_never_later_than_its_arrival(used, browse):
    ahead = used.now + timedelta(days=400)
    for gate, journal in used.journals.items():
        used.write(gate, "gate.stopping", ahead, reason="x")
        Store("lyon").store([journal.status(head=99)], used.now)
    shown = text(browse("auditor").get("/use/complete"))
    assert f"{used.now:%Y}" in shown
    assert f"{ahead:%Y}" not in shown
    assert completeness.now().until == used.now


def test_however_many_gates_there_are_as_much_is_asked(browse):
    client, asked = browse("auditor"), []
    for some in (range(3), range(3, 40)):
        for number in some:
            journal = Gates(gate=f"gate-{number}")
            for _ in range(6):
                journal.write("gate.stopping", reason="x")
            sent = [journal.message(seq) for seq in (1, 2, 4, 6)]
            Store("lyon").store([*sent, journal.status(head=8)], NOON)
            row = Journal.objects.get(name=journal.name)
            Hole.objects.create(journal=row, first=3, last=3, state=Hole.LOST, found_at=NOON)
            Journal.objects.filter(pk=row.pk).update(cloned=True)
        with CaptureQueriesContext(connection) as queries:
            shown = text(client.get("/use/complete"))
        assert shown.count("entry 3 is missing") == shown.count("waiting for entries 7 to 8") == some.stop
        assert shown.count("waiting for entry 5") == shown.count("a second SD card") == some.stop
        asked.append(len(queries))
    assert asked[0] == asked[1]


def words(response) -> str:
    """Return the words of a page, without tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", text(response)).split())


def verified(**more) -> None:
    values = {
        "began_at": NOON,
        "ended_at": timezone.now() - timedelta(hours=5),
        "compared": {"usagesession": 2},
        **more,
    }
    Verification.objects.update_or_create(id=1, defaults=values)


def test_before_the_first_night_the_page_says_when_the_books_are_checked(used, browse):
    assert "The first result will be here tomorrow." in words(browse("auditor").get("/use/complete"))


def test_books_that_nobody_altered_are_told_with_the_head_to_write_down(used, browse):
    client = browse("auditor")
    head = f"7:{'ab' * 32}"
    verified(head=head, notes=[{"note": "restored", "head": f"9:{'cd' * 32}", "at": NOON.isoformat()}])
    shown = words(client.get("/use/complete"))
    assert ": nothing was altered." in shown
    assert "Sessions: 2" in shown
    assert head in shown
    assert f"Before that, the head of the log was: 9:{'cd' * 32}" in shown
    verified(ended_at=timezone.now() - timedelta(days=5))
    assert "The books should be checked every night." in words(client.get("/use/complete"))


def test_what_was_altered_is_at_the_top_with_what_is_stored_and_what_should_be(used, browse, account):
    row = {"table": "usagesession", "row": "s-1", "problem": "changed", "column": "counted_ms"}
    gone = {"table": "change", "row": "number 7", "problem": "missing", "column": "", "found": None, "wanted": "why"}
    verified(findings=3, shown=[{**row, "found": "1", "wanted": "60000"}, gone])
    shown = words(browse("auditor").get("/use/complete"))
    assert "3 values or rows were altered." in shown
    assert "Sessions s-1 counted_ms 1 60000" in shown
    assert f"Rows of the audit log number 7 missing {NOTHING}" in shown
    assert "1 more: “fabgate collector verify” shows all." in shown
    assert shown.index("were altered") < shown.index("Complete until")
    shown = words(browse(account("manager", lang="fr")).get("/use/complete"))
    assert "3 valeurs ou lignes ont été modifiées." in shown


def test_what_could_not_be_compared_is_named_with_the_reason(used, browse, account):
    why = {"column": "", "found": "KeyError: 7", "wanted": None, "problem": "unchecked"}
    verified(
        findings=2, shown=[{**why, "table": "closedmonth", "row": "2026-11"}, {**why, "table": "charge", "row": ""}]
    )
    client = browse("auditor")
    shown = words(client.get("/use/complete"))
    assert "Closed months 2026-11 could not be compared KeyError: 7" in shown
    assert f"Charges of open months {NOTHING} could not be compared KeyError: 7" in shown
    [page] = PdfReader(io.BytesIO(client.get("/use/complete/verification.pdf").content)).pages
    assert "could not be compared: KeyError: 7" in " ".join(page.extract_text().split())
    shown = words(browse(account("manager", lang="fr")).get("/use/complete"))
    assert "a pas pu être comparée KeyError: 7" in shown


def test_books_that_cannot_be_checked_are_told_with_the_reason(used, browse):
    verified(trouble="no row of the audit log has the right seal")
    shown = words(browse("auditor").get("/use/complete"))
    assert "The books could not be checked on" in shown
    assert "no row of the audit log has the right seal" in shown


@pytest.mark.parametrize(("lang", "wanted"), [("en", "Nothing was altered."), ("fr", "a été modifié.")])
def test_the_result_can_be_kept_as_one_page(used, browse, account, lang, wanted):
    client, head = browse(account("auditor", lang=lang)), f"5120:{'ab' * 32}"
    assert client.get("/use/complete/verification.pdf").status_code == 404
    notes = [{"note": "restored", "head": f"9:{'cd' * 32}", "at": NOON.isoformat()}]
    notes.append({"note": "charges-later", "head": "", "at": ""})
    verified(head=head, notes=notes, compared=dict.fromkeys(TABLES, 1_234_567))
    answer = client.get("/use/complete/verification.pdf")
    assert answer.headers["Content-Type"] == "application/pdf"
    [page] = PdfReader(io.BytesIO(answer.content)).pages
    shown = page.extract_text()
    for part in (wanted, "ab" * 16, "cd" * 16):
        assert part in shown
    assert answer.content == client.get("/use/complete/verification.pdf").content


def test_findings_fit_on_the_page_and_the_others_are_counted(used, browse):
    client = browse("auditor")
    row = {"table": "charge", "row": "c" * 36, "problem": "changed", "column": "amount_minor"}
    gone = {**row, "problem": "missing", "column": "", "found": None, "wanted": "session s-1"}
    found = [{**row, "found": "x" * 999, "wanted": "60000"}, *[gone] * 49]
    verified(findings=64, shown=found, compared=dict.fromkeys(TABLES, 1_234_567), head=f"5120:{'ab' * 32}")
    [page] = PdfReader(io.BytesIO(client.get("/use/complete/verification.pdf").content)).pages
    shown = page.extract_text()
    for part in ("64 values or rows were altered", "57 more", "60000", "missing"):
        assert part in shown
    verified(trouble="no row of the audit log has the right seal")
    assert (
        "no row of the audit log"
        in PdfReader(io.BytesIO(client.get("/use/complete/verification.pdf").content)).pages[0].extract_text()
    )
