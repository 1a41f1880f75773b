"""The API for billing programs: sessions in the order of commits, from where the program stopped.

    curl -H 'Authorization: Bearer fg_…' https://fabgate.example.org/api/v1/sessions?after=0

Store `next`, and pass it as ``after=`` the next time. A session appears when it has ended, and again after each change;
its newest row applies. docs/openapi.json describes the API, and a test compares it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import wraps
from http import HTTPStatus
from typing import Annotated, Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from ninja import Field, NinjaAPI, Query, Schema
from ninja.errors import AuthenticationError, ValidationError
from ninja.security import HttpBearer

from fabgate.collector.models import ApiKey, LedgerLine
from fabgate.collector.models.sessions.words import PURPOSES
from fabgate.collector.people.display_names import names_of

#: The scopes of API keys.
SESSIONS_READ: Final = "sessions:read"
SCOPES: Final = (SESSIONS_READ,)
PREFIX: Final = "/api/v1/"
MOST: Final = 1_000
#: What each parameter may be, for errors.
_WANTED: Final = {
    "after": "0, or the `next` of an answer as it was",
    "limit": f"a whole number from 1 to {MOST}",
}
#: The position of the last row that was read, and its time in microseconds since 1970; 0 before any.
CURSOR: Final = r"^(?:0|([1-9][0-9]{0,17})\.[0-9]{1,17})$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
    """A cursor of another list: of another collector, or of this database before a copy was restored."""


class SessionRow(Schema):
    """A session as it was when it ended or changed; the newest row of a session applies."""

    position: int = Field(ge=1, description="Its place in the list; rows never change, and none is inserted between.")
    kind: str = Field(
        description="ended, changed (by later entries), corrected (by a person), reviewed (by a person: only `review`"
        " changed) or withdrawn (still open).",
        json_schema_extra={"enum": [*LedgerLine.KINDS]},
    )
    told_at: datetime
    session: str
    gate: str
    machine: str = Field(description="The machine's name, or the gate's if it has no machine.")
    member: str = Field(description="Who used it: a member's id, group:N, or emergency:LABEL.")
    member_name: str = Field(description="The present name.")
    payer: str = Field(description="Who pays: a member's id, group:N, or payer:N for an organisation.")
    payer_name: str = Field(description="The present name.")
    purpose: str = Field(description="The purpose of the session.", json_schema_extra={"enum": [*PURPOSES]})
    category: str
    started_at: datetime | None
    ended_at: datetime | None = Field(description="The session counts on the day of its end.")
    not_before: datetime | None = Field(description="Set if the dates are only limits.")
    time_ms: int = Field(ge=0, description="What counts, in whole milliseconds.")
    running_ms: int = Field(ge=0)
    uncertainty_ms: int = Field(ge=0, description="The true time is between time_ms and time_ms + uncertainty_ms.")
    reason: str = Field(description="Why it ended; empty if withdrawn.")
    review: str = Field(
        description="Why a person still has to check it, such as uncertain, or contested by the member; empty: nothing"
        " to check, or it was settled."
    )
    author: str = Field(description="For corrections and reviews: by whom.")
    why: str = Field(description="For corrections and reviews: why.")


class Sessions(Schema):
    """Rows in the order of commits."""

    sessions: list[SessionRow]
    next: str = Field(pattern=CURSOR, description="The value of after= for the next request.")
    more: bool = Field(description="Whether there are already more rows.")


class Mistake(Schema):
    """An error: what was found, what was wanted, what to do."""

    detail: str


api = NinjaAPI(
    title="fabgate",
    version="1",
    description="The collector's data for programs. Times are UTC; durations are whole milliseconds.",
    openapi_url=None,
    docs_url=None,
    urls_namespace="api",
)


@api.get(
    "/sessions",
    url_name="api-sessions",
    operation_id="sessions",
    auth=Key(SESSIONS_READ),
    response={200: Sessions, 401: Mistake, 403: Mistake, 405: Mistake, 409: Mistake, 422: Mistake},
    summary="Sessions and their corrections, in the order of commit",
)
def sessions(
    request: HttpRequest,  # noqa: ARG001 (ninja's signature)
    after: Annotated[str, Query(pattern=CURSOR, description="`next` of the previous answer; 0 at first.")] = "0",
    limit: Annotated[int, Query(ge=1, le=MOST, description="The largest number of rows.")] = 500,
) -> dict[str, Any]:
    """Return the rows after `after`."""
    lines = list(LedgerLine.after(_position(after))[: limit + 1])
    shown = lines[:limit]
    return {
        "sessions": list(rows(shown)),
        "next": _cursor(shown[-1]) if shown else after,
        "more": len(lines) > limit,
    }


def rows(lines: list[LedgerLine]) -> Iterable[dict[str, Any]]:
    """Yield ledger lines as the API shows them."""
    names = names_of(who for line in lines for who in (line.used_by, line.payer))
    same = ("kind", "payer", "purpose", "category", "started_at", "ended_at", "not_before", "running_ms")
    for line in lines:
        yield {
            **{name: getattr(line, name) for name in (*same, "uncertainty_ms", "reason", "review", "author", "why")},
            "position": line.pk,
            "told_at": line.at,
            "session": line.session_id,
            "gate": line.session.gate.name,
            "machine": line.session.machine_name,
            "member": line.used_by,
            "member_name": str(names.get(line.used_by, "")),
            "payer_name": str(names.get(line.payer, "")),
            "time_ms": line.counted_ms,
        }


def _cursor(line: LedgerLine) -> str:
    return f"{line.pk}.{(line.at - _EPOCH) // timedelta(microseconds=1)}"


def _position(cursor: str) -> int:
    """Return the position to continue from.

    Raises BadCursor for a cursor from before a restore: the same row then has another time.
    """
    match = re.match(CURSOR, cursor)
    if match is None or match[1] is None:
        return 0
    line = LedgerLine.objects.filter(pk=int(match[1])).only("at").first()
    if line is None or _cursor(line) != cursor:
        raise BadCursor
    return line.pk


@api.exception_handler(AuthenticationError)
def no_key(request: HttpRequest, _error: AuthenticationError | type[AuthenticationError]) -> HttpResponse:
    """Answer a request without a valid key."""
    text = "found no valid key in 'Authorization: Bearer'; make one under More, Accounts, API keys"
    answer = api.create_response(request, {"detail": text}, status=401)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="fabgate"'
    return answer


@api.exception_handler(BadCursor)
def other_list(request: HttpRequest, _error: BadCursor | type[BadCursor]) -> HttpResponse:
    """Answer a request with the cursor of another list."""
    text = (
        "found an `after` of another list: of another collector, or of this one before it was restored from a copy."
        " Read again from after=0; rows with the same `session` replace each other, and the newest applies"
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


@require_safe
def openapi(_request: HttpRequest) -> JsonResponse:
    """Serve the OpenAPI document, which is public."""
    return JsonResponse(document())


def document() -> dict[str, Any]:
    """Return the OpenAPI document, which is also docs/openapi.json."""
    found = dict(api.get_openapi_schema(path_prefix=PREFIX))
    for asked in found["paths"].values():
        for operation in asked.values():
            responses = operation["responses"]
            # the reason phrase of RFC 9110, which Python has since 3.13
            responses[HTTPStatus.UNPROCESSABLE_ENTITY]["description"] = "Unprocessable Content"
            for status, header in _HEADERS.items():
                responses[status]["headers"] = {header: {"required": True, "schema": {"type": "string"}}}
            responses[HTTPStatus.OK]["links"] = {"next": _NEXT}
    return found


#: The link from one answer to the next.
_NEXT: Final = {"operationId": "sessions", "parameters": {"after": "$response.body#/next"}}
#: Headers of error responses.
_HEADERS: Final = {HTTPStatus.UNAUTHORIZED: "WWW-Authenticate", HTTPStatus.METHOD_NOT_ALLOWED: "Allow"}


def _read(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Allow HEAD on `view`, and compress its answers for clients that accept it."""
    whole = gzip_page(view)

    @require_safe
    @wraps(view)
    def answer(request: HttpRequest, **named: Any) -> HttpResponse:
        request.method = "GET"  # ninja does not know HEAD; the server drops the body
        return whole(request, **named)

    return answer


#: Without ninja's own start page, which would need a row in the table of rights and shows nothing.
urlpatterns = [
    path("openapi.json", openapi, name="api-openapi"),
    *(
        path(str(route.pattern), _read(route.callback), name=route.name)
        for route in api.urls[0]
        if isinstance(route, URLPattern) and route.name != "api-root"
    ),
]
