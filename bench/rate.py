"""How many sessions does one core rate and charge in a second? A million sessions of two years, by three rules.

``python -m bench.rate`` starts billing in the collector of its environment, rates each month, and then charges all of them
in one go, as after a change of rules; it prints how many sessions there are, and the seconds of the processor for both.
"""

from __future__ import annotations

import json
import os
import time
from datetime import date, timedelta
from datetime import time as wall
from decimal import Decimal

from bench import books
from bench.collector import Child
from bench.harness import PASSES, Figure, Run
from bench.usage import Peak
from fabgate.pricing.tariffs import RUNNING, Tariff
from fabgate.pricing.tariffs import Peak as PeakHours

SESSIONS = 1_000_000
LEAST_PER_S = 20_000
WEEKDAYS = frozenset(range(5))
#: One for all machines, one with peak hours and a cap, one by running time.
TARIFFS = {
    "": Tariff(Decimal("0.10"), session_fee=Decimal("0.50"), minimum=Decimal(1), grace_s=30),
    "machine-1": Tariff(
        Decimal("0.10"),
        peaks=(PeakHours(WEEKDAYS, wall(17), wall(22), Decimal("0.25")),),
        daily_cap=Decimal(20),
    ),
    "machine-2": Tariff(Decimal("0.30"), basis=RUNNING, idle_price=Decimal("0.05"), step_s=60),
}


def measure(run: Run) -> list[Figure]:
    rated, charged, peaks = [], [], []
    for number in range(1, PASSES + 1):
        child = Child("bench.rate", books.cached(run, SESSIONS))
        with Peak(child.pid) as peak:
            sessions, rated_s, charged_s = child.answer()
            child.end()
        rated.append(sessions / rated_s)
        charged.append(sessions / charged_s)
        peaks.append(peak.mib)
        run.log(f"pass {number}: {rated[-1]:.0f}/s rated, {charged[-1]:.0f}/s charged, {peak.mib:.0f} MiB")
    return [
        run.figure("sessions read and rated", "1/s", rated, LEAST_PER_S, at_least=True),
        run.figure("sessions read, rated and charged", "1/s", charged, LEAST_PER_S, at_least=True),
        run.figure("most memory while charging a million sessions", "MiB", peaks),
    ]


def start_billing() -> date:
    """Start billing two years ago, with rules; return the first day of the first month."""
    from fabgate.collector.models import BillingTerms, Machine, TariffRule, UsageSession
    from fabgate.pricing import stored

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


def main() -> None:
    """Rate and charge all sessions of the collector of the environment."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "fabgate.collector.settings"
    from fabgate.collector.processes import start

    start.prepare()
    from fabgate.collector.billing import month, terms
    from fabgate.collector.billing.charges import refresh
    from fabgate.collector.models import Charge

    first = start_billing()
    now, last = terms.for_rating(terms.get()), date.today() + timedelta(days=31)  # noqa: DTZ011 (any day after the last)
    began_s, sessions = time.process_time(), 0
    while first <= last:
        sessions += len(month.rate(first, now))
        first = refresh.following(first)
    rated_s = time.process_time() - began_s
    began_s = time.process_time()
    refresh.refresh_all()
    charged_s = time.process_time() - began_s
    assert Charge.objects.count() == sessions
    print(json.dumps([sessions, rated_s, charged_s]), flush=True)


if __name__ == "__main__":
    main()
