"""The layout of this tab's pages: the navigation, and how much waits for a review."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.ground.models import Contest, Review


def render_page(request: HttpRequest, template: str, shown: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Render a page of this tab."""
    # how many filters are set; cursor and order are not filters
    filters = sum(bool(value) for name, value in request.GET.items() if name not in {*keyset.CURSORS, "sort"})
    waiting = Review.objects.filter(settled_at=None).count() + Contest.waiting().count()
    return render(request, f"use/{template}", {"waiting": waiting, "filters": filters, **shown}, status=status)
