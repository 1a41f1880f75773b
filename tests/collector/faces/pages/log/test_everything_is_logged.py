"""Does each form of the pages that changes something leave what was there before, and after, in the log?"""

from __future__ import annotations

import re

import pytest

from fabgate import badge
from fabgate.collector.faces.pages import rights
from fabgate.collector.ground.models import (
    Account,
    Badge,
    Change,
    Member,
    OneTimeLink,
)
from fabgate.collector.members.machines import enrol_gate
from fabgate.collector.members.people import badges
from fabgate.collector.members.people.badges import Card
from tests.collector.faces.pages.conftest import PASSWORD
from tests.collector.faces.pages.counter import NEW
from tests.collector.faces.pages.every_page.doors import DOORS
from tests.collector.faces.pages.log.forms import NEW_PASSWORD, SENT, change_password, sign_out_others, welcome_first
from tests.collector.faces.pages.log.house import House
from tests.collector.faces.pages.used import NOON

pytestmark = pytest.mark.usefixtures("house")

#: What leaves no row whose before and after differ, and why that is right.
LEFT_OUT = {
    "sign-in": "a sign-in is a row of its own, which its owner sees under My account",
    "sign-out": "it ends one's own sign-in here, and touches nothing that others see",
    "theme": "it is kept in the browser alone",
    "floor-order": "an order is a row of its own, with who gave it and what became of it",
    "gates-order": "an order is a row of its own, with who gave it and what became of it",
    "joins-new": "a code is logged as such; the gate that joins with it is a row of its own",
    "month-try": "a tariff is only tried, and nothing is stored",
    "people-import": "the list is only kept to be looked at; who takes it is in the log",
}


def told(since: int) -> list[Change]:
    """Return what was written down since a row, where it says what became of something."""
    return [change for change in Change.objects.filter(pk__gt=since) if change.before != change.after]


def last() -> int:
    return Change.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


@pytest.fixture
def there(browse, account, mail_server) -> House:
    mail_server()
    return House(browse, account)


def test_each_route_to_which_a_form_is_sent_is_looked_at_or_left_out_for_a_reason():
    sent = {name for name, right in DOORS.items() if right.post}
    assert SENT.keys() | LEFT_OUT.keys() == sent
    assert not SENT.keys() & LEFT_OUT.keys()
    assert all(rights.table()[name] for name in LEFT_OUT)


@pytest.mark.parametrize(
    ("route", "form"),
    [pytest.param(route, form, id=f"{route}-{n}") for route, forms in SENT.items() for n, form in enumerate(forms)],
)
def test_a_right_form_leaves_what_it_changed_in_the_log(there, route, form):
    since = last()
    answer = form(there)
    assert answer.status_code in (200, 303), " ".join(
        re.findall(r'class="error"[^<]*<?[^<]*|<h1>[^<]*', answer.content.decode())
    )
    found = told(since)
    assert found, [str(change) for change in Change.objects.filter(pk__gt=since)]
    assert all(change.actor for change in found)


def test_a_change_that_is_none_leaves_nothing(there):
    there.post("language", {"language": "fr"})
    since = last()
    there.post("language", {"language": "fr"})
    assert not told(since)


# --- what else was written down nowhere -------------------------------------------------------------------------------


def test_a_language_is_a_change_of_the_account(there):
    there.post("language", {"language": "fr"})
    change = Change.objects.get(verb="account.updated")
    assert (change.actor, change.key, change.before, change.after) == (
        "manager",
        "manager",
        {"lang": ""},
        {"lang": "fr"},
    )


def test_a_loan_that_was_due_is_written_down_by_whoever_gives_the_badge_on(there):
    card = Card.spelled(badge.parse(NEW))
    ada, zoe = (Member.objects.get(pk=pk) for pk in ("m-1", "m-2"))
    lent, _change = badges.assign(card, ada, actor="desk", kind=Badge.LOAN, number="L1", until=NOON)
    badges.assign(card, zoe, actor="karim", kind=Badge.LOAN, number="L1")
    change = Change.objects.get(verb="badge.ended", key=str(lent.pk))
    assert (change.actor, change.reason, change.after["end_reason"]) == ("karim", "its time came", "over")
    assert change.before["ended_at"] is None


def test_a_machine_that_comes_with_a_gate_is_written_down():
    enrol_gate.enrol("drill-1", "drill", actor="cli:ada")
    change = Change.objects.get(verb="machine.added")
    assert (change.actor, change.key, change.after) == ("cli:ada", "drill", {"id": change.after["id"], "name": "drill"})
    enrol_gate.enrol("drill-2", "drill", actor="cli:ada")
    assert Change.objects.filter(verb="machine.added").count() == 1


def test_the_first_manager_is_written_down_as_every_account_is(there):
    welcome_first(there)
    change = Change.objects.get(verb="account.added")
    assert (change.actor, change.key, change.reason, change.before) == ("maya", "maya", "first", {})
    assert (change.after["role"], change.after["display_name"]) == ("manager", "Maya")


def test_a_password_is_told_without_a_word_of_it(there):
    change_password(there)
    change = Change.objects.get(verb="account.password")
    shown = [{name: values[name] for name in ("password", "sign_ins")} for values in (change.before, change.after)]
    assert shown == [{"password": "old", "sign_ins": 1}, {"password": "new", "sign_ins": 1}]
    assert change.before["password_seal"] != change.after["password_seal"]
    account = Account.objects.get(name="desk")
    for secret in (NEW_PASSWORD, PASSWORD, account.password):
        assert secret not in str([change.before, change.after, change.reason])
    page = there.manager.get("/log").content.decode()
    assert "<del>the previous one</del>" in page
    assert "<ins>a new one</ins>" in page


def test_who_is_invited_had_no_password_before(there):
    account, token = house_invites()
    there.post("welcome", {"password": NEW_PASSWORD}, token=token)
    change = Change.objects.get(verb="account.password", key=account.name)
    assert (change.before["password"], change.after["password"]) == ("", "new")


def house_invites() -> tuple[Account, str]:
    from fabgate.collector.members.accounts import manage

    return manage.invite("karim", Account.DESK, actor="manager")


def test_a_link_is_told_with_how_long_it_opens_the_door(there):
    there.post("accounts-link", pk=there.account("desk").pk)
    change = Change.objects.get(verb="account.link")
    link = OneTimeLink.objects.get(account__name="desk")
    assert (change.before, change.after) == ({}, {"expires_at": link.expires_at.isoformat()})


def test_browsers_that_are_signed_out_are_counted(there):
    sign_out_others(there)
    change = Change.objects.get(verb="account.signed-out")
    assert (change.actor, change.key, change.before, change.after) == (
        *("desk", "desk"),
        {"sign_ins": 2},
        {"sign_ins": 1},
    )
