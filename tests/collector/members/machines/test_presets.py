"""Presets: whole sets of rules that mean something, and leave what belongs to the one machine alone."""

from __future__ import annotations

import msgspec
import pytest

from fabgate import wire
from fabgate.collector.cli.arguments import machines as arguments
from fabgate.collector.ground.models import Machine
from fabgate.collector.members.machines import presets
from fabgate.errors import UsageError

OWN = {"lock", "lifted", "observe_until", "price_hint"}


@pytest.mark.parametrize("name", presets.PRESETS)
def test_each_preset_sets_every_rule_and_a_gate_takes_it(name):
    rules = presets.PRESETS[name]
    assert set(rules) | OWN == set(wire.MachineRules.__struct_fields__)
    assert wire.machine_mistakes(msgspec.convert(rules, wire.MachineRules)) == []


def test_every_preset_has_a_title_and_a_word_on_the_command_line():
    assert presets.TITLES.keys() == presets.PRESETS.keys()
    assert tuple(presets.PRESETS) == arguments.PRESETS


def test_it_replaces_the_rules_and_keeps_what_is_the_machines_own():
    machine = Machine(name="saw", rules={"mode": "audit", "price_hint": "0.20 €/min", "limit_s": 5})
    presets.apply(machine, "saw")
    assert machine.rules == {**presets.PRESETS["saw"], "price_hint": "0.20 €/min"}
    assert machine.preset == "saw"
    machine.rules["limit_s"] = 1
    assert presets.PRESETS["saw"]["limit_s"] != 1


def test_a_lock_stays_on():
    machine = Machine(name="saw", lock_id="l-1", lock_when="idle", lock_reason="Belt broken", lifted=["l-0"])
    presets.apply(machine, "laser")
    assert machine.wire_rules().lock == wire.Lock(id="l-1", when="idle", reason="Belt broken")
    assert machine.wire_rules().lifted == ["l-0"]


def test_an_unknown_one_is_refused():
    with pytest.raises(UsageError, match="wanted one of saw, laser, cnc, printer-3d, bench-tool"):
        presets.apply(Machine(name="saw"), "lathe")
