"""Changing how a machine behaves, from the command line."""

from __future__ import annotations

import pytest

from fabgate.errors import UsageError


def changed(rules, *changes):
    from fabgate.collector.machines import changed as change

    return change(rules, list(changes))


def test_values_are_read_as_what_they_look_like(database) -> None:
    assert changed({}, "mode=hold", "limit_s=60", "handover=true") == {"mode": "hold", "limit_s": 60, "handover": True}


def test_an_empty_value_goes_back_to_the_default(database) -> None:
    assert changed({"mode": "hold", "limit_s": 60}, "mode=") == {"limit_s": 60}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("mod=hold", "did you mean mode"),
        ("mode", "did you mean mode"),
        ("lock=1", "wanted RULE=VALUE"),
        ("mode=holx", "wanted tap, hold, timed or audit"),
        ("limit_s=-1", "wanted 1 or more seconds"),
        ("limit_s=0", "wanted 1 or more seconds"),
        ("handover=maybe", "mean nothing"),
        ("on_stale=shrug", "wanted allow or deny"),
    ],
)
def test_each_mistake_is_named(database, change, said) -> None:
    with pytest.raises(UsageError, match=said):
        changed({}, change)
