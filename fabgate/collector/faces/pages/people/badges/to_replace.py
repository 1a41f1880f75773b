"""The badges to replace after a gate was stolen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.models import Badge
from fabgate.collector.members.people import computable_badges


def to_replace(request: HttpRequest) -> HttpResponse:
    """List the badges that can be copied by somebody who has a gate's SD card, by holder."""
    found = computable_badges.find(datetime.now(UTC))
    shown = {"short": [_row(row) for row in found.short], "unknown": [_row(row) for row in found.unknown]}
    return render(request, "people/to_replace.html", shown)


def _row(row: Badge) -> dict[str, Any]:
    return {"badge": row, "read_as": people_labels.badge_kind(row.spelling)}
