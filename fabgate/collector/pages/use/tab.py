"""What stands around every page of this tab? Its other pages, and how many sessions wait for a decision."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.models import Review


def show(request: HttpRequest, template: str, shown: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Return a page of this tab."""
    # A filter that narrows, and neither a cursor nor the form as it stands empty.
    asked = any(value for name, value in request.GET.items() if name not in {"before", "after"})
    waiting = Review.objects.filter(settled_at=None).count()
    return render(request, f"use/{template}", {"waiting": waiting, "asked": asked, **shown}, status=status)
