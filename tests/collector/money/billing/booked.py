"""Sessions of three months, their prices and charges, and the months that are closed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from fabgate.collector.ground.models import Charge, ClosedMonth, Plan, TariffRule
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.money import charges as verification
from fabgate.pricing import stored
from fabgate.pricing.tariffs import Tariff
from tests.collector.faces.pages.used import NOON, Used

#: Two months before the one of NOON.
FIRST = ((NOON.replace(day=1) - timedelta(days=1)).replace(day=1) - timedelta(days=1)).replace(day=1).date()
MONTHS = [FIRST, terms.next_month(FIRST), terms.next_month(terms.next_month(FIRST))]
#: Every month of the tests is over then.
LATER = datetime.now(UTC) + timedelta(days=400)


def billed(**tariff: object) -> None:
    """Start billing with 0.10 a minute everywhere, and two plans."""
    terms.start("EUR", FIRST, "UTC", includes_vat=True, actor="eve")
    Plan.objects.create(name="student", free_minutes=30)
    Plan.objects.create(name="half", discount_percent=Decimal(50))
    rule(FIRST, **tariff)


def rule(since: date, **tariff: object) -> TariffRule:
    values = {"price": Decimal("0.10"), **tariff}
    return TariffRule.objects.create(
        valid_from=since,
        tariff=stored.to_json(Tariff(**values)),  # type: ignore[arg-type]
        purposes=["own", "group"],
        made_by="eve",
    )


def session(shop: Used, name: str, day: date, minutes: int, member: str = "m-1", **more: object) -> str:
    at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    return shop.session(name, member, at, minutes, **more)


def amounts(**where: object) -> list[tuple[str, str, int]]:
    """Return (session, kind, amount) of the charges, reversals as "reversal"."""
    rows = Charge.objects.filter(**where).order_by("month", "session", "-reverses")
    return [(row.session, "reversal" if row.reverses else row.kind, row.amount_minor) for row in rows]


def close(first: date) -> ClosedMonth:
    return closing.close(first, LATER, actor="eve", reason="a test")


def unlike_from_scratch() -> list[str]:
    """Return each column of a charge of the open months that is not as it is rated from scratch, also of late ones."""
    report = Report()
    verification.check(report, lambda _count: None)
    return [finding.text for finding in report.findings]


def altered() -> list[list[str]]:
    """Return what was altered in each closed month."""
    return [wrong for _month, _sha256, wrong in closing.verify()]
