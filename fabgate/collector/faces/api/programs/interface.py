"""What all answers to programs share: API keys and their scopes, errors, and the description of the API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, ValidationError
from ninja.security import HttpBearer

from fabgate.collector.ground.models import ApiKey

#: The scopes of API keys. Money has its own, so that a key for counting hours never reads prices.
SESSIONS_READ: Final = "sessions:read"
CHARGES_READ: Final = "charges:read"
SCOPES: Final = (SESSIONS_READ, CHARGES_READ)
#: The most rows of an answer.
MOST: Final = 1_000
#: A month in parameters.
MONTH: Final = r"^[12][0-9]{3}-(?:0[1-9]|1[0-2])$"
#: What each parameter may be, for errors.
_WANTED: Final = {
    "after": "0, or the `next` of an answer as it was",
    "page": "0, or the `next_page` of an answer as it was",
    "month": "a month such as 2027-01",
    "limit": f"a whole number from 1 to {MOST}",
}


class Key(HttpBearer):
    """A valid API key with the scope that is needed."""

    openapi_description = "An API key from More → Accounts → API keys, shown once when it is made."

    def __init__(self, scope: str) -> None:
        super().__init__()
        self._scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:  # noqa: ARG002 (ninja's signature)
        """Return the key; None is answered with 401."""
        key = ApiKey.by_token(token)
        if key is not None and self._scope not in key.scopes:
            raise WrongScope(self._scope)
        return key


class WrongScope(Exception):  # noqa: N818 (it names what happened)
    """A valid key without the scope that is needed, which is the text."""


class BadCursor(Exception):  # noqa: N818 (it names what happened)
    """A cursor of another list: of another collector, or of this database before a copy was restored.

    The text says what to do with rows that come again.
    """


class Mistake(Schema):
    """An error: what was found, what was wanted, what to do."""

    detail: str


api = NinjaAPI(
    title="fabgate",
    version="1",
    description="The collector's data for programs. Times are UTC; durations are whole milliseconds; amounts are whole"
    " numbers in the smallest unit of the currency. docs/api-billing.md has a client.",
    openapi_url=None,
    docs_url=None,
    urls_namespace="api",
)


def answers(whole: type[Schema], *, has_cursor: bool) -> dict[int, type[Schema]]:
    """Return the schemas of the answers of an operation, by status."""
    refused = [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED]
    refused += [HTTPStatus.CONFLICT] if has_cursor else []
    return {200: whole, **{int(status): Mistake for status in (*refused, HTTPStatus.UNPROCESSABLE_ENTITY)}}


@api.exception_handler(AuthenticationError)
def no_key(request: HttpRequest, _error: AuthenticationError | type[AuthenticationError]) -> HttpResponse:
    """Answer a request without a valid key."""
    text = "found no valid key in 'Authorization: Bearer'; make one under More, Accounts, API keys"
    answer = api.create_response(request, {"detail": text}, status=401)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="fabgate"'
    return answer


@api.exception_handler(BadCursor)
def other_list(request: HttpRequest, error: BadCursor | type[BadCursor]) -> HttpResponse:
    """Answer a request with the cursor of another list."""
    text = (
        "found an `after` of another list: of another collector, or of this one before it was restored from a copy."
        f" Read again from after=0; {error}"
    )
    return api.create_response(request, {"detail": text}, status=409)


@api.exception_handler(ValidationError)
def not_understood(request: HttpRequest, error: ValidationError | type[ValidationError]) -> HttpResponse:
    """Answer invalid parameters, one part for each mistake."""
    assert isinstance(error, ValidationError)
    names = [mistake["loc"][-1] for mistake in error.errors]
    parts = [f"{name}: found {request.GET.get(name, '')[:40]!r}, wanted {_WANTED[name]}" for name in names]
    return api.create_response(request, {"detail": "; ".join(parts)}, status=422)


@api.exception_handler(WrongScope)
def wrong_scope(request: HttpRequest, error: WrongScope | type[WrongScope]) -> HttpResponse:
    """Answer a request whose key lacks the scope."""
    text = f"this key does not have the scope {error}; make one that does, under More, Accounts, API keys"
    return api.create_response(request, {"detail": text}, status=403)
