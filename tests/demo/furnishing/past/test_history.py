"""The past goes through the ingest like anything else: whole journals, one session each, and nothing left over."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.start import open_workshop
from tests.demo.running import Demo
from tests.support.patience import wait

#: As in past/money.py; only a longer session costs something.
GRACE_S = 2
EVER = ("--from", "2020-01-01", "--to", "2100-01-01", "--json")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    workshop = open_workshop(tmp_path_factory.mktemp("past"), timed_s=30, has_past=True)
    yield workshop
    workshop.close()


@pytest.fixture(scope="module")
def demo(workshop: Workshop) -> Iterator[Demo]:
    demo = Demo(workshop)
    yield demo
    demo.wall.close()
    demo.hands.close()


@pytest.fixture(scope="module")
def sessions(workshop: Workshop) -> list[dict[str, object]]:
    return [json.loads(line) for line in workshop.collector("sessions", *EVER).splitlines()]


def test_every_entry_of_the_past_is_stored_once_and_nothing_is_missing(workshop, sessions):
    # The gates run: what they journal at their start is awaited for a moment.
    wait(lambda: not any(_holes(workshop).values()), "that every entry is stored")
    for gate in workshop.gates:
        done = subprocess.run(
            [sys.executable, "-m", "fabgate", "audit", "verify", "--config", str(gate.config)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.startswith("ok: "), done.stdout + done.stderr
        assert gate.past > 500
        wait(gate.delivered, f"that every entry of {gate.name} is confirmed")
    assert len(sessions) > 300
    assert len({session["session"] for session in sessions}) == len(sessions)


def _holes(workshop: Workshop) -> dict[str, list[object]]:
    return json.loads(workshop.collector("holes", "--json"))


def test_gates_go_on_in_the_journals_of_their_past(workshop):
    gates = json.loads(workshop.collector("gates", "--json"))
    assert len(gates) == 3
    for gate in workshop.gates:
        assert all(json.loads(body)["sequence"] > "0" for body in gate.entries())
        first = json.loads(gate.entries()[0])
        assert int(first["sequence"]) == gate.past + 1
        assert first["type"] in ("fabgate.gate.started.v1", "fabgate.roster.replaced.v1")


def test_verification_finds_the_past_unaltered_while_the_gates_go_on(workshop):
    found = json.loads(workshop.collector("verify", "--json"))
    assert found["findings"] == []
    assert found["compared"]["usagesession"] > 300
    assert found["compared"]["change"] > 20


def test_what_a_person_has_to_review_is_the_power_cut_the_clock_and_a_contest(sessions):
    reviews = Counter(session["review"] for session in sessions if session["review"])
    assert reviews == {"uncertain": 2, "clock": 1, "contested": 1}


def test_neither_the_audit_nor_the_table_counts_the_past(workshop):
    assert workshop.sessions() == []
    assert all(not gate.observer.stretches() for gate in workshop.gates)


def test_the_first_look_finds_usage_refusals_reviews_and_trainings(demo):
    browser, address = demo.browser, demo.workshop.address
    for page, words in (
        ("/use", ("Chiara", "Table saw")),
        ("/use/usage", ("Laser 1", "3D printer")),
        ("/use/refusals", ("Bernard",)),
        ("/use/review", ("Laser 1",)),
        ("/people", ("Moreau",)),
    ):
        text = browser.get(f"{address}{page}").text
        assert all(word in text for word in words), page


def test_the_wall_finds_the_books_right_beside_the_past(demo):
    for machine in demo.ask(b'{"do": "look"}')["machines"]:
        assert (machine["sessions"], machine["wrong"]) == (0, [])
    demo.tap("laser-1", "ada")
    demo.until("laser-1", "Hello Ada")
    demo.tap("laser-1", "ada")
    demo.until("laser-1", "Session ended")


def test_nothing_says_that_it_happened_today_but_what_the_demo_itself_changed(workshop):
    rows = workshop._query("SELECT verb, date(at) FROM collector_change")
    today = str(date.today())  # noqa: DTZ011 (SQLite's dates are UTC; a change is minutes old)
    fresh = {verb for verb, day in rows if day >= today}
    on_the_first = {"month.closed", "prepaid.mode", "prepaid.credited"} if today.endswith("-01") else set()
    assert fresh <= {"books.verified", "link.made", "machine.updated", "review.contested"} | on_the_first, fresh


def test_months_that_are_over_are_closed_and_their_seals_are_right(workshop):
    months = json.loads(workshop.collector("verify-periods", "--json"))["months"]
    assert len(months) >= 2
    assert all(not month["altered"] for month in months)
    today = workshop.today()
    assert months[-1]["month"] == f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"
    paid = json.loads(workshop.collector("bill-month", months[-1]["month"], "--json"))
    assert sum(line["amount_minor"] for line in paid["lines"]) > 5_000
    assert {"m-1", "m-2", "payer:1"} <= {line["payer"] for line in paid["lines"]}
    assert paid["classes"]["billed"]["sessions"] > 100
    assert paid["classes"]["line"]["amount_minor"] == 1_250


def test_the_workshop_says_who_sends_its_statements_and_how_they_are_paid(workshop):
    shown = workshop.collector("bill-workshop")
    assert "FR7699999000010000001234537" in shown
    assert "69001 Lyon" in shown


def test_the_credit_of_a_member_runs_out_at_the_machine(demo):
    laser = demo.gate("laser-1")
    before = laser.status()["roster"]["version"]
    demo.tap("laser-1", "bob")
    demo.until("laser-1", "Bonjour Bob")
    since = time.monotonic()
    wait(lambda: time.monotonic() - since > GRACE_S + 0.5, "that the session is longer than the grace time")
    demo.tap("laser-1", "bob")
    wait(lambda: laser.status()["roster"]["version"] > before, "a roster without credit")
    demo.tap("laser-1", "bob")
    demo.until("laser-1", "Bob was refused: no credit left")
