"""Who decides by a change already? In words, below what was changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import translation

from fabgate.collector.faces.pages import gates_informed
from fabgate.collector.ground.models import Change, Gate

pytestmark = pytest.mark.usefixtures("database", "fresh_now")
NOW = datetime.now(UTC)


def gate(name: str, *, reported: int = 0, **more: Any) -> Gate:
    return Gate.objects.create(name=name, roster_version=5, reported_roster=reported, **more)


def change(key: str = "m-1", *, minutes: int = 0, **rosters: int) -> Change:
    at = NOW + timedelta(minutes=minutes)
    return Change.objects.create(at=at, actor="maya", verb="member.updated", kind="member", key=key, rosters=rosters)


def test_a_change_that_every_gate_knows_is_all_right():
    gate("saw", reported=5)
    gate("laser", reported=7)
    found = gates_informed.by(change(saw=5, laser=5))
    assert found is not None
    assert (found.state, found.text) == ("ok", "Applied on 2 of 2 gates")


def test_gates_that_do_not_know_yet_are_named_with_why():
    gate("bandsaw", online=False, seen_at=datetime(2026, 3, 1, 14, 2, tzinfo=UTC))
    gate("drill", online=True, seen_at=NOW)
    gate("lathe")
    found = gates_informed.by(change(bandsaw=5, drill=5, lathe=5))
    assert found is not None
    assert found.state == "warn"
    assert found.text.startswith("Applied on 0 of 3 gates; bandsaw offline since 1 Mar 2026, 14:02")
    assert found.text.endswith("; drill is being updated; lathe has not reported yet")


def test_of_many_gates_only_some_are_named():
    names = [f"gate-{number}" for number in range(6)]
    for name in names:
        gate(name)
    found = gates_informed.by(change(**dict.fromkeys(names, 5)))
    assert found is not None
    assert found.text.endswith("gate-2 has not reported yet; and 3 more")


def test_what_touched_no_gate_says_nothing():
    assert gates_informed.by(change()) is None
    assert gates_informed.by(change(gone=5)) is None  # a gate that is there no more
    assert gates_informed.of() is None


def test_of_an_object_the_newest_change_that_touched_a_roster_counts():
    gate("saw", reported=5)
    change(saw=9)
    change(minutes=1, saw=5)
    change(minutes=2)
    change("m-2", minutes=3, saw=9)
    found = gates_informed.of(("member", "m-1"))
    assert found is not None
    assert found.state == "ok"


def test_it_is_said_in_french_too():
    gate("saw", reported=5)
    with translation.override("fr"):
        found = gates_informed.by(change(saw=5))
    assert found is not None
    assert found.text == "Appliqué sur la borne"


def test_in_french_one_gate_of_several_is_counted_as_one():
    gate("saw", reported=5)
    gate("laser", reported=4)
    with translation.override("fr"):
        found = gates_informed.by(change(saw=5, laser=5))
    assert found is not None
    counted, _, waiting = found.text.partition("\N{NARROW NO-BREAK SPACE}; ")
    assert counted == "Appliqué sur 1 des 2 bornes"
    assert waiting == "laser n\N{RIGHT SINGLE QUOTATION MARK}a encore rien transmis"


def test_of_somebody_who_had_more_badges_than_a_statement_has_conditions_it_is_known_too():
    gate("saw", reported=5)
    newest = Change.objects.create(at=NOW, actor="maya", verb="badge.given", kind="badge", key="7", rosters={"saw": 5})
    found = gates_informed.of(("member", "m-1"), *(("badge", str(number)) for number in range(5_000)))
    assert found is not None
    assert found.change == newest
