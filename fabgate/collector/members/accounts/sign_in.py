"""Signs people in, and records it.

A wrong name and a wrong password get the same answer after the same time: Django hashes the typed password for an
unknown name too. Guessing is limited for each name and address; a browser in which the account has signed in before
(members/accounts/known_browsers.py) counts separately, so that strangers cannot lock its owner out.
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
from django.utils import timezone

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Account, FailedSignIn, SignIn
from fabgate.collector.ground.models.accounts import SEEN_EVERY
from fabgate.collector.members.accounts import known_browsers, manage

log = logging.getLogger(__name__)
#: How many passwords are checked at once: each check takes 100 MB and a processor for a moment, and anyone can request
#: one.
_LOOKED_AT = threading.BoundedSemaphore(2)
#: The first bits of an IPv6 address are usually the same for all addresses of one person.
_OWN_BITS = 64
_BACKEND = "django.contrib.auth.backends.ModelBackend"
#: The key in a browser's session of when the password was last typed, in seconds since 1970.
_PASSWORD_AT = "password_at"  # noqa: S105 (a name)


class TooMany(Exception):  # noqa: N818 (it names what happened)
    """Too many wrong passwords for this name or from this address."""


def check(request: HttpRequest, name: str, password: str) -> Account | None:
    """Return the account of a name and its password. Raises TooMany before checking the password."""
    name, address = Account.as_name(name), address_of(request)
    with _LOOKED_AT:
        if is_too_many(request, name):
            log.warning("sign-in of %r from %s refused: too many wrong passwords", name, address)
            raise TooMany
        # counted before the check, so that many requests at once get no more checks than one after the other
        note_failure(request, name)
        found = authenticate(request, username=name, password=password)
    if not isinstance(found, Account):
        log.info("sign-in of %r from %s failed", name, address)
        return None
    FailedSignIn.clear(known_browsers.counted_as(request, name) or name)
    manage.renew_hash(found, password)
    return found


def is_too_many(request: HttpRequest, name: str) -> bool:
    """Return whether to refuse passwords for `name` in this browser for now."""
    known = known_browsers.counted_as(request, name)
    return FailedSignIn.is_too_many(known or name, None if known else counted_as(request))


def note_failure(request: HttpRequest, name: str) -> None:
    """Count a wrong password: for this browser if the account has signed in here, otherwise for the name."""
    FailedSignIn.record(known_browsers.counted_as(request, name) or name, counted_as(request))


def enter(request: HttpRequest, account: Account) -> None:
    """Sign `account` in, in this browser."""
    login(request, account, backend=_BACKEND)
    log.info("%s signed in from %s", account.name, address_of(request))


def note_password(request: HttpRequest) -> None:
    """Remember that the person in this browser has just typed the right password."""
    request.session[_PASSWORD_AT] = timezone.now().timestamp()


def has_recent_password(request: HttpRequest, lasts: timedelta) -> bool:
    """Return whether the right password was typed in this browser within the last `lasts`."""
    at = request.session.get(_PASSWORD_AT)
    # an age below 0 means that the clock was set back
    return at is not None and 0 <= timezone.now().timestamp() - at < lasts.total_seconds()


def address_of(request: HttpRequest) -> str:
    """Return the client's address. Behind a proxy in FABGATE_PROXIES, uvicorn has set the real one."""
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


def counted_as(request: HttpRequest) -> str:
    """Return the key of an address for counting failures: for IPv6 its network, in which a person has 2^64."""
    address = address_of(request)
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found), _OWN_BITS), strict=False))


def forget_expired(now: datetime) -> int:
    """Delete expired sessions and their sign-ins; return how many. The worker calls it.

    Sign-ins that were revoked, or unused for longer than a session lasts, are deleted too: no session refers to them.
    """
    over = Session.objects.filter(expire_date__lt=now)
    expired = {pk for session in over.iterator() if isinstance(pk := session.get_decoded().get("sign_in"), int)}
    # only a request renews a session, and it also updates `seen_at`, to the minute
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
    note_password(request)


def connect() -> None:
    """Record every sign-in from now on; called once, when Django is ready."""
    user_logged_in.connect(_remember, dispatch_uid="fabgate-sign-in")
