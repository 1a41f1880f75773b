"""What programs ask for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate.collector.ground.models import ApiKey, Machine, Member, Payer
from fabgate.collector.money.billing.charges import decisions, refresh
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.used import Used


@pytest.fixture
def charged_shop(shop: Used) -> Used:
    """Two people who used two machines last month, and a line."""
    Machine.objects.filter(name="bandsaw").update(category="wood")
    for member in Member.objects.all():
        Payer.objects.create(id=member.pk, member=member)
    billing.start()
    billing.plan("student", "m-1", free_minutes=10)
    billing.rule("price=0.10 vat_code=S20")
    for number in range(4):
        gate = ("saw-1", "lathe-1")[number % 2]
        shop.session(f"s-{number}", f"m-{number % 2 + 1}", NOON + timedelta(hours=number), 20 + number, gate)
    decisions.add_line("m-2", "Plywood, 9 mm", 1250, day=FIRST, author="maya", vat_code="S20")
    refresh.refresh_all()
    return shop


@pytest.fixture
def token(database) -> str:
    return ApiKey.make("Invoices", ["charges:read"], made_by=None, expires_at=None)[1]
