"""Selects the language of a page: the account's, else the one chosen in this browser, else Accept-Language."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

#: Programs are always answered in English.
_FOR_PROGRAMS = ("/api/", "/healthz", "/metrics")
SPOKEN = frozenset(code for code, _name in settings.LANGUAGES)


class LanguageMiddleware:
    """Switches to the language of the browser before the view, and to the account's once it is known (`use`)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in the selected language, and name it in Content-Language."""
        if request.path.startswith(_FOR_PROGRAMS):
            return self._get_response(request)
        with translation.override(of_browser(request)):
            response = self._get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language() or "en")
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


def use(lang: str) -> None:
    """Switch to this language if pages exist in it; the middleware switches back afterwards."""
    if lang in SPOKEN:
        translation.activate(lang)


def of_browser(request: HttpRequest) -> str:
    """Return the language chosen in this browser, or the first supported one of Accept-Language."""
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    if chosen in SPOKEN:
        return chosen
    return preferred(request.headers.get("Accept-Language", ""))


def preferred(accept_language: str) -> str:
    """Return the first language of a header Accept-Language in which there are pages, else English."""
    for wanted in accept_language.split(","):
        tag = wanted.partition(";")[0].strip().partition("-")[0].lower()
        if tag in SPOKEN:
            return tag
    return "en"
