"""Answers to programs, about two months."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.test import Client

from fabgate.collector.ground.models import ClosedMonth
from fabgate.collector.money.billing import closing, terms
from tests.collector.faces.pages.billing import FIRST

#: Every month of the tests is over then.
LATER = datetime.now(UTC) + timedelta(days=400)
SECOND = terms.next_month(FIRST)
MONTH, NEXT = f"{FIRST:%Y-%m}", f"{SECOND:%Y-%m}"


def ask(token: str, path: str) -> Any:
    answer = Client().get(f"/api/v1/{path}", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def close(first: date) -> ClosedMonth:
    return closing.close(first, LATER, actor="eve", reason="a test")
