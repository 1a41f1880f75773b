"""The start page, and the choice of language and colours."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import layout
from fabgate.collector.faces.pages.access_control import account_of, back_to, see_other
from fabgate.collector.faces.pages.language import SPOKEN
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Account
from fabgate.errors import UsageError


def home(request: HttpRequest) -> HttpResponse:
    """Redirect to the first page of the account's role."""
    return see_other(reverse(layout.first_route(account_of(request).role)))


def theme(request: HttpRequest) -> HttpResponse:
    """Store the chosen colours in this browser."""
    chosen = request.POST.get("theme", "")
    if chosen not in layout.THEMES:
        raise UsageError(_("Choose one of: %(known)s.") % {"known": ", ".join(layout.THEMES)})
    return _with_cookie(request, layout.THEME_COOKIE, chosen)


def language(request: HttpRequest) -> HttpResponse:
    """Store the chosen language in this browser, and in the account if signed in."""
    chosen = request.POST.get("language", "")
    if chosen not in SPOKEN:
        raise UsageError(_("Choose one of: %(known)s.") % {"known": ", ".join(sorted(SPOKEN))})
    if isinstance(request.user, Account):
        with audit.change(request.user.name, "account.updated", request.user):
            request.user.lang = chosen
            request.user.save(update_fields=["lang"])
    return _with_cookie(request, settings.LANGUAGE_COOKIE_NAME, chosen)


def _with_cookie(request: HttpRequest, cookie: str, value: str) -> HttpResponse:
    response = see_other(back_to(request))
    response.set_cookie(
        cookie,
        value,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        samesite="Lax",
        httponly=True,
    )
    return response
