"""How does a person become signed in, and what is kept of it?

A wrong name and a wrong password get the same answer after the same time: Django hashes the password that was typed
for a name that nobody has, too. Guessing is slowed down per name and per address; a browser in which the account signed
in before (accounts/known_browsers.py) has a count of its own, so that strangers keep nobody out.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, login
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.http import HttpRequest

from fabgate.collector.accounts import known_browsers
from fabgate.collector.db import statements
from fabgate.collector.models import Account, FailedSignIn, SignIn
from fabgate.collector.models.accounts import SEEN_EVERY

log = logging.getLogger(__name__)
#: So many passwords are looked at at once: each takes 100 MB and a processor for a moment, and anybody may send one.
_LOOKED_AT = threading.BoundedSemaphore(2)
#: Whoever has one address of IPv6 has all that begin with the same bits.
_OWN_BITS = 64
_BACKEND = "django.contrib.auth.backends.ModelBackend"


class TooMany(Exception):  # noqa: N818 (it names what happened)
    """Too many passwords were tried for this name or from this address."""


def check(request: HttpRequest, name: str, password: str) -> Account | None:
    """Return the account of a name and its password. Raises TooMany before it looks at one more."""
    name, address = Account.as_name(name), address_of(request)
    with _LOOKED_AT:
        if is_too_many(request, name):
            log.warning("sign-in of %r from %s refused: too many wrong passwords", name, address)
            raise TooMany
        # Counted before it is looked at: of many that come at once, no more are looked at than of those that wait.
        note_failure(request, name)
        found = authenticate(request, username=name, password=password)
    if not isinstance(found, Account):
        log.info("sign-in of %r from %s failed", name, address)
        return None
    FailedSignIn.forget(known_browsers.counted_as(request, name) or name)
    return found


def is_too_many(request: HttpRequest, name: str) -> bool:
    """Return whether to look at no more passwords for `name` in this browser for now."""
    known = known_browsers.counted_as(request, name)
    return FailedSignIn.is_too_many(known or name, None if known else counted_as(request))


def note_failure(request: HttpRequest, name: str) -> None:
    """Count a wrong password for `name`: against this browser if it knows the account, else against the name."""
    FailedSignIn.note(known_browsers.counted_as(request, name) or name, counted_as(request))


def enter(request: HttpRequest, account: Account) -> None:
    """Sign `account` in, in this browser."""
    login(request, account, backend=_BACKEND)
    log.info("%s signed in from %s", account.name, address_of(request))


def address_of(request: HttpRequest) -> str:
    """Return whence a request came; behind a proxy of FABGATE_PROXIES, uvicorn has put the true address there."""
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


def counted_as(request: HttpRequest) -> str:
    """Return by what failures from an address are counted: of IPv6 its network, of which one person has 2^64."""
    address = address_of(request)
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found), _OWN_BITS), strict=False))


def forget_expired(now: datetime) -> int:
    """Delete the sessions that are over, and what was kept of their sign-ins; return how many. The worker does it.

    Also sign-ins that were revoked, or not seen, for as long as a session lasts: no session can name them any more.
    """
    over = Session.objects.filter(expire_date__lt=now)
    expired = {pk for session in over.iterator() if isinstance(pk := session.get_decoded().get("sign_in"), int)}
    # A session is kept anew in a request only, which is noted to the minute.
    before = now - timedelta(seconds=settings.SESSION_COOKIE_AGE) - 2 * SEEN_EVERY
    for some in statements.chunks(sorted(expired)):
        SignIn.objects.filter(pk__in=some).delete()
    SignIn.objects.filter(Q(revoked_at__lt=before) | Q(seen_at__lt=before)).delete()
    gone, _ = over.delete()
    return gone


def _remember(request: HttpRequest, user: Account, **_more: Any) -> None:
    row = SignIn.objects.create(
        account=user, address=address_of(request), user_agent=request.META.get("HTTP_USER_AGENT", "")[:300]
    )
    request.session["sign_in"] = row.pk


def connect() -> None:
    """Keep a row of every sign-in from now on; called once, when Django is ready."""
    user_logged_in.connect(_remember, dispatch_uid="fabgate-sign-in")
