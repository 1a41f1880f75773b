"""A machine's page: what it is, how it behaves, who may use it, its gate, and what its gates hear of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from fabgate import wire
from fabgate.collector.faces.pages.words import formatting
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Change, Gate, Group, Machine, Member, Training
from fabgate.collector.members.machines import locks
from fabgate.collector.recording.broker import announcing
from fabgate.errors import FabgateError
from tests.collector.faces.pages.counter import text
from tests.collector.faces.pages.machines.rules_form import typed
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env", "told")


def test_the_list_shows_each_machine_and_what_it_does(browse, gate):
    Gate.objects.update(state="idle", online=True, seen_at=datetime.now(UTC))
    Machine.objects.create(name="old", title="Old lathe", retired_at=datetime.now(UTC))
    page = text(browse("manager").get("/machines"))
    assert page.index("Bandsaw") < page.index("1 retired machine") < page.index("Old lathe")
    assert "Free" in page
    assert "saw-1" in page


@pytest.mark.parametrize("path", ["/machines", "/machines/saw", "/people/m-1"])
def test_the_trainings_that_open_a_machine_are_named_in_their_order(browse, saw, path):
    for title in ("Turning", "Basics", "Cutting"):
        saw.trainings.add(Training.objects.create(name=title.lower(), title=title))
    Member.objects.create(id="m-1", name="Ada")
    page = text(browse("auditor").get(path))  # who changes nothing reads their names as one line
    named = page[: page.rindex("Turning")]
    assert "Cutting" in named
    assert named.rindex("Basics") < named.rindex("Cutting")


def test_a_workshop_without_machines_is_told_what_to_do(browse):
    assert "Add a machine" in text(browse("manager").get("/machines"))
    assert "Add a machine" not in text(browse("desk").get("/machines"))


def test_a_new_machine_behaves_as_its_kind(browse):
    sent = {"name": "laser-2", "title": "Laser", "category": "laser", "preset": "laser"}
    answer = browse("maintainer").post("/machines/new", sent)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/machines/laser-2#gates")
    machine = Machine.objects.get()
    assert (machine.title, machine.preset, machine.rules["limit_s"]) == ("Laser", "laser", 4 * 3600)
    assert Change.objects.get().verb == "machine.added"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Laser 2", "Use lowercase letters"),
        ("saw", "A machine with this name already exists"),
        ("calendar", "This name is reserved"),
        ("", "This field is required"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_what_to_do(browse, saw, name, said):
    answer = browse("manager").post("/machines/new", {"name": name, "preset": "laser"})
    assert answer.status_code == 400
    assert said in text(answer)
    assert Machine.objects.count() == 1


def test_a_machine_without_a_kind_is_not_made(browse):
    answer = browse("manager").post("/machines/new", {"name": "laser-2", "preset": "toaster"})
    assert answer.status_code == 400
    assert not Machine.objects.exists()


def test_rules_are_typed_in_minutes_and_the_gate_gets_seconds(browse, saw, gate, told):
    before = gate.roster_version
    answer = browse("maintainer").post("/machines/saw/rules", typed(saw, limit_s="90", idle_off_s="", warn_s="45 s"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/machines/saw#rules")
    rules = served(gate).machine
    assert (rules.limit_s, rules.idle_off_s, rules.warn_s, rules.mode) == (5400, None, 45, "hold")
    assert gate.roster_version > before
    assert [message.topic for message in told] == ["fabgate/v1/lyon/saw-1/roster"]


def test_rules_that_are_sent_as_they_stand_change_nothing(browse, saw, gate, told):
    before = saw.rules
    assert browse("manager").post("/machines/saw/rules", typed(saw)).status_code == 303
    saw.refresh_from_db()
    assert wire.machine_mistakes(saw.wire_rules()) == []
    assert saw.rules == before
    assert not told


def test_a_time_of_seconds_that_a_command_set_survives_the_form(browse, saw):
    saw.rules |= {"limit_s": 100, "observe_until": "2027-03-01T00:00:00"}
    saw.save()
    browse("manager").post("/machines/saw/rules", typed(saw, price_hint="0.20 €/min"))
    saw.refresh_from_db()
    assert saw.rules["limit_s"] == 100
    assert saw.rules["observe_until"] == "2027-03-01T00:00:00"
    assert saw.rules["price_hint"] == "0.20 €/min"


@pytest.mark.parametrize(
    ("stored", "sent", "is_taken"),
    [
        (None, "2027-03-01T18:00", False),
        ("2027-03-01T18:00:00", "2027-03-01T18:01", False),
        ("2027-03-01T18:00:00+00:00", "2028-01-01T00:00", False),
        ("2020-03-01T18:00:00", "2027-03-01T18:00", False),
        ("2027-03-01T18:00:00", "2027-03-01T18:00", True),
        ("2027-03-01T18:00:00", "2027-02-01T18:00", True),
        ("2027-03-01T18:00:00", "", True),
        (None, "", True),
    ],
)
def test_a_maintainer_ends_opening_weeks_and_only_a_manager_begins_or_prolongs_them(
    browse, saw, gate, stored, sent, is_taken
):
    """Until then everybody is let in, also who holds no training or is blocked: the maintainer themselves, too."""
    saw.rules |= {"observe_until": stored} if stored else {}
    saw.save()
    before, form = saw.rules, typed(saw, observe_until=sent, price_hint="5")
    answer = browse("maintainer").post("/machines/saw/rules", form)
    saw.refresh_from_db()
    if is_taken:
        assert answer.status_code == 303
        assert (saw.rules["price_hint"], "observe_until" in saw.rules) == ("5", bool(sent))
        return
    assert answer.status_code == 400
    assert "Only a manager may open a machine to all members, or keep it open to them" in text(answer)
    assert saw.rules == before
    assert browse("manager").post("/machines/saw/rules", form).status_code == 303
    assert served(gate).machine.observe_until is not None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"limit_s": "0"}, "power always has a limit"),
        ({"limit_s": "600", "max_s": "10"}, "Must be at least the time limit"),
        ({"idle_off_s": "0"}, "Leave empty to never switch off when idle"),
        ({"limit_s": "soon"}, "Enter minutes (90 or 1.5), hours and minutes (1:25), or seconds (45 s)."),
        ({"limit_s": "1e300"}, "Enter minutes"),
        ({"limit_s": "nan"}, "Enter minutes"),
        ({"limit_s": "9999:00"}, "At most 31 days."),
        ({"mode": "dance"}, "Select a valid choice"),
        ({"observe_until": "tomorrow"}, "Enter day and time, such as 2027-05-01 16:30."),
        ({"observe_until": "01/02/2027 10:00"}, "Enter day and time, such as 2027-05-01 16:30."),
        ({"observe_until": "2062-12-31T10:00"}, "did you mean 31 Dec 2026?"),
        ({"warn_s": "-1"}, "This value is not possible."),
        ({"grace_s": "0"}, "people who need a supervisor must remove their card"),
    ],
)
def test_rules_that_a_gate_would_refuse_are_refused_here_beside_their_field(browse, saw, gate, wrong, said):
    before, version = saw.rules, gate.roster_version
    answer = browse("manager").post("/machines/saw/rules", typed(saw, **wrong))
    assert answer.status_code == 400
    assert said in text(answer)
    assert "Not saved" in text(answer)
    saw.refresh_from_db()
    assert saw.rules == before
    assert served(gate).version == version


def test_a_preset_sets_all_rules_and_its_card_is_marked(browse, saw, gate):
    saw.rules |= {"price_hint": "0.20 €/min"}
    saw.save()
    client = browse("manager")
    assert client.post("/machines/saw/preset", {"preset": "printer-3d"}).status_code == 303
    assert served(gate).machine.limit_s == 24 * 3600
    assert served(gate).machine.price_hint == "0.20 €/min"
    assert "3D printer" in text(client.get("/machines/saw"))
    assert client.post("/machines/saw/preset", {"preset": "toaster"}).status_code == 400
    assert client.post("/machines/saw/rules", typed(Machine.objects.get(), limit_s="30")).status_code == 303
    assert "3D printer, customised" in text(client.get("/machines/saw"))


@pytest.mark.parametrize(
    ("senses", "rules", "is_told"),
    [
        (None, {}, False),
        (True, {}, False),
        (False, {}, True),
        (False, {"finish": "cut"}, False),
        (False, {"mode": "audit"}, False),
    ],
)
def test_a_gate_that_cannot_tell_whether_a_job_runs_is_named_beside_the_rules(
    browse, saw, gate, senses, rules, is_told
):
    gate.senses_work = senses
    gate.save()
    saw.rules = {**saw.rules, "finish": "wait", **rules}
    saw.save()
    page = browse("manager").get("/machines/saw").content.decode()
    assert ("so the time limit cuts the job off" in page) is is_told


def test_a_training_opens_the_machine_for_who_holds_it(browse, saw, gate):
    training = Training.objects.create(name="saws")
    Member.objects.create(id="m-1", name="Ada").grants.create(training=training, stage="autonomous", since="2026-01-01")
    assert [member.id for member in served(gate).members] == []
    answer = browse("manager").post("/machines/saw/trainings", {"trainings": [training.pk]})
    assert answer.status_code == 303
    assert [member.id for member in served(gate).members] == ["m-1"]
    change = Change.objects.get(key="saw")
    assert (change.before, change.after) == ({"trainings": []}, {"trainings": ["saws"]})
    assert change.rosters == {"saw-1": gate.roster_version}


def test_who_is_let_in_by_hand_is_named_with_the_page_where_it_is_done(browse, saw):
    nobody = text(browse("auditor").get("/machines/saw"))
    assert "While no training gives access, only people with individual access may use this machine." in nobody
    Member.objects.create(id="m-1", name="Ada").machines.add(saw)
    Member.objects.create(id="m-2", name="Gone", left_on="2026-01-01").machines.add(saw)
    Group.objects.create(name="2b", kind="class").machines.add(saw)
    page = text(browse("manager").get("/machines/saw"))
    assert '<a href="/people/m-1/edit#more">Ada</a>' in page
    assert "Gone" not in page
    assert "2b</a>" in page
    saw.trainings.add(Training.objects.create(name="saws", title="Saws"))
    assert "While no training" not in text(browse("desk").get("/machines/saw"))


def test_a_training_that_is_not_there_is_refused(browse, saw):
    assert browse("manager").post("/machines/saw/trainings", {"trainings": ["77"]}).status_code == 400


def test_only_a_manager_says_who_is_let_in(browse, saw):
    for role in ("maintainer", "trainer", "desk", "auditor"):
        assert browse(role).post("/machines/saw/trainings", {}).status_code == 403


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"limit_s": "1", "max_s": "60", "warn_s": "1.5"}, "warn_s", "shorter than “Time limit” (1 min)"),
        ({"idle_off_s": "1", "warn_s": "60 s"}, "warn_s", "shorter than “Switches off when idle for” (1 min)"),
        ({"max_s": "44641"}, "max_s", "At most 31 days."),
        ({"run_on_s": "44641"}, "run_on_s", "At most 31 days."),
    ],
)
def test_limits_that_cannot_be_are_refused_in_words(browse, saw, changed, field, said):
    answer = browse("manager").post("/machines/saw/rules", typed(saw, **changed))
    assert answer.status_code == 400
    (problem,) = answer.context["rules"].errors[field]
    assert said in problem


@pytest.mark.parametrize("minutes", ["-1", "0", "0.001"])
@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("limit_s", "Enter more than 0 and at most 31 days: power always has a limit."),
        ("max_s", "Must be at least the time limit, and at most 31 days."),
        (
            "idle_off_s",
            "Enter more than 0 and at most 31 days, or leave the field empty to never switch off when idle.",
        ),
    ],
)
def test_no_time_at_all_is_refused_at_its_own_field_and_at_no_other(browse, saw, field, said, minutes):
    answer = browse("manager").post("/machines/saw/rules", typed(saw, **{field: minutes}))
    assert answer.status_code == 400
    assert answer.context["rules"].errors == {field: [said]}


def test_less_than_no_time_to_finish_is_refused_with_what_is_wanted(browse, saw):
    answer = browse("manager").post("/machines/saw/rules", typed(saw, finish_max_s="-1"))
    assert answer.context["rules"].errors == {"finish_max_s": ["Must be 0 or more, and at most 31 days."]}


def test_a_retired_machine_leaves_the_lists_and_lets_nobody_begin(browse, saw, gate):
    client = browse("manager")
    assert client.post("/machines/saw/retire", {"retired": "1"}).status_code == 303
    saw.refresh_from_db()
    assert saw.retired_at is not None
    assert served(gate).machine.lock.when == "idle"
    assert "Retired on" in text(client.get("/machines/saw"))
    assert client.post("/machines/saw/retire", {"retired": "1"}).status_code == 409
    assert client.post("/machines/saw/retire", {"retired": "0"}).status_code == 303
    saw.refresh_from_db()
    assert saw.retired_at is None
    # It is a person who says that it may be used again.
    assert served(gate).machine.lock is not None
    assert set(Change.objects.values_list("verb", flat=True)) == {
        "machine.retired",
        "machine.locked",
        "machine.returned",
    }


def test_that_a_machine_is_retired_is_read_at_it_in_ones_own_language(browse, account, saw, gate):
    assert browse(account("manager", lang="fr")).post("/machines/saw/retire", {"retired": "1"}).status_code == 303
    reason = served(gate).machine.lock.reason
    assert [
        "Retired" in locks.display_lines(reason, "", "en"),
        "Retirée du service" in locks.display_lines(reason, "", "fr"),
    ] == [
        True,
        True,
    ]


def test_a_retired_machine_is_locked_before_a_gate_stands_beside_it(browse, saw):
    browse("manager").post("/machines/saw/retire", {"retired": "1"})
    saw.refresh_from_db()
    assert saw.lock.when == "idle"


def test_what_a_machine_is_called_is_changed_and_told_in_its_history(browse, saw):
    client = browse("manager")
    sent = {"title": "Big  bandsaw", "category": "wood", "note": "Manual in the red folder"}
    assert client.post("/machines/saw", sent).status_code == 303
    saw.refresh_from_db()
    assert (saw.title, saw.note) == ("Big bandsaw", "Manual in the red folder")
    page = text(client.get("/machines/saw"))
    assert "<del>Bandsaw</del>" in page
    assert "<ins>Big bandsaw</ins>" in page


def test_history_tells_rules_one_by_one_in_words(browse, saw, gate):
    with audit.change("maya", "machine.updated", saw):
        saw.rules = {**saw.rules, "limit_s": 5400}
        saw.save()
    page = text(browse("auditor").get("/machines/saw"))
    assert "Time limit: <del>2 h</del>" in page
    assert "<ins>1 h 30 min</ins>" in page


def test_a_broker_that_is_away_is_said_and_the_rules_are_saved_all_the_same(browse, saw, gate, monkeypatch):
    def away(*_args: Any, **_more: Any) -> None:
        raise FabgateError("the broker is away")

    monkeypatch.setattr(announcing, "publish_once", away)
    client = browse("manager")
    answer = client.post("/machines/saw/rules", typed(saw, limit_s="90"), follow=True)
    assert "The message broker is offline" in text(answer)
    assert served(gate).machine.limit_s == 5400


def test_who_may_only_read_sees_no_button(browse, saw, gate):
    for role in ("auditor", "desk", "trainer"):
        page = text(browse(role).get("/machines/saw"))
        assert "Bandsaw" in page
        assert 'action="/machines/saw' not in page
        assert "Create its keys" not in page


def test_a_machine_that_is_not_there_is_not_found(browse):
    client = browse("manager")
    assert client.get("/machines/nothing").status_code == 404
    assert client.post("/machines/nothing/rules", {}).status_code == 404


def test_a_machine_that_is_open_to_all_says_so_where_it_says_who_may_use_it(browse, saw, gate):
    saw.trainings.clear()
    until = timezone.localtime() + timedelta(days=3)
    saw.rules |= {"observe_until": until.isoformat()}
    saw.save()
    manager, when = browse("manager"), formatting.clock(until, "SHORT_DATETIME_FORMAT")
    page, listed = text(manager.get("/machines/saw")), text(manager.get("/machines"))
    assert f"Open to all members until {when}, including blocked people and minors without a supervisor." in page
    assert "only people with individual access may use" not in page
    assert f"open to all members until {when}" in listed
    assert "individual access only" not in listed
    saw.rules |= {"observe_until": (until - timedelta(days=4)).isoformat()}
    saw.save()
    assert "only people with individual access may use" in text(manager.get("/machines/saw"))
    assert "individual access only" in text(manager.get("/machines"))
