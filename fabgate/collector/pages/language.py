"""In which language is a page? The account's; else the one chosen in this browser; else the one the browser asks for."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

#: Programs are answered in English: what they read is no language.
_FOR_PROGRAMS = ("/api/", "/healthz", "/metrics")
SPOKEN = frozenset(code for code, _name in settings.LANGUAGES)


class LanguageMiddleware:
    """Switches to the language of the browser before the view, and to the account's once it is known (`use`)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in the right language, and say which."""
        if request.path.startswith(_FOR_PROGRAMS):
            return self._get_response(request)
        with translation.override(of_browser(request)):
            response = self._get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language() or "en")
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


def use(lang: str) -> None:
    """Go on in this language, if it is spoken here; the middleware switches back afterwards."""
    if lang in SPOKEN:
        translation.activate(lang)


def of_browser(request: HttpRequest) -> str:
    """Return the language that was chosen in this browser, or that it asks for."""
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    if chosen in SPOKEN:
        return chosen
    for wanted in request.headers.get("Accept-Language", "").split(","):
        tag = wanted.partition(";")[0].strip().partition("-")[0].lower()
        if tag in SPOKEN:
            return tag
    return "en"
