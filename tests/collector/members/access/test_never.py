"""A machine of which it was written that nobody needs a supervisor: minors, classes and learners need one all the same."""

from __future__ import annotations

import argparse
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate.collector.cli import machines
from fabgate.collector.faces.pages.machines.forms import RulesForm
from fabgate.collector.ground.models import Gate, Group, Machine
from fabgate.collector.members.machines import presets
from fabgate.gate.roster import people
from fabgate.rules import vocabulary
from fabgate.rules.access import decide
from tests.collector.grants import give_badge
from tests.collector.rosters import built

pytestmark = pytest.mark.usefixtures("env", "told")


@pytest.fixture
def printer(gate) -> Gate:
    set_to_never()
    return Gate.objects.get()


def set_to_never() -> None:
    name = Machine.objects.get().name
    machines.set_rules(argparse.Namespace(name=name, title=None, preset=None, rules=["supervisor=never"]))


def test_a_class_badge_needs_a_supervisor_there(printer):
    group = Group.objects.create(name="5b", kind="class")
    group.machines.add(printer.machine)
    give_badge(None, group=group, kind="class")
    served = built(printer)
    (found,) = served.members
    now = vocabulary.Now(0, datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)), synced=True)
    rules = people.machine_rules(served.machine)
    said = decide(people.member(found), rules=rules, causes=frozenset(), stale=False, now=now)
    assert said.needs_supervisor


def test_gates_are_served_the_value_that_all_versions_understand(printer):
    assert built(printer).machine.supervisor == "minors"


def test_no_page_offers_it_and_a_form_that_is_saved_unchanged_says_what_holds(printer):
    form = RulesForm(machine=Machine.objects.get())
    field = form["supervisor"]
    assert [word for word, _ in field.field.choices] == ["minors", "always"]
    assert field.value() == "minors"


def test_no_preset_says_it():
    assert {rules["supervisor"] for rules in presets.PRESETS.values()} == {"minors"}


def test_the_command_takes_the_word_and_prints_what_holds(printer, capsys):
    set_to_never()
    assert "supervisor=minors\n" in capsys.readouterr().out
