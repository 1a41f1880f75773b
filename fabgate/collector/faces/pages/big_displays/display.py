"""What a big display shows: the machines, those in use first. Its link shows only this, and needs no account.

A secret is in the address, so it is kept out of logs (base/logs.py), of other sites and of search engines.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fabgate.collector.faces.pages import language
from fabgate.collector.faces.pages.access_control import PULSE
from fabgate.collector.faces.pages.events import stream
from fabgate.collector.faces.pages.events.views import streamed
from fabgate.collector.faces.pages.floor import presence, stations
from fabgate.collector.faces.pages.floor.stations import IN_USE, Station
from fabgate.collector.ground.models import ApiKey, Pulse

Answer = TypeVar("Answer", HttpResponse, HttpResponse | StreamingHttpResponse)
#: The changes after which it asks for everything again.
TOPICS: Final = frozenset({Pulse.FLOOR, Pulse.LOCK, Pulse.SESSION, Pulse.CHANGE})
#: The most streams of one link, on several screens; others ask once a minute.
MAX_STREAMS: Final = 20
#: What people look for first: who is at which machine, which one is free, and which one they need not walk to.
_ORDER: Final = (IN_USE, frozenset({"free"}), frozenset({"closed"}))


@require_safe
def display(request: HttpRequest, token: str) -> HttpResponse:
    """Show the machines, in the language in the address or else in that of the browser."""
    request.user = AnonymousUser()  # the page is the same for everybody, also if someone is signed in in this browser
    request.META[PULSE] = Pulse.newest()
    language.use(request.GET.get("lang", ""))
    key = _key(token)
    if key is None:
        return _private(render(request, "big_displays/gone.html", status=410))
    at = datetime.now(UTC)
    tiles = sorted(stations.now(at), key=_rank)
    shown: dict[str, Any] = {
        "token": token,
        "at": at,
        "zone": timezone.get_current_timezone_name(),
        "tiles": tiles,
        "has_names": ApiKey.FIRST_NAMES in key.scopes,
        "used": sum(tile.is_in_use for tile in tiles),
        "free": sum(tile.state == "free" for tile in tiles),
    }
    if shown["has_names"]:
        shown["supervisors"] = [person.who.given for person in presence.now(at) if person.is_supervisor]
    return _private(render(request, "big_displays/display.html", shown))


@require_safe
async def events(request: HttpRequest, token: str) -> HttpResponse | StreamingHttpResponse:
    """Notify the display that something it shows has changed, and of nothing else."""
    key = await sync_to_async(_key)(token)
    if key is None:
        return _private(HttpResponse("this link no longer works\n", status=410, content_type="text/plain"))
    return _private(streamed(request, stream.Listener(ApiKey, key.pk, TOPICS), MAX_STREAMS))


def _key(token: str) -> ApiKey | None:
    key = ApiKey.by_token(token)
    return key if key is not None and key.is_display else None


def _rank(tile: Station) -> int:
    """Return the place of its state; machines of one place stay in their order."""
    return next((place for place, states in enumerate(_ORDER) if tile.state in states), len(_ORDER))


def _private(answer: Answer) -> Answer:
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer
