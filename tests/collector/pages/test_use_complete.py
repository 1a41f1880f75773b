"""Does the page say in words, and by number, what is stored and what is missing?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.broker.message import Received
from fabgate.collector.entries import completeness
from fabgate.collector.intake.store import Store
from fabgate.collector.models import Gate, Hole, Journal, Quarantine
from tests.collector.gates import Journal as Gates
from tests.collector.pages.used import NOON, Used, text

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
        assert shown.count("waiting for entry 5") == shown.count("a copied card?") == some.stop
        asked.append(len(queries))
    assert asked[0] == asked[1]
