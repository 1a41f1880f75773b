"""Is nobody judge in their own cause? What somebody would decide about themselves, somebody else has to decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate import wire
from fabgate.collector.intake.store import Store
from fabgate.collector.models import Account, Block, Change, Correction, Grant, Group, Member, Review, Training
from fabgate.collector.pages.roles import barred_from
from fabgate.collector.people.blocks import block_member, today
from tests.collector.gates import Journal
from tests.collector.pages.counter import a_broker, a_house, text, trained  # noqa: F401 (fixtures)
from tests.collector.pages.used import NOON
from tests.collector.paying import paying

ELSE = "Someone else at the desk must do this for you."


def grant(client, pk: str = "m-1"):
    typed = {"training": Training.objects.get(name="laser").pk, "stage": "autonomous", "trainer": "m-1"}
    return client.post(f"/people/{pk}/grant", {**typed, "since": today().isoformat()})


@pytest.fixture
def ada(browse, account):
    """A browser in which Ada is signed in, who is m-1, in a role."""
    return lambda role: browse(account(role, "ada", member_id="m-1"))


@pytest.mark.parametrize(
    ("role", "member", "barred"), [("desk", "m-1", "m-1"), ("desk", None, None), ("manager", "m-1", None)]
)
def test_only_a_manager_decides_about_the_member_that_they_are(role, member, barred):
    assert barred_from(Account(role=role, member_id=member)) == barred


def test_a_trainer_trains_others_and_not_themselves(ada):
    client = ada("trainer")
    response = grant(client)
    assert response.status_code == 403
    assert ELSE in text(response)
    assert grant(client, "m-2").status_code == 303
    assert set(Grant.objects.values_list("member", flat=True)) == {"m-2"}


def test_a_trainer_does_not_take_their_own_suspension_back(ada):
    held = trained("m-1", stage="suspended")
    client = ada("trainer")
    response = client.post("/people/m-1/revoke", {"training": held.training.pk, "reason": "it was nothing"})
    assert response.status_code == 403
    held.refresh_from_db()
    assert held.revoked_on is None


def test_the_desk_neither_lifts_nor_shortens_its_own_block(ada):
    block_member(Member.objects.get(pk="m-1"), "payment-due", None, actor="maya")
    client = ada("desk")
    block = Block.objects.get()
    assert client.post("/people/m-1/lift", {"block": block.pk}).status_code == 403
    tomorrow = (today() + timedelta(days=1)).isoformat()
    assert client.post("/people/m-1/block", {"reason": "payment-due", "until": tomorrow}).status_code == 403
    block.refresh_from_db()
    assert (block.lifted_at, block.until) == (None, None)


def test_a_manager_decides_about_themselves_and_the_log_says_so(ada):
    block_member(Member.objects.get(pk="m-1"), "payment-due", None, actor="maya")
    client = ada("manager")
    assert grant(client).status_code == 303
    assert client.post("/people/m-1/lift", {"block": Block.objects.get().pk}).status_code == 303
    assert client.post("/people/m-1/edit", {**PLAIN, "level": "user", "valid_until": "2031-01-01"}).status_code == 303
    done = Change.objects.filter(actor="ada").order_by("id").values_list("verb", flat=True)
    assert list(done) == ["grant.given", "block.lifted", "member.updated"]


def test_buttons_that_would_be_refused_are_not_shown(ada):
    trained("m-1")
    block_member(Member.objects.get(pk="m-1"), "payment-due", None, actor="maya")
    for role, forms in (("trainer", ("grant", "revoke")), ("desk", ("lift", "block"))):
        Account.objects.all().delete()
        client = ada(role)
        own, other = text(client.get("/people/m-1")), text(client.get("/people/m-2"))
        assert "This is about you" in own
        assert "This is about you" not in other
        for form in forms:
            assert f"/people/m-1/{form}" not in own
        assert f"/people/m-2/{forms[0] if role == 'trainer' else forms[1]}" in other


# --- membership -------------------------------------------------------------------------------------------------------

PLAIN = {"name": "Ada King", "lang": "en", "grace_days": "0"}


def test_the_desk_changes_its_own_name_and_not_its_own_membership(ada):
    until = today() + timedelta(days=1)
    Member.objects.filter(pk="m-1").update(valid_until=until, minor=True)
    client = ada("desk")
    page = client.get("/people/m-1/edit")
    assert "the greyed-out fields" in text(page)
    disabled = {name for name, field in page.context["form"].fields.items() if field.disabled}
    assert disabled == {"valid_until", "grace_days", "category", "minor", "supervised"}
    assert client.post("/people/m-1/edit", {"name": "Ada King", "lang": "fr"}).status_code == 303
    found = Member.objects.get(pk="m-1")
    assert (found.name, found.lang, found.valid_until, found.minor) == ("Ada King", "fr", until, True)


@pytest.mark.parametrize("field", ["valid_until", "grace_days", "category"])
def test_what_is_greyed_out_and_sent_all_the_same_is_refused_at_its_field(ada, field):
    sent = {"valid_until": "2031-01-01", "grace_days": "9", "category": "staff"}[field]
    response = ada("desk").post("/people/m-1/edit", {"name": "Ada King", "lang": "en", field: sent})
    assert response.status_code == 400
    assert response.context["form"].errors[field] == [ELSE]
    assert Member.objects.get(pk="m-1").name == "Ada Lovelace"


def test_the_desk_extends_others(ada):
    assert ada("desk").post("/people/m-2/edit", {**PLAIN, "valid_until": "2031-01-01"}).status_code == 303
    assert str(Member.objects.get(pk="m-2").valid_until) == "2031-01-01"


# --- several at once --------------------------------------------------------------------------------------------------


def test_a_list_with_oneself_in_it_is_refused_by_name_and_nobody_is_granted_anything(ada):
    client = ada("trainer")
    typed = {"training": Training.objects.get(name="laser").pk, "stage": "autonomous", "trainer": "m-1"}
    sent = {**typed, "since": today().isoformat()}
    response = client.post("/people/trainings/who", {**sent, "member": ["m-2", "m-1"]})
    assert response.status_code == 400
    assert "Ada Lovelace" in response.context["form"].non_field_errors()[0]
    assert not Grant.objects.exists()
    page = text(response)
    assert 'value="m-2"' in page
    assert 'name="member" value="m-1"' not in page
    assert client.post("/people/trainings/who", {**sent, "member": ["m-2"]}).status_code == 303


# --- one's group ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["belongs", "pays", "is over"])
def company(request) -> Group:
    """A company to which m-1 belongs, now or until it ended, or for which they pay."""
    found = Group.objects.create(name="Foo SARL", kind=Group.COMPANY)
    if request.param == "pays":
        Group.objects.update(payer=paying("m-1"))
    else:
        found.members.add("m-1")
    if request.param == "is over":
        Group.objects.update(ended_on=today())
    return found


@pytest.fixture
def on_the_bill(company) -> str:
    """A session of half an hour on the company's badge; the company pays for itself."""
    journal = Journal(gate="laser-1", name="journal", boot="boot")
    who = {"session": "s-1", "member": company.roster_id, "badge": "b"}
    said = [
        journal.write("session.started", time=NOON, **who, basis=wire.Basis(kind="manual"), mode="tap"),
        journal.write("session.ended", time=NOON, **who, energised_ms=1_800_000, running_ms=1, reason="badge"),
    ]
    Store("lyon").store(said, datetime.now(UTC))
    Review.objects.get_or_create(session_id="s-1", defaults={"why": "uncertain", "opened_at": NOON})
    return "s-1"


def shortened(company: Group) -> dict[str, str]:
    called = {"member": company.name, "payer": company.name, "purpose": "own"}
    return {**called, "time": "0:00:01", "reason": "it was less"}


def test_an_accountant_neither_corrects_nor_settles_what_their_group_used(ada, company, on_the_bill):
    client = ada("accountant")
    response = client.post(f"/use/{on_the_bill}", shortened(company))
    assert response.status_code == 403
    assert ELSE in text(response)
    page = client.get(f"/use/{on_the_bill}")
    assert page.context["form"] is None
    assert ELSE in text(page)
    waiting = Review.objects.get()
    listed = text(client.get("/use/review"))
    assert f'value="{waiting.pk}"' not in listed
    assert f'href="/use/{on_the_bill}#correct"' not in listed
    assert client.post("/use/review", {"decision": "favour", "review": waiting.pk}).status_code == 400
    waiting.refresh_from_db()
    assert waiting.settled_at is None
    assert not Correction.objects.exists()


def test_others_correct_and_settle_what_a_group_used(browse, account, ada, company, on_the_bill):
    other = browse(account("accountant", member_id="m-2"))
    assert other.post("/use/review", {"decision": "accepted", "review": Review.objects.get().pk}).status_code == 303
    assert other.post(f"/use/{on_the_bill}", shortened(company)).status_code == 303
    assert ada("manager").post(f"/use/{on_the_bill}", {**shortened(company), "time": "0:00:02"}).status_code == 303
