"""What does the floor say of a machine, from what its gate said last?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.faces.pages.floor import stations
from fabgate.collector.ground.models import Gate, Group, Journal, Machine, Member, Opening, SpecialDay

NOW = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def saw(database) -> Gate:
    """A machine whose gate was heard a moment ago, and a member."""
    machine = Machine.objects.create(name="saw", title="Bandsaw")
    Member.objects.create(id="m-1", name="Zoé Müller-Østergård")
    return Gate.objects.create(
        name="saw-1", machine=machine, online=True, seen_at=NOW, boot="b", state="idle", reader="ok"
    )


def seen(at: datetime = NOW, **said: object) -> stations.Station:
    Gate.objects.filter(name="saw-1").update(**said)
    (station,) = stations.now(at)
    return station


def texts(station: stations.Station) -> str:
    return " | ".join(note.text for note in station.notes)


def active(**more: object) -> dict[str, object]:
    said = {"state": "active", "session": "s", "session_member": "m-1", "state_since": NOW - 30 * MINUTE}
    return {**said, "energised_ms": 1_800_000, **more}


def lock(reason: str = "Belt broken", back: str = "") -> None:
    machine = Machine.objects.get(name="saw")
    machine.set_lock("idle", reason, back, by="maya", at=NOW)
    machine.save()


def test_an_idle_machine_is_free():
    station = seen()
    assert (station.state, station.notes, station.is_in_use) == ("free", [], False)


def test_a_machine_without_a_sense_for_the_job_is_on_since_a_moment_and_nothing_more_is_said():
    station = seen(**active())
    assert (station.state, station.since, str(station.who)) == ("in-use", NOW - 30 * MINUTE, "Zoé Müller-Østergård")
    assert station.notes == []


def test_a_job_that_was_seen_to_go_on_is_running():
    assert seen(**active(running_ms=60_000, ran_at=NOW - MINUTE)).state == "running"


def test_a_machine_whose_job_stands_still_for_longer_than_gates_speak_was_left_on():
    station = seen(**active(running_ms=60_000, ran_at=NOW - stations.STILL_FOR))
    assert station.state == "left-on"
    assert "but idle since" in texts(station)


@pytest.mark.parametrize("state", ["starting", "finishing"])
def test_a_session_that_begins_or_ends_is_called_so(state):
    assert seen(**active(state=state)).state == state


def test_a_gate_without_the_time_is_on_for_as_long_as_its_counter_says():
    station = seen(**active(state_since=None, energised_ms=600_000))
    assert station.since == NOW - 10 * MINUTE


@pytest.mark.parametrize(
    ("cause", "said"), [("estop", "Emergency stop pressed"), ("flag", "A danger was reported"), ("sharks", "sharks")]
)
def test_what_forbids_its_use_is_said_in_words_and_a_word_of_a_later_gate_as_it_is(cause, said):
    station = seen(causes=[cause])
    assert (station.state, station.word, texts(station)) == ("blocked", "", said)


def test_a_lock_is_shown_with_its_reason_the_day_and_who_set_it():
    lock("Belt broken", "2027-01-14")
    station = seen(causes=["lock-idle"])
    assert (station.state, station.word, station.locked_by) == ("locked", "", "maya")
    assert texts(station) == "Belt broken | Expected back: 14 Jan 2027"


def test_a_lock_that_its_gate_has_not_confirmed_says_so():
    lock()
    assert texts(seen()) == "Belt broken | Waiting for the gate to confirm the lock."


def test_a_lock_waits_for_whoever_uses_the_machine():
    lock()
    station = seen(**active(causes=["lock-idle"]))
    assert (station.state, texts(station)) == ("in-use", "Belt broken | Will lock when idle.")


def test_a_lock_that_only_the_gate_knows_is_no_secret():
    station = seen(causes=["lock-idle"])
    assert station.state == "locked"
    assert "still applies a lock" in texts(station)


def test_a_worse_cause_than_a_lock_is_shown_beside_it():
    lock()
    station = seen(causes=["estop", "lock-idle"])
    assert station.state == "blocked"
    assert texts(station) == "Emergency stop pressed | Belt broken"


@pytest.mark.parametrize("said", [{"online": False}, {"seen_at": NOW - timedelta(minutes=3)}])
def test_a_gate_that_is_not_heard_is_silent_and_what_it_said_last_is_told_as_the_past(said):
    station = seen(**active(**said))
    assert (station.state, station.is_in_use, station.is_reachable) == ("silent", False, False)
    assert "Zoé Müller-Østergård was using the machine then" in texts(station)


def test_a_gate_that_was_never_heard_and_a_machine_without_a_gate_have_their_own_words():
    Machine.objects.create(name="oven")
    Gate.objects.update(seen_at=None, online=False)
    assert [(one.word, one.state) for one in stations.now(NOW)] == [("Never online", "silent"), ("No gate", "silent")]


def test_a_gate_that_is_not_well_says_so_on_its_machine():
    gate = Gate.objects.get()
    Journal.objects.create(name="j", gate=gate, head=12, ack_seq=5)
    station = seen(journal="j", reader="fault", synced=False)
    assert station.state == "free"
    assert texts(station).split(" | ") == [
        "Waiting for 7 entries from its gate.",
        "A badge reader has a fault.",
        "Its gate does not know the time.",
    ]


def test_a_gate_whose_clock_is_wrong_says_so_on_its_machine():
    assert texts(seen(clock_off_ms=-3_540_000)) == "Its gate's clock is wrong by at least 59 min."


def test_since_when_a_gate_with_a_wrong_clock_is_in_use_its_counter_says():
    busy = {"state": "active", "session": "s", "session_member": "m-1", "energised_ms": 60_000, "seen_at": NOW}
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    assert seen(**busy, state_since=NOW - hour).since == NOW - hour
    assert seen(**busy, state_since=NOW - hour, clock_off_ms=-3_540_000).since == NOW - minute


@pytest.mark.parametrize(
    ("member", "name", "given"),
    [
        ("m-1", "Zoé Müller-Østergård", "Zoé"),
        ("group:1", "Lycée", "Lycée"),
        ("emergency:red box", "Emergency badge red box", "emergency badge"),
        ("m-9", "m-9", "someone"),
        ("group:²", "group:²", "someone"),
    ],
)
def test_whoever_uses_it_is_called_by_a_name_and_on_the_big_display_without_surname(member, name, given):
    Group.objects.create(pk=1, name="Lycée", kind="class")
    station = seen(**active(session_member=member))
    assert station.who is not None
    assert (station.who.name, station.who.given) == (name, given)


def test_while_the_workshop_is_closed_a_machine_that_nobody_uses_is_not_free():
    Opening.objects.create(days=[3, 5], start="09:00", to="18:00")
    assert seen(NOW - MINUTE).state == "free"
    station = seen(NOW)
    assert (station.state, texts(station)) == ("closed", "Opens: Friday 27 Nov 09:00")
    assert all(note.is_public for note in station.notes)
    assert texts(seen(NOW - 10 * 60 * MINUTE)) == "Opens: 09:00"
    SpecialDay.objects.create(day=NOW.date(), start="09:00", to="22:00", machine=station.machine)
    assert seen(NOW).state == "free"
    Opening.objects.all().delete()
    SpecialDay.objects.all().delete()
    SpecialDay.objects.create(day=NOW.date())
    assert texts(seen(NOW)) == "Opens: Thursday 26 Nov 00:00"


def test_what_is_used_locked_or_not_heard_while_it_is_closed_says_that():
    Opening.objects.create(days=[1], start="09:00", to="18:00")
    assert seen(**active()).state == "in-use"
    assert seen(NOW + 60 * MINUTE, state="idle").state == "silent"
    lock()
    assert seen(causes=["lock-idle"]).state == "locked"


@pytest.mark.parametrize("state", ["idle", "blocked", "starting", "active", "finishing"])
@pytest.mark.parametrize("more", [{}, {"online": False}, {"seen_at": NOW - 3 * MINUTE}, {"causes": ["lock-now"]}])
def test_who_uses_a_machine_is_asked_alone_and_is_who_the_floor_shows(state, more):
    station = seen(**active(state=state, **more))
    found = stations.used(NOW - 60 * MINUTE)
    assert [gate.name for gate in found] == (["saw-1"] if station.may_be_on else [])
    assert [gate.is_online(NOW) for gate in found] == ([station.is_in_use] if station.may_be_on else [])
    assert not stations.used(NOW + MINUTE)


@pytest.mark.parametrize("more", [{}, {"state": "finishing"}, {"online": False}])
def test_a_machine_that_left_the_workshop_while_it_was_on_stays_until_it_is_off(more, browse):
    now = datetime.now(UTC)  # pages have no other
    Gate.objects.update(**active(seen_at=now, **more))
    Machine.objects.update(retired_at=now)
    machine = Machine.objects.get()
    assert [station.key for station in stations.now(now)] == ["saw-1"]
    assert [station.key for station in stations.of(machine, now)] == ["saw-1"]
    desk = browse("desk")
    page = desk.get("/floor").content.decode()
    assert 'id="at-saw-1"' in page
    assert "/machines/saw/lock" not in page
    assert "Bandsaw" in desk.get("/floor/closing").content.decode()
    Gate.objects.update(state="idle", session="")
    assert stations.now(now) == stations.of(machine, now) == []


def test_those_in_use_come_in_the_order_of_the_floor_and_without_what_is_gone():
    for name, category, retired in (("b", "wood", None), ("a", "wood", None), ("gone", "", NOW), ("c", "", None)):
        machine = Machine.objects.create(name=name, category=category, retired_at=retired)
        Gate.objects.create(name=f"at-{name}", machine=machine, online=True, seen_at=NOW)
    Gate.objects.create(name="nowhere", online=True, seen_at=NOW)
    Gate.objects.exclude(name="at-gone").update(**active())
    shown = [one.key for one in stations.now(NOW)]
    assert shown == ["saw-1", "at-c", "at-a", "at-b"]
    assert [gate.name for gate in stations.used(NOW - MINUTE)] == shown


def test_some_stations_alone_are_what_they_are_among_all():
    for number in range(3):
        machine = Machine.objects.create(name=f"m-{number}")
        Gate.objects.create(name=f"g-{number}", machine=machine, online=True, seen_at=NOW)
    Machine.objects.create(name="without")
    lock()
    every = {one.key: one.cache_key for one in stations.now(NOW)}
    some = stations.now(NOW, ["saw-1", "g-2", "nobody's"])
    assert {one.key: one.cache_key for one in some} == {key: every[key] for key in ("saw-1", "g-2")}


def test_only_machines_that_are_still_there_are_shown_those_of_a_kind_together():
    Machine.objects.create(name="gone", retired_at=NOW)
    Machine.objects.create(name="b", category="wood")
    Machine.objects.create(name="a", category="wood")
    assert [one.machine.name for one in stations.now(NOW)] == ["saw", "a", "b"]


def test_what_names_a_person_never_stands_on_the_big_display():
    lock()
    station = seen(**active(online=False))
    assert [note.text for note in station.notes if note.is_public] == ["Belt broken"]


def test_the_number_of_questions_does_not_grow_with_the_machines():
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            stations.now(NOW)
        return len(queries)

    few = asked()
    for number in range(5):
        machine = Machine.objects.create(name=f"m-{number}")
        Gate.objects.create(name=f"g-{number}", machine=machine, online=True, seen_at=NOW, session_member="m-1")
    assert asked() <= few + 1  # somebody uses one of them now: their name
