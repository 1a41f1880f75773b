"""Error pages: each says what happened and what to do next."""

from __future__ import annotations

import logging
import sys
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import language
from fabgate.collector.ground.base import body_limit, disk_full

log = logging.getLogger(__name__)
#: A big display that got an error when it was opened asks again after this many seconds.
_AGAIN_S: Final = 30


class Conflict(Exception):  # noqa: N818 (it names what happened)
    """The row was changed by someone else first. The text says what to do. Answered with 409."""


class SelfDecision(Exception):  # noqa: N818 (it names what happened)
    """A decision about the signed-in person, which someone else must make. Answered with 403."""


def page(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """Return an error page; for the API, the same as JSON."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": f"{title}. {text}"}, status=status)
    content = render_to_string("errors/error.html", {"title": title, "text": text, "status": status}, request)
    return HttpResponse(content, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400, with the exception's text if that was written for people."""
    if isinstance(exception, DisallowedHost):
        # Rendering a page would ask for the host name again.
        text = "This address is not in FABGATE_ALLOWED_HOSTS. Add it there, or use one that is.\n"
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    known = exception is not None and not isinstance(exception, SuspiciousOperation)
    text = str(exception) if known else _("Part of the request could not be read. Go back and try again.")
    return page(request, 400, _("Invalid request"), text)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 (Django names it)
    """Answer 403."""
    text = _("Your account does not include this page. If you need it, ask a manager.")
    return page(request, 403, _("You do not have access to this page"), text)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form with a wrong or missing CSRF token or cookie."""
    log.info("%s: a form was refused: %s", route(request), reason)
    text = _(
        "The form was open for too long, or the browser sent no cookie. Go back, reload the page and send the form again. If the address begins with “http://”, use “https://”: this collector expects it (FABGATE_HTTPS)."
    )
    return page(request, 403, _("The form could not be checked"), text)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 (Django names it)
    """Answer 404."""
    text = _("Check the address. The page may have moved or been removed.")
    return page(request, 404, _("Page not found"), text)


def wrong_method(request: HttpRequest, allowed: str) -> HttpResponse:
    """Answer 405."""
    text = _("This page cannot be used this way. Open it from the menu.")
    if request.path.startswith("/api/"):
        text = f"Found {request.method}, wanted {allowed}"
    response = page(request, 405, _("Method not allowed"), text)
    response.headers["Allow"] = allowed
    return response


def conflict(request: HttpRequest, text: str) -> HttpResponse:
    """Answer 409."""
    return page(request, 409, _("Changed by someone else"), text)


def sent_twice(request: HttpRequest) -> HttpResponse:
    """Answer 409, because the row was created a moment ago by someone else or by the same form."""
    text = _(
        "Someone else has just saved the same change, or the form was sent twice. Nothing was saved a"
        " second time. Check the current state before you send the form again."
    )
    return conflict(request, text)


def self_decision(request: HttpRequest) -> HttpResponse:
    """Answer 403 to a decision about oneself."""
    return page(request, 403, _("This is about you"), _("Someone else at the desk must do this for you."))


def too_large(request: HttpRequest) -> HttpResponse:
    """Answer 413."""
    text = _("The limit is %(most)d MB. Go back and choose a smaller file.")
    return page(request, 413, _("This is too large"), text % {"most": body_limit.MAX_FILE_BYTES // body_limit.MEGABYTE})


def too_many(request: HttpRequest) -> HttpResponse:
    """Answer 429."""
    return as_too_many(page(request, HTTPStatus.TOO_MANY_REQUESTS, _("Please wait"), too_many_text()))


def too_many_text() -> str:
    """Return what is said after too many wrong passwords."""
    return _("Too many wrong passwords. Wait a quarter of an hour, or ask a manager for a new link.")


def as_too_many(response: HttpResponse) -> HttpResponse:
    """Give a page the status 429."""
    response.status_code = HTTPStatus.TOO_MANY_REQUESTS
    response.headers["Retry-After"] = "900"
    return response


def server_error(request: HttpRequest, *_args: Any) -> HttpResponse:
    """Answer 507 if a disk is full, otherwise 500. It does not use the database, which may be what fails."""
    status = 500
    title = _("Something went wrong")
    text = _("It is not your fault. Try again. If it happens again, the collector's log has the reason.")
    if disk_full.is_full(sys.exception()):
        status = HTTPStatus.INSUFFICIENT_STORAGE
        title = _("The collector's disk is full")
        text = _(
            "Nothing was saved. Machines keep running, and gates keep their entries. Ask the collector's"
            " administrator to free disk space, then try again."
        )
        log.error("%s %s: the disk is full, nothing was written", request.method, route(request))
    return _bare(request, status, title, text)


def busy(request: HttpRequest, retry_after_s: int) -> HttpResponse:
    """Answer 503 to one of too many requests, without using the database."""
    with translation.override(language.of_browser(request)):
        text = _("Nothing was saved. Wait a few seconds and try again.")
        response = _bare(request, HTTPStatus.SERVICE_UNAVAILABLE, _("The collector is busy"), text)
    response.headers["Retry-After"] = str(retry_after_s)
    response.headers["Cache-Control"] = "no-store"
    return response


def _bare(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """Return a page that needs no database."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": f"{title}. {text}"}, status=status)
    is_display = request.path.startswith("/display/")
    content = render_to_string("errors/broken.html", {"title": title, "text": text, "is_display": is_display})
    # Nobody is there to reload a big display.
    return HttpResponse(content, status=status, headers={"Refresh": str(_AGAIN_S)} if is_display else {})


def route(request: HttpRequest) -> str:
    """Return the route's name for the log: the path may contain a secret one-time link."""
    return request.resolver_match.view_name if request.resolver_match else "no route"
