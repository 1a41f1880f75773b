"""Bills, in a process of the collector."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall
from decimal import Decimal

from bench.collector import books
from fabgate.collector.ground.models import BillingTerms, Charge, Machine, TariffRule, UsageSession
from fabgate.collector.money.billing import closing, month, terms
from fabgate.collector.money.billing.charges import refresh
from fabgate.pricing import stored
from fabgate.pricing.tariffs import RUNNING, Peak, Tariff

REASON = "gates of a bench report nothing"
WEEKDAYS = frozenset(range(5))
#: One for all machines, one with peak hours and a cap, one by running time.
TARIFFS = {
    "": Tariff(Decimal("0.10"), session_fee=Decimal("0.50"), minimum=Decimal(1), grace_s=30),
    "machine-1": Tariff(
        Decimal("0.10"),
        peaks=(Peak(WEEKDAYS, wall(17), wall(22), Decimal("0.25")),),
        daily_cap=Decimal(20),
    ),
    "machine-2": Tariff(Decimal("0.30"), charged_for=RUNNING, idle_price=Decimal("0.05"), step_s=60),
}


def _start() -> date:
    """Start billing with the first session, by rules; return the first day of the first month."""
    started = UsageSession.objects.order_by("started_at").values_list("started_at", flat=True)[0]
    assert started
    first = date(started.year, started.month, 1)
    BillingTerms.objects.create(
        currency="EUR", digits=2, includes_vat=True, zone="Europe/Paris", first_month=first, started_by="bench"
    )
    for name, tariff in TARIFFS.items():
        TariffRule.objects.create(
            machine=Machine.objects.get(name=name) if name else None,
            valid_from=first,
            tariff=stored.to_json(tariff),
            purposes=["own", "group"],
        )
    return first


def rate_and_charge() -> tuple[int, float, float]:
    """Rate each month, then charge all of them in one go, as after a change of rules.

    Return how many sessions there are, and the seconds of the processor for both.
    """
    first = _start()
    now, last = terms.for_rating(terms.get()), date.today() + timedelta(days=31)  # noqa: DTZ011 (any day after the last)
    began_s, sessions = time.process_time(), 0
    while first <= last:
        sessions += len(month.rate(first, now))
        first = terms.next_month(first)
    rated_s = time.process_time() - began_s
    began_s = time.process_time()
    refresh.refresh_all()
    charged_s = time.process_time() - began_s
    assert Charge.objects.count() == sessions
    return sessions, rated_s, charged_s


def charge_last_month(sessions: int) -> tuple[str, int]:
    """Make sessions of last month, and charge them; return the month, and how many charges it has."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last = midnight.replace(day=1) - timedelta(days=1)
    # The first and the last day are left out, so that every session ends in the month, whatever the zone.
    books.fill(sessions, [last.replace(day=number) for number in range(2, last.day)])
    first = _start()
    refresh.refresh_all()
    return f"{first:%Y-%m}", Charge.objects.filter(month=first).count()


def close_first_month() -> tuple[str, str]:
    """Charge all sessions, and close the first month; return that month and the one after."""
    first = _start()
    refresh.refresh_all()
    closing.close(first, datetime.now(UTC), actor="bench", reason=REASON)
    return f"{first:%Y-%m}", f"{terms.next_month(first):%Y-%m}"
