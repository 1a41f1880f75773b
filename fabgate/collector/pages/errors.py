"""What does a person see when something cannot be done? What happened, and what to do next; never a bare number."""

from __future__ import annotations

import logging
import sys
from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.base import body_limit, disk_full
from fabgate.collector.pages import language

log = logging.getLogger(__name__)


class Conflict(Exception):  # noqa: N818 (it names what happened)
    """Somebody else changed the same thing first; the text says what, and what to do. Answered with 409."""


class OwnCause(Exception):  # noqa: N818 (it names what happened)
    """It concerns whoever asks for it, and somebody else has to decide. Answered with 403."""


def page(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """Return a page that says `title` and `text`; to a program the JSON that the API answers mistakes with."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": f"{title}. {text}"}, status=status)
    content = render_to_string("errors/error.html", {"title": title, "text": text, "status": status}, request)
    return HttpResponse(content, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400, with what was wrong where the exception's text was written for people."""
    if isinstance(exception, DisallowedHost):
        # The page would ask for the host's name again.
        text = "This address is not one of FABGATE_ALLOWED_HOSTS. Add it there, or use one that is.\n"
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    known = exception is not None and not isinstance(exception, SuspiciousOperation)
    text = str(exception) if known else _("Something in it was not understood. Go back and try once more.")
    return page(request, 400, _("That could not be read"), text)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 (Django names it)
    """Answer 403."""
    text = _("Your account is for other pages. If you need this one, ask a manager.")
    return page(request, 403, _("This page is not for your account"), text)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that did not come from one of our pages, or whose cookie is missing."""
    log.info("%s: a form was refused: %s", route(request), reason)
    text = _(
        "The form was open for too long, or the browser sent no cookie. Go back, load the page again and send it once"
        " more. If the address begins with http: this collector expects https (FABGATE_HTTPS)."
    )
    return page(request, 403, _("The form could not be checked"), text)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 (Django names it)
    """Answer 404."""
    text = _("Perhaps the address was mistyped, or what it showed has another name now.")
    return page(request, 404, _("Nothing is here"), text)


def wrong_method(request: HttpRequest, allowed: str) -> HttpResponse:
    """Answer 405."""
    text = _("This page is only read or only sent to. Open it from the menu.")
    if request.path.startswith("/api/"):
        text = f"Found {request.method}, wanted {allowed}"
    response = page(request, 405, _("That is not how this page is used"), text)
    response.headers["Allow"] = allowed
    return response


def conflict(request: HttpRequest, text: str) -> HttpResponse:
    """Answer 409."""
    return page(request, 409, _("Somebody was quicker"), text)


def sent_twice(request: HttpRequest) -> HttpResponse:
    """Answer 409 to who would make what was made by somebody else, or by themselves, a moment ago."""
    text = _(
        "Somebody has just written the same, or it was sent twice. Nothing was done a second time. Look at what is there"
        " now before you send it again."
    )
    return conflict(request, text)


def own_cause(request: HttpRequest) -> HttpResponse:
    """Answer 403 to who would decide about themselves."""
    return page(request, 403, _("This is about you"), _("Someone else at the desk must do this for you."))


def too_large(request: HttpRequest) -> HttpResponse:
    """Answer 413."""
    text = _("At most %(most)d MB are taken at once. Go back, and choose a smaller file.")
    return page(request, 413, _("This is too large"), text % {"most": body_limit.MAX_FILE_BYTES // body_limit.MEGABYTE})


def too_many(request: HttpRequest) -> HttpResponse:
    """Answer 429."""
    text = _("Too many wrong passwords. Wait a quarter of an hour, or ask a manager for a new link.")
    response = page(request, 429, _("Please wait"), text)
    response.headers["Retry-After"] = "900"
    return response


def server_error(request: HttpRequest, *_args: Any) -> HttpResponse:
    """Answer 507 where a disk is full, else 500. Nothing is looked up for it: the database may be what fails."""
    status = 500
    title = _("Something broke here")
    text = _("It is not your fault. Try again; if it stays, whoever runs the collector finds the reason in its log.")
    if disk_full.is_full(sys.exception()):
        status = HTTPStatus.INSUFFICIENT_STORAGE
        title = _("The collector's disk is full")
        text = _(
            "This could not be written, and nothing of it was kept. Machines go on, and gates keep their records"
            " themselves. Tell whoever runs the collector to make room on its disk, and then do it once more."
        )
        log.error("%s %s: the disk is full, nothing was written", request.method, route(request))
    return _bare(request, status, title, text)


def busy(request: HttpRequest, retry_after_s: int) -> HttpResponse:
    """Answer 503 where too many ask at once, in a page for which nothing is looked up."""
    with translation.override(language.of_browser(request)):
        text = _("Nothing was done yet. Wait a few seconds, and do it once more.")
        response = _bare(request, HTTPStatus.SERVICE_UNAVAILABLE, _("Too many people ask at once"), text)
    response.headers["Retry-After"] = str(retry_after_s)
    response.headers["Cache-Control"] = "no-store"
    return response


def _bare(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """Return a page that is made without the database."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": f"{title}. {text}"}, status=status)
    return HttpResponse(render_to_string("errors/broken.html", {"title": title, "text": text}), status=status)


def route(request: HttpRequest) -> str:
    """Return the name of a route: the path of a one-time link is a secret."""
    return request.resolver_match.view_name if request.resolver_match else "no route"
