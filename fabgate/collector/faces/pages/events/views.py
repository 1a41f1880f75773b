"""The event stream of a page: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.events import stream
from fabgate.collector.ground.models import SignIn
from fabgate.collector.ground.models.entries import MAX_SEQ
from fabgate.errors import UsageError

TEXT: Final = "text/plain; charset=utf-8"


async def events(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Stream all changes to a page of this sign-in."""
    sign_in = await request.session.aget("sign_in")
    assert isinstance(sign_in, int), "access control requires a sign-in"
    return streamed(request, stream.Listener(SignIn, sign_in), stream.MAX_LISTENERS)


def streamed(request: HttpRequest, listener: stream.Listener, most: int) -> HttpResponse | StreamingHttpResponse:
    """Stream the changes after an id: the one in the page's request, or the one that a reconnecting browser sends.

    A listener has at most as many streams.
    """
    after = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    if after and not (after.isascii() and after.isdecimal() and len(after) < 20 and int(after) <= MAX_SEQ):
        raise UsageError(_("after: wanted the number of an event."))
    if stream.listeners(listener) >= most:
        # each stream keeps a connection open, and other pages need some, too
        return HttpResponse("too many open pages of one sign-in or link; close some\n", status=429, content_type=TEXT)
    response = StreamingHttpResponse(
        stream.listen(int(after) if after else None, listener), content_type="text/event-stream"
    )
    response.headers["X-Accel-Buffering"] = "no"  # nginx would buffer it
    return response
