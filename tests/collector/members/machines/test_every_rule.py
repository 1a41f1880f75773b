"""Does each rule of a machine reach the gate, gate.yaml and the pages? CONTRIBUTING.md says the steps; these tests name them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest

from fabgate import wire
from fabgate.collector.faces.pages.words import machine_rules as words
from fabgate.gate.config.gate_yaml import MachineSection
from fabgate.gate.roster import people

RULES = wire.MachineRules.__struct_fields__
#: Rules that only the collector uses, or a page of the gate; locks by their ids (gate/roster/locks.py).
NOT_DECIDED_BY = {"attended", "price_hint", "lifted"}
#: What no gate has before its first roster.
ONLY_IN_ROSTERS = {"observe_until", "attended", "lock", "lifted", "price_hint"}
#: What has a button of its own.
NO_FIELD = {"lock", "lifted"}


def another(name: str) -> object:
    """Return a value that is not the default of this rule."""
    default = getattr(wire.MachineRules(), name)
    if name in wire.MACHINE_WORDS:
        return next(word for word in reversed(wire.MACHINE_WORDS[name]) if word != default)
    if isinstance(default, bool):
        return not default
    if name.endswith("_s"):
        return (default or 50_000) + 1
    return {"observe_until": datetime(2027, 1, 1, tzinfo=UTC), "lock": wire.Lock(id="l-1", when="now", reason="")}[name]


@pytest.mark.parametrize("name", [name for name in RULES if name not in NOT_DECIDED_BY])
def test_the_gate_decides_by_it(name):
    default = wire.MachineRules()
    changed = msgspec.structs.replace(default, **{name: another(name)})
    assert people.machine_rules(changed) != people.machine_rules(default), (
        f"a gate drops {name}: add it to MachineRules in fabgate/rules/vocabulary/machine_rules.py, and convert it in"
        f" fabgate/gate/roster/people.py; if only the collector uses it, name it in NOT_DECIDED_BY here"
    )


def test_a_gate_without_a_roster_has_the_defaults_of_both():
    assert people.machine_rules(MachineSection().rules()) == people.machine_rules(wire.MachineRules()), (
        "gate.yaml has another default than a roster: compare fabgate/gate/config/gate_yaml.py with wire/machine_rules.py"
    )


@pytest.mark.parametrize("name", [name for name in RULES if name not in ONLY_IN_ROSTERS])
def test_gate_yaml_has_it(name):
    assert name in MachineSection.__struct_fields__, (
        f"gate.yaml has no {name}: add it to MachineSection in fabgate/gate/config/gate_yaml.py; if a gate without a roster"
        f" cannot have it, name it in ONLY_IN_ROSTERS here"
    )
    assert getattr(MachineSection().rules(), name) == getattr(wire.MachineRules(), name)


@pytest.mark.parametrize("name", [name for name in RULES if name not in NO_FIELD])
def test_its_page_shows_it_in_words(name):
    file = "fabgate/collector/faces/pages/words/machine_rules.py"
    assert name in words.RULES, f"{name} has no label: add it to RULES in {file}"
    groups = Counter(rule for _title, rules in words.GROUPS for rule in rules)
    assert groups[name] == 1, f"{name} is {groups[name]} times in the form: add it to one part of GROUPS in {file}"
    for word in wire.MACHINE_WORDS.get(name, ()):
        # "never" means the same as "minors" (docs/decisions/0042)
        assert (name, word) in words.WORDS or word == "never", f"{name}={word} has no words: add it to WORDS in {file}"


def test_the_pages_know_no_other_rule():
    known = {*words.RULES, *words.HELP, *(name for name, _word in words.WORDS), *words.MAIN}
    assert known <= set(RULES)
