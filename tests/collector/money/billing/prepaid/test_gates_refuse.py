"""Are those without credit refused at the gates, with the reason, and are machines open again at once?"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.ground.models import BillingTerms, Block, Gate, Group, Member, Plan
from fabgate.collector.members.access import roster
from fabgate.collector.members.access.eligibility import NO_CREDIT, People
from fabgate.collector.money.billing import member_plans, rule_store, terms
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.tariffs.rules import BILLED_PURPOSES
from fabgate.collector.money.billing.tariffs.typed_rule import Typed
from fabgate.collector.processes.worker import Worker
from fabgate.gate.panel.messages import notice
from fabgate.gate.roster.directory import Directory, store
from fabgate.pricing.tariffs import Tariff
from fabgate.rules import vocabulary
from fabgate.rules.access import decide
from tests.collector.grants import give_badge
from tests.collector.money.billing.booked import rule
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env", "told")
TODAY = datetime.now(UTC).date().replace(day=1)


@pytest.fixture
def ada(gate) -> Member:
    """A member who prepays and has nothing; the laser costs something."""
    terms.start("EUR", TODAY, "UTC", includes_vat=True, actor="eve")
    rule(TODAY)
    member = Member.objects.create(id="m-1", name="Ada Lovelace", lang="fr")
    member.machines.add(gate.machine)
    give_badge(member)
    modes.set_mode("m-1", TODAY, prepays=True, actor="eve")
    return member


def refused(gate: Gate) -> dict[str | None, list[str]]:
    roster.rebuild(only_changed=True)
    return {row.id: row.reasons for row in served(gate).refusals if row.id}


def pay(amount_minor: int, payer: str = "m-1") -> ledger.Done:
    def rebuild() -> dict[str, int]:
        return roster.versions(roster.rebuild(only_changed=True))

    return ledger.credit(
        payer, amount_minor, Paid("cash"), author="kim", now=datetime.now(UTC), is_meant=True, rebuild=rebuild
    )


def test_a_gate_refuses_a_badge_whose_credit_is_used_up_and_shows_where_to_go(gate, ada, tmp_path):
    assert refused(gate) == {"m-1": ["no-credit"]}
    store(served(gate), tmp_path / "roster.db")
    directory = Directory(tmp_path / "roster.db")
    holder = directory.find(ada.badges.get().digest)
    directory.close()
    now = vocabulary.Now(boot_ms=0, synced=True, local=datetime(2027, 1, 5, 12))  # noqa: DTZ001 (what the wall shows)
    found = decide(holder, rules=vocabulary.MachineRules(), causes=frozenset(), stale=False, now=now)
    assert (found.basis, found.reasons) == (None, ("no-credit",))
    for lang, wanted in (
        ("en", ("No access now", "Please go to the", "desk (ref. 3)")),
        ("fr", ("Accès impossible", "Merci de passer", "à l'accueil (réf. 3)")),
    ):
        said = vocabulary.Signal(vocabulary.SignalKind.REFUSED, lang=lang, reasons=found.reasons)
        assert notice(said, "Laser").lines == wanted
    assert not Block.objects.exists()


def test_a_credit_opens_the_machine_in_its_own_transaction_and_a_second_one_builds_nothing(gate, ada):
    roster.rebuild()
    done = pay(500)
    assert done.change is not None
    assert list(done.change.rosters) == ["laser-1"]
    assert [member.id for member in served(gate).members] == ["m-1"]
    with mock.patch.object(roster, "rebuild", side_effect=AssertionError("nothing changes at the gates")):
        pay(500)
    ledger.refund("m-1", 1_000, Paid("cash", reason="left"), author="eve", now=datetime.now(UTC))
    assert refused(gate) == {"m-1": ["no-credit"]}


def test_what_a_discount_or_a_cap_makes_free_stays_open_without_credit(gate, ada):
    assert refused(gate) == {"m-1": ["no-credit"]}
    Plan.objects.create(name="volunteer", discount_percent=Decimal(100))
    member_plans.set_plan(ada, "volunteer", TODAY, actor="eve")
    assert refused(gate) == {}
    member_plans.set_plan(ada, "", TODAY, actor="eve")
    assert refused(gate) == {"m-1": ["no-credit"]}
    capped = Typed(Tariff(Decimal(1), daily_cap=Decimal(0)), BILLED_PURPOSES, "")
    rule_store.add(rule_store.unsaved((gate.machine, "", None), TODAY, capped), "eve")
    assert refused(gate) == {}


def test_the_payer_counts_for_members_and_groups(gate, ada):
    pay(500)
    for pk, payer in (("m-2", None), ("m-3", ada)):
        member = Member.objects.create(id=pk, name=pk)
        member.machines.add(gate.machine)
        if payer is not None:
            member.payer = payers.ensure(payers.of_member(ada), actor="eve")
            member.save()
    group = Group.objects.create(name="5 B", kind=Group.CLASS)
    group.machines.add(gate.machine)
    assert refused(gate) == {}
    modes.set_mode(group.roster_id, TODAY, prepays=True, actor="eve")
    decisions.add_line("m-1", "Plywood", 500, day=TODAY, author="eve")
    assert refused(gate) == {"m-1": [NO_CREDIT], "m-3": [NO_CREDIT], group.roster_id: [NO_CREDIT]}
    modes.set_mode(modes.EVERYBODY, TODAY, prepays=True, actor="eve")
    assert refused(gate).keys() == {"m-1", "m-2", "m-3", group.roster_id}
    one = People(datetime.now(UTC), only=Member.objects.get(pk="m-3"))
    assert one.eligibility(one.members[0], gate.machine).reasons == (NO_CREDIT,)


def test_who_repairs_and_what_costs_nothing_is_not_refused(gate, ada):
    ada.level = "maintainer"
    ada.save()
    assert refused(gate) == {}
    ada.level = "user"
    ada.save()
    plan = Plan.objects.create(name="staff")
    typed = Typed(Tariff(Decimal(0)), BILLED_PURPOSES, "")
    free = rule_store.unsaved((gate.machine, "", plan), TODAY, typed)
    rule_store.add(free, "eve")
    assert refused(gate) == {"m-1": [NO_CREDIT]}
    member_plans.set_plan(ada, "staff", TODAY, actor="eve")
    assert refused(gate) == {}
    free.tariff |= {"session_fee": "0.50"}
    free.save()
    assert refused(gate) == {"m-1": [NO_CREDIT]}


def test_the_worker_rebuilds_rosters_only_when_a_payer_runs_out_or_pays_in(gate, ada, told):
    worker = Worker()
    worker.charge()
    assert [row.id for row in served(gate).refusals] == ["m-1"]
    pay(500)
    worker.charge()
    told.clear()
    with mock.patch.object(roster, "rebuild", side_effect=AssertionError("nobody crosses")):
        decisions.add_line("m-1", "Plywood", 499, day=TODAY, author="eve")
        worker.charge()
    decisions.add_line("m-1", "Screws", 1, day=TODAY, author="eve")
    worker.charge()
    assert [row.id for row in served(gate).refusals] == ["m-1"]
    assert len(told) == 1
    decisions.remove_line(2, author="eve", reason="typed wrongly")
    worker.charge()
    assert [row.id for row in served(gate).members] == ["m-1"]
    decisions.add_line("m-1", "Glue", 1, day=TODAY, author="eve")
    free = Typed(Tariff(Decimal(0)), BILLED_PURPOSES, "")
    rule_store.add(rule_store.unsaved((gate.machine, "", None), TODAY, free), "eve")
    worker.charge()  # out of credit, at a machine that costs nothing any more
    assert [row.id for row in served(gate).members] == ["m-1"]


def test_who_pays_and_has_little_credit_left_is_told_where_it_costs_something(gate, ada, told):
    BillingTerms.objects.update(low_credit_minor=500)
    kim = Member.objects.create(id="m-2", name="Kim", payer=payers.ensure(payers.of_member(ada), actor="eve"))
    kim.machines.add(gate.machine)
    worker = Worker()

    def low() -> dict[str, object]:
        worker.charge()
        return {row.id: row.low_credit for row in served(gate).members}

    pay(500)
    assert low() == {"m-1": False, "m-2": False}
    decisions.add_line("m-1", "Screws", 1, day=TODAY, author="eve")
    assert low() == {"m-1": True, "m-2": False}
    told.clear()
    decisions.add_line("m-1", "Plywood", 400, day=TODAY, author="eve")
    assert (low(), told) == ({"m-1": True, "m-2": False}, []), "a roster has no amount"
    ada.level = "maintainer"
    ada.save()
    roster.rebuild()
    assert low()["m-1"] is False
    ada.level = "user"
    ada.save()
    roster.rebuild()
    assert low()["m-1"] is True
    free = Typed(Tariff(Decimal(0)), BILLED_PURPOSES, "")
    rule_store.add(rule_store.unsaved((gate.machine, "", None), TODAY, free), "eve")
    assert low()["m-1"] is False
    assert b"low_credit" not in bytes(gate.roster)


def test_a_roster_costs_as_many_statements_with_many_who_prepay_as_with_one(gate, ada):
    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            People(datetime.now(UTC))
        return len(found)

    before = count()
    Plan.objects.create(name="student", overdraft_minor=100)
    with_overdraft = count()
    for n in range(2, 40):
        member = Member.objects.create(id=f"m-{n}", name=f"m-{n}")
        modes.set_mode(member.pk, TODAY, prepays=True, actor="eve")
        member_plans.set_plan(member, "student", date(2020, 1, 1), actor="eve")
    assert count() <= with_overdraft + 1  # the histories of plans
    assert with_overdraft <= before + 2
