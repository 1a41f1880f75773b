"""The desk takes back a person whom it added by mistake; nobody else does, nothing that was used ends, and no row goes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.ground.models import (
    Account,
    Badge,
    Change,
    Gate,
    Grant,
    Group,
    Journal,
    Member,
    PrepaidChange,
    Refusal,
    Training,
    UsageSession,
)
from fabgate.collector.members.people import duplicates
from fabgate.collector.members.people.blocks import today
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.counter import NEW, admitted, refused, said, tapped, text
from tests.collector.faces.pages.people.imports.importing import look, take

pytestmark = pytest.mark.usefixtures("house")

MISTAKE = {"id": "m-4", "name": "Grace Hopper", "lang": "en", "grace_days": "0", "level": "user", "typed": NEW}
PAGE, UNDO = "/people/m-4", "/people/m-4/undo"


@pytest.fixture
def desk(browse, account):
    return browse(account("desk", name="guichet"))


@pytest.fixture
def manager(browse, account):
    return browse(account("manager", name="chef"))


def rows() -> dict[str, int]:
    return {kind.__name__: kind.objects.count() for kind in (Member, Badge, Grant)}


def taken_back() -> bool:
    return Member.objects.get(pk="m-4").left_on is not None


def test_a_person_who_was_added_by_mistake_is_marked_as_left_and_no_row_goes(manager, broker):
    manager.post("/people/new", MISTAKE | {"trainings": [str(Training.objects.get(name="laser").pk)]})
    assert "m-4" in admitted("laser-1")
    before = rows()
    assert f'action="{UNDO}"' in text(manager.get(PAGE))
    broker.told.clear()
    assert "Adding Grace Hopper was undone" in said(manager.post(UNDO))
    assert Member.objects.get(pk="m-4").left_on == today()
    assert "m-4" not in admitted("laser-1")
    assert "no-access" in refused("laser-1")["m-4"]
    assert broker.told
    badge = Badge.objects.get(member="m-4")
    assert (badge.end_reason, badge.ended_by) == ("left", "chef")
    assert list(Grant.objects.filter(member="m-4").values_list("revoked_by", "reason")) == [("chef", "undone")]
    assert rows() == before
    found = Change.objects.filter(reason="undone").values_list("actor", "verb", "key")
    assert {("chef", "member.left", "m-4")} <= set(found)
    assert f'action="{UNDO}"' not in text(manager.get(PAGE))
    assert manager.post(UNDO).status_code == 409
    # The badge may be given to the right person at once.
    assert manager.post("/people/m-3/give", {"typed": NEW}).status_code == 303


def test_nobody_else_may_and_not_for_long(desk, manager, browse, account, monkeypatch):
    desk.post("/people/new", MISTAKE)
    for other in (manager, browse(account("desk", name="other"))):
        assert f'action="{UNDO}"' not in text(other.get(PAGE))
        assert other.post(UNDO).status_code == 409
    for role in ("trainer", "auditor", "accountant"):
        assert browse(role).post(UNDO).status_code == 403
    with monkeypatch.context() as patch:
        patch.setattr(duplicates, "WITHIN", timedelta())
        assert f'action="{UNDO}"' not in text(desk.get(PAGE))
        assert desk.post(UNDO).status_code == 409
    assert not taken_back()
    assert desk.post(UNDO).status_code == 303


def test_a_person_of_before_or_of_an_import_is_not_taken_back(desk, manager):
    assert desk.post("/people/m-1/undo").status_code == 409
    take(manager, look(manager, "id,name\nm-4,Grace Hopper\n"))
    assert manager.post(UNDO).status_code == 409
    assert not taken_back()


def session(**values) -> None:
    gate, now = Gate.objects.get(name="laser-1"), datetime.now(UTC)
    who = {"member": "m-1", "used_by": "m-1", "payer": "m-1"}
    when = {"started_at": now, "last_at": now, "last_arrived_at": now}
    UsageSession.objects.create(
        id="s-1", gate=gate, machine=gate.machine, opened_in=Journal.objects.get(gate=gate), opened_seq=1,
        **who | when | values,
    )  # fmt: skip


def pays_for_an_earlier_session() -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    session(started_at=before, last_at=before, ended_at=before, reason="badge")
    corrections.correct("s-1", "payer", "m-4", author="compta", reason="another payer")


def paid_until_a_correction() -> None:
    session(payer="m-4", **LAST_YEAR)
    corrections.correct("s-1", "payer", "m-1", author="compta", reason="another payer")


def settles_otherwise() -> None:
    PrepaidChange.objects.create(payer="m-4", since=today().replace(day=1), prepays=True)


def refused_before(spelling: str, **values) -> None:
    """Let a gate report now what it refused an hour ago."""
    digest = tapped(spelling)
    Refusal.objects.filter(badge=digest).update(at=datetime.now(UTC) - timedelta(hours=1), **values)


LAST_YEAR = {"ended_at": datetime.now(UTC) - timedelta(days=300), "reason": "badge"}

USES = {
    "a tap of the badge before the gate knew it": lambda: tapped(NEW),
    "a tap": lambda: tapped(NEW, member="m-4", reasons=("training-missing",)),
    "a running session": lambda: session(member="m-4", used_by="m-4"),
    "a session that was theirs before a correction": lambda: session(member="m-4"),
    "a session that they supervise": lambda: session(supervisor="m-4"),
    "an ended session for which they pay": lambda: session(payer="m-4", ended_at=datetime.now(UTC), reason="badge"),
    "an earlier session that was corrected so that they pay": pays_for_an_earlier_session,
    "a session that they supervised, by a clock of last year": lambda: session(supervisor="m-4", **LAST_YEAR),
    "a session that they paid for, by a clock of last year": lambda: session(payer="m-4", **LAST_YEAR),
    "a session of last year's clock that was theirs before a correction": lambda: session(member="m-4", **LAST_YEAR),
    "a session that a correction took from them": paid_until_a_correction,
    "a settlement of their own": settles_otherwise,
    "a refusal by a clock that was wrong": lambda: refused_before(NEW, clock_off_ms=-3_600_000),
    "a gate that reports them": lambda: Gate.objects.filter(name="saw-1").update(session_member="m-4"),
    "a group": lambda: Group.objects.create(name="5b", kind="class").members.add("m-4"),
    "an account": lambda: Account.objects.create(name="grace", role="trainer", member_id="m-4"),
}


@pytest.mark.parametrize("use", USES)
def test_who_was_used_or_is_used_by_something_is_not_taken_back(desk, use):
    desk.post("/people/new", MISTAKE)
    USES[use]()
    assert f'action="{UNDO}"' not in text(desk.get(PAGE))
    assert desk.post(UNDO).status_code == 409
    assert not taken_back()
    assert Badge.objects.get(member="m-4").ended_at is None


def test_a_refusal_of_the_badge_from_before_is_no_use(desk):
    tapped(NEW)
    desk.post("/people/new", MISTAKE)
    assert desk.post(UNDO).status_code == 303


def test_a_refusal_of_the_badge_from_before_that_arrives_afterwards_is_no_use(desk):
    desk.post("/people/new", MISTAKE)
    refused_before(NEW)
    assert desk.post(UNDO).status_code == 303


def test_an_import_that_names_a_person_who_was_taken_back_gives_no_badge_and_readmits_nobody(desk, manager):
    desk.post("/people/new", MISTAKE)
    page = look(manager, f"id,name,badges\nm-4,Grace H.,{NEW}\n")
    desk.post(UNDO)
    take(manager, page)
    assert Member.objects.get(pk="m-4").name == "Grace H."
    assert taken_back()
    assert not Badge.objects.filter(member="m-4", ended_at=None).exists()


ACTS = {
    "edit": lambda client: client.post(f"{PAGE}/edit", {"name": "Grace H.", "lang": "en", "grace_days": "0", "level": "user"}),
    "block": lambda client: client.post(f"{PAGE}/block", {"reason": "payment-due"}),
    "badge": lambda client: client.post(f"{PAGE}/give", {"typed": "04AABBCCDDEE01"}),
    "grant": lambda client: client.post(
        f"{PAGE}/grant",
        {"training": str(Training.objects.get(name="saw").pk), "stage": "autonomous", "since": str(today()), "trainer": "m-1"},
    ),
    "return": lambda client: client.post(f"/people/badges/{Badge.objects.filter(member='m-4').latest('pk').pk}/end", {"reason": "returned"}),
    "tap": lambda client: tapped(NEW, member="m-4"),
    "undo": lambda client: client.post(UNDO),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_whatever_two_desks_do_only_who_did_everything_takes_back_what_nobody_used(manager, browse, account, seed):
    chance, other = random.Random(seed), browse(account("manager", name="other"))
    manager.post("/people/new", MISTAKE)
    is_mine = is_unused = True
    for _turn in range(chance.randint(1, 4)):
        act, client = chance.choice(sorted(ACTS)), chance.choice([manager, manager, other])
        logged, was_back = Change.objects.count(), taken_back()
        answer = ACTS[act](client)
        if act == "undo":
            assert (answer.status_code == 303) == (is_mine and is_unused and client is manager and not was_back)
        elif act == "tap":
            is_unused = False
        elif Change.objects.count() > logged and client is other:
            is_mine = False
        assert taken_back() == (was_back or (act == "undo" and answer.status_code == 303))
    is_back = taken_back()
    assert (f'action="{UNDO}"' in text(manager.get(PAGE))) == (is_mine and is_unused and not is_back)
    assert Member.objects.filter(pk="m-4").exists()
    if is_back:
        assert not Badge.objects.filter(member="m-4", ended_at=None).exists()
        assert not Grant.objects.filter(member="m-4", revoked_on=None).exists()
        assert "m-4" not in admitted("laser-1") | admitted("saw-1")
