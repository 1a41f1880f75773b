"""The ASGI applications: Django with the static files, which need no collecting, and that of port 80."""

from __future__ import annotations

import os
from typing import Any

from django.core.asgi import get_asgi_application
from django.utils.http import http_date
from servestatic import ServeStaticASGI

from fabgate.collector import STATIC
from fabgate.collector.ground.base.body_limit import bounded
from fabgate.collector.ground.base.environ import Environment

#: Pages name static files by the hash of their content (faces/template_tags.py), so browsers may keep them.
MAX_AGE_S = 365 * 24 * 3600


def with_date(app: Any) -> Any:
    """Add a Date header if it is missing. A sealed roster has one already, and uvicorn would add a second."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        async def send_dated(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                if not any(name.lower() == b"date" for name, _value in headers):
                    message = {**message, "headers": [*headers, (b"date", http_date().encode())]}
            await send(message)

        await app(scope, receive, send_dated)

    return call


def _forbid_sniffing(headers: Any, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
_django = get_asgi_application()
# These can be imported only once Django is set up.
from fabgate.collector.faces import port_80  # noqa: E402
from fabgate.collector.processes.lanes import limited  # noqa: E402

application = with_date(
    ServeStaticASGI(
        bounded(limited(_django)),
        root=STATIC,
        prefix="static/",
        max_age=MAX_AGE_S,
        allow_all_origins=False,
        add_headers_function=_forbid_sniffing,
    )
)


def port_80_application(env: Environment) -> Any:
    """Return the application of port 80."""
    return with_date(port_80.application(ca=env.web_ca, apt=env.web_apt, site=env.site, address=env.address))
