"""Does the log say what the table says after two have changed one row at once? On PostgreSQL, where several write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.urls import reverse

from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Group, Machine, Training
from fabgate.collector.members.machines import locks
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged
from tests.collector.ground.db.together import together
from tests.collector.processes.verify.histories import texts
from tests.support.baseline import log_the_rest
from tests.support.patience import HANGS_S, wait

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("house")]


def member_added(pk: str) -> Callable[[Any], Any]:
    def add(_browser: Any) -> None:
        with audit.change("maya", "group.updated", Group.objects.get()) as _change:
            Group.objects.get().members.add(pk)

    return add


def training_sent(*machines: str) -> Callable[[Any], Any]:
    def send(browser: Any) -> Any:
        pks = [Machine.objects.get(name=name).pk for name in machines]
        pk = Training.objects.get(name="laser").pk
        return browser.post(reverse("people-training-edit", args=[pk]), {"title": "Laser", "machines": pks})

    return send


def machine_sent(name: str, *trainings: str) -> Callable[[Any], Any]:
    def send(browser: Any) -> Any:
        pks = [Training.objects.get(name=training).pk for training in trainings]
        return browser.post(reverse("machines-trainings", args=[name]), {"trainings": pks})

    return send


def locked(_browser: Any) -> Any:
    return locks.lock_machine(Machine.objects.get(name="saw"), "idle", "belt", "", actor="maya")


def unlocked(_browser: Any) -> Any:
    return locks.unlock_machine(Machine.objects.get(name="saw"), None, actor="bo")


PAIRS = {
    "two members of a group": (member_added("m-1"), member_added("m-2")),
    "a machine of a training, from both sides": (training_sent("laser", "saw"), machine_sent("laser")),
    "a training of two machines": (machine_sent("saw", "saw", "laser"), machine_sent("laser", "saw", "laser")),
    "a lock that is lifted while it is set": (locked, unlocked),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_the_log_says_what_the_table_says(house, browse, account, pair):
    """Both have looked before either of them writes into the log: the pulse lock is held until both wait."""
    Group.objects.create(name="3B", kind="class")
    browsers = [browse(account("manager", name)) for name in ("maya", "bo")]
    log_the_rest()
    first, second = (lambda act=act, one=one: act(one) for act, one in zip(PAIRS[pair], browsers, strict=True))
    held, waiting = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            pulse.lock()
            held.set()
            until_waiting(1)
            waiting.set()
            until_waiting(2)

    def begin() -> None:
        held.wait(HANGS_S)
        first()

    def follow() -> None:
        waiting.wait(HANGS_S)
        second()

    assert together(hold, begin, follow) == []
    report = Report()
    logged.check(report)
    assert texts(report) == []


def until_waiting(wanted: int) -> None:
    """Wait until so many transactions of this database wait for a lock, of a row or of the log."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def count() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # or else a transaction sees the same again
            cursor.execute(waiting)
            return cursor.fetchone()[0] >= wanted

    wait(count, f"{wanted} transactions that wait")
