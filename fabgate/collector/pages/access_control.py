"""May this request pass? Every route is looked up in the table of rights, and one that is not in it stays shut."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.auth import logout
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from fabgate.collector.base import body_limit, duplicate
from fabgate.collector.models import Account, Pulse, SignIn
from fabgate.collector.pages import errors, language, rights, roles
from fabgate.errors import UsageError

log = logging.getLogger(__name__)
#: Where in a request's META the highest pulse stands that was there before its page was made.
PULSE: Final = "fabgate.pulse"


class Door:
    """Middleware that refuses by default, and turns what went wrong into a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the length; a bare 405 becomes a page that says what to do."""
        if any("\0" in value for value in request.COOKIES.values()):
            # Not a page: that would ask for the session that such a cookie names.
            return HttpResponse("found a NUL in a cookie\n", status=400, content_type="text/plain; charset=utf-8")
        is_head = request.method == "HEAD"  # below it becomes a GET
        response = self._answer(request)
        if is_head and response.streaming:
            response = _without_stream(response)
        elif not response.streaming and response.status_code != 304:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        # People's data: no shared computer's browser and no proxy keeps them; what may be kept says so by itself.
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code == 405 and not response.streaming and not response.content:
            return errors.wrong_method(request, response.get("Allow", ""))
        return response

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """Return a refusal, or None to let the view answer."""
        match = request.resolver_match
        name = match.view_name if match else ""
        right = rights.table().get(name)
        if right is None:
            log.error("%s: the route %r has no row in the table of rights: nobody may use it", request.path, name)
            return errors.forbidden(request)
        if body_limit.was_too_large(request):
            _speak(signed_in(request))
            return errors.too_large(request)
        if right.is_keyed:
            return None  # what a program sends is checked against its own description
        if _has_nul(request, match.kwargs if match else {}):
            return errors.bad_request(request)  # no name has one, and PostgreSQL cannot even look for it
        request.get_host()  # raises for a name that is not in FABGATE_ALLOWED_HOSTS: answered with 400
        method = "GET" if request.method in {"GET", "HEAD"} else "POST"
        if request.method not in {"GET", "HEAD", "POST"} or not (right.get if method == "GET" else right.post):
            return errors.wrong_method(request, "GET, HEAD, POST" if right.post else "GET, HEAD")
        request.method = method  # views need not know of HEAD: the server leaves the body out
        account = signed_in(request)
        _speak(account)
        if right.is_open:
            return None
        if account is None:
            back = {"next": request.get_full_path()} if method == "GET" else {}
            return see_other(f"{reverse('sign-in')}?{urlencode(back)}" if back else reverse("sign-in"))
        if not right.may(account.role, method):
            log.info("%s (%s) may not %s %s", account.name, account.role, method, request.path)
            return errors.forbidden(request)
        # Before the view looks: what changes while the page is made is told to it afterwards.
        request.META[PULSE] = Pulse.newest()
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what a view could not do because of what it was sent."""
        if isinstance(error, errors.Conflict):
            return errors.conflict(request, str(error))
        if isinstance(error, errors.OwnCause):
            log.info("%s: %s may not decide about themselves", request.path, request.user)
            return errors.own_cause(request)
        if isinstance(error, UsageError):
            return errors.bad_request(request, error)
        if isinstance(error, IntegrityError) and duplicate.is_there(error):
            log.info("%s: found that it is there already: %s", errors.route(request), error)
            return errors.sent_twice(request)
        if isinstance(error, OverflowError):  # a number that no row has, or a day beyond the last one
            log.info("%s: found what is too large: %s", request.path, error)
            return errors.bad_request(request)
        return None


def _without_stream(streaming: HttpResponse) -> HttpResponse:
    """Return the head of an answer whose body is made while it is sent: a HEAD would wait for all of it, or for ever."""
    head = HttpResponse(status=streaming.status_code, headers=dict(streaming.items()))
    head.cookies = streaming.cookies
    streaming.close()
    return head


def _speak(account: Account | None) -> None:
    if account is not None:
        language.use(account.lang)


def _has_nul(request: HttpRequest, named: Mapping[str, Any]) -> bool:
    """Whether there is a NUL in what was sent: in the path, as it came or as a converter read it, or in a form."""
    if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return True
    typed = (value for _name, values in request.POST.lists() for value in values)
    return any("\0" in value for value in (*map(str, named.values()), *typed))


def signed_in(request: HttpRequest) -> Account | None:
    """Return who is signed in. A sign-in that was revoked ends here, and leaves nothing in the session."""
    if not request.user.is_authenticated:
        return None
    sign_in = SignIn.objects.filter(pk=request.session.get("sign_in") or 0, revoked_at=None).first()
    if sign_in is None:
        logout(request)
        return None
    sign_in.seen()
    return request.user


def account_of(request: HttpRequest) -> Account:
    """Return who is signed in, behind the door: there it is certain that somebody is."""
    assert isinstance(request.user, Account)
    return request.user


def refuse_own_cause(request: HttpRequest, *concerned: str) -> None:
    """Raise errors.OwnCause where a decision about `concerned` is one about the person who asks for it.

    `concerned` are members and groups, as sessions name them.
    """
    if not roles.own_causes(account_of(request)).isdisjoint(concerned):
        raise errors.OwnCause


def back_to(request: HttpRequest, route: str = "home") -> str:
    """Return the page of this site from which somebody came, as `next` says, or else `route`."""
    asked = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if is_ours else reverse(route)


def see_other(address: str) -> HttpResponseRedirect:
    """Redirect to a page that is read with GET, whatever the request was."""
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response
