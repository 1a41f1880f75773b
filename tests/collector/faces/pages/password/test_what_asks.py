"""Does each route ask for the password again where it writes what concerns money, and nowhere else?

What is written is read from the database, table by table, and not from the log: a new route, table or column has to be
sorted here before this passes.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from fabgate.collector.faces.pages import rights
from fabgate.collector.faces.pages.password import password_again
from fabgate.collector.faces.pages.roles import Asks
from fabgate.collector.ground.models import Account, Gate, Member, OneTimeLink, Plan
from fabgate.collector.members.accounts import links, sign_in
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.billing import member_plans, terms
from tests.collector.faces.pages.conftest import PASSWORD
from tests.collector.faces.pages.counter import NEW
from tests.collector.faces.pages.every_page.doors import DOORS
from tests.collector.faces.pages.log import forms
from tests.collector.faces.pages.log.house import House
from tests.collector.faces.pages.password.money import (
    ALWAYS_WRITTEN,
    FREE,
    MIXED,
    MODELS,
    MONEY,
    POWERFUL,
    TRUSTED,
    Rows,
    concerns_money,
    stored,
    written,
)
from tests.collector.faces.pages.password.question import QUESTION, hidden

pytestmark = pytest.mark.usefixtures("house")

# --- what concerns money ----------------------------------------------------------------------------------------------


def test_every_table_and_every_column_is_sorted():
    assert MODELS.keys() == MONEY | MIXED.keys() | FREE
    assert not MONEY & FREE
    for name, (money, free) in MIXED.items():
        assert {field.attname for field in MODELS[name]._meta.concrete_fields} == money | free, name
        assert not money & free


def test_the_roles_that_may_change_money():
    assert rights.money_roles() == POWERFUL
    assert rights.trusted_roles() == TRUSTED


# --- the forms --------------------------------------------------------------------------------------------------------


class Stale(House):
    """The workshop, whose browsers had their passwords typed long ago; `post` answers the question, if there is one."""

    is_asked = is_compared = False
    #: What was stored before the form was sent, and after the question was asked.
    before: Rows
    asked: Rows

    def post(self, route: str, typed: Any = None, *, by: Any = None, query: str = "", **places: Any) -> Any:
        client = by or self.manager
        if settings.SESSION_COOKIE_NAME in client.cookies and client.session.get("sign_in"):
            session = client.session
            session[sign_in._PASSWORD_AT] -= password_again.LASTS.total_seconds()
            session.save()
        self.before = stored()
        answer = super().post(route, typed, by=by, query=query, **places)
        self.is_asked = QUESTION in answer.content.decode() if not answer.streaming else False
        self.asked = stored()
        if not self.is_asked:
            return answer
        assert answer.status_code == 200
        again: dict[str, list[str]] = {}
        for name, value in hidden(answer.content.decode()):
            again.setdefault(name, []).append(value)
        return client.post(reverse(route, kwargs=places) + query, {**again, password_again.FIELD: PASSWORD})


def _with_plan(house: House) -> Any:
    return house.post("people-new", forms.person(id="m-4", plan=Plan.objects.create(name="student").pk))


def _plan_cancelled(house: House) -> Any:
    Plan.objects.create(name="student")
    tomorrow = today() + timedelta(days=1)
    member_plans.set_plan(Member.objects.get(pk="m-1"), "student", tomorrow, actor="maya")
    return house.post("people-plan", {"cancelled": str(tomorrow)}, pk="m-1")


def _group(house: House, **typed: str) -> Any:
    return house.post("people-group-edit", {"name": "Class 3B", "kind": "class", **typed}, pk=house.group().pk)


def _account(house: House, **typed: str) -> Any:
    trainer = house.account("trainer")
    return house.post("accounts-one", {"role": "trainer", **typed}, pk=trainer.pk)


def _switched_on(house: House, role: str) -> Any:
    return house.post("accounts-one", {"active": "1"}, pk=house.account(role, is_active=False).pk)


def _mailed(house: House, role: str) -> Any:
    found = house.account(role, email="one@example.org")
    return house.post("accounts-mail", {"token": links.make(OneTimeLink.RESET, found, "manager")}, pk=found.pk)


def _linked(house: House, role: str, member: str) -> Any:
    pk = house.account(role).pk
    return house.post("accounts-one", {"role": role, "member": member}, pk=pk)


def _key(house: House, *scopes: str) -> Any:
    terms.start("EUR", today(), "UTC", includes_vat=True, actor="maya")
    return house.post("accounts-keys", {"name": "Bills", "scopes": scopes, "lasts": "90"})


def _left_machine(house: House) -> Any:
    gate = Gate.objects.get(name="saw-1")
    Gate.objects.filter(pk=gate.pk).update(machine=None)
    return house.post("machines-gate-move", {"moved": gate.pk}, name="laser")


#: More forms than those of the log: what it leaves out, and for forms with some fields about money, both kinds.
MORE: dict[str, tuple[Callable[[House], Any], ...]] = {
    "sign-in": (lambda h: h.post("sign-in", {"name": "manager", "password": PASSWORD}),),
    "sign-out": (lambda h: h.post("sign-out"),),
    "theme": (lambda h: h.post("theme", {"theme": "dark"}),),
    "floor-order": (lambda h: h.post("floor-order", {"verb": "identify"}, name="laser-1"),),
    "gates-order": (lambda h: h.post("gates-order", {"verb": "identify"}, name="laser-1"),),
    "month-try": (lambda h: (forms.start_billing(h), h.post("month-try"))[1],),
    "people-import": (lambda h: h.post("people-import", {"file": io.BytesIO(b"id,name,payer\nm-1,Ada King,m-2\n")}),),
    "joins-new": (lambda h: h.post("joins-new", {"machine": "laser", "gate": "laser-9", "build": "standard"}),),
    "people-new": (
        _with_plan,
        lambda h: h.post("people-new", forms.person(id="m-4", payer="m-1")),
        lambda h: h.post("people-new", forms.person(id="m-4", typed=NEW)),
    ),
    "people-edit": (
        lambda h: h.post("people-edit", forms.person(payer="m-2"), pk="m-1"),
        lambda h: h.post("people-edit", forms.person(payer="m-1"), pk="m-1"),  # themselves, as before
    ),
    "people-plan": (_plan_cancelled,),
    "people-group-new": (
        lambda h: h.post("people-group-new", {"name": "Foo SARL", "kind": "company", "payer": "m-1"}),
        lambda h: h.post("people-group-new", {"name": "Foo SARL", "kind": "company", "people": "m-1"}),
    ),
    "people-group-edit": (lambda h: _group(h, payer="m-1"), lambda h: _group(h, kind="company", people="m-1")),
    "machines-new": (lambda h: h.post("machines-new", {"name": "drill", "preset": "saw", "category": "wood"}),),
    "machines-one": (lambda h: h.post("machines-one", {"title": "Laser", "category": "free of charge"}, name="laser"),),
    "machines-gate-move": (_left_machine,),
    "accounts-new": (
        *(
            lambda h, role=role: h.post("accounts-new", {"name": "karim", "role": role})
            for role in ("manager", "accountant", "maintainer", "trainer", "auditor")
        ),
        lambda h: h.post("accounts-new", {"name": "karim", "role": "member", "member": "m-1"}),
    ),
    "accounts-one": (
        lambda h: _account(h, role="manager"),
        lambda h: _account(h, role="auditor", member="m-1"),
        lambda h: _account(h, email="new@example.org"),
        lambda h: _linked(h, "accountant", "m-1"),
        lambda h: _linked(h, "trainer", "m-1"),
        lambda h: _switched_on(h, "desk"),
        lambda h: _switched_on(h, "auditor"),
        lambda h: _switched_on(h, "trainer"),
        lambda h: _linked(h, "auditor", "m-1"),
    ),
    "accounts-link": (
        lambda h: h.post("accounts-link", pk=Account.objects.get(name="manager").pk),
        lambda h: h.post("accounts-link", pk=h.account("manager", "other").pk),
        lambda h: h.post("accounts-link", pk=h.account("trainer").pk),
        lambda h: h.post("accounts-link", pk=h.account("auditor").pk),
    ),
    "accounts-mail": (
        lambda h: _mailed(h, "accountant"),
        lambda h: _mailed(h, "auditor"),
        lambda h: _mailed(h, "trainer"),
    ),
    "accounts-keys": (
        lambda h: _key(h, "sessions:read"),
        lambda h: _key(h, "charges:read"),
        lambda h: _key(h, "sessions:read", "charges:read"),
    ),
}
FORMS = [
    pytest.param(route, form, id=f"{route}-{n}")
    for route in sorted(forms.SENT.keys() | MORE.keys())
    for n, form in enumerate((*forms.SENT.get(route, ()), *MORE.get(route, ())))
]
#: A link that is mailed was made before, so nothing is written; and mails are asked about before they leave.
MAILED = {"accounts-mail"}
#: What is asked although this form of it concerns no money: an import always is, and so is the end of a gate's keys.
ALL_THE_SAME = {"people-import-preview", "gates-cut-off"}


@pytest.fixture
def there(browse, account, mail_server) -> Iterator[Stale]:
    mail_server()
    return Stale(browse, account)


def test_each_route_to_which_a_form_is_sent_is_tried():
    tried = Counter(form.values[0] for form in FORMS)
    assert tried.keys() == {name for name, right in DOORS.items() if right.post}
    # one form that asks, and one that does not
    assert all(tried[name] > 1 for name, right in DOORS.items() if right.asks_password is Asks.IF_MONEY_CHANGES)


@pytest.mark.parametrize(("route", "form"), FORMS)
def test_a_route_asks_for_the_password_where_it_writes_what_concerns_money(there, route, form):
    answer = form(there)
    problem = " ".join(re.findall(r'class="error"[^<]*<?[^<]*|<h1>[^<]*', answer.content.decode()))
    assert answer.status_code in (200, 303), problem
    if there.is_asked:
        changed = {table for table, _column, _row in written(there.before, there.asked)}
        assert changed <= ALWAYS_WRITTEN, "written although the password was not typed yet"
    money = {
        f"{table}.{column}"
        for table, column, row in written(there.before, stored())
        if concerns_money(table, column, row)
    }
    if route in MAILED:
        holder = Account.objects.exclude(name="manager").get()
        assert there.is_asked == (holder.role in TRUSTED)
        return
    asks = rights.table()[route].asks_password
    if route in ALL_THE_SAME:
        assert (asks, there.is_asked) == (Asks.ALWAYS, True)
        return
    if not rights.table()[route].is_open:
        assert there.is_asked == bool(money), money
    assert asks is not Asks.ALWAYS or money
    assert asks is not Asks.NEVER or not there.is_asked
