"""How a roster speaks to the rules: every word, date, window and number, or all that is wrong with them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.roster.people import StoredPerson, barred, holder, machine_rules, member
from fabgate.rules import vocabulary


def test_a_member_becomes_the_rules_member():
    found = member(
        wire.Member(
            id="m-1",
            badges=["x"],
            name="Ada",
            lang="fr",
            level="supervisor",
            grant="grant-7",
            valid_until="2027-03-01",
            grace_days=3,
            windows=[
                wire.Window(days=[1, 5], start="08:00", to="24:00"),
                wire.Window(days=[7], start="22:00", to="06:00"),
            ],
            limit_s=60,
            supervised=True,
            until_reason="training-expired",
        )
    )
    assert found == vocabulary.Member(
        id="m-1",
        name="Ada",
        lang="fr",
        level=vocabulary.Level.SUPERVISOR,
        grant="grant-7",
        valid_until=date(2027, 3, 1),
        grace_days=3,
        windows=(vocabulary.Window(frozenset({1, 5}), 480, 1440), vocabulary.Window(frozenset({7}), 1320, 360)),
        limit_ms=60_000,
        supervised=True,
        until_reason="training-expired",
    )


def test_a_roster_that_names_no_right_that_ends_means_the_membership():
    assert member(wire.Member(id="m-1", badges=[])).until_reason == "expired"
    assert member(wire.Member(id="m-1", badges=[], until_reason="")).until_reason == "expired"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"level": "boss"}, "level: found 'boss', wanted user, supervisor or maintainer"),
        ({"valid_until": "1/3/2027"}, "valid_until: found '1/3/2027', wanted a date such as 2027-03-01"),
        ({"valid_until": "20270301"}, "valid_until: found '20270301', wanted a date"),
        ({"valid_until": "2027-W09-1"}, "valid_until: found '2027-W09-1', wanted a date"),
        ({"valid_until": "2027-02-30"}, "valid_until: found '2027-02-30', wanted a date"),
        ({"valid_until": ""}, "valid_until: found '', wanted a date"),
        ({"grace_days": -1}, "grace_days: found -1, wanted 0 or more days"),
        ({"limit_s": -1}, "limit_s: found -1, wanted 1 or more seconds"),
        ({"limit_s": 0}, "limit_s: found 0, wanted 1 or more seconds"),
        ({"id": ""}, "id: found '', wanted text that does not start with 'emergency:'"),
        ({"id": "emergency:fire"}, "id: found 'emergency:fire', wanted text"),
        ({"windows": [wire.Window(days=[0], start="08:00", to="09:00")]}, r"windows: found the days \[0\], wanted ISO"),
        ({"windows": [wire.Window(days=[], start="08:00", to="09:00")]}, r"windows: found the days \[\], wanted ISO"),
        ({"windows": [wire.Window(days=[1], start="8h", to="09:00")]}, "windows: found the time '8h', wanted HH:MM"),
        ({"windows": [wire.Window(days=[1], start="08:60", to="09:00")]}, "found the time '08:60', wanted HH:MM"),
        ({"windows": [wire.Window(days=[1], start="08:00", to="24:01")]}, "found the time '24:01', wanted HH:MM"),
        (
            {"windows": [wire.Window(days=[1], start="08:0", to="-1:00")]},
            "found the time '08:0', .*found the time '-1:00'",
        ),
        ({"windows": [wire.Window(days=[1], start="0" * 9000 + ":00", to="٠٨:00")]}, "found the time '٠٨:00', wanted"),
    ],
)
def test_what_a_member_cannot_be_is_named(changes, expected):
    with pytest.raises(UsageError, match=expected):
        member(msgspec.structs.replace(wire.Member(id="m-1", badges=[]), **changes))


def test_all_mistakes_of_a_member_come_at_once():
    with pytest.raises(UsageError) as caught:
        member(wire.Member(id="m-1", badges=[], level="x", valid_until="y", grace_days=-1, limit_s=-1))
    assert str(caught.value).startswith("member m-1: level: ")
    assert str(caught.value).count("found") == 4


def test_a_refusal_always_has_a_reason():
    assert barred(wire.Barred(badges=[], reasons=[])).reasons == ("no-access",)
    assert barred(wire.Barred(badges=[], reasons=["a", "b"], id="m", lang="fr")) == vocabulary.Barred(
        ("a", "b"), "m", "fr"
    )


def test_the_default_machine_of_the_wire_is_that_of_the_rules():
    assert machine_rules(wire.MachineRules()) == vocabulary.MachineRules()


def test_a_machine_becomes_the_rules_machine():
    until = datetime(2027, 1, 1, tzinfo=UTC)
    found = machine_rules(
        wire.MachineRules(
            mode="hold",
            observe_until=until,
            idle_off_s=60,
            finish="cut",
            supervisor="always",
            on_stale="deny",
            lock=wire.Lock(id="l-1", when="now", reason="belt", back="2027-03-14"),
        )
    )
    assert (found.mode, found.observe_until, found.idle_off_ms) == (vocabulary.Mode.HOLD, until, 60_000)
    assert (found.finishes_jobs, found.supervision, found.refuses_when_stale) == (
        False,
        vocabulary.Supervision.ALWAYS,
        True,
    )
    assert found.lock == vocabulary.Lock("l-1", True, "belt", "2027-03-14")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mode": "maybe"}, "machine.mode: found 'maybe', wanted tap, hold, timed or audit"),
        ({"supervisor": "x"}, "machine.supervisor: found 'x', wanted never, minors or always"),
        ({"finish": "x"}, "machine.finish: found 'x', wanted wait or cut"),
        ({"on_stale": "x"}, "machine.on_stale: found 'x', wanted allow or deny"),
        ({"limit_s": 0}, "machine.limit_s: found 0, wanted 1 or more seconds"),
        ({"limit_s": 10, "max_s": 5}, r"machine.max_s: found 5, wanted 10 \(limit_s\) or more"),
        ({"warn_s": -1}, "machine.warn_s: found -1, wanted 0 or more seconds"),
        ({"idle_off_s": 0}, "machine.idle_off_s: found 0, wanted 1 or more seconds"),
        ({"lock": wire.Lock(id="l", when="soon", reason="")}, "machine.lock.when: found 'soon', wanted now or idle"),
    ],
)
def test_what_a_machine_cannot_be_is_named(changes, expected):
    with pytest.raises(UsageError, match=expected):
        machine_rules(msgspec.structs.replace(wire.MachineRules(), **changes))


def test_all_mistakes_of_a_machine_come_at_once():
    with pytest.raises(UsageError) as caught:
        machine_rules(wire.MachineRules(mode="x", finish="y", limit_s=-1, grace_s=-1))
    assert str(caught.value).count("machine.") == 4


def test_a_stored_row_is_a_member_or_somebody_barred():
    encode = msgspec.json.Encoder().encode
    assert holder(encode(StoredPerson(member=wire.Member(id="m", badges=[])))).id == "m"
    assert holder(encode(StoredPerson(barred=wire.Barred(badges=[], reasons=["x"])))) == vocabulary.Barred(("x",))
    assert holder(encode(StoredPerson())) == vocabulary.Barred(("no-access",))
