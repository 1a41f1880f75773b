"""What does the web server call? Django behind the static files, which need no collecting: they lie in the package."""

from __future__ import annotations

import os
from typing import Any

from django.core.asgi import get_asgi_application
from django.utils.http import http_date
from servestatic import ServeStaticASGI

from fabgate.collector import STATIC
from fabgate.collector.base.body_limit import bounded

#: Pages name static files with the hash of what is in them (templatetags), so that a browser may keep them.
MAX_AGE_S = 365 * 24 * 3600


def dated(app: Any) -> Any:
    """Add a Date to answers that lack one. A roster's is sealed: uvicorn would add a second, ours leaves it alone."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        async def send_dated(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                if not any(name.lower() == b"date" for name, _value in headers):
                    message = {**message, "headers": [*headers, (b"date", http_date().encode())]}
            await send(message)

        await app(scope, receive, send_dated)

    return call


def _say_what_it_is(headers: Any, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
_django = get_asgi_application()
# What it asks for has to be set up.
from fabgate.collector.processes.lanes import in_turn  # noqa: E402

application = dated(
    ServeStaticASGI(
        bounded(in_turn(_django)),
        root=STATIC,
        prefix="static/",
        max_age=MAX_AGE_S,
        allow_all_origins=False,
        add_headers_function=_say_what_it_is,
    )
)
