"""Is each rule of a machine that is a mistake named, and does a gate take all rosters with which it can work?"""

from __future__ import annotations

import pytest

from fabgate import wire


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"mode": "x"}, "mode: found 'x', wanted tap, hold, timed or audit"),
        ({"on_stale": "x"}, "on_stale: found 'x', wanted allow or deny"),
        ({"lock": wire.Lock(id="l", when="soon", reason="r")}, "lock.when: found 'soon', wanted now or idle"),
        ({"limit_s": 0}, "limit_s: found 0, wanted 1 or more seconds"),
        ({"warn_s": -1}, "warn_s: found -1, wanted 0 or more seconds"),
        ({"idle_off_s": 0}, "idle_off_s: found 0, wanted 1 or more seconds"),
        ({"limit_s": 9, "max_s": 8}, "max_s: found 8, wanted 9 (limit_s) or more"),
    ],
)
def test_what_means_nothing_in_a_machines_rules_is_named(changes, wanted):
    assert wire.machine_mistakes(wire.MachineRules(**changes)) == [wanted]


def test_the_default_rules_of_a_machine_mean_something():
    assert wire.machine_mistakes(wire.MachineRules()) == []
    assert wire.warning_mistakes(wire.MachineRules()) == {}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"limit_s": 60, "warn_s": 59, "idle_off_s": 60}, []),
        (
            {"limit_s": 60, "warn_s": 60},
            ["warn_s: found 60, wanted less than 60 (limit_s); the warning comes before the end"],
        ),
        ({"idle_off_s": 9}, ["warn_s: found 120, wanted less than 9 (idle_off_s); the warning comes before the end"]),
    ],
)
def test_a_warning_as_long_as_what_it_comes_before_is_named_but_a_gate_takes_the_roster(changes, wanted):
    rules = wire.MachineRules(**changes)
    assert list(wire.warning_mistakes(rules).values()) == wanted
    assert wire.machine_mistakes(rules) == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "with mode: hold and supervisor: minors, wanted 1 or more;"),
        ({"supervisor": "always"}, "with mode: hold and supervisor: always, wanted 1 or more;"),
        ({"supervisor": "never", "sponsor": True}, "with mode: hold and sponsor: true, wanted 1 or more;"),
        ({"supervisor": "never"}, None),
        ({"grace_s": 1}, None),
        ({"mode": "tap"}, None),
    ],
)
def test_a_holder_without_grace_where_a_second_card_is_needed_is_named_but_a_gate_takes_the_roster(changes, wanted):
    rules = wire.MachineRules(**{"mode": "hold", "grace_s": 0, **changes})
    found = wire.holder_mistake(rules)
    assert found is None if wanted is None else found.startswith(f"grace_s: found 0 {wanted}")
    assert wire.machine_mistakes(rules) == []
