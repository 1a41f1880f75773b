"""Rosters are built beside what others do: nobody waits for them, and what others change meanwhile is in them."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from fabgate.collector.cli.people import import_members
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Change, Gate, Member, Order, Pulse, UsageSession
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import commands
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON, Journal
from tests.collector.rosters import served
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.usefixtures("env")

beside_others = pytest.mark.skipif(connection.vendor != "postgresql", reason="on SQLite there is one writer at a time")


def elsewhere(work: Callable[[], Any]) -> None:
    """Do it on a connection of its own, to its end: it may wait for nobody."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (raised below)
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANGS_S)
    assert not thread.is_alive(), "it waits for whoever builds rosters"
    if failed:
        raise failed[0]


@contextmanager
def once_people_are_read(work: Callable[[], Any], *, times: int = 1) -> Iterator[None]:
    """Do it elsewhere each of the first times that the block has read people for a roster."""
    left = times

    def meet(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal left
        found = execute(sql, *rest)
        if left and 'FROM "collector_opening"' in sql:  # read for rosters only, and after the people
            left -= 1
            elsewhere(work)
        return found

    with connection.execute_wrapper(meet):
        yield
    assert not left


@pytest.fixture
def people(gate) -> list[Member]:
    made = [Member.objects.create(id=f"m-{n}", name=f"Person {n}") for n in (1, 2)]
    for one in made:
        one.machines.add(gate.machine)
    roster.rebuild()
    return made


def names(gate: Gate) -> dict[str, str | None]:
    return {one.id: one.name for one in served(gate).members}


@beside_others
@pytest.mark.parametrize("times", [1, roster.TRIES])
def test_what_others_change_while_a_roster_is_built_is_in_it(people, gate, times):
    numbers = iter(range(times))

    def rename() -> None:
        bob = Member.objects.get(pk="m-2")
        with audit.change("bob", "member.updated", bob) as change:
            bob.name = f"Bob{next(numbers)}"
            bob.save()
            change.rosters = roster.versions(roster.rebuild(only_changed=True))

    with once_people_are_read(rename, times=times), audit.change("ada", "member.updated", people[0]) as change:
        people[0].name = "Ada"
        people[0].save()
        change.rosters = roster.versions(roster.rebuild(only_changed=True))
    assert names(gate) == {"m-1": "Ada", "m-2": f"Bob{times - 1}"}
    assert change.rosters == {"laser-1": gate.roster_version}


@beside_others
def test_what_a_gate_reports_is_stored_while_an_import_builds_its_rosters(people, gate, told, tmp_path):
    file = tmp_path / "m.csv"
    file.write_text("id,name,badges,machines\nm-1,Ada,04A1B2C3,laser\nm-3,Cleo,04A1B2C4,laser\n")
    journal = Journal()
    store = Store("lyon")

    def report() -> None:
        store.store([journal.start("s-1"), journal.end("s-1", 5)], NOON)

    with once_people_are_read(report):
        import_members(argparse.Namespace(file=str(file), dates="", plans_from=None, sure=False, new=None))
    assert UsageSession.objects.get().reason == "badge"
    assert names(gate) == {"m-1": "Ada", "m-2": "Person", "m-3": "Cleo"}
    assert Change.objects.filter(verb="member.imported").count() == 2


@beside_others
def test_more_time_is_asked_for_while_the_gate_is_being_stored(gate, told):
    gate.online, gate.boot = True, "boot-7"
    gate.save()
    comes, failed = threading.Event(), []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        if "pg_advisory_xact_lock" in sql:
            comes.set()
        return execute(sql, *rest)

    def ask() -> None:
        try:
            with connection.execute_wrapper(look):
                commands.send(gate, "extend", "eve", seconds=600)
        except Exception as error:  # noqa: BLE001 (looked at below)
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=ask, daemon=True)
    with transaction.atomic():  # as an ingest does: first the order of telling, then the gates
        pulse.lock()
        thread.start()
        assert comes.wait(HANGS_S)
        Gate.objects.filter(pk=gate.pk).update(reader="ok")
    thread.join(HANGS_S)
    assert not failed
    assert Order.objects.get().command == "extend"


@beside_others
def test_a_version_that_a_gate_reports_while_its_roster_is_built_is_below_it(people, gate):
    ahead = gate.roster_version + 10**9
    with once_people_are_read(lambda: Gate.objects.update(reported_roster=ahead)):
        roster.rebuild()
    assert served(gate).version == Gate.objects.get().roster_version == ahead + 1


def test_deferred_pulses_are_sent_at_the_end_and_never_after_a_failure(database):
    def at_the_end() -> set[tuple[str, str]]:
        return set(Pulse.objects.values_list("topic", "gate"))

    with transaction.atomic(), pulse.deferred():
        with pulse.deferred():
            pulse.notify({Pulse.CHANGE: {""}}, NOON)
        pulse.notify({Pulse.ROSTER: {"laser-1"}, Pulse.CHANGE: {""}}, NOON)
        assert at_the_end() == set()
    assert at_the_end() == {("change", ""), ("roster", "laser-1")}
    assert Pulse.objects.count() == 2

    def fail() -> None:
        with transaction.atomic(), pulse.deferred():
            pulse.notify({Pulse.CHANGE: {""}}, NOON)
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    pulse.notify({Pulse.FLOOR: {""}}, NOON)
    assert Pulse.objects.count() == 3
