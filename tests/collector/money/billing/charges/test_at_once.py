"""Do acts of people show their own money at once, whatever the worker has not charged yet, and does it come to the same?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import (
    Charge,
    Contest,
    Machine,
    Member,
    PrepaidEntry,
    Pulse,
    Review,
    UsageSession,
    Waiver,
)
from fabgate.collector.members.access import roster
from fabgate.collector.members.access.billing_watch import BillingWatch
from fabgate.collector.money.billing import closing, contests, member_plans, month, rule_store, terms
from fabgate.collector.money.billing.charges import at_once, behind, decisions, refresh
from fabgate.collector.money.billing.prepaid import admissions, balances, ledger, modes, standing
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.tariffs.typed_rule import Typed
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from fabgate.pricing.tariffs import Tariff
from tests.collector import postgresql
from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.booked import FIRST, LATER, MONTHS, amounts, close, session
from tests.collector.money.billing.prepaid.life import PrepaidLife

pytestmark = pytest.mark.usefixtures("database")

LIVES = 50 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 2


@contextmanager
def followed() -> Iterator[None]:
    """Let the worker follow everything, and forget it afterwards."""
    with transaction.atomic():
        refresh.refresh_all()
        yield
        transaction.set_rollback(True)


def charges(**where: object) -> set[str]:
    """Return the ids of charges of open months; an id covers all that a charge says."""
    return set(refresh.provisional(refresh.open_book()).filter(**where).values_list("pk", flat=True))


# --- a model ----------------------------------------------------------------------------------------------------------


class Meanwhile(PrepaidLife):
    """A workshop in which the worker runs at some moments only, and people act and read in between."""

    def step(self) -> None:
        self.chance.choice([self.use, self.use, self.use, self.line, self.price, self.category, self.mode])()
        acts: list[Callable[[], Any]] = [self.correct, self.correct, self.contest, self.settle, self.waive, self.plan]
        acts += [self.pay, self.pay_back, self.take_back, self.close]
        self.chance.choice(acts)()
        self.read()
        if self.chance.random() < 0.3:
            refresh.refresh_all()
            assert behind.now() is None
            self.check()

    def read(self) -> None:
        """A page without a word shows what everybody is charged, also a closing that a page makes."""
        before = set(Charge.objects.values_list("pk", flat=True))
        waiting = behind.now()
        with followed():
            after = set(Charge.objects.values_list("pk", flat=True))
        assert waiting is not None or after == before

    def exact(self, payer: str) -> None:
        """A payer about whom somebody has just decided is charged all, however far the worker is."""
        found = charges(payer=payer), balances.of(payer)
        with followed():
            assert found == (charges(payer=payer), balances.of(payer)), payer

    def exact_session(self, name: str) -> None:
        self.exact(month.payer_of(UsageSession.objects.get(pk=name)))
        found = charges(session=name)
        with followed():
            assert found == charges(session=name)

    def correct(self) -> None:
        if (name := self.any_session()) is None:
            return
        field, new = self.chance.choice(
            [
                ("time", str(self.chance.choice([0, 60_000, 600_000, 3_000_000]))),
                *(("payer", one) for one in ("m-1", "m-2")),
                ("member", self.chance.choice(["m-1", "m-2", "m-3"])),
            ]
        )
        try:
            corrections.correct(name, field, new, author="eve", reason="a test")
        except UsageError:
            return  # it is so already
        at_once.after([name])
        self.exact_session(name)

    def contest(self) -> None:
        name = self.any_session()
        if not name or Review.objects.filter(session=name, settled_at=None).exists():
            return
        with transaction.atomic():
            one = UsageSession.objects.get(pk=name)
            if not contests.goes_to_review(one):
                assert contests.final_charge(name) is not None
                return
            corrections.contest(one, "not me", author="zoe")
        at_once.after([name])
        self.exact_session(name)

    def settle(self) -> None:
        found = list(Review.objects.filter(settled_at=None).order_by("pk")[: self.chance.choice([1, 3])])
        for review in found:
            corrections.accept(review, author="eve")
        at_once.after([review.session_id for review in found])
        for review in found:
            self.exact_session(review.session_id)

    def waive(self) -> None:
        if (name := self.any_session()) is not None:
            act = decisions.withdraw if Waiver.objects.filter(session=name).exists() else decisions.waive
            act(name, author="eve", reason="a test")
            self.exact_session(name)

    def plan(self) -> None:
        open_month = refresh.open_book().open_month
        member = Member.objects.get(pk=self.chance.choice(["m-1", "m-2", "m-3"]))
        day = open_month + timedelta(days=self.chance.randrange(28))
        member_plans.set_plan(member, self.chance.choice(["", "student", "half"]), day, actor="eve")
        at_once.after_plan(member.pk)
        start = refresh.start_of(open_month, terms.zone(terms.get()))
        for one in UsageSession.objects.filter(used_by=member.pk, ended_at__gte=start, reason__isnull=False):
            self.exact_session(one.pk)

    def pay(self) -> None:
        count = PrepaidEntry.objects.count()
        super().pay()
        if PrepaidEntry.objects.count() > count:
            self.exact(PrepaidEntry.objects.latest("pk").payer)

    def owes(self, payer: str) -> bool:
        with followed():
            return super().owes(payer)

    def pay_back(self) -> None:
        """A refund is at most what is left once everything is charged."""
        payer, amount = self.chance.choice(["m-1", "m-2"]), self.chance.choice([1, 300])
        with followed():
            most = standing.figures(payer).refundable_minor

        def pay_it() -> PrepaidEntry:
            return ledger.refund(payer, amount, Paid("card", reason="a test"), author="eve", now=self.now()).entry

        if most >= amount:
            self.note(pay_it())
            self.exact(payer)
        else:
            with pytest.raises(ledger.TooMuchError):
                pay_it()

    def close(self) -> None:
        first = refresh.open_book().open_month
        if first not in MONTHS:
            return
        try:
            closing.close(first, LATER, actor="eve", reason="a test", follow=behind.follow_few)
        except behind.BehindError:
            closing.close(first, LATER, actor="eve", reason="a test")
        self.closed[first] = list(refresh.records(Charge.objects.filter(month=first).order_by("pk")))


@pytest.mark.chance
@pytest.mark.parametrize("seed", range(LIVES))
def test_whenever_the_worker_runs_acts_are_charged_at_once_and_all_comes_to_the_same(seed):
    life = Meanwhile(seed)
    for _number in range(30):
        life.step()
    refresh.refresh_all()
    life.check()


# --- one by one -------------------------------------------------------------------------------------------------------


def many(shop: Used, count: int, member: str = "m-2") -> None:
    """Let a member use a machine so often that a page does not charge it all."""
    for number in range(count):
        session(shop, f"{member}-{number}", MONTHS[0] + timedelta(days=1, hours=number), 10, member)


def written(sent: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in sent if not query["sql"].startswith("SELECT")]


def test_asking_what_is_not_charged_writes_nothing_and_names_the_moment(billed_shop):
    assert behind.now() == (terms.get().started_at, True)  # nothing was ever charged
    refresh.refresh_all()
    assert behind.now() is None
    pulse.notify({Pulse.FLOOR: {"saw-1"}}, datetime.now(UTC))
    assert behind.now() is None
    session(billed_shop, "s-1", MONTHS[0] + timedelta(days=1), 10)
    session(billed_shop, "s-2", MONTHS[0] + timedelta(days=2), 10)
    with CaptureQueriesContext(connection) as sent:
        assert behind.now() == (billed_shop.now, False)
    assert not written(sent)
    assert not Charge.objects.exists()
    refresh.refresh_all()
    assert behind.now() is None


@pytest.mark.parametrize("change", ["a rule", "a rule less", "a plan", "a category", "something else"])
def test_other_prices_are_not_charged_until_the_worker_has_rated_all_again(billed_shop, change):
    session(billed_shop, "s-1", MONTHS[0] + timedelta(days=1), 10)
    dearer = rule_store.unsaved((None, "", None), MONTHS[0], Typed(Tariff(Decimal("0.20")), frozenset({"own"}), ""))
    if change == "a rule less":
        dearer.valid_from = MONTHS[0] + timedelta(days=1)
        rule_store.add(dearer, "eve")
    refresh.refresh_all()
    before, moment = amounts(), datetime.now(UTC)
    if change == "a rule":
        dearer.valid_from = MONTHS[0] + timedelta(days=1)
        rule_store.add(dearer, "eve")
    elif change == "a rule less":
        rule_store.remove(dearer.pk, "eve")
    elif change == "a plan":
        member_plans.set_plan(Member.objects.get(pk="m-1"), "half", MONTHS[0], actor="eve")
    elif change == "a category":
        with audit.change("eve", "machine.updated", machine := Machine.objects.get(name="bandsaw")):
            machine.category = "wood"
            machine.save()
    else:
        with audit.change("eve", "member.updated", member := Member.objects.get(pk="m-1")):
            member.name = "Zoé Legrand"
            member.save()
    found = behind.now()
    assert (found is None) is (change == "something else")
    assert found is None or (found.is_repriced and found.since >= moment)
    assert amounts() == before  # also those of the rule that is removed: nobody gets credit meanwhile
    refresh.refresh_all()
    assert behind.now() is None
    assert (amounts() == before) is (change in {"something else", "a category"})


def test_an_act_charges_what_its_payer_is_behind_and_nobody_else(billed_shop):
    refresh.refresh_all()
    many(billed_shop, 3, "m-2")
    for number in (1, 2):
        session(billed_shop, f"s-{number}", MONTHS[0] + timedelta(days=number), 10, gate="lathe-1")
    corrections.correct("s-2", "time", "300000", author="eve", reason="a test")
    at_once.after(["s-2"])
    assert amounts() == [("s-1", "billed", 100), ("s-2", "billed", 50)]
    assert behind.now() is not None
    refresh.refresh_all()
    assert Charge.objects.count() == 5


def test_a_refund_is_never_paid_from_charges_that_are_behind(billed_shop):
    modes.set_mode("m-1", FIRST, prepays=True, actor="eve")
    now = datetime(FIRST.year, FIRST.month, 20, 12, tzinfo=UTC)
    ledger.credit("m-1", 1_000, Paid("cash"), author="kim", now=now)
    refresh.refresh_all()
    session(billed_shop, "s-1", MONTHS[0] + timedelta(days=1), 40, gate="lathe-1")
    many(billed_shop, 3, "m-2")
    with pytest.raises(ledger.TooMuchError):
        ledger.refund("m-1", 601, Paid("cash", reason="leaves"), author="eve", now=now)
    ledger.refund("m-1", 600, Paid("cash", reason="leaves"), author="eve", now=now)
    assert balances.of("m-1") == 0
    assert not Charge.objects.filter(payer="m-2").exists()
    refresh.refresh_all()
    assert balances.of("m-1") == 0


def test_a_refund_counts_a_new_price_that_is_not_charged_yet(billed_shop):
    modes.set_mode("m-1", FIRST, prepays=True, actor="eve")
    now = datetime(FIRST.year, FIRST.month, 20, 12, tzinfo=UTC)
    ledger.credit("m-1", 1_000, Paid("cash"), author="kim", now=now)
    session(billed_shop, "s-1", MONTHS[0] + timedelta(days=1), 10)
    refresh.refresh_all()
    dearer = Typed(Tariff(Decimal("0.50")), frozenset({"own"}), "")
    rule_store.add(rule_store.unsaved((None, "", None), MONTHS[0] + timedelta(days=1), dearer), "eve")
    with pytest.raises(ledger.TooMuchError):
        ledger.refund("m-1", 501, Paid("cash", reason="leaves"), author="eve", now=now)
    assert ledger.refund("m-1", 500, Paid("cash", reason="leaves"), author="eve", now=now).entry.amount_minor == -500


def test_a_contest_of_a_session_that_changed_after_closing_goes_to_review(billed_shop):
    session(billed_shop, "s-1", MONTHS[0], 10)
    close(MONTHS[0])
    one = UsageSession.objects.get(pk="s-1")
    assert contests.final_charge("s-1") is not None
    corrections.correct("s-1", "time", "300000", author="eve", reason="a test")
    with transaction.atomic():
        assert contests.goes_to_review(one)


def test_an_answer_takes_back_what_the_session_costs_now(billed_shop):
    session(billed_shop, "s-1", MONTHS[0], 10)
    close(MONTHS[0])
    contest = contests.contest(Contest.SESSION, "s-1", "not me", Member.objects.get(pk="m-1"), author="zoe")
    corrections.correct("s-1", "time", "300000", author="eve", reason="a test")
    contests.answer(contest.pk, Contest.REVERSED, "it was not you", author="eve")
    assert [row[2] for row in amounts(month=MONTHS[1])] == [-100, 0]


def test_who_prepays_is_admitted_by_what_is_charged_by_then(billed_shop):
    modes.set_mode("m-1", FIRST, prepays=True, actor="eve")
    now = datetime(FIRST.year, FIRST.month, 20, 12, tzinfo=UTC)
    ledger.credit("m-1", 100, Paid("cash"), author="kim", now=now)
    refresh.refresh_all()
    session(billed_shop, "s-1", MONTHS[0] + timedelta(days=1), 20)
    with pytest.raises(
        UsageError,
        match="this payer can be admitted only while the credit would be enough without the sessions in review",
    ):
        admissions.admit("m-1", author="eve", reason="a test")
    corrections.contest(UsageSession.objects.get(pk="s-1"), "not me", author="zoe")
    admissions.admit("m-1", author="eve", reason="a test")


def test_a_page_closes_a_month_after_a_few_changes_and_refuses_while_there_are_many(billed_shop):
    refresh.refresh_all()
    many(billed_shop, behind.FEW + 1)
    with pytest.raises(behind.BehindError):
        closing.close(MONTHS[0], LATER, actor="eve", reason="a test", follow=behind.follow_few)
    assert not Charge.objects.exists()
    refresh.refresh_all()
    many(billed_shop, behind.FEW, "m-3")
    closing.close(MONTHS[0], LATER, actor="eve", reason="a test", follow=behind.follow_few)
    assert Charge.objects.filter(month=MONTHS[0]).count() == 2 * behind.FEW + 1


def test_a_page_does_not_rate_all_again_to_close_a_month(billed_shop):
    session(billed_shop, "s-1", MONTHS[0], 10)
    refresh.refresh_all()
    rule_store.add(
        rule_store.unsaved((None, "", None), MONTHS[1], Typed(Tariff(Decimal(1)), frozenset({"own"}), "")), "eve"
    )
    with pytest.raises(behind.BehindError, match="charges are not up to date yet"):
        closing.close(MONTHS[0], LATER, actor="eve", reason="a test", follow=behind.follow_few)


def test_a_verb_that_reads_writes_only_what_is_missing(billed_shop):
    session(billed_shop, "s-1", MONTHS[0], 10)
    behind.catch_up()
    assert amounts() == [("s-1", "billed", 100)]
    pulse.notify({Pulse.FLOOR: {"saw-1"}}, datetime.now(UTC))
    with CaptureQueriesContext(connection) as sent:
        behind.catch_up()
    assert not written(sent)


@pytest.mark.parametrize("count", [1, 40])
def test_asking_takes_the_same_few_look_ups_beside_many_sessions(billed_shop, count):
    refresh.refresh_all()
    many(billed_shop, count)
    with CaptureQueriesContext(connection) as sent:
        assert behind.now() is not None
    assert len(sent) == 5


def test_gates_follow_what_happened_between_charging_and_the_look_at_credit(billed_shop):
    """The worker charges, a session ends, the worker looks who is out of credit: the session counts at the next look."""
    modes.set_mode("m-1", FIRST, prepays=True, actor="eve")
    now = datetime(FIRST.year, FIRST.month, 20, 12, tzinfo=UTC)
    ledger.credit("m-1", 100, Paid("cash"), author="kim", now=now)
    refresh.refresh_all()
    watch = BillingWatch()
    with mock.patch.object(roster, "rebuild", return_value=[]) as rebuilt:
        watch.look()
        session(billed_shop, "s-1", MONTHS[0] + timedelta(days=1), 20)
        watch.look()
        assert rebuilt.call_count == 1
        refresh.refresh_all()
        assert standing.of(["m-1"]).is_out("m-1")
        watch.look()
        assert rebuilt.call_count == 2
        watch.look()
        assert rebuilt.call_count == 2
