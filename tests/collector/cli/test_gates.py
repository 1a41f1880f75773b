"""The verbs ``gates`` and ``gate-add``: what they print of each gate, and the machine that they make."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fabgate import wire
from fabgate.collector.cli import gates, verbs
from fabgate.collector.ground.models import Change, FormerToken, Gate, JoinCode, Machine
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import joins, presets
from fabgate.collector.members.machines.keys import clones, revoke_gate
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import UsageError
from fabgate.gate.roster.locks import Locks
from tests.collector.gates import Journal
from tests.collector.members.machines.enrolled import hears, let_in_again
from tests.collector.rosters import add, own_roster

pytestmark = pytest.mark.usefixtures("env", "fresh_now")

NOW = datetime.now(UTC)


@dataclass
class Shown:
    heard: str
    entries: str
    roster: str
    notes: str


@pytest.fixture
def show(gate, capsys):
    def shown() -> Shown:
        capsys.readouterr()
        gates.show(argparse.Namespace(json=False))
        cells = [*re.split(r"  +", capsys.readouterr().out.splitlines()[1]), ""]
        assert cells[:2] == ["laser-1", "laser"]
        return Shown(*cells[2:6])

    return shown


@pytest.fixture
def journal() -> Journal:
    written = Journal()
    for _ in range(4):
        written.write("gate.stopping", reason="x")
    return written


def store(*messages: object, at: datetime | None = None) -> None:
    Store("lyon").store(list(messages), at or NOW)


def test_of_a_gate_that_never_spoke_nothing_is_known(show):
    assert show() == Shown("not heard yet", "none yet", "not fetched yet", "")


def test_what_arrived_after_the_gate_said_how_far_it_has_written_was_written_too(show, journal, capsys):
    store(journal.status(head=2), *journal.messages())
    assert show().entries == "all 4 stored"
    gates.show(argparse.Namespace(json=True))
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["stored"], row["head"]) == (4, 4)


def test_entries_that_wait_at_the_gate_are_told(show, journal):
    store(journal.status(head=9), *journal.messages())
    assert show().entries == "4 of 9 stored"


def test_online_is_a_gate_that_spoke_just_now(show, journal):
    store(journal.status())
    assert show().heard == "online"
    Gate.objects.update(seen_at=NOW - timedelta(minutes=5))
    assert show().heard == f"last heard {NOW - timedelta(minutes=5):%Y-%m-%d %H:%M}"


def test_a_gate_is_offline_since_it_went_and_not_since_the_broker_repeats_it(show, journal):
    gone = NOW - timedelta(days=2)
    store(journal.status(), at=gone - timedelta(hours=1))
    store(journal.status(online=False, journal=None), at=gone)
    store(journal.state(state="idle"), journal.status(online=False, journal=None), at=NOW)
    assert show().heard == f"offline since {gone:%Y-%m-%d %H:%M}"


def test_the_roster_is_the_newest_or_an_older_one(show, journal):
    (built,) = roster.rebuild()
    store(journal.status(roster=own_roster(version=built.roster_version)))
    assert show().roster == "newest"
    roster.rebuild()
    assert show().roster == "an older one"


def test_a_gate_without_a_machine_has_no_roster(env, capsys):
    Gate.objects.create(name="new")
    gates.show(argparse.Namespace(json=False))
    row = re.split(r"  +", capsys.readouterr().out.splitlines()[1])
    assert row == ["new", "none", "not heard yet", "none yet", "none without a machine"]


def test_what_is_wrong_stands_behind(show, journal):
    store(journal.message(3), journal.status(floor=3))
    Machine.objects.update(lock_id="x", lock_when="now", lock_reason="x")
    assert show().notes == "locked, 2 lost"


def test_a_clone_and_an_old_card_are_named_with_their_addresses(show, capsys):
    gate = Gate.objects.get()
    for hours, boot, address in ((2, "a", "10.0.0.20"), (1, "b", "10.0.0.66"), (0, "a", "10.0.0.20")):
        clones.fetched(gate, boot, address, datetime.now(UTC) - timedelta(hours=hours))
    assert show().notes == "clone: two devices use its keys (10.0.0.20, 10.0.0.66)"
    revoke_gate.revoke("laser-1", actor="cli:eve")
    FormerToken.objects.update(used_at=datetime.now(UTC), address="10.0.0.66")
    assert show().notes == "old keys used from 10.0.0.66, and refused"
    gates.show(argparse.Namespace(json=True))
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["clones"], row["old_keys_from"]) == ([], "10.0.0.66")


def test_no_gate_yet_says_what_to_do(env, capsys):
    gates.show(argparse.Namespace(json=False))
    assert "fabgate collector gate-add NAME" in capsys.readouterr().out


def test_until_a_gate_has_its_new_files_the_list_shows_that_it_knows_an_older_roster(show, env):
    store(Journal().status(roster=own_roster(version=Gate.objects.get().roster_version)))
    assert show().roster == "newest"
    let_in_again("laser")
    assert show().roster == "an older one"
    hears(Locks(), env)
    assert show().roster == "newest"


def test_whoever_renews_them_is_told_that_the_broker_has_a_password_of_its_own(env, gate, capsys):
    again = argparse.Namespace(
        name="laser-1", machine="laser", rules=[], title=None, preset=None, new_token=True, emulated=False, json=True
    )
    capsys.readouterr()
    gates.add(again)
    said = capsys.readouterr()
    assert json.loads(said.out)["broker_account"] == "lyon/laser-1"
    assert "old password of lyon/laser-1" in said.err
    add("saw-1", "saw")
    assert capsys.readouterr().err == ""


# --- with the machine's rules -----------------------------------------------------------------------------------------


def gate_add(*rules: str, name: str = "laser-1", machine: str = "laser", **options: Any) -> int:
    said = {"title": None, "preset": None, "json": False, "new_token": False, "emulated": False, **options}
    return gates.add(argparse.Namespace(name=name, machine=machine, rules=list(rules), **said))


def test_a_gate_is_let_in_with_the_rules_of_its_machine_which_are_printed(env, capsys):
    assert gate_add("limit_s=7200", "mode=hold") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("machine_rules: ")]
    rules = dict(rule.split("=") for rule in line.split()[1:])
    assert rules.items() >= {"limit_s": "7200", "mode": "hold", "max_s": "86400", "handover": "no"}.items()
    served = wire.decode(bytes(Gate.objects.get().roster), wire.Roster)
    assert (served.machine.limit_s, served.machine.mode) == (7200, "hold")
    change = Change.objects.get(verb="machine.added")
    pk = Machine.objects.get().pk
    assert change.after == {"id": pk, "name": "laser", "title": "Laser", "rules": {"limit_s": 7200, "mode": "hold"}}


def test_the_rules_that_are_printed_can_be_given_again(env, capsys):
    gate_add("limit_s=7200", "idle_off_s=600", "handover=yes")
    out = capsys.readouterr().out
    assert "remove the rule: 'fabgate collector machine-set laser idle_off_s='" in out
    printed = out.split("machine_rules: ")[1].splitlines()[0].split()
    gate_add(*printed, name="saw-1", machine="saw")
    laser, saw = Machine.objects.get(name="laser"), Machine.objects.get(name="saw")
    assert laser.wire_rules() == saw.wire_rules()


def test_a_limit_that_nobody_gave_is_not_silent(env, capsys):
    gate_add()
    out = capsys.readouterr().out
    assert "limit_s=14400" in out
    assert "These rules replace 'machine:' in the gate's gate.yaml" in out


def test_the_rules_of_a_machine_that_is_there_stay_and_those_that_are_named_change(env, capsys):
    gate_add("limit_s=7200")
    gate_add("warn_s=60", name="laser-2")
    assert Machine.objects.get().rules == {"limit_s": 7200, "warn_s": 60}
    assert "limit_s=7200" in capsys.readouterr().out
    first = Gate.objects.get(name="laser-1")
    assert wire.decode(bytes(first.roster), wire.Roster).machine.warn_s == 60
    assert Change.objects.filter(verb="machine.updated").get().after["rules"] == {"limit_s": 7200, "warn_s": 60}


def test_a_wrong_rule_lets_nobody_in_and_is_named_with_every_other_mistake(env):
    with pytest.raises(UsageError) as caught:
        gate_add("limit=7200", "warn_s=soon", name="Laser 1")
    assert len(str(caught.value).splitlines()) == 3
    assert not Gate.objects.exists()
    assert not Machine.objects.exists()


def test_json_has_the_rules_too(env, capsys):
    gate_add("limit_s=7200", json=True)
    found = json.loads(capsys.readouterr().out)["machine_rules"]
    assert (found["limit_s"], found["max_s"], found["handover"]) == (7200, 86_400, False)
    assert not {"lock", "lifted"} & found.keys()


def test_a_new_machine_gets_a_title_and_a_limit_of_hours(env):
    gate_add(machine="laser-2")
    found = Machine.objects.get()
    assert (found.title, found.rules) == ("Laser 2", {"limit_s": 4 * 3600})


def test_a_new_machine_gets_the_rules_of_its_preset_and_those_that_are_named(env):
    gate_add("limit_s=3600", title="Big saw", preset="saw", machine="saw")
    found = Machine.objects.get()
    assert (found.title, found.preset) == ("Big saw", "saw")
    assert found.rules == {**presets.PRESETS["saw"], "limit_s": 3600}
    assert wire.decode(bytes(Gate.objects.get().roster), wire.Roster).machine.mode == "hold"
    after = Change.objects.get(verb="machine.added").after
    assert (after["title"], after["preset"], after["rules"]["limit_s"]) == ("Big saw", "saw", 3600)


@pytest.mark.parametrize("option", [{"title": "Big laser"}, {"preset": "saw"}])
def test_title_and_preset_of_a_machine_that_exists_are_refused(env, option):
    gate_add()
    with pytest.raises(UsageError, match=r"--title and --preset are for a new one; .* machine-set laser"):
        gate_add(name="laser-2", **option)
    assert Gate.objects.count() == 1
    assert Machine.objects.get().title == "Laser"


# --- codes with which gates join --------------------------------------------------------------------------------------


def test_a_code_is_printed_with_its_command(env, capsys):
    cli = ["join-code", "mill-1", "--machine", "mill", "--preset", "cnc", "--address", "https://collector.lan/"]
    assert parsed(cli) == 0
    code = JoinCode.objects.get()
    out = capsys.readouterr().out
    assert "sudo fabgate join collector.lan\n" in out
    assert joins.text_of(code) in out
    assert (code.gate, code.machine, code.title, code.preset, code.build) == (
        "mill-1",
        "mill",
        "Mill",
        "cnc",
        "standard",
    )
    assert code.made_by.startswith("cli:")


def test_a_code_is_printed_for_programs(env, capsys):
    assert (
        parsed(
            ["join-code", "mill", "--build", "plug", "--plug", "192.168.1.40", "shellyplugsg3-8cbfeaa03350", "--json"]
        )
        == 0
    )
    found, code = json.loads(capsys.readouterr().out), JoinCode.objects.get()
    assert (found["gate"], found["machine"], found["code"]) == ("mill", "mill", joins.text_of(code))
    assert code.build_values == {"host": "192.168.1.40", "device_id": "shellyplugsg3-8cbfeaa03350"}


def test_a_code_for_a_gate_that_exists_is_for_its_machine(gate):
    with pytest.raises(UsageError, match="already exists"):
        parsed(["join-code", "laser-1"])
    assert parsed(["join-code", "laser-1", "--replace"]) == 0
    assert JoinCode.objects.get().machine == "laser"


def parsed(words: list[str]) -> int:
    """Run a verb of the collector in this process."""
    parser = argparse.ArgumentParser()
    verbs.add_verbs(parser)
    arguments = parser.parse_args(words)
    return gates.join_code(arguments)
