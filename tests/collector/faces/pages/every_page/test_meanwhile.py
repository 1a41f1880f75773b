"""Do gates' entries go in while rosters of many people are built? On PostgreSQL, where several write at once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import Gate, Machine, Member, SpecialDay
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import enrol_gate
from fabgate.collector.members.people import blocks
from fabgate.collector.members.people.blocks import today
from tests.collector.ground.db.together import together
from tests.support.patience import HANGS_S, wait

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("env", "told")]

WEEKLY = {"scope": "", "days": ["1"], "start": "09:00", "to": "18:00"}


@pytest.fixture
def gate(env) -> Gate:
    saw = Machine.objects.create(name="saw", title="Bandsaw", category="wood")
    Machine.objects.create(name="mill")
    Member.objects.create(id="m-1", name="Ada").machines.add(saw)
    found = enrol_gate.enrol("saw-1", "saw", actor="eve").gate
    SpecialDay.objects.create(day=today() + timedelta(days=1), note="Holiday")
    roster.rebuild()
    return found


def renew(machine: str) -> None:
    enrol_gate.enrol("saw-1", machine, actor="eve", new_token=True)


ACTS = {
    "hours": lambda client: client.post("/machines/calendar/weekly", WEEKLY),
    "no hours": lambda client: client.post(
        "/machines/calendar/remove", {"kind": "special", "pk": SpecialDay.objects.get().pk}
    ),
    "late tonight": lambda client: client.post("/machines/calendar/tonight", {"to": "05:00"}),
    "a gate beside another machine": lambda client: client.post(
        "/machines/mill/gates/move", {"moved": Gate.objects.get().pk}
    ),
    "two blocks lifted": lambda _client: blocks.unblock_member(Member(pk="m-1"), actor="eve"),
    "a gate let in": lambda _client: enrol_gate.enrol("mill-1", "mill", actor="eve"),
    "a gate let in beside a new machine": lambda _client: enrol_gate.enrol("lathe-1", "lathe", actor="eve"),
    "a gate let in again": lambda _client: renew("saw"),
    "a gate let in again beside another machine": lambda _client: renew("mill"),
}


@pytest.mark.usefixtures("at_six")  # in the small hours an hour of the night may be past
@pytest.mark.parametrize("act", ACTS)
def test_whoever_builds_rosters_keeps_nobody_from_telling(browse, gate, act):
    client = browse("manager")
    if act == "late tonight":
        client.post("/machines/calendar/weekly", {**WEEKLY, "days": list("1234567")})
    if act == "two blocks lifted":
        for reason in ("payment-due", "conduct"):
            blocks.block_member(Member.objects.get(), reason, None, actor="eve")
    before, told = Gate.objects.get(pk=gate.pk).roster_version, []

    def tell() -> None:
        with transaction.atomic():
            # Whoever builds rosters reads everybody, and gets no further.
            connection.cursor().execute("LOCK TABLE collector_member IN ACCESS EXCLUSIVE MODE")
            reading.set()
            until_somebody_waits_for_members()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [pulse._PULSE_LOCK])
                told.append(cursor.fetchone()[0])

    def build() -> None:
        reading.wait(HANGS_S)
        ACTS[act](client)

    reading = threading.Event()
    assert together(tell, build) == []
    assert told == [True]
    assert Gate.objects.order_by("-roster_version").first().roster_version > before


def until_somebody_waits_for_members() -> None:
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database()"
        " WHERE relation = 'collector_member'::regclass AND NOT granted"
    )

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            return cursor.fetchone()[0]

    wait(count, "somebody who waits for members")


def test_of_two_who_set_the_same_hours_at_once_one_is_told_that_they_are_set(browse, gate):
    both, answers = [browse("manager"), browse("maintainer")], []
    together(
        *[lambda one=one: answers.append(one.post("/machines/calendar/weekly", WEEKLY).status_code) for one in both]
    )
    assert sorted(answers) == [303, 409]
