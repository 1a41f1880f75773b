"""Lists of sessions stay quick however many there are: each filter walks its own index, and nothing is sorted."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.db.models import Q
from django.http import QueryDict

from fabgate.collector.faces.pages.use.forms import SessionsForm
from fabgate.collector.ground.models import Machine, Member, UsageDay
from tests.collector.gates import NOON

pytestmark = [
    pytest.mark.usefixtures("database"),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the words are those of SQLite's plans"),
]
BEFORE = Q(ended_at__lt=NOON) | Q(ended_at=NOON, id__lt="s-9")


@pytest.fixture
def who() -> dict[str, str]:
    Member.objects.create(id="m-1", name="Ada")
    return {"member": "m-1", "machine": str(Machine.objects.create(name="saw").pk), "uncertain": "on", "reason": "idle"}


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ("", "session_ended"),
        ("member", "session_of_member"),
        ("machine", "session_of_machine"),
        ("member machine", "session_of_member"),
        ("reason", "session_ended"),
        ("member reason", "session_of_member"),
        ("machine reason", "session_of_machine"),
        ("member machine reason", "session_of_member"),
        ("uncertain", "session_uncertain"),
        ("member uncertain", "session_member_uncertain"),
        ("machine uncertain", "session_machine_uncertain"),
        ("member machine uncertain", "session_member_uncertain"),
    ],
)
def test_a_page_of_sessions_is_read_off_an_index(who, filters, index):
    # Of everybody a month is shown at the most; of one person, or one machine, years.
    period = "all" if "member" in filters or "machine" in filters else "recent"
    form = SessionsForm(QueryDict(urlencode({"period": period} | {name: who[name] for name in filters.split()})))
    assert form.is_valid()
    page = form.filtered().filter(BEFORE, ended_at__lte=NOON).order_by("-ended_at", "-id")[:50]
    plan = page.explain()
    assert re.search(rf"\b{index} ", plan)
    assert "TEMP B-TREE" not in plan


def test_a_period_of_days_is_read_off_an_index():
    plan = UsageDay.between(date(2026, 11, 1), date(2026, 11, 30)).explain()
    assert "SEARCH" in plan
    assert "USING INDEX" in plan
