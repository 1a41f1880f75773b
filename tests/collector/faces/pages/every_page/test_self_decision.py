"""Is nobody judge in their own cause? What somebody would decide about themselves, somebody else has to decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate import wire
from fabgate.collector.faces.pages.roles import barred_from
from fabgate.collector.ground.models import (
    Account,
    Badge,
    Block,
    Change,
    Correction,
    Grant,
    Group,
    Member,
    Plan,
    PrepaidEntry,
    Review,
    TariffRule,
    Training,
)
from fabgate.collector.members.people.blocks import block_member, today
from fabgate.collector.money.billing import member_plans
from fabgate.collector.money.billing.prepaid import modes
from fabgate.collector.recording.intake.store import Store
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.counter import ADA, NEW, text, trained
from tests.collector.faces.pages.used import NOON
from tests.collector.gates import Journal
from tests.collector.paying import paying

pytestmark = pytest.mark.usefixtures("house")

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


# --- one's own money --------------------------------------------------------------------------------------------------


@pytest.fixture
def billed() -> Plan:
    """Billing has started, and Ada has the plan of this name."""
    billing.start()
    Plan.objects.create(name="other")
    return billing.plan("student", "m-1")


def cheaper(client, plan: Plan):
    return client.post(f"/month/plans/{plan.pk}", {"free_minutes": 600, "discount_percent": 100})


def cheap_rule(client, plan: Plan | None):
    return client.post("/month/tariffs/new", billing.typed(price="0", plan=plan.name if plan else ""))


def test_an_accountant_does_not_change_the_plan_that_their_own_member_has(ada, billed):
    client = ada("accountant")
    for answer in (cheaper(client, billed), client.get(f"/month/plans/{billed.pk}"), cheap_rule(client, billed)):
        assert answer.status_code == 403
        assert ELSE in text(answer)
    billed.refresh_from_db()
    assert (billed.free_minutes, TariffRule.objects.count()) == (0, 0)
    page = text(client.get("/month/plans"))
    assert f'href="/month/plans/{billed.pk}"' not in page
    assert "This is about you" in page
    other = Plan.objects.get(name="other")
    assert cheaper(client, other).status_code == 303
    assert cheap_rule(client, other).status_code == 303
    assert cheap_rule(client, None).status_code == 303  # a price for everybody is no decision about oneself


@pytest.mark.parametrize(
    ("since", "is_own"), [(billing.FIRST, True), (today() + timedelta(days=9), True), (None, False)]
)
def test_a_plan_is_ones_own_while_an_open_month_or_a_later_day_has_it(ada, billed, since, is_own):
    """Another plan from today on leaves last month, which is open, to the first one."""
    if since is None:
        member_plans.set_plan(Member.objects.get(pk="m-1"), "", billing.FIRST, actor="maya")
    else:
        member_plans.set_plan(Member.objects.get(pk="m-1"), "other", max(since, today()), actor="maya")
    client = ada("accountant")
    assert (cheaper(client, billed).status_code == 403) is is_own
    assert (cheaper(client, Plan.objects.get(name="other")).status_code == 403) is is_own


def test_an_accountant_does_not_take_back_a_rule_for_their_own_plan(ada, billed):
    coming = billing.rule("price=9", today() + timedelta(days=40), plan="student")
    client = ada("accountant")
    assert client.post(f"/month/tariffs/{coming.pk}/remove").status_code == 403
    assert f"/month/tariffs/{coming.pk}/remove" not in text(client.get("/month/tariffs"))
    assert ada_as_manager(client).post(f"/month/tariffs/{coming.pk}/remove").status_code == 303


def ada_as_manager(client):
    Account.objects.filter(name="ada").update(role=Account.MANAGER)
    return client


def test_who_pays_for_somebody_does_not_change_that_ones_plan(ada, billed):
    """A parent at the desk would lower their own bill; an accountant, too."""
    Member.objects.filter(pk="m-2").update(payer=paying("m-1"))
    member_plans.set_plan(Member.objects.get(pk="m-2"), "other", billing.FIRST, actor="maya")
    client = ada("desk")
    typed = {"plan": billed.pk, "since": str(today())}
    assert client.post("/people/m-2/plan", typed).status_code == 403
    assert "/people/m-2/plan" not in text(client.get("/people/m-2"))
    assert client.post("/people/m-3/plan", typed).status_code == 303
    Account.objects.filter(name="ada").update(role=Account.ACCOUNTANT)
    assert cheaper(client, Plan.objects.get(name="other")).status_code == 403


def test_a_manager_changes_their_own_plan_and_the_settlement_of_all_and_the_log_says_so(ada, billed):
    since = Change.objects.count()
    client = ada("manager")
    assert cheaper(client, billed).status_code == 303
    assert settled(client).status_code == 303
    done = Change.objects.order_by("id").values_list("verb", "actor")[since:]
    assert list(done) == [("plan.updated", "ada"), ("prepaid.mode", "ada")]


def settled(client, who: str = "", prepays: str = "yes"):
    return client.post("/month/prepaid", {"who": who, "prepays": prepays, "since": f"{today():%Y-%m}"})


def test_an_accountant_does_not_change_a_default_that_covers_them(ada, billed):
    client = ada("accountant")
    assert settled(client).status_code == 403
    assert settled(client, "m-2").status_code == 303
    modes.set_mode("m-1", billing.FIRST, prepays=False, actor="maya")
    assert settled(client).status_code == 303  # they have a settlement of their own


def test_a_default_covers_ones_group_too(ada, billed, company):
    modes.set_mode("m-1", billing.FIRST, prepays=False, actor="maya")
    client = ada("accountant")
    assert settled(client).status_code == 403
    modes.set_mode(company.roster_id, billing.FIRST, prepays=False, actor="maya")
    assert settled(client).status_code == 303


def test_an_accountant_without_a_member_changes_the_default_and_every_plan(browse, account, billed):
    client = browse(account("accountant"))
    assert cheaper(client, billed).status_code == 303
    assert settled(client).status_code == 303


def test_credit_for_who_pays_for_oneself_is_ones_own(ada, billed):
    """Zoé pays for Ada, who would use the machines on credit that nobody paid in."""
    Member.objects.filter(pk="m-1").update(payer=paying("m-2"))
    modes.set_mode("m-2", billing.FIRST, prepays=True, actor="maya")
    typed = {"amount": "100", "method": "cash", "till_number": "", "form_key": "0e9b2f4c-7d3c-4f7e-9b0a-5a3f4a1c2d6e"}
    client = ada("desk")
    assert client.post("/credit/m-2/add", typed).status_code == 403
    assert "/credit/m-2/add" not in text(client.get("/people/m-2"))
    assert not PrepaidEntry.objects.exists()
    trained("m-2")  # and yet others than oneself may be judged
    assert client.post("/people/m-2/block", {"reason": "payment-due"}).status_code == 303


def test_the_plan_of_who_pays_for_oneself_is_ones_own(ada, billed):
    """Its overdraft and its discount decide whether Ada may use the machines, and for how long."""
    Member.objects.filter(pk="m-1").update(payer=paying("m-2"))
    member_plans.set_plan(Member.objects.get(pk="m-2"), "other", billing.FIRST, actor="maya")
    client = ada("desk")
    typed = {"plan": billed.pk, "since": str(today())}
    assert client.post("/people/m-2/plan", typed).status_code == 403
    assert "/people/m-2/plan" not in text(client.get("/people/m-2"))
    Account.objects.filter(name="ada").update(role=Account.ACCOUNTANT)
    assert cheaper(client, Plan.objects.get(name="other")).status_code == 403


# --- one's own badge --------------------------------------------------------------------------------------------------


def given() -> list[str]:
    return [badge.holder for badge in Badge.objects.filter(ended_at=None).order_by("pk")]


def test_the_desk_gives_no_badge_to_its_own_group_and_a_manager_does(ada, company):
    before = given()
    path, client = f"/people/groups/{company.pk}", ada("desk")
    answer = client.post(f"{path}/badge", {"typed": NEW})
    assert answer.status_code == 403
    assert ELSE in text(answer)
    assert given() == before
    page = text(client.get(path))
    assert f'action="{path}/badge"' not in page
    assert f'href="{path}/edit"' not in page
    Group.objects.update(ended_on=None)
    assert ada_as_manager(client).post(f"{path}/badge", {"typed": NEW}).status_code == 303
    change = Change.objects.get(verb="badge.given")
    assert (change.actor, change.after["group"]) == ("ada", company.pk)


def test_the_desk_does_not_move_a_badge_of_somebody_for_whom_it_pays(ada):
    """The next sessions on that badge would be charged to the person who gets it."""
    Member.objects.filter(pk="m-2").update(payer=paying("m-1"))
    client, card = ada("desk"), Badge.objects.get(member="m-2")
    assert client.post(f"/people/badges/{card.pk}/end", {"reason": "returned"}).status_code == 303
    assert client.post("/people/m-3/give", {"typed": card.spelling}).status_code == 403
    assert client.post("/people/m-2/give", {"typed": card.spelling}).status_code == 303


def test_the_desk_does_not_leave_its_group_to_give_it_a_badge_and_reopens_it_no_more(ada, company):
    path, client = f"/people/groups/{company.pk}", ada("desk")
    typed = {"name": "Foo SARL", "kind": "company", "people": ""}
    assert client.post(f"{path}/edit", typed).status_code == 403
    assert client.post(f"{path}/end", {"over": "0"}).status_code == 403
    company.refresh_from_db()
    assert company.members.filter(pk="m-1").exists() or company.payer_id == "m-1"


def test_the_desk_adds_itself_to_no_group_new_or_old(ada):
    """A company of its own invention would pay for what it uses, and nobody pays that bill."""
    client = ada("desk")
    typed = {"name": "Bar SARL", "kind": "company", "people": "m-1\nm-2"}
    assert client.post("/people/groups/new", typed).status_code == 403
    assert not Group.objects.exists()
    assert client.post("/people/groups/new", {**typed, "people": "m-2"}).status_code == 303
    group = Group.objects.get()
    assert client.post(f"/people/groups/{group.pk}/edit", typed).status_code == 403
    assert [member.pk for member in group.members.all()] == ["m-2"]
    assert client.post(f"/people/groups/{group.pk}/badge", {"typed": NEW}).status_code == 303


#: Ways to give a badge that is typed to somebody else.
WAYS = {
    "to a company": lambda client, group: client.post(f"/people/groups/{group.pk}/badge", {"typed": ADA}),
    "to a person": lambda client, _group: client.post("/people/m-3/give", {"typed": ADA}),
    "as a loan": lambda client, _group: client.post(
        "/people/m-3/lend", {"typed": ADA, "number": "L1", "until": str(today())}
    ),
    "to a new person": lambda client, _group: client.post(
        "/people/new", {**PLAIN, "level": "user", "id": "m-9", "typed": ADA}
    ),
    "from the reader": lambda client, _group: client.post(
        f"/people/enrol?typed={ADA}", {"member": "m-3", "kind": "personal"}
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_desk_gives_its_own_badge_to_nobody_who_would_pay_for_it(ada, way):
    group = Group.objects.create(name="Foo SARL", kind=Group.COMPANY)
    client = ada("desk")
    own = Badge.objects.get(member="m-1")
    assert client.post(f"/people/badges/{own.pk}/end", {"reason": "returned"}).status_code == 303
    # lent to themselves in between, which hides nothing
    typed = {"typed": ADA, "number": "11", "until": str(today())}
    assert client.post("/people/m-1/lend", typed).status_code == 303
    lent = Badge.objects.get(member="m-1", ended_at=None)
    assert client.post(f"/people/badges/{lent.pk}/end", {"reason": "returned"}).status_code == 303
    before = given()
    answer = WAYS[way](client, group)
    assert answer.status_code == 403
    assert ELSE in text(answer)
    assert given() == before
    assert not Member.objects.filter(pk="m-9").exists()
    assert WAYS[way](ada_as_manager(client), group).status_code == 303
    assert Change.objects.filter(verb="badge.given", actor="ada").count() == 2


def test_a_badge_that_was_only_lent_to_the_desk_is_lent_to_others(ada):
    client = ada("desk")
    typed = {"typed": NEW, "number": "L1", "until": str(today())}
    assert client.post("/people/m-1/lend", typed).status_code == 303
    lent = Badge.objects.get(member="m-1", ended_at=None, kind=Badge.LOAN)
    client.post(f"/people/badges/{lent.pk}/end", {"reason": "returned"})
    assert client.post("/people/m-3/lend", typed).status_code == 303


def test_the_desk_gives_itself_its_own_badge_back(ada):
    client = ada("desk")
    client.post(f"/people/badges/{Badge.objects.get(member='m-1').pk}/end", {"reason": "returned"})
    assert client.post("/people/m-1/give", {"typed": ADA}).status_code == 303
