"""Changing how a machine behaves, from the command line."""

from __future__ import annotations

import argparse

import pytest

from fabgate.collector.cli import machines
from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.machines import presets
from fabgate.collector.members.machines import rules as machine_rules
from fabgate.errors import UsageError
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env")


def changed(rules, *changes):
    mistakes: list[str] = []
    return machine_rules.changed(rules, list(changes), mistakes), mistakes


def said(*rules: str, name: str = "laser", title: str | None = None, preset: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(name=name, rules=list(rules), title=title, preset=preset)


def test_values_are_read_as_the_rule_wants_them():
    rules = ("mode=hold", "limit_s=60", "price_hint=5", "observe_until=2027-03-01")
    assert changed({}, *rules) == (
        {"mode": "hold", "limit_s": 60, "price_hint": "5", "observe_until": "2027-03-01T00:00:00"},
        [],
    )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *((word, True) for word in ("yes", "oui", "on", "true", "TRUE")),
        *((w, False) for w in ("no", "non", "off", "False")),
    ],
)
def test_yes_and_no_are_understood_in_english_and_french(word, meant):
    assert changed({}, f"handover={word}") == ({"handover": meant}, [])


def test_an_empty_value_goes_back_to_the_default():
    assert changed({"mode": "hold", "limit_s": 60}, "mode=") == ({"limit_s": 60}, [])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("mod=hold", "did you mean mode"),
        ("mode", "did you mean mode"),
        ("lock=1", "wanted RULE=VALUE"),
        ("mode=holx", "wanted tap, hold, timed or audit"),
        ("limit_s=-1", "wanted 1 or more seconds"),
        ("limit_s=0", "wanted 1 or more seconds"),
        ("limit_s=1h", "limit_s: found '1h', wanted a whole number of seconds"),
        ("handover=maybe", "handover: found 'maybe', wanted yes or no"),
        ("handover=1", "wanted yes or no"),
        ("on_stale=shrug", "wanted allow or deny"),
        ("observe_until=soon", "wanted a moment such as 2027-03-01"),
        ("observe_until=20270301", "wanted a moment such as 2027-03-01"),
        (
            "observe_until=0026-12-31",
            "observe_until: found '0026-12-31', wanted a day from 1950-01-01 to 2060-12-31; did you mean 2026-12-31?",
        ),
        ("observe_until=2062-12-31T10:00", "did you mean 2026-12-31?"),
        ("max_s=5", "wanted 43200 (limit_s) or more"),
        ("mode=hold grace_s=0", "grace_s: found 0 with mode: hold and supervisor: minors, wanted 1 or more"),
        ("warn_s=43200", "warn_s: found 43200, wanted less than 43200 (limit_s)"),
    ],
)
def test_each_mistake_is_named(change, expected):
    (mistake,) = changed({}, *change.split(" "))[1]
    assert expected in mistake


def test_a_warning_is_judged_by_what_it_comes_before_and_only_where_somebody_wrote_one():
    assert changed({}, "limit_s=60") == ({"limit_s": 60}, [])
    (mistake,) = changed({"warn_s": 90}, "limit_s=60")[1]
    assert mistake.startswith("warn_s: found 90, wanted less than 60 (limit_s)")
    (mistake,) = changed({"warn_s": 90_000}, "limit_s=1h")[1]
    assert mistake.startswith("limit_s: found '1h'")


def test_all_mistakes_are_told_at_once_and_nothing_is_changed(gate):
    before = gate.roster_version
    with pytest.raises(UsageError) as caught:
        machines.set_rules(
            said("mod=hold", "limit_s=x", "handover=maybe", "on_stale=shrug", "warn_s=-1", title="x" * 121)
        )
    assert [line.partition(",")[0].partition(";")[0] for line in str(caught.value).splitlines()] == [
        f"--title: found '{'x' * 40}'…",
        "found 'mod=hold'",
        "limit_s: found 'x'",
        "handover: found 'maybe'",
        "on_stale: found 'shrug'",
        "warn_s: found -1",
    ]
    with pytest.raises(UsageError, match=r"(?s)found no machine 'lazer'.*mode: found 'x'"):
        machines.set_rules(said("mode=x", name="lazer"))
    assert Machine.objects.get().rules == {}
    assert Gate.objects.get().roster_version == before


def test_a_change_is_in_the_roster_its_gate_is_told_and_what_is_printed_can_be_written_again(gate, told, capsys):
    capsys.readouterr()
    machines.set_rules(said("handover=oui", "limit_s=60", title="Laser à CO2"))
    assert (served(gate).machine.handover, served(gate).machine.limit_s, len(told)) == (True, 60, 1)
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == "Laser à CO2: every other rule has its default; laser-1 notified"
    assert changed({}, *lines) == ({"handover": True, "limit_s": 60}, [])


def test_without_a_change_it_only_prints(gate, told, capsys):
    before = gate.roster_version
    capsys.readouterr()
    machines.set_rules(said())
    assert capsys.readouterr().out == "laser: every rule has its default; nothing changed\n"
    assert (Gate.objects.get().roster_version, told) == (before, [])


def test_a_preset_sets_all_rules_and_what_is_said_beside_it_wins(gate, told):
    machines.set_rules(said("limit_s=3600", preset="saw"))
    machine = Machine.objects.get()
    assert machine.rules == {**presets.PRESETS["saw"], "limit_s": 3600}
    assert machine.preset == "saw"
    assert served(gate).machine.mode == "hold"
    told.clear()
    machines.set_rules(said("limit_s=3600", preset="saw"))
    assert told == []  # nothing changed
