"""The workshop at the counter, with browsers in it, whose forms are compared with the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.urls import reverse

from fabgate import wire
from fabgate.collector.ground.models import Group, Machine, Member, Training
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged
from fabgate.collector.recording.intake.store import Store
from tests.collector.faces.pages.used import NOON
from tests.collector.gates import Journal
from tests.collector.processes.verify.histories import texts
from tests.support.baseline import log_the_rest

BROKEN = {"why": "own", "words": "Belt broken", "when": "idle"}


class House:
    """The workshop at the counter, and browsers in it; `post` sends a form to a route."""

    #: Whether each table is compared with the log after each form.
    is_compared = True

    def __init__(self, browse: Callable[..., Any], account: Callable[..., Any]) -> None:
        self.browse, self.account = browse, account
        self.manager = browse("manager")

    def post(self, route: str, typed: Any = None, *, by: Any = None, query: str = "", **places: Any) -> Any:
        if self.is_compared:
            log_the_rest()  # what the test stored itself
        answer = (by or self.manager).post(reverse(route, kwargs=places) + query, typed or {})
        if self.is_compared:
            report = Report()
            logged.check(report)  # the log has all that the form changed
            assert texts(report) == []
        return answer

    def machine(self, name: str = "laser") -> Machine:
        return Machine.objects.get(name=name)

    def training(self) -> Training:
        return Training.objects.get(name="laser")

    def group(self) -> Group:
        return Group.objects.create(name="Class 3B", kind=Group.CLASS)

    def as_member(self) -> Any:
        return self.browse(self.account("member", member=Member.objects.get(pk="m-1")))

    def session(self) -> str:
        """Store a session of half an hour, and return its id."""
        journal = Journal(gate="laser-1", name="journal", boot="boot")
        who = {"session": "s-1", "member": "m-1", "badge": "b"}
        said = [
            journal.write("session.started", time=NOON, **who, basis=wire.Basis(kind="grant"), mode="tap"),
            journal.write("session.ended", time=NOON, **who, energised_ms=1_800_000, running_ms=1, reason="badge"),
        ]
        Store("lyon").store(said, datetime.now(UTC))
        return "s-1"
