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
from django.apps import apps
from django.conf import settings
from django.urls import reverse

from fabgate.collector.accounts import links, sign_in
from fabgate.collector.billing import member_plans, terms
from fabgate.collector.models import Account, Gate, Member, OneTimeLink, Plan
from fabgate.collector.pages import rights
from fabgate.collector.pages.roles import Asks
from fabgate.collector.pages.signin import password_again
from fabgate.collector.people.blocks import today
from tests.collector.pages.conftest import PASSWORD
from tests.collector.pages.counter import a_broker, a_house  # noqa: F401 (fixtures)
from tests.collector.pages.every_page.test_rights import DOORS
from tests.collector.pages.log import test_everything_is_logged as logged
from tests.collector.pages.log.test_everything_is_logged import House
from tests.collector.pages.signin.test_password_again import QUESTION, hidden

# --- what concerns money ----------------------------------------------------------------------------------------------

#: Every row of these tables.
MONEY = {
    *("BillingTerms", "ClosedMonth", "Correction", "ManualLine", "Payer", "PayerReference", "Plan", "PlanChange"),
    *("Admission", "PrepaidChange", "PrepaidEntry", "Sink", "SinkLetter", "TariffRule", "VatRate", "Waiver"),
    "Workshop",
}
#: Of these tables, the columns that concern money, and those that do not.
MIXED: dict[str, tuple[set[str], set[str]]] = {
    "Member": (
        {"payer_id"},
        {
            *("id", "name", "lang", "level", "valid_until", "grace_days", "supervised", "email", "note", "category"),
            *("minor", "joined_on", "left_on", "folded"),
        },
    ),
    "Group": ({"payer_id"}, {"id", "name", "kind", "note", "ended_on", "folded"}),
    "Machine": (
        {"category"},
        {
            *("id", "name", "title", "note", "rules", "preset", "retired_at", "lifted", "lock_back", "lock_id"),
            *("lock_reason", "lock_when", "locked_at", "locked_by"),
        },
    ),
    "Gate": (
        {"machine_id"},
        {
            *("id", "name", "token_hash", "boot", "journal", "head", "head_at", "mark", "version", "online", "seen_at"),
            *("state", "state_since", "session", "session_member", "energised_ms", "running_ms", "ran_at", "causes"),
            *("clock_off_ms", "earliest_at", "hints", "problems", "quarantine_dropped", "reader", "synced"),
            *("reported_roster", "roster_confirmed_at", "roster_version", "senses_work", "too_much_at"),
        },
    ),
    "Account": (
        {"role", "member_id", "is_active"},
        {"id", "name", "display_name", "email", "lang", "password", "last_login", "created_at"},
    ),
    "OneTimeLink": (
        {"account_id"},
        {"id", "token_hash", "purpose", "made_by", "created_at", "expires_at", "used_at"},
    ),
    "ApiKey": (
        {"scopes"},
        {
            *("id", "name", "prefix", "token_hash", "made_by_id", "created_at", "expires_at"),
            *("last_used_at", "revoked_at"),
        },
    ),
    # How a review is settled decides what the session costs; that somebody opens one asks for such a decision.
    "Review": (
        {"settled_by"},
        {"id", "session_id", "why", "note", "opened_at", "settled_at", "decision"},
    ),
    "Contest": (
        {"decision"},
        {
            *("id", "kind", "key", "payer", "month", "text", "amount_minor", "words", "member", "author", "at"),
            *("answer", "answered_at", "answered_by", "erased_at"),
        },
    ),
}
#: What concerns no money, or only follows from the tables above, as charges do.
FREE = {
    *("Badge", "BadgeForm", "BillingProgress", "Block", "Boot", "Change", "Charge", "ChargeTerms", "Collector"),
    *("Entry", "FailedSignIn", "Grant", "Heartbeat", "Hole", "IssuedStatement", "Journal", "LedgerLine", "Opening"),
    *("Order", "Pulse", "Quarantine", "Refusal", "RosterLimit", "ServedRoster", "SignIn", "SpecialDay"),
    *("StatementMail", "Training", "UsageDay", "UsageMonth", "UsageSession", "Verification"),
}
#: What is written although nobody changed anything: who was seen, and wrong passwords.
ALWAYS_WRITTEN = {"SignIn", "FailedSignIn"}
MODELS = {model.__name__: model for model in apps.get_app_config("collector").get_models()}
#: Who may change money, in the words of who_may_do_what.md; and who else reads what everybody did and pays.
POWERFUL = {"manager", "desk", "accountant", "maintainer"}
TRUSTED = POWERFUL | {"auditor"}

Rows = dict[str, dict[Any, dict[str, Any]]]


def stored() -> Rows:
    return {
        name: {row[model._meta.pk.attname]: row for row in model._default_manager.values()}
        for name, model in MODELS.items()
    }


def written(before: Rows, after: Rows) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield table, column and row of each value that was written; of a new row, what is not empty."""
    for table, rows in after.items():
        for pk in rows.keys() | before[table].keys():
            was, became = before[table].get(pk, {}), rows.get(pk, {})
            for column in was.keys() | became.keys():
                if (was.get(column) or None) != (became.get(column) or None):
                    yield table, column, {**was, **became}


def concerns_money(table: str, column: str, row: dict[str, Any]) -> bool:
    if table not in MIXED:
        return table in MONEY
    if column not in MIXED[table][0]:
        return False
    if table == "Account":
        return row["role"] in TRUSTED and (column != "is_active" or row["is_active"])
    if table == "OneTimeLink":
        return Account.objects.get(pk=row["account_id"]).role in TRUSTED
    return True


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


def _person(**more: Any) -> dict[str, Any]:
    return logged._person(**more)


def _with_plan(house: House) -> Any:
    return house.post("people-new", _person(id="m-4", plan=Plan.objects.create(name="student").pk))


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
    "month-try": (lambda h: (logged._billing(h), h.post("month-try"))[1],),
    "people-import": (lambda h: h.post("people-import", {"file": io.BytesIO(b"id,name,payer\nm-1,Ada King,m-2\n")}),),
    "people-new": (
        _with_plan,
        lambda h: h.post("people-new", _person(id="m-4", payer="m-1")),
        lambda h: h.post("people-new", _person(id="m-4", typed=logged.NEW)),
    ),
    "people-edit": (
        lambda h: h.post("people-edit", _person(payer="m-2"), pk="m-1"),
        lambda h: h.post("people-edit", _person(payer="m-1"), pk="m-1"),  # themselves, as before
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
    for route in sorted(logged.SENT.keys() | MORE.keys())
    for n, form in enumerate((*logged.SENT.get(route, ()), *MORE.get(route, ())))
]
#: A link that is mailed was made before, so nothing is written; and mails are asked about before they leave.
MAILED = {"accounts-mail"}
#: What is asked although this form of it concerns no money: an import always is.
ALL_THE_SAME = {"people-import-preview"}


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
