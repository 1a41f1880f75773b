"""Does no contest, correction or review give a payer credit, or open a machine, that nobody has paid for?"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import transaction

from fabgate.collector.ground.models import (
    Admission,
    Charge,
    ManualLine,
    Member,
    Plan,
    PlanChange,
    Review,
    UsageSession,
)
from fabgate.collector.money.billing import contests, member_plans, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import admissions, balances, ledger, modes, standing, words
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.sinks.feeds import Charges
from fabgate.collector.money.billing.statements import read
from fabgate.collector.money.billing.statements.compose import Credit
from fabgate.collector.money.paper.statements import rows as statement_rows
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.money import prices
from fabgate.collector.processes.verify.tables import logged
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector import postgresql
from tests.collector.faces.pages.used import NOON
from tests.collector.money.billing.booked import FIRST, MONTHS, altered, close, session, unlike_from_scratch
from tests.collector.money.billing.prepaid.life import PrepaidLife, credit, findings, tried

pytestmark = pytest.mark.usefixtures("database")

LIVES = 60 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 2
PAYERS = ("m-1", "m-2", "m-3")
#: What a life decides, through the program.
DECIDED = {"admission", "billingterms", "chargeterms", "contest", "manualline", "planchange", "waiver"}


def contest(name: str) -> None:
    """Contest a session as its page does."""
    with transaction.atomic():
        one = UsageSession.objects.get(pk=name)
        if contests.goes_to_review(one):
            corrections.contest(one, "not me", author="zoe")
        else:
            contests.contest("session", name, "not me", Member.objects.get(pk="m-1"), author="zoe")
    refresh.refresh_all()


def refund(amount_minor: int, payer: str = "m-1") -> None:
    paid = Paid("cash", reason="left")
    ledger.refund(payer, amount_minor, paid, author="eve", now=datetime.now(UTC))


def can_refund(amount_minor: int, payer: str = "m-1") -> bool:
    with tried():
        try:
            refund(amount_minor, payer)
        except ledger.TooMuchError:
            return False
        return True


def is_out(payer: str = "m-1") -> bool:
    refresh.refresh_all()
    return standing.of(day=MONTHS[2]).is_out(payer)


def overdraft_on(day: date, member: str) -> int:
    """Find the overdraft of a member's plan on a day, change by change."""
    found = 0
    for change in PlanChange.objects.filter(member=member, since__lte=day).order_by("since"):
        found = 0 if change.plan is None else change.plan.overdraft_minor
    return found


# --- a model ----------------------------------------------------------------------------------------------------------


class ReviewedLife(PrepaidLife):
    """A workshop in which chance also lets members contest, managers answer, and gates report what cannot be.

    Whether a payer may use a machine is found by accepting each session in review, and counting afterwards; then that is undone.
    """

    def __init__(self, seed: int) -> None:
        #: What was in review when a payer was admitted: the session, and since when.
        self.admitted: dict[str, set[tuple[str, datetime]]] = {}
        super().__init__(seed)

    def use(self) -> None:
        """A session; sometimes its counter is above what the clock allows."""
        if self.chance.random() < 0.8:
            super().use()
            return
        gate = self.chance.choice(["saw-1", "lathe-1"])
        start = self.at[gate] + timedelta(hours=self.chance.choice([1, 30]))
        minutes = self.chance.choice([5, 20])
        if start + timedelta(minutes=minutes) > NOON:
            return
        self.at[gate] = start + timedelta(minutes=minutes)
        self.count += 1
        name = f"s-{self.count}"
        self.shop.begin(name, "m-1", start, gate)
        self.shop.end(name, "m-1", self.at[gate], 10 * minutes * 60_000, gate)
        self.certain_ms[name] = minutes * 60_000 + 1_000

    def contest(self) -> None:
        name = self.any_session()
        waiting = Review.objects.filter(session=name, why=Review.CONTESTED, settled_at=None).exists()
        if name is None or waiting or contests.of_session(name) is not None:
            return
        refresh.refresh_all()
        before = [(can_refund(1, payer), self.refundable(payer), is_out(payer)) for payer in PAYERS]
        contest(name)
        for payer, (could, most, was_out) in zip(PAYERS, before, strict=True):
            assert can_refund(1, payer) <= could
            assert not can_refund(max(most, 0) + 1, payer)
            assert is_out(payer) or not was_out, "a contest opens no machine"

    def settle(self) -> None:
        one = Review.objects.filter(settled_at=None).order_by("pk").first()
        if one is None:
            return
        self.decided.add(one.session_id)
        if one.session_id in self.certain_ms and self.chance.random() < 0.5:
            corrections.correct(one.session_id, "time", "120000", author="eve", reason="a test")
        else:
            corrections.accept(one, author="eve")

    def answer(self) -> None:
        if (one := contests.Contest.waiting().order_by("pk").first()) is None:
            return
        decision = "reversed" if contests.can_reverse(one) and self.chance.random() < 0.5 else "kept"
        contests.answer(one.pk, decision, "we looked", author="eve")

    def contest_line(self) -> None:
        lines = [line.pk for line in ManualLine.objects.filter(payer="m-2").order_by("pk")]
        if lines:
            key = str(self.chance.choice(lines))
            if not contests.Contest.waiting().filter(kind="line", key=key).exists():
                contests.contest("line", key, "twice", Member.objects.get(pk="m-2"), author="bo")

    def admit(self) -> None:
        """Admit a payer where that helps; what is in review at that moment no longer counts at gates."""
        refresh.refresh_all()
        payer = self.chance.choice(PAYERS)
        if admissions.is_possible(payer):
            admissions.admit(payer, author="maya", reason="a test")
            self.admitted[payer] = set(Review.objects.filter(settled_at=None).values_list("session_id", "opened_at"))

    def overdraft(self) -> None:
        Plan.objects.filter(name="half").update(overdraft_minor=self.chance.choice([0, 200]))
        member_plans.set_plan(Member.objects.get(pk="m-1"), "half", self.open_month, actor="eve")

    def step(self) -> None:
        if self.chance.random() < 0.5:
            self.chance.choice([self.contest, self.contest, self.answer, self.contest_line, self.admit])()
        super().step()

    def balance(self, payer: str, day: date) -> int:
        found = super().balance(payer, day)
        for line in ManualLine.objects.filter(payer=payer).exclude(reverses=None):
            # it takes back one that was never paid from credit
            before = ManualLine.objects.get(pk=line.reverses)
            if not self.is_line_from_credit(before) and self.prepays(payer, line.month):
                found += line.amount_minor if self.counts(line) <= day else 0
        return found

    def is_line_from_credit(self, line: ManualLine) -> bool:
        if line.reverses is not None and not self.is_line_from_credit(ManualLine.objects.get(pk=line.reverses)):
            return False
        return self.prepays(line.payer, line.month)

    def counts(self, line: ManualLine) -> date:
        last = terms.next_month(line.month) - timedelta(days=1)
        return max(line.month, min(line.at.date(), last))

    def check(self) -> None:
        super().check()
        day = MONTHS[2]
        with tried():
            self.accept_all()
            wanted = {payer: self.balance(payer, date.max) for payer in PAYERS}
        at_gates = dict(wanted)
        for payer, left_out in self.admitted.items():
            with tried():
                self.accept_all(left_out)
                at_gates[payer] = self.balance(payer, date.max)
        found = standing.of(day=day)
        for payer, most in wanted.items():
            assert can_refund(max(most, 0) + 1, payer) is False, (payer, most)
            assert most <= 0 or can_refund(most, payer), (payer, most)
            held = at_gates[payer] + overdraft_on(day, payer)
            assert found.is_out(payer) == (self.prepays(payer, day) and held <= 0), payer
        report = Report()
        prices.check(report)
        logged.check(report)
        found_wrong = [one.text for one in report.findings if one.table in DECIDED]
        assert (found_wrong, unlike_from_scratch(), findings()) == ([], [], [])


@pytest.mark.chance
@pytest.mark.parametrize("seed", range(LIVES))
def test_no_act_of_a_member_gives_credit_or_power_and_the_books_stay_clean(seed):
    life = ReviewedLife(seed)
    life.chance.choice([life.overdraft, lambda: None])()
    life.use()
    for number in range(16):
        life.step()
        if number == 5:  # or else chance may never do it
            life.contest()
        if number in (5, 10):
            life.close()
            life.check()
    assert Review.objects.filter(why=Review.CONTESTED).exists() or contests.Contest.objects.exists()


# --- single rules -----------------------------------------------------------------------------------------------------


def test_contests_give_a_member_neither_credit_nor_power_nor_cash(prepaid_shop):
    for number in range(6):
        session(prepaid_shop, f"s-{number}", FIRST + timedelta(days=number), 35)
    refresh.refresh_all()
    assert balances.of("m-1") == -2_100
    for number in range(6):
        contest(f"s-{number}")
        assert is_out()
    credit(1_000)
    assert is_out(), "what the sessions in review would cost is more"
    assert not can_refund(1)
    assert balances.of("m-1") == 1_000, "in the books they cost nothing"
    for one in Review.objects.all():
        corrections.accept(one, author="eve")
    assert (is_out(), balances.of("m-1")) == (True, -1_100)


def test_a_month_that_is_closed_meanwhile_gives_nothing_either(prepaid_shop):
    credit(2_500)
    session(prepaid_shop, "s-1", FIRST, 200)
    contest("s-1")
    close(FIRST)
    assert balances.of("m-1") == 2_500
    assert (can_refund(500), can_refund(501), is_out()) == (True, False, False)
    corrections.accept(Review.objects.get(), author="eve")
    refresh.refresh_all()
    assert (balances.of("m-1"), can_refund(500), can_refund(501)) == (500, True, False)


def test_the_free_minutes_that_a_session_in_review_would_use_are_not_given_to_others(prepaid_shop):
    credit(1_000)
    member_plans.set_plan(Member.objects.get(pk="m-1"), "student", FIRST, actor="eve")  # 30 free minutes
    session(prepaid_shop, "s-1", FIRST, 30)
    session(prepaid_shop, "s-2", FIRST + timedelta(days=1), 30)
    refresh.refresh_all()
    assert (balances.of("m-1"), can_refund(700), can_refund(701)) == (700, True, False)
    contest("s-1")
    assert (balances.of("m-1"), can_refund(700), can_refund(701)) == (1_000, True, False)


@pytest.mark.parametrize(
    ("why", "minutes", "certain_minor"),
    [("uncertain", 10, 100), ("time-above-clock", 600, 100), ("overlap", 10, 0)],
)
def test_what_the_books_doubt_counts_its_certain_part_also_if_it_is_contested(
    prepaid_shop, why, minutes, certain_minor
):
    credit(5_000)
    at = datetime(FIRST.year, FIRST.month, 3, 9, tzinfo=UTC)
    prepaid_shop.begin("s-1", "m-1", at)
    more = {"reason": "power-loss", "uncertainty_ms": 90_000} if why == "uncertain" else {}
    prepaid_shop.end("s-1", "m-1", at + timedelta(minutes=10), minutes * 60_000, **more)
    if why == "overlap":
        prepaid_shop.begin("s-2", "m-2", at + timedelta(minutes=5))
        prepaid_shop.end("s-2", "m-2", at + timedelta(minutes=12), 7 * 60_000)
    assert UsageSession.objects.get(pk="s-1").doubt == why
    most = 5_000 - certain_minor
    # the clocks of a gate may differ by a second
    assert (can_refund(most - 1), can_refund(most + 1)) == (True, False)
    contest("s-1")
    assert (can_refund(most - 1), can_refund(most + 1)) == (True, False)
    corrections.accept(Review.objects.get(session="s-1"), author="eve")
    full = 5_000 - minutes * 10
    left = (can_refund(max(full, 1)), can_refund(max(full, 0) + 1))
    assert left == (full > 0, False)
    contest("s-1")
    assert (can_refund(max(full, 1)), can_refund(max(full, 0) + 1)) == left, "a person had decided"


def test_a_month_that_was_settled_by_statement_never_becomes_credit(prepaid_shop):
    """It was never paid in: what is corrected later is due by statement."""
    session(prepaid_shop, "s-1", FIRST, 100, "m-2")
    line = decisions.add_line("m-2", "Plywood", 750, day=FIRST, author="eve")
    close(FIRST)
    modes.set_mode("m-2", MONTHS[1], prepays=True, actor="eve")
    corrections.correct("s-1", "time", str(25 * 60_000), author="eve", reason="the end was late")
    refresh.refresh_all()
    assert [row.amount_minor for row in Charge.objects.filter(month=MONTHS[1]).order_by("amount_minor")] == [
        -1_000,
        250,
    ]
    one = contests.contest("line", str(line.pk), "twice", Member.objects.get(pk="m-2"), author="bo")
    contests.answer(one.pk, "reversed", "it was", author="eve")
    assert (balances.of("m-2"), can_refund(1, "m-2"), is_out("m-2")) == (0, False, True)
    close(MONTHS[1])
    assert (balances.of("m-2"), can_refund(1, "m-2"), altered()) == (0, False, [[], []])
    statement = read.of(MONTHS[1], "m-2")
    assert statement.credit == Credit(0, [], 0, -1_500)
    assert [row.text for row in statement_rows.credit(statement)][-1] == "Due by statement, not from this credit"
    notes = [row.note for row in statement_rows.of(statement) if row.kind in {"session", "line"}]
    assert len(notes) == 3
    assert all("due by statement" in note for note in notes)
    sent, _place = Charges(MONTHS[1]).after("", 99, datetime.now(UTC))
    assert {one.settlement for one in sent} == {words.RECEIVABLE}
    corrections.correct("s-1", "time", str(5 * 60_000), author="eve", reason="it was later still")
    refresh.refresh_all()
    assert (balances.of("m-2"), can_refund(1, "m-2")) == (0, False)
    corrections.correct("s-1", "payer", "m-1", author="eve", reason="another payer, who prepays")
    refresh.refresh_all()
    assert balances.all_of().get("m-1", 0) == 0
    session(prepaid_shop, "s-2", MONTHS[2], 10, "m-2")
    refresh.refresh_all()
    assert balances.of("m-2") == -100, "what is new is paid from credit"


# --- admissions -------------------------------------------------------------------------------------------------------


def test_a_manager_admits_until_the_answer_and_later_contests_count(prepaid_shop):
    credit(1_000)
    for number in range(3):
        session(prepaid_shop, f"s-{number}", FIRST + timedelta(days=number), 80)
    contest("s-0")
    contest("s-1")
    assert is_out()
    change = admissions.admit("m-1", author="maya", reason="It was not Ada")
    assert (change.verb, change.actor, change.reason) == ("prepaid.admitted", "maya", "It was not Ada")
    assert (is_out(), can_refund(1)) == (False, False)
    contest("s-2")
    assert is_out() is False, "its 8.00 still count: 2.00 are left"
    session(prepaid_shop, "s-3", FIRST + timedelta(days=9), 30)
    assert is_out()
    contest("s-3")
    assert is_out(), "what is contested after the admission counts"
    corrections.accept(Review.objects.get(session="s-3"), author="eve")
    credit(200)
    assert not is_out()
    corrections.accept(Review.objects.get(session="s-0"), author="eve")
    assert is_out(), "the answer ends the admission of this session"
    contest("s-0")
    assert is_out(), "and contesting it again does not bring it back"
    assert (findings(), Admission.objects.count()) == ([], 1)


@pytest.mark.parametrize("why", ["has credit", "used it up all the same", "gave no reason", "is unknown"])
def test_an_admission_that_would_change_nothing_is_refused(prepaid_shop, why):
    session(prepaid_shop, "s-1", FIRST, 80)
    if why == "has credit":
        credit(5_000)
    elif why != "used it up all the same":
        credit(100)
    contest("s-1")
    payer, reason = ("m-99" if why == "is unknown" else "m-1"), ("" if why == "gave no reason" else "a test")
    with pytest.raises(UsageError):
        admissions.admit(payer, author="maya", reason=reason)
    assert not Admission.objects.exists()
