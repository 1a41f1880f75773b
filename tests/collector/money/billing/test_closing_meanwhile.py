"""Does a closed month stay as it is if somebody changes a rule or a plan at the moment in which it is closed?"""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connection, transaction

from fabgate.collector.ground.models import Charge, Member, PlanChange, TariffRule
from fabgate.collector.money.billing import member_plans, rule_store
from fabgate.collector.money.billing.charges import refresh
from fabgate.errors import UsageError
from fabgate.pricing import stored
from fabgate.pricing.tariffs import Tariff
from tests.collector.faces.pages.used import Used
from tests.collector.ground.db.together import together
from tests.collector.money.billing.booked import FIRST, altered, billed, close, session
from tests.support.patience import HANGS_S, wait

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("database")]


def another() -> TariffRule:
    """Return a rule that is not stored, and would apply in the first month."""
    tariff = stored.to_json(Tariff(Decimal("0.20")))
    return TariffRule(valid_from=FIRST.replace(day=2), tariff=tariff, purposes=["own"], made_by="eve")


ACTS = {
    "a rule is removed": lambda: rule_store.remove(TariffRule.objects.get().pk, "eve"),
    "a rule is added": lambda: rule_store.add(another(), "eve"),
    "a member gets a plan": lambda: member_plans.set_plan(
        Member.objects.get(pk="m-1"), "student", FIRST.replace(day=2), actor="eve"
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_price_that_changes_while_its_month_is_closed_is_refused(act):
    billed()
    session(Used(), "s-1", FIRST, 30)
    refresh.refresh_all()
    closed = threading.Event()

    def closes() -> None:
        with transaction.atomic():
            close(FIRST)
            closed.set()
            wait(somebody_waits, "the other one waits for how far charges are")

    def changes() -> None:
        closed.wait(HANGS_S)
        ACTS[act]()

    assert [type(error) for error in together(closes, changes)] == [
        UsageError if act == "a member gets a plan" else rule_store.ClosedMonthError
    ]
    assert Charge.objects.count() == 1
    assert not PlanChange.objects.exists()
    assert altered() == [[]]


def somebody_waits() -> bool:
    """Return whether another connection waits for a lock of this one.

    pg_stat_activity would not do: it stays as it was first read in a transaction, perhaps before the other one connected.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])
