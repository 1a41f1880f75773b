"""Does the desk's screen say what the gates decide, and is what is granted or blocked on it what they decide by?"""

from __future__ import annotations

from argparse import Namespace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fabgate.collector.cli import people
from fabgate.collector.ground.models import Badge, Block, Change, Gate, Grant, Machine, Member, Training
from fabgate.collector.members.machines import locks
from fabgate.collector.members.people import trainings
from fabgate.collector.members.people.blocks import block_member, today
from tests.collector.faces.pages.counter import NEW, admitted, fetched, refused, said, tapped, text, trained
from tests.collector.postgresql import SERVER

pytestmark = pytest.mark.usefixtures("house")


def standing(client, pk: str = "m-1") -> dict[str, tuple[str, str]]:
    rows = client.get(f"/people/{pk}").context["machines"]
    return {row.machine.name: (row.chip.word, ", ".join(row.why)) for row in rows}


def grant(client, pk: str = "m-1", **more):
    said = {"training": Training.objects.get(name="laser").pk, "stage": "autonomous", "trainer": "m-1"}
    return client.post(f"/people/{pk}/grant", {**said, "since": today().isoformat(), **more})


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_each_machine_is_yes_supervised_or_no_with_every_reason(desk):
    trained("m-1")
    assert standing(desk) == {"laser": ("Yes", ""), "saw": ("No", "training missing: Saw training")}
    trained("m-3", stage="instructor")
    assert standing(desk, "m-3")["laser"] == ("With a supervisor", "")
    block_member(Member.objects.get(pk="m-1"), "payment-due", None, actor="maya")
    Member.objects.filter(pk="m-1").update(valid_until=today() - timedelta(days=1))
    assert standing(desk) == {
        "laser": ("No", "payment due, membership expired"),
        "saw": ("No", "payment due, membership expired, training missing: Saw training"),
    }


def test_a_lost_badge_is_reported_at_the_top_of_a_person_and_shown_there_until_they_have_another(desk, trainer):
    def head(client) -> str:
        return text(client.get("/people/m-1")).partition('class="desk"')[0]

    first = Badge.objects.get(member="m-1")
    second = Badge.objects.create(member_id="m-1", digest="b" * 64, key_id="b1", since=timezone.now())
    assert 'href="#badges-title"' in head(desk)  # which one, of two
    assert desk.post(f"/people/badges/{second.pk}/end", {"reason": "lost"}).status_code == 303
    assert f"/people/badges/{first.pk}/end" in head(desk)
    assert "Badge lost" not in head(trainer)
    assert desk.post(f"/people/badges/{first.pk}/end", {"reason": "lost"}).status_code == 303
    assert f"Badge lost on {today():%-d %b %Y}" in head(desk)
    assert f"Badge lost on {today():%-d %b %Y}" in head(trainer)
    assert "Badge lost…" not in head(desk)
    third = Badge.objects.create(member_id="m-1", digest="c" * 64, key_id="b1", since=timezone.now())
    assert "Badge lost on" not in head(desk)
    assert desk.post(f"/people/badges/{third.pk}/end", {"reason": "returned"}).status_code == 303
    assert "Badge lost" not in head(desk)


def test_of_a_machine_that_no_training_opens_none_is_said_to_be_missing(desk):
    saw = Machine.objects.get(name="saw")
    saw.trainings.clear()
    assert standing(desk)["saw"] == ("No", "needs individual access, which was not given")
    Member.objects.get(pk="m-1").machines.add(saw)
    assert standing(desk)["saw"] == ("Yes", "")


def test_who_blocked_and_who_took_back_is_called_by_name_and_not_by_how_they_sign_in(browse, account):
    account("desk", name="kb", display_name="Karim Benali")
    trained("m-1", "saw", revoked_on=today(), revoked_by="kb", reason="left it running")
    block_member(Member.objects.get(pk="m-1"), "payment-due", None, actor="kb")
    page = text(browse("desk").get("/people/m-1"))
    assert "by Karim Benali: left it running" in page
    assert f"since {today():%-d %b %Y}, by Karim Benali" in page
    assert "by kb" not in page


def test_what_a_command_did_is_told_from_what_an_account_of_that_name_did(browse, account):
    account("desk", name="kb", display_name="Karim Benali")
    people.block(Namespace(id="m-1", reason="payment-due", until=None, actor="kb"))
    trained("m-1", "saw")
    saw = Training.objects.get(name="saw")
    trainings.revoke_training(Member.objects.get(pk="m-1"), saw, actor="cli:kb", reason="left it running")
    laser = Machine.objects.get(name="laser")
    locks.lock_machine(laser, "idle", "Belt broken", "", actor="cli:kb")
    page, floor = text(browse("manager").get("/people/m-1")), text(browse("desk").get("/floor/machines/laser/lock"))
    assert "by kb (command line): left it running" in page
    assert f"since {today():%-d %b %Y}, by kb (command line)" in page
    assert "kb (command line) locked this machine." in floor
    assert "Karim Benali" not in page + floor.partition("<main")[2]


def test_a_training_to_come_is_no_earlier_one(desk):
    trained("m-1")
    member = Member.objects.get(pk="m-1")
    later = today() + timedelta(days=400)
    member.grants.create(training=Training.objects.get(name="laser"), stage="instructor", since=later)
    (row,) = desk.get("/people/m-1").context["trainings"]
    assert [grant.since for grant in row.coming] == [later]
    assert row.earlier == []
    page = text(desk.get("/people/m-1"))
    assert "Upcoming" in page
    assert "Earlier" not in page


def test_what_must_be_learnt_first_is_named_and_not_what_is_known(desk):
    first = Training.objects.create(name="safety", title="Safety tour")
    Training.objects.filter(name="laser").update(prerequisite=first)
    trained("m-1")
    assert standing(desk)["laser"] == ("No", "training missing: Safety tour")


def test_all_that_is_missing_is_named_in_the_order_in_which_it_is_learnt(desk):
    first = Training.objects.create(name="fire", title="Fire drill")
    tour = Training.objects.create(name="safety", title="Safety tour", prerequisite=first)
    Training.objects.filter(name="laser").update(prerequisite=tour)
    assert standing(desk)["laser"] == ("No", "training missing: Fire drill, Safety tour and Laser training")
    trained("m-1")
    assert standing(desk)["laser"] == ("No", "training missing: Fire drill and Safety tour")
    trained("m-1", "safety", since=today() - timedelta(days=9), until=today() - timedelta(days=1))
    assert standing(desk)["laser"] == ("No", "training missing: Fire drill and Safety tour (expired)")
    trained("m-1", "safety")
    assert standing(desk)["laser"] == ("No", "training missing: Fire drill")
    trained("m-1", "fire")
    assert standing(desk)["laser"] == ("Yes", "")


def test_a_membership_in_its_days_of_grace_still_opens(desk):
    trained("m-1")
    Member.objects.filter(pk="m-1").update(valid_until=today() - timedelta(days=2), grace_days=3)
    assert standing(desk)["laser"] == ("Yes", "")
    assert "in grace period" in text(desk.get("/people/m-1"))


def test_a_training_that_is_too_old_or_was_taken_back_stays_in_sight(desk):
    trained("m-1", since=today() - timedelta(days=400), until=today() - timedelta(days=1))
    trained("m-1", "saw", revoked_on=today(), revoked_by="maya", reason="left it running")
    page = desk.get("/people/m-1")
    assert {row.training.name: row.chip.word for row in page.context["trainings"]} == {
        "laser": "Expired",
        "saw": "Revoked",
    }
    assert "left it running" in text(page)
    assert standing(desk)["laser"] == ("No", "training expired: Laser training")


def test_the_last_refusals_are_in_words(desk):
    tapped("0401B2C3D4E580", member="m-1", reasons=("payment-due", "training-missing"))
    assert "payment due, training missing" in text(desk.get("/people/m-1"))


def lately(client, pk: str = "m-3") -> list[tuple[str, bool]]:
    rows = client.get(f"/people/{pk}").context["refusals"]
    return [(", ".join(row["why"]), row["is_before"]) for row in rows]


def gave_back(client, member: str) -> None:
    held = Badge.objects.get(member=member, spelling=NEW)
    assert client.post(f"/people/badges/{held.pk}/end", {"reason": "returned"}).status_code == 303


def test_a_badge_that_was_refused_before_it_was_theirs_is_no_never(desk):
    tapped(NEW)
    desk.post("/people/m-3/give", {"typed": NEW})
    assert lately(desk) == [("unknown badge", True)]
    assert "before the badge was assigned" in text(desk.get("/people/m-3"))
    tapped(NEW)  # by a gate that had not fetched its roster yet
    tapped(NEW, member="m-3", reasons=("training-missing",))
    assert lately(desk) == [("training missing", False), ("unknown badge", False), ("unknown badge", True)]


def test_what_somebody_met_who_had_the_badge_before_is_not_told_of_who_has_it_now(desk):
    tapped(NEW)  # before anybody had it: it was on its way to the first one
    desk.post("/people/m-1/give", {"typed": NEW})
    tapped(NEW)
    gave_back(desk, "m-1")
    desk.post("/people/m-3/give", {"typed": NEW})
    assert lately(desk) == []
    assert "No refusals." in text(desk.get("/people/m-3"))


def test_a_badge_that_lay_at_the_desk_between_two_people_was_refused_to_the_second(desk):
    desk.post("/people/m-1/give", {"typed": NEW})
    gave_back(desk, "m-1")
    tapped(NEW)
    desk.post("/people/m-3/give", {"typed": NEW})
    assert lately(desk) == [("unknown badge", True)]
    assert lately(desk, "m-1") == []


@pytest.mark.skipif(bool(SERVER), reason="PostgreSQL reads a small table as a whole")
def test_refusals_of_one_person_are_found_without_reading_those_of_everybody(desk):
    with CaptureQueriesContext(connection) as asked:
        desk.get("/people/m-1")
    about = [one["sql"] for one in asked if 'FROM "collector_refusal"' in one["sql"]]
    assert about
    for sql in about:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(row[-1] for row in cursor.fetchall())
        assert "SCAN collector_refusal" not in plan, sql


def test_a_person_who_is_not_there_is_said_so(desk):
    assert desk.get("/people/m-99").status_code == 404
    assert desk.post("/people/m-99/block", {"reason": "banned"}).status_code == 404


def test_nobody_is_shown_a_button_that_would_be_refused(browse, desk, trainer):
    trained("m-1")
    block_member(Member.objects.get(pk="m-1"), "banned", None, actor="maya")
    posts = {"desk": desk, "trainer": trainer, "auditor": browse("auditor"), "manager": browse("manager")}
    shown = {
        role: {word for word in ("grant", "revoke", "block", "lift", "give", "lend") if f'm-1/{word}"' in page}
        for role, page in ((role, text(client.get("/people/m-1"))) for role, client in posts.items())
    }
    assert shown == {
        "desk": {"block", "lift", "give", "lend"},
        "trainer": {"grant", "revoke"},
        "auditor": set(),
        "manager": {"grant", "revoke", "block", "lift", "give", "lend"},
    }


# --- trainings --------------------------------------------------------------------------------------------------------


def test_a_training_that_is_granted_lets_the_member_in_and_the_gate_is_told_within_the_page(trainer, broker):
    assert "m-1" not in admitted("laser-1")
    response = grant(trainer)
    assert (response.status_code, response.headers["Location"]) == (303, "/people/m-1")
    assert "m-1" in admitted("laser-1")
    assert broker.told == ["laser-1"]
    assert broker.patience_s == [2.0]
    assert "Laser training: Autonomous from" in said(response)
    found = Change.objects.get(verb="grant.given")
    assert (found.actor, found.after["member"], list(found.rosters)) == ("trainer", "m-1", ["laser-1"])


def test_the_page_says_which_gates_know_it_until_all_do(trainer):
    Gate.objects.filter(name="laser-1").update(online=False)
    grant(trainer)
    page = text(trainer.get("/people/m-1"))
    assert "Not yet applied on the gate; Laser offline since" in page
    assert 'data-live="roster floor change"' in page
    fetched()
    assert "Applied on the gate" in text(trainer.get("/people/m-1"))
    Change.objects.update(at=Change.objects.get().at - timedelta(days=2))
    assert "pplied on" not in text(trainer.get("/people/m-1"))


def test_a_broker_that_is_away_is_said_and_the_grant_holds(trainer, broker):
    broker.is_away = True
    response = grant(trainer)
    assert "the gates will be updated when they next" in said(response)
    assert "m-1" in admitted("laser-1")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("training", "", "This field is required"),
        ("training", "9999", "You may not grant this training, or it no longer exists"),
        ("stage", "king", "not one of the available choices"),
        ("since", "01/03/2027", "year-month-day"),
        ("trainer", "", "This field is required"),
        ("trainer", "x" * 201, "at most 200"),
        ("until", "2020-01-01", "The end is before the start"),
    ],
)
def test_a_grant_that_is_not_understood_is_said_at_its_field_and_changes_nothing(trainer, field, value, expected):
    response = grant(trainer, **{field: value})
    assert response.status_code == 400
    assert expected in str(response.context["grant_form"].errors[field])
    assert '<details class="act" id="grant" open>' in text(response)
    assert not Grant.objects.exists()
    assert not Change.objects.exists()


def test_who_has_left_is_granted_nothing(trainer):
    Member.objects.filter(pk="m-1").update(left_on=today())
    assert "Readmit them first" in str(grant(trainer).context["grant_form"].errors["since"])


def test_a_training_is_taken_back_with_every_earlier_stage_of_it(trainer):
    trained("m-1", stage="supervised")
    trained("m-1")
    training = Training.objects.get(name="laser").pk
    response = trainer.post("/people/m-1/revoke", {"training": training, "reason": "left it running"})
    assert response.status_code == 303
    assert "m-1" not in admitted("laser-1")
    assert {(row.revoked_on, row.revoked_by, row.reason) for row in Grant.objects.all()} == {
        (today(), "trainer", "left it running")
    }
    again = trainer.post("/people/m-1/revoke", {"training": training, "reason": "twice"})
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("training", "reason", "status"), [("", "x", 404), ("²", "x", 404), ("1" * 30, "x", 404), ("laser", " ", 400)]
)
def test_taking_back_needs_a_training_and_a_reason(trainer, training, reason, status):
    trained("m-1")
    wanted = Training.objects.get(name="laser").pk if training == "laser" else training
    assert trainer.post("/people/m-1/revoke", {"training": wanted, "reason": reason}).status_code == status
    assert Grant.objects.get().revoked_on is None


# --- blocks -----------------------------------------------------------------------------------------------------------


def test_a_block_keeps_the_member_from_every_machine_and_lifting_it_lets_them_in_again(desk, broker):
    trained("m-1")
    until = today() + timedelta(days=7)
    response = desk.post("/people/m-1/block", {"reason": "payment-due", "until": until.isoformat()})
    assert response.status_code == 303
    assert "Blocked until" in said(response)
    assert refused("laser-1")["m-1"] == ["payment-due"]
    assert set(broker.told) == {"laser-1", "saw-1"}
    held = Block.objects.get()
    assert (held.actor, held.until) == ("desk", until)
    response = desk.post("/people/m-1/lift", {"block": held.pk})
    assert response.status_code == 303
    assert "m-1" in admitted("laser-1")
    assert desk.post("/people/m-1/lift", {"block": held.pk}).status_code == 409
    assert [change.verb for change in Change.objects.order_by("id")] == ["block.set", "block.lifted"]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "ugly"}, "reason"),
        ({"reason": "banned", "until": "2020-01-01"}, "until"),
    ],
)
def test_a_block_that_is_not_understood_is_said_at_its_field(desk, typed, field):
    response = desk.post("/people/m-1/block", typed)
    assert response.status_code == 400
    assert field in response.context["block_form"].errors
    assert not Block.objects.exists()


def test_a_block_of_somebody_else_is_not_lifted_from_here(desk):
    block_member(Member.objects.get(pk="m-2"), "banned", None, actor="maya")
    assert desk.post("/people/m-1/lift", {"block": Block.objects.get().pk}).status_code == 404
    assert desk.post("/people/m-1/lift", {"block": "x"}).status_code == 404
