"""Remembers in which browsers an account has signed in. Wrong passwords in these are counted separately.

Otherwise anybody who knows a username could lock its owner out by typing wrong passwords. A signed cookie lists the
accounts of a browser (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). The cookie is no sign-in.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from fabgate.collector.ground.models import Account
from fabgate.collector.ground.models.accounts import hash_of

COOKIE: Final = "fabgate_device"
LASTS: Final = timedelta(days=365)
#: How many accounts a browser remembers, such as the desk's; the account with the oldest sign-in is dropped.
MOST: Final = 20
_SALT: Final = "fabgate.device"


def counted_as(request: HttpRequest, name: str) -> str | None:
    """Return the key under which wrong passwords for `name` count in this browser; None if it is unknown here.

    It cannot be a username, and cannot be guessed without the cookie.
    """
    device, names = _read(request)
    return f"device:{hash_of(f'{device}/{name}')[:40]}" if name in names else None


def remember(request: HttpRequest, response: HttpResponse, account: Account) -> HttpResponse:
    """Add `account` to the browser's cookie; return the response."""
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
    """Return the browser's random id and its accounts; empty if the cookie is not ours."""
    try:
        device, names = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return "", []
    return device, names
