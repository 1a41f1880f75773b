"""Did this account sign in from this browser before? Then the browser has a count of wrong passwords of its own.

Otherwise anybody who knows a log-in name could keep its owner out, by typing it with wrong passwords. A signed cookie
says which accounts a browser knows (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). It opens nothing.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from fabgate.collector.models import Account
from fabgate.collector.models.accounts import hash_of

COOKIE: Final = "fabgate_device"
LASTS: Final = timedelta(days=365)
#: So many accounts are known in one browser, such as the desk's; whoever signed in longest ago goes first.
MOST: Final = 20
_SALT: Final = "fabgate.device"


def counted_as(request: HttpRequest, name: str) -> str | None:
    """Return what wrong passwords for `name` are counted by in this browser; None where it never signed in here.

    No log-in name looks like it, and who does not have the cookie cannot guess it.
    """
    device, names = _read(request)
    return f"device:{hash_of(f'{device}/{name}')[:40]}" if name in names else None


def remember(request: HttpRequest, response: HttpResponse, account: Account) -> HttpResponse:
    """Let the browser know that `account` signed in in it; return the response."""
    device, names = _read(request)
    known = [account.name, *(name for name in names if name != account.name)][:MOST]
    response.set_cookie(
        COOKIE,
        signing.dumps([device or secrets.token_urlsafe(16), known], salt=_SALT),
        max_age=LASTS,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )
    return response


def _read(request: HttpRequest) -> tuple[str, list[str]]:
    """Return the browser's own random name, and the accounts that signed in in it; nothing where a cookie is not ours."""
    try:
        device, names = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return "", []
    return device, names
