"""Checks each request against the table of rights; a route without a row is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.auth import logout
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from fabgate.collector.faces.pages import errors, language, rights, roles
from fabgate.collector.faces.pages.password import kept_form, money, password_again
from fabgate.collector.faces.pages.roles import Asks
from fabgate.collector.ground.base import body_limit
from fabgate.collector.ground.db import audit, duplicate
from fabgate.collector.ground.models import Account, Pulse, SignIn
from fabgate.errors import UsageError

log = logging.getLogger(__name__)
#: The key in request.META of the newest pulse before the page was made.
PULSE: Final = "fabgate.pulse"
#: The key in request.META of the account that sent a form: its changes of money need a recent password.
_CHANGED_BY: Final = "fabgate.changed-by"


class AccessControlMiddleware:
    """Middleware that refuses by default, and turns errors into pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, with Content-Length; a bare 405 becomes a page that says what to do."""
        if any("\0" in value for value in request.COOKIES.values()):
            # Plain text: rendering a page would look up the session that this cookie names.
            return HttpResponse("found a NUL in a cookie\n", status=400, content_type="text/plain; charset=utf-8")
        is_head = request.method == "HEAD"  # process_view turns it into a GET
        response = self._answer(request)
        if is_head and response.streaming:
            response = _without_stream(response)
        elif not response.streaming and response.status_code != 304:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        # Personal data must not stay in a shared browser or a proxy. Responses that may be cached set their own header.
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        with audit.watched_by(partial(_require_password, request)):
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
            log.error("%s: the route %r has no row in the table of rights and is refused", request.path, name)
            return errors.forbidden(request)
        if body_limit.was_too_large(request):
            _activate_language(signed_in(request))
            return errors.too_large(request)
        if right.is_keyed:
            return None  # the API validates requests against its own schema
        if _has_nul(request, match.kwargs if match else {}):
            return errors.bad_request(request)  # a NUL is never part of a name, and PostgreSQL rejects it in queries
        request.get_host()  # raises DisallowedHost, answered with 400, for a host that is not in FABGATE_ALLOWED_HOSTS
        method = "GET" if request.method in {"GET", "HEAD"} else "POST"
        if request.method not in {"GET", "HEAD", "POST"} or not (right.get if method == "GET" else right.post):
            return errors.wrong_method(request, "GET, HEAD, POST" if right.post else "GET, HEAD")
        request.method = method  # views handle only GET and POST; the server omits the body
        account = signed_in(request)
        _activate_language(account)
        if right.is_open:
            return None
        if account is None and (answer := _sign_in(request, method)) is not None:
            return answer
        return _refusal(request, right, account_of(request), method)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn exceptions that the request caused into error pages."""
        if isinstance(error, errors.Conflict):
            return errors.conflict(request, str(error))
        if isinstance(error, password_again.PasswordNeeded):
            return password_again.question(request)
        if isinstance(error, errors.SelfDecision):
            log.info("%s: %s may not make decisions about themselves", request.path, request.user)
            return errors.self_decision(request)
        if isinstance(error, UsageError):
            return errors.bad_request(request, error)
        if isinstance(error, IntegrityError) and duplicate.is_there(error):
            log.info("%s: the row exists already: %s", errors.route(request), error)
            return errors.sent_twice(request)
        if isinstance(error, OverflowError):  # a number or a date that is out of range
            log.info("%s: a value is too large: %s", errors.route(request), error)
            return errors.bad_request(request)
        return None


def _sign_in(request: HttpRequest, method: str) -> HttpResponse | None:
    """Return the way to the sign-in, or None if the person who typed this form has signed in again with it."""
    if method == "POST" and (author := kept_form.typed_by(request)) is not None:
        return kept_form.sign_in_again(request, author)
    back = {"next": request.get_full_path()} if method == "GET" else {}
    return see_other(f"{reverse('sign-in')}?{urlencode(back)}" if back else reverse("sign-in"))


def _refusal(request: HttpRequest, right: roles.Right, account: Account, method: str) -> HttpResponse | None:
    """Return a refusal or a question for an account, or None to let the view answer."""
    if not right.may(account.role, method):
        log.info("%s (%s) may not %s %s", account.name, account.role, method, request.path)
        return errors.forbidden(request)
    if method == "POST" and (question := _question(request, right, account)) is not None:
        return question
    # Read before the view runs, so that the page is notified even of changes during its rendering.
    request.META[PULSE] = Pulse.newest()
    return None


def _question(request: HttpRequest, right: roles.Right, account: Account) -> HttpResponse | None:
    """Ask for the password where each POST changes money; elsewhere `_require_password` does if this one does.

    The answer to such a question is checked here, too.
    """
    request.META[_CHANGED_BY] = account
    if right.asks_password is Asks.ALWAYS or password_again.FIELD in request.POST:
        return password_again.ask(request, account)
    return None


def _require_password(
    request: HttpRequest, kind: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Raise PasswordNeeded if a signed-in person's change concerns money and the password was typed too long ago."""
    if _CHANGED_BY in request.META and money.is_concerned(kind, key, before, after):
        password_again.require(request)


def _without_stream(streaming: HttpResponse) -> HttpResponse:
    """Return the headers of a streaming response: a HEAD request must not wait for its body, which may never end."""
    head = HttpResponse(status=streaming.status_code, headers=dict(streaming.items()))
    head.cookies = streaming.cookies
    streaming.close()
    return head


def _activate_language(account: Account | None) -> None:
    if account is not None:
        language.use(account.lang)


def _has_nul(request: HttpRequest, named: Mapping[str, Any]) -> bool:
    """Return whether the path, a converted URL argument, the query or a form contains a NUL."""
    if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return True
    typed = (value for _name, values in request.POST.lists() for value in values)
    return any("\0" in value for value in (*map(str, named.values()), *typed))


def signed_in(request: HttpRequest) -> Account | None:
    """Return the signed-in account. A revoked sign-in ends here, and its session is cleared."""
    if not request.user.is_authenticated:
        return None
    sign_in = SignIn.objects.filter(pk=request.session.get("sign_in") or 0, revoked_at=None).first()
    if sign_in is None:
        logout(request)
        return None
    sign_in.seen()
    return request.user


def account_of(request: HttpRequest) -> Account:
    """Return the signed-in account; AccessControlMiddleware ensures that there is one, unless the view is open."""
    assert isinstance(request.user, Account)
    return request.user


def refuse_self_decision(request: HttpRequest, *concerned: str) -> None:
    """Raise errors.SelfDecision if the signed-in person is among `concerned`.

    `concerned` are the ids of members and groups as sessions name them (docs/decisions/0068).
    """
    if not roles.self_and_groups(account_of(request)).isdisjoint(concerned):
        raise errors.SelfDecision


def back_to(request: HttpRequest, route: str = "home") -> str:
    """Return the address in the parameter `next` if it is on this site, otherwise the address of `route`."""
    asked = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if is_ours else reverse(route)


def see_other(address: str) -> HttpResponseRedirect:
    """Redirect with 303 See Other: the browser follows with GET."""
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response
