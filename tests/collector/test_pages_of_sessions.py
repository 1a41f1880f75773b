"""Lists of sessions stay quick however many there are: each filter walks its own index, and nothing is sorted."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.db.models import Q

from fabgate.collector.models import UsageDay, UsageSession

from .gates import NOON

pytestmark = [
    pytest.mark.usefixtures("database"),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the words are those of SQLite's plans"),
]
BEFORE = Q(ended_at__lt=NOON) | Q(ended_at=NOON, id__lt="s-9")


@pytest.mark.parametrize(
    ("index", "filters"),
    [
        ("session_ended", {}),
        ("session_of_member", {"used_by": "m-1"}),
        ("session_of_machine", {"machine_id": 3}),
        ("session_of_reason", {"reason": "power-loss"}),
        ("session_uncertain", {"uncertain": True}),
    ],
)
def test_a_page_of_sessions_is_read_off_an_index(index, filters):
    page = UsageSession.objects.filter(BEFORE, ended_at__lte=NOON, **filters).order_by("-ended_at", "-id")[:50]
    plan = page.explain()
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_a_period_of_days_is_read_off_an_index():
    plan = UsageDay.between(date(2026, 11, 1), date(2026, 11, 30)).explain()
    assert "SEARCH" in plan
    assert "USING INDEX" in plan
