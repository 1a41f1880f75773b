"""How is one page told? By server-sent events; https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _

from fabgate.collector.models.arrivals import MAX_SEQ
from fabgate.collector.pages.events import stream
from fabgate.errors import UsageError

TEXT: Final = "text/plain; charset=utf-8"


async def events(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Stream what changes after the id that the page was made with, or with which the browser comes back."""
    after = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    if after and not (after.isascii() and after.isdecimal() and len(after) < 20 and int(after) <= MAX_SEQ):
        raise UsageError(_("Wanted the number of an event after which to go on."))
    sign_in = await request.session.aget("sign_in")
    assert isinstance(sign_in, int), "the door lets nobody in without"
    if stream.listeners(sign_in) >= stream.MOST_LISTENERS:
        # It would keep a connection for each, until there is none left for others.
        return HttpResponse("found too many open pages of one sign-in; close some\n", status=429, content_type=TEXT)
    response = StreamingHttpResponse(
        stream.listen(int(after) if after else None, sign_in), content_type="text/event-stream"
    )
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep it back
    return response
