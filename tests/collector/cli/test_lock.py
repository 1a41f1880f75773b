"""What is refused before a machine is locked, and what is said of a reason that the display cuts."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta

import pytest

from fabgate import wire
from fabgate.collector.cli import machines
from fabgate.collector.ground.models import Change, Gate, Machine, Member, Order
from fabgate.collector.members.people.blocks import today
from fabgate.errors import UsageError
from fabgate.gate.panel import messages
from fabgate.rules import vocabulary
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env")


def said(reason: str = "Belt broken", back: object = None, gate: str = "laser-1") -> argparse.Namespace:
    return argparse.Namespace(gate=gate, when="idle", reason=reason, back=back and str(back), actor="eve", json=False)


@pytest.mark.parametrize(
    ("reason", "back", "expected"),
    [
        ("", None, "--reason: found ''"),
        (" \t\n", None, "--reason: found"),
        ("bell\x07", None, "--reason: found"),
        ("x" * 201, None, "--reason: found 201 letters, wanted at most 200"),
        ("x", "2027-02-30", "--back: found '2027-02-30', wanted a date"),
        ("x", "soon", "--back: found 'soon', wanted a date"),
        ("x", "2020-01-01", "--back: found 2020-01-01, which is past"),
    ],
)
def test_a_reason_or_a_date_that_tells_nobody_anything_is_refused_and_nothing_is_locked(gate, reason, back, expected):
    with pytest.raises(UsageError) as caught:
        machines.lock(said(reason, back))
    assert str(caught.value).startswith(expected)
    assert Machine.objects.get().lock is None


def test_every_mistake_is_told_at_once(gate):
    with pytest.raises(UsageError) as caught:
        machines.lock(said("", "soon", gate="lasser"))
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "--reason",
        "--back",
        "found no gate 'lasser' with a machine, wanted one of",
    ]


def test_today_is_a_day_on_which_a_machine_may_be_back(gate, told):
    machines.lock(said(back=today()))
    assert served(gate).machine.lock.back == today().isoformat()


def test_an_order_from_the_command_line_is_nobodys_who_signs_in_under_that_name(gate, told):
    machines.lock(said())
    machines.unlock(argparse.Namespace(gate="laser-1", lock=None, actor="eve", json=False))
    assert set(Order.objects.values_list("command", "actor")) == {("lock", "cli:eve"), ("unlock", "cli:eve")}
    logged = Change.objects.filter(verb__in=("machine.locked", "machine.unlocked"))
    assert set(logged.values_list("actor", flat=True)) == {"cli:eve"}


SILENT = "Ada was using it when laser-1 last reported; laser-1 does not answer, and will be updated when it is back"


@pytest.mark.parametrize(
    ("when", "state", "more", "words", "said_state"),
    [
        ("idle", "active", {}, "laser locks once it is idle; Ada is using it now; laser-1 notified", "locks-once-idle"),
        (
            "idle",
            "finishing",
            {},
            "laser locks once it is idle; Ada is using it now; laser-1 notified",
            "locks-once-idle",
        ),
        ("now", "active", {}, "laser is locked; Ada is using it now; laser-1 notified", "locked"),
        ("idle", "idle", {"session_member": ""}, "laser is locked; laser-1 notified", "locked"),
        ("idle", "active", {"online": False}, f"laser locks once it is idle; {SILENT}", "locks-once-idle"),
    ],
)
def test_what_is_said_of_a_lock_is_true_while_somebody_uses_the_machine(
    gate,
    told,
    capsys,
    when,
    state,
    more,
    words,
    said_state,
):
    Member.objects.create(id="m-1", name="Ada")
    busy = {"online": True, "seen_at": datetime.now(UTC), "boot": "boot-7", "state": state, "session_member": "m-1"}
    Gate.objects.update(**busy | more)
    capsys.readouterr()
    arguments = said()
    arguments.when = when
    machines.lock(arguments)
    assert capsys.readouterr().out == f"{words}\n"
    arguments.json = True
    machines.lock(arguments)
    found = json.loads(capsys.readouterr().out)
    assert (found["machine"], found["lock"], found["state"]) == ("laser", Machine.objects.get().lock_id, said_state)
    assert found["used_by"] == ([] if state == "idle" else [{"gate": "laser-1", "member": "m-1"}])
    assert found["gates"] == [{"gate": "laser-1", "notified": True, "heard": "online" not in more}]
    arguments.lock = None
    machines.unlock(arguments)
    assert json.loads(capsys.readouterr().out)["state"] == "unlocked"


def display(lock: wire.Lock) -> str:
    signal = vocabulary.Signal(vocabulary.SignalKind.BLOCKED, reasons=(vocabulary.Cause.LOCK_AFTER_JOB.value,))
    return "\n".join(messages.notice(signal, machine="", lock=lock, lang="en", mode=vocabulary.Mode.TAP).lines)


@pytest.mark.parametrize("back", [None, 3])
@pytest.mark.parametrize("reason", ["x" * 20, "x" * 21, "Tube is cracked, the other one too", "word " * 9])
def test_it_says_so_when_the_display_cuts_a_reason_and_only_then(gate, told, capsys, reason, back):
    capsys.readouterr()
    machines.lock(said(reason, today() + timedelta(days=back) if back else None))
    is_cut = "…" in display(served(gate).machine.lock)
    assert ("note: the display" in capsys.readouterr().err) is is_cut


def test_a_lock_that_a_restored_database_forgot_is_lifted_by_its_id_and_a_made_up_one_is_refused(gate, told):
    forgotten = "5f1c" * 8
    Gate.objects.update(online=True, boot="boot-7")
    machines.unlock(argparse.Namespace(gate="laser-1", lock=forgotten, actor="eve", json=False))
    assert forgotten in served(gate).machine.lifted
    order = wire.decode(told[0].body, wire.Command)
    assert (order.verb, order.lock.id) == ("unlock", forgotten)
    with pytest.raises(UsageError, match="--lock: found 'no such id!', wanted the lock id"):
        machines.unlock(argparse.Namespace(gate="laser-1", lock="no such id!", actor="eve", json=False))
