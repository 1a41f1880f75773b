"""What becomes of a form that is sent twice, or of two that would make the same thing at the same moment?"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest

from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.key_files import new_key, write_secret
from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    Badge,
    Block,
    Change,
    Gate,
    Grant,
    Group,
    Machine,
    Member,
    Opening,
    Order,
    Payer,
    Plan,
    PlanChange,
    SpecialDay,
    Training,
)
from fabgate.collector.ground.models.calendar import WEEK
from fabgate.collector.members.accounts import manage
from fabgate.collector.members.machines import enrol_gate
from fabgate.collector.members.people import badges, leaving, trainings
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list import uploads
from fabgate.errors import UsageError
from tests.collector.faces.pages.counter import NEW, served, text
from tests.collector.faces.pages.racing import at_once, sent

pytestmark = pytest.mark.usefixtures("house")


@pytest.fixture
def on_two_computers(monkeypatch):
    """They share the database, and no folder: on one, who lets a gate in waits for the other (test_cli.py)."""
    monkeypatch.setattr(data_folder, "alone", lambda _lock: nullcontext())


def codes(answers: list[Any]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def lost(answers: list[Any]) -> str:
    """Return what the one reads who came second."""
    (answer,) = (answer for answer in answers if answer.status_code == 409)
    return " ".join(unescape(answer.content.decode()).split())


def field(page: str, name: str) -> str:
    """Return what stands in a field of a page."""
    tag = next(part.partition(">")[0] for part in page.split("<input ")[1:] if f'name="{name}"' in part)
    return tag.partition('value="')[2].partition('"')[0]


def another(role: str, name: str = "second") -> Account:
    """Return a second account of a role."""
    found = Account(name=name, role=role)
    found.set_unusable_password()
    found.save()
    return found


# --- a person ---------------------------------------------------------------------------------------------------------


def test_two_people_are_never_written_down_under_one_number(browse):
    ada = {"id": "m-4", "name": "Ada King", "lang": "en", "grace_days": "0", "note": "hers"}
    bob = {"id": "m-4", "name": "Bob Noyce", "lang": "fr", "grace_days": "0"}
    answers = at_once(sent(browse("desk"), "/people/new", ada), sent(browse(another("desk")), "/people/new", bob))
    assert codes(answers) == [303, 409]
    kept = Member.objects.get(pk="m-4")
    assert (kept.name, kept.note) in {("Ada King", "hers"), ("Bob Noyce", "")}
    page = lost(answers)
    assert f"{kept.name} has just been added with the number m-4." in page
    other = {"Ada King": "Bob Noyce", "Bob Noyce": "Ada King"}[kept.name]
    assert (field(page, "id"), field(page, "name")) == ("m-5", other)
    assert [(one.key, one.after["name"]) for one in Change.objects.filter(verb="member.added")] == [("m-4", kept.name)]


def test_who_came_second_sends_once_more_and_has_the_next_number(browse):
    typed = {"id": "m-4", "name": "Ada King", "lang": "en", "grace_days": "0"}
    desk, other = browse("desk"), browse(another("desk"))
    answers = at_once(*(sent(client, "/people/new", typed) for client in (desk, other)))
    again = {**typed, "id": field(lost(answers), "id"), "name": "Bob Noyce"}
    assert other.post("/people/new", again).status_code == 303
    assert Member.objects.get(pk="m-5").name == "Bob Noyce"


def test_a_list_that_was_looked_at_overwrites_nobody_who_was_written_down_meanwhile(browse):
    manager, desk = browse("manager"), browse("desk")
    preview = f"/people/import/{uploads.keep(b'id,name,badges' + chr(10).encode() + b'm-4,Ada King,')}"
    seen = manager.get(preview).context["found"].fingerprint
    bob = {"id": "m-4", "name": "Bob Noyce", "lang": "en", "grace_days": "0"}
    answers = at_once(sent(manager, preview, {"seen": seen, "add": "all"}), sent(desk, "/people/new", bob))
    assert codes(answers) == [303, 409]
    first = "Ada King" if answers[0].status_code == 303 else "Bob Noyce"
    assert Member.objects.get(pk="m-4").name == first


def test_a_list_that_was_looked_at_takes_nothing_back_that_a_desk_changes_meanwhile(browse):
    manager, desk = browse("manager"), browse("desk")
    raw = b"id,name,valid_until,machines\nm-1,Ada King,2030-03-01,laser\n"
    Member.objects.filter(pk="m-1").update(valid_until=date(2030, 3, 1))
    Member.objects.get(pk="m-1").machines.add(Machine.objects.get(name="laser"))
    preview = f"/people/import/{uploads.keep(raw)}"
    seen = manager.get(preview).context["found"].fingerprint
    ends = {"name": "Ada Lovelace", "lang": "en", "grace_days": "0", "valid_until": str(today())}
    imported, edited = at_once(sent(manager, preview, {"seen": seen}), sent(desk, "/people/m-1/edit", ends))
    assert (imported.status_code in {303, 409}, edited.status_code) == (True, 303)
    stored = Member.objects.get(pk="m-1")
    assert (stored.name, stored.valid_until) == ("Ada Lovelace", today())


def test_a_badge_that_is_reported_lost_while_its_holder_leaves_stays_lost(browse):
    ada = Member.objects.get(pk="m-1")
    (badge,) = Badge.objects.filter(member=ada, ended_at=None)
    reported, left = at_once(
        lambda: badges.end(badge, Badge.LOST, actor="desk"), lambda: leaving.leave(ada, actor="manager")
    )
    assert isinstance(left, Change)
    assert Badge.objects.get(pk=badge.pk).end_reason == (Badge.LOST if isinstance(reported, Change) else Badge.LEFT)


@pytest.mark.parametrize("act", ["grant", "give"])
def test_a_person_who_is_taken_back_while_another_desk_gives_them_something_keeps_it_or_has_left(browse, act):
    desk, other = browse("desk"), browse("manager")
    desk.post("/people/new", {"id": "m-4", "name": "Ada King", "lang": "en", "grace_days": "0"})
    laser = str(Training.objects.get(name="laser").pk)
    typed = {"typed": NEW, "training": laser, "stage": "autonomous", "since": str(today()), "trainer": "m-1"}
    answers = at_once(sent(desk, "/people/m-4/undo", {}), sent(other, f"/people/m-4/{act}", typed))
    has_left = Member.objects.get(pk="m-4").left_on is not None
    given = Badge.objects.filter(member="m-4", ended_at=None).exists() or Grant.objects.filter(member="m-4").exists()
    assert (has_left, given) in {(True, False), (False, True)}
    assert codes(answers) == [303, 409] if not has_left else codes(answers)[0] == 303


GIVEN = {
    "pays for a person": (
        lambda: ("/people/m-2/payer", {"payer": "m-4"}),
        lambda: Member.objects.filter(payer="m-4").exists(),
    ),
    "pays for a person who is edited": (
        lambda: ("/people/m-2/edit", {"name": "Bob", "lang": "en", "grace_days": "0", "level": "user", "payer": "m-4"}),
        lambda: Member.objects.filter(payer="m-4").exists(),
    ),
    "pays for a group": (
        lambda: (f"/people/groups/{Group.objects.get().pk}/payer", {"payer": "m-4"}),
        lambda: Group.objects.filter(payer="m-4").exists(),
    ),
    "is a member of a group": (
        lambda: (
            f"/people/groups/{Group.objects.get().pk}/edit",
            {"name": "5b", "kind": "class", "people": "m-2\nm-4"},
        ),
        lambda: Group.objects.filter(members="m-4").exists(),
    ),
    "has a payer's record": (
        lambda: ("/people/payers/m-4/edit", {"name": "Ada King SA", "address": "1 rue Neuve"}),
        lambda: Payer.objects.filter(pk="m-4").exists(),
    ),
    "has a new account": (
        lambda: ("/accounts/new", {"name": "adak", "role": "trainer", "member": "m-4"}),
        lambda: Account.objects.filter(member="m-4").exists(),
    ),
    "has an account of before": (
        lambda: (f"/accounts/{Account.objects.get(name='karim').pk}", {"role": "trainer", "member": "m-4"}),
        lambda: Account.objects.filter(member="m-4").exists(),
    ),
    "has a plan": (
        lambda: ("/people/m-4/plan", {"plan": str(Plan.objects.create(name="student").pk), "since": str(today())}),
        lambda: PlanChange.objects.filter(member="m-4").exists(),
    ),
    "is edited": (
        lambda: ("/people/m-4/edit", {"name": "Ada K.", "lang": "en", "grace_days": "0", "level": "user"}),
        lambda: Member.objects.filter(pk="m-4", name="Ada K.").exists(),
    ),
}


@pytest.mark.parametrize("act", GIVEN)
def test_a_person_who_is_taken_back_is_given_nothing_and_made_responsible_for_nothing_meanwhile(browse, act):
    desk, other = browse("desk"), browse("manager")
    Group.objects.create(name="5b", kind=Group.CLASS)
    another(Account.TRAINER, "karim")
    desk.post("/people/new", {"id": "m-4", "name": "Ada King", "lang": "en", "grace_days": "0"})
    request, is_given = GIVEN[act]
    undone, given = at_once(sent(desk, "/people/m-4/undo", {}), sent(other, *request()))
    has_left = Member.objects.get(pk="m-4").left_on is not None
    assert (has_left, is_given()) in {(True, False), (False, True)}
    assert (undone.status_code, given.status_code) in ({(303, 400)} if has_left else {(409, 303), (409, 200)})
    if has_left:
        assert "readmit them first" in text(given)


def test_a_person_who_is_taken_back_while_a_list_names_them_as_payer_pays_for_nobody(browse):
    desk, manager = browse("desk"), browse("manager")
    desk.post("/people/new", {"id": "m-4", "name": "Grace Hopper", "lang": "en", "grace_days": "0"})
    preview = f"/people/import/{uploads.keep(b'id,name,payer' + chr(10).encode() + b'm-1,Ada Lovelace,m-4' + chr(10).encode())}"
    seen = manager.get(preview).context["found"].fingerprint
    undone, imported = at_once(sent(desk, "/people/m-4/undo", {}), sent(manager, preview, {"seen": seen}))
    assert (undone.status_code, imported.status_code) in {(303, 400), (409, 303)}
    has_left = Member.objects.get(pk="m-4").left_on is not None
    assert has_left != Member.objects.filter(payer="m-4").exists()


def test_two_people_who_are_made_to_pay_for_each_other_at_once_do_not_block_each_other(browse):
    clients = browse("manager"), browse("accountant")
    answers = at_once(
        *(
            sent(client, f"/people/{pk}/payer", {"payer": other})
            for client, pk, other in zip(clients, ("m-1", "m-2"), ("m-2", "m-1"), strict=True)
        )
    )
    assert codes(answers) == [303, 303]
    assert dict(Member.objects.exclude(payer=None).values_list("pk", "payer")) == {"m-1": "m-2", "m-2": "m-1"}


@pytest.mark.parametrize("act", ["new", "changed", "on"])
def test_an_account_that_a_person_gets_while_they_leave_is_not_active_afterwards(browse, act):
    karim = another(Account.TRAINER, "karim")
    if act == "on":
        Account.objects.filter(pk=karim.pk).update(member="m-3", is_active=False)
    requests = {
        "new": ("/accounts/new", {"name": "adak", "role": "trainer", "member": "m-3"}),
        "changed": (f"/accounts/{karim.pk}", {"role": "trainer", "member": "m-3"}),
        "on": (f"/accounts/{karim.pk}", {"active": "1"}),
    }
    other = browse(another("manager"))
    left, given = at_once(sent(browse("manager"), "/people/m-3/leave", {}), sent(other, *requests[act]))
    assert left.status_code == 303
    assert given.status_code in {200, 303, 400}
    assert not Account.objects.filter(member="m-3", is_active=True).exists()


def test_a_key_that_a_person_makes_while_they_leave_is_not_valid_afterwards(browse):
    own = another("manager", "own")
    Account.objects.filter(pk=own.pk).update(member="m-3")
    typed = {"name": "Invoices", "scopes": "sessions:read", "lasts": "365"}
    left, _made = at_once(sent(browse("manager"), "/people/m-3/leave", {}), sent(browse(own), "/accounts/keys", typed))
    assert left.status_code == 303
    assert not ApiKey.valid().exists()


# --- machines, gates, trainings, groups, accounts ---------------------------------------------------------------------


def test_a_machine_that_is_sent_twice_is_made_once(browse):
    typed = {"name": "drill", "title": "Drill press", "preset": "saw"}
    answers = at_once(*(sent(browse(who), "/machines/new", typed) for who in ("manager", "maintainer")))
    assert codes(answers) == [303, 409]
    assert "A machine with this name has just been added." in lost(answers)
    assert Machine.objects.filter(name="drill").count() == Change.objects.filter(verb="machine.added").count() == 1


def test_a_training_that_is_sent_twice_is_written_down_once(browse):
    answers = at_once(
        *(sent(browse(who), "/people/trainings/new", {"title": "Welding"}) for who in ("manager", another("manager")))
    )
    assert codes(answers) == [303, 409]
    assert "A training with this title has just been added." in lost(answers)
    assert Training.objects.filter(title="Welding").count() == 1


def test_a_group_that_is_sent_twice_is_written_down_once(browse):
    typed = {"name": "Class 3B", "kind": Group.CLASS}
    answers = at_once(*(sent(browse(who), "/people/groups/new", typed) for who in ("desk", "manager")))
    (late,) = (answer for answer in answers if answer.status_code != 303)
    # SQLite lets the second one look only once the first one has written.
    assert (late.status_code, "already exists" in text(late)) in {(400, True), (409, False)}
    assert Group.objects.count() == 1


def test_an_account_that_is_sent_twice_is_made_once(browse):
    typed = {"name": "karim", "role": Account.DESK}
    answers = at_once(*(sent(browse(who), "/accounts/new", typed) for who in ("manager", another("manager"))))
    assert codes(answers) == [200, 409]
    assert "An account with this name has just been created." in lost(answers)
    assert Account.objects.filter(name="karim").count() == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: manage.invite("karim", Account.DESK, actor="cli:ada"), "is already taken"),
        (lambda: enrol_gate.enrol("laser-9", "laser", actor="cli:ada"), "already has a token"),
    ],
)
@pytest.mark.usefixtures("on_two_computers")
def test_two_commands_at_once_make_one_and_say_why_not_the_other(make, said):
    outcomes = at_once(make, make)
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert [type(one) for one in refused if not isinstance(one, UsageError)] == []
    assert len(refused) == 1
    assert said in str(refused[0])


# --- a person at the desk ---------------------------------------------------------------------------------------------


def test_a_block_that_is_sent_twice_holds_once(browse):
    answers = at_once(
        *(sent(browse(who), "/people/m-1/block", {"reason": "payment-due"}) for who in ("desk", "manager"))
    )
    assert codes(answers) == [303, 303]  # the same reason again only says until when
    assert Block.objects.filter(member="m-1", lifted_at=None).count() == 1


def granted(member: str = "m-1", **more: str) -> dict[str, str]:
    return {
        "training": str(Training.objects.get(name="laser").pk),
        "stage": Grant.AUTONOMOUS,
        "since": str(today()),
        "trainer": "m-1",
        **more,
    }


def test_a_grant_that_is_sent_three_times_at_once_is_stored_once(browse):
    clients = [browse(who) for who in ("trainer", "manager", another("manager"))]
    answers = at_once(*(sent(client, "/people/m-1/grant", granted()) for client in clients))
    assert codes(answers) == [303, 303, 303]
    assert Grant.objects.filter(member="m-1").count() == Change.objects.filter(verb="grant.given").count() == 1
    pages = [client.get("/people/m-1").content.decode() for client in clients]
    assert sum("was already granted" in page for page in pages) == 2


def test_what_somebody_lost_meanwhile_is_granted_again(browse):
    trainer = browse("trainer")
    for stage in (Grant.AUTONOMOUS, Grant.SUSPENDED):
        assert trainer.post("/people/m-1/grant", granted(stage=stage)).status_code == 303
    trainings.revoke_training(
        Member.objects.get(pk="m-1"), Training.objects.get(name="laser"), actor="ines", reason="mistake"
    )
    trainer.post("/people/m-1/grant", granted())
    assert Grant.objects.filter(member="m-1", revoked_on=None).count() == 1


@pytest.mark.parametrize(("field", "days"), [("since", -1), ("until", 1)])
def test_a_grant_of_other_days_is_another_grant(browse, field, days):
    trainer = browse("trainer")
    trainer.post("/people/m-1/grant", granted())
    trainer.post("/people/m-1/grant", granted(**{field: str(today() + timedelta(days=days))}))
    assert Grant.objects.filter(member="m-1").count() == 2


def test_of_several_people_those_are_granted_it_who_do_not_have_it(browse):
    trainer = browse("trainer")
    trainer.post("/people/m-1/grant", granted())
    typed = {**granted(), "member": ["m-1", "m-2"]}
    answer = trainer.post("/people/trainings/who", typed)
    page = answer.content.decode()
    assert "Laser training granted to 1 person." in page
    assert "Already granted." in page
    assert [one.member_id for one in Grant.objects.order_by("id")] == ["m-1", "m-2"]
    assert {member.id for member in served("laser-1").members} == {"m-1", "m-2"}


def test_a_badge_that_is_given_to_somebody_while_they_leave_stays_with_nobody(browse):
    sends = sent(browse("manager"), "/people/m-3/leave", {}), sent(browse("desk"), "/people/m-3/give", {"typed": NEW})
    left, given = at_once(*sends)
    assert left.status_code == 303
    assert given.status_code in {303, 400}
    assert Member.objects.get(pk="m-3").left_on == today()
    assert not Badge.objects.filter(member="m-3", ended_at=None).exists()


def test_a_badge_that_two_new_people_get_at_once_is_of_one_and_the_other_is_not_half_written_down(browse):
    ada = {"id": "m-4", "name": "Ada King", "lang": "en", "grace_days": "0", "typed": NEW}
    bob = {**ada, "id": "m-5", "name": "Bob Noyce"}
    answers = at_once(sent(browse("desk"), "/people/new", ada), sent(browse(another("desk")), "/people/new", bob))
    assert codes(answers) == [303, 400]
    refused = next(answer for answer in answers if answer.status_code == 400)
    assert set(refused.context["badge_form"].errors) == {"typed"}
    assert list(Member.objects.filter(pk__in=["m-4", "m-5"])) == [Badge.objects.get(spelling=NEW).member]


def test_two_managers_who_take_the_role_from_each_other_at_once_leave_one(browse, account):
    both = [account("manager", name) for name in ("ada", "bob")]
    others = both[::-1]
    sends = [
        sent(browse(who), f"/accounts/{other.pk}", {"role": "desk"}) for who, other in zip(both, others, strict=True)
    ]
    answers = at_once(*sends)
    assert codes(answers) == [303, 409]
    assert "At least one manager must remain." in lost(answers)
    assert Account.objects.filter(role="manager", is_active=True).count() == 1


def test_a_key_that_is_sent_twice_is_made_once(browse):
    typed = {"name": "Invoices", "scopes": "sessions:read", "lasts": "365"}
    manager, other = browse("manager"), browse(another("manager"))
    answers = at_once(*(sent(who, "/accounts/keys", typed) for who in (manager, other)))
    assert codes(answers) == [200, 409]
    assert "An active key with this name already exists" in lost(answers)
    key = ApiKey.objects.get()
    assert Change.objects.filter(verb="key.made").count() == 1
    assert manager.post(f"/accounts/keys/{key.pk}/revoke").status_code == 303
    assert other.post("/accounts/keys", typed).status_code == 200  # in the place of one that opens nothing


# --- opening hours ----------------------------------------------------------------------------------------------------

WEEKLY = {"scope": "", "days": ["1", "2"], "start": "09:00", "to": "18:00"}
CLOSED = {"scope": "machine:laser", "day": str(today() + timedelta(days=3)), "start": "", "to": "", "note": "Repair"}


@pytest.mark.parametrize(("place", "typed", "model"), [("weekly", WEEKLY, Opening), ("special", CLOSED, SpecialDay)])
def test_hours_that_are_sent_twice_are_set_once(browse, place, typed, model):
    address = f"/machines/calendar/{place}"
    answers = at_once(*(sent(browse(who), address, typed) for who in ("manager", another("manager"))))
    assert codes(answers) == [303, 409]
    assert "This is already set" in lost(answers)
    assert model.objects.count() == Change.objects.filter(verb="hours.set").count() == 1
    other = {**typed, "scope": "machine:saw"}
    assert browse(another("manager", "third")).post(address, other).status_code == 303
    assert model.objects.count() == 2


def test_of_two_who_take_the_same_hours_out_one_is_told_that_they_are_gone(browse):
    row = Opening.objects.create(days=[1], start="09:00", to="18:00")
    typed = {"kind": "weekly", "pk": str(row.pk)}
    answers = at_once(
        *(sent(browse(who), "/machines/calendar/remove", typed) for who in ("manager", another("manager")))
    )
    assert codes(answers) == [303, 409]
    assert "Someone else has already removed this" in lost(answers)
    assert Change.objects.filter(verb="hours.removed").count() == 1


@pytest.mark.usefixtures("at_six")  # in the small hours an hour of the night may be past
def test_of_two_who_keep_the_workshop_open_at_once_the_second_reads_what_the_first_set(browse, monkeypatch):
    Opening.objects.create(days=[*WEEK], start="12:00", to="18:00")
    clients = [browse(who) for who in ("manager", another("manager"))]
    seen = [client.get("/machines/calendar").context["tonight"].seen for client in clients]
    evenings = [{"to": to, "seen": seal} for to, seal in zip(("01:00", "02:00"), seen, strict=True)]
    sends = zip(clients, evenings, strict=True)
    answers = at_once(*(sent(client, "/machines/calendar/tonight", typed) for client, typed in sends))
    assert codes(answers) == [303, 409]
    assert SpecialDay.objects.count() == 1


# --- an order ---------------------------------------------------------------------------------------------------------


def test_of_two_clicks_at_once_one_makes_a_session_longer(browse, house, broker):
    own = house.gate_directory("laser-1")
    own.mkdir(parents=True)
    write_secret(own / "seal.keys", new_key("s1"))
    Gate.objects.filter(name="laser-1").update(boot="boot-7", state="active", session="s")
    more = "/floor/gates/laser-1/order?session=s"
    answers = at_once(*(sent(browse(who), more, {"verb": "extend-1800"}) for who in ("desk", another("desk"))))
    assert codes(answers) == [303, 303]
    assert (Order.objects.count(), broker.told) == (1, ["laser-1"])
