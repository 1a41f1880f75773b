"""What may a program ask that bills sessions today? One list in the order of commit, read on from where it stopped.

    curl -H 'Authorization: Bearer fg_…' https://fabgate.example.org/api/v1/sessions?after=0

Keep `next`, and ask with ``after=`` it the next time. A session is told when it has ended, and once more each time that
it says something else: of one session the newest row holds. docs/openapi.json describes it; a test keeps that current.
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
from fabgate.collector.models.words import PURPOSES
from fabgate.collector.people.display_names import called

#: What a key may be for.
SESSIONS_READ: Final = "sessions:read"
SCOPES: Final = (SESSIONS_READ,)
PREFIX: Final = "/api/v1/"
MOST: Final = 1_000
#: What a parameter can be.
_WANTED: Final = {
    "after": "0, or the `next` of an answer as it was",
    "limit": f"a whole number from 1 to {MOST}",
}
#: The position of the last row that was read, and when that row was told, in microseconds since 1970; 0 before any.
CURSOR: Final = r"^(?:0|([1-9][0-9]{0,17})\.[0-9]{1,17})$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Key(HttpBearer):
    """A key that counts now, and is for what is asked."""

    openapi_description = "A key from More → Accounts → Keys, shown once when it is made."

    def __init__(self, scope: str) -> None:
        super().__init__()
        self._scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:  # noqa: ARG002 (ninja's signature)
        """Return the key, or None: answered with 401."""
        key = ApiKey.by_token(token)
        if key is not None and self._scope not in key.scopes:
            raise WrongScope(self._scope)
        return key


class WrongScope(Exception):  # noqa: N818 (it names what happened)
    """A key that counts, but is for something else; the text is the scope that was wanted."""


class BadCursor(Exception):  # noqa: N818 (it names what happened)
    """This list never gave that cursor: another collector did, or this database before it was restored from a copy."""


class SessionRow(Schema):
    """A session as it was when it ended, or was changed; the newest row of a session holds."""

    position: int = Field(ge=1, description="Its place in the list; rows never change, and none is put in between.")
    kind: str = Field(
        description="ended, changed (by later records), corrected (by a person), reviewed (by a person: only `review` is"
        " another one) or withdrawn (still open).",
        json_schema_extra={"enum": [*LedgerLine.KINDS]},
    )
    told_at: datetime
    session: str
    gate: str
    machine: str = Field(description="The machine's name; the gate's where it has none.")
    member: str = Field(description="Who used it: a member's id, group:N, or emergency:LABEL.")
    member_name: str = Field(description="As it is now.")
    payer: str
    payer_name: str = Field(description="As it is now.")
    purpose: str = Field(description="What it was for.", json_schema_extra={"enum": [*PURPOSES]})
    category: str
    started_at: datetime | None
    ended_at: datetime | None = Field(description="The session counts on the day of its end.")
    not_before: datetime | None = Field(description="Set where the dates are only limits.")
    time_ms: int = Field(ge=0, description="What counts, in whole milliseconds.")
    running_ms: int = Field(ge=0)
    uncertainty_ms: int = Field(ge=0, description="The true time lies between time_ms and this much more.")
    reason: str = Field(description="Why it ended; empty when withdrawn.")
    review: str = Field(
        description="Why a person is to look at it still, such as uncertain, or contested by the member; empty: nothing, or"
        " it was settled."
    )
    author: str = Field(description="Of what a person did: who.")
    why: str = Field(description="Of what a person did: why.")


class Sessions(Schema):
    """Rows in the order of commit."""

    sessions: list[SessionRow]
    next: str = Field(pattern=CURSOR, description="Ask with after= this the next time.")
    more: bool = Field(description="Whether there are more rows already.")


class Mistake(Schema):
    """What was found, what was wanted, what to do."""

    detail: str


api = NinjaAPI(
    title="fabgate",
    version="1",
    description="What the collector tells programs. Times are UTC; durations are whole milliseconds.",
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
    after: Annotated[str, Query(pattern=CURSOR, description="The `next` of the answer before; 0 at first.")] = "0",
    limit: Annotated[int, Query(ge=1, le=MOST, description="So many rows at most.")] = 500,
) -> dict[str, Any]:
    """Return the rows beyond `after`."""
    lines = list(LedgerLine.after(_position(after))[: limit + 1])
    shown = lines[:limit]
    return {
        "sessions": list(rows(shown)),
        "next": _cursor(shown[-1]) if shown else after,
        "more": len(lines) > limit,
    }


def rows(lines: list[LedgerLine]) -> Iterable[dict[str, Any]]:
    """Yield lines of the ledger as the API tells them."""
    names = called(who for line in lines for who in (line.used_by, line.payer))
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
    """Return where to read on. A restored copy numbers other rows anew, and then the moment is another one."""
    match = re.match(CURSOR, cursor)
    if match is None or match[1] is None:
        return 0
    line = LedgerLine.objects.filter(pk=int(match[1])).only("at").first()
    if line is None or _cursor(line) != cursor:
        raise BadCursor
    return line.pk


@api.exception_handler(AuthenticationError)
def no_key(request: HttpRequest, _error: AuthenticationError | type[AuthenticationError]) -> HttpResponse:
    """Answer who has no key."""
    text = "found no key that counts in 'Authorization: Bearer'; wanted one from More, Accounts, Keys of programs"
    answer = api.create_response(request, {"detail": text}, status=401)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="fabgate"'
    return answer


@api.exception_handler(BadCursor)
def other_list(request: HttpRequest, _error: BadCursor | type[BadCursor]) -> HttpResponse:
    """Answer a cursor that this list never gave."""
    text = (
        "found an `after` that this list never gave: it is another collector's, or this one was restored from a copy."
        " Read it again from after=0; rows are told apart by `session`, and of each the newest holds"
    )
    return api.create_response(request, {"detail": text}, status=409)


@api.exception_handler(ValidationError)
def not_understood(request: HttpRequest, error: ValidationError | type[ValidationError]) -> HttpResponse:
    """Answer what could not be read, one part a mistake."""
    assert isinstance(error, ValidationError)
    names = [mistake["loc"][-1] for mistake in error.errors]
    parts = [f"{name}: found {request.GET.get(name, '')[:40]!r}, wanted {_WANTED[name]}" for name in names]
    return api.create_response(request, {"detail": "; ".join(parts)}, status=422)


@api.exception_handler(WrongScope)
def wrong_scope(request: HttpRequest, error: WrongScope | type[WrongScope]) -> HttpResponse:
    """Answer a key that is for something else."""
    text = f"this key is not for {error}; make one that is, under More, Accounts, Keys"
    return api.create_response(request, {"detail": text}, status=403)


@require_safe
def openapi(_request: HttpRequest) -> JsonResponse:
    """Describe the API to programs; nothing in it is secret."""
    return JsonResponse(document())


def document() -> dict[str, Any]:
    """Return the OpenAPI document, as docs/openapi.json has it."""
    found = dict(api.get_openapi_schema(path_prefix=PREFIX))
    for asked in found["paths"].values():
        for operation in asked.values():
            told = operation["responses"]
            # RFC 9110's words on every Python: before 3.13 its list had older ones.
            told[HTTPStatus.UNPROCESSABLE_ENTITY]["description"] = "Unprocessable Content"
            for status, header in _HEADERS.items():
                told[status]["headers"] = {header: {"required": True, "schema": {"type": "string"}}}
            told[HTTPStatus.OK]["links"] = {"next": _NEXT}
    return found


#: How one answer leads to the next.
_NEXT: Final = {"operationId": "sessions", "parameters": {"after": "$response.body#/next"}}
#: What an answer carries beside its text.
_HEADERS: Final = {HTTPStatus.UNAUTHORIZED: "WWW-Authenticate", HTTPStatus.METHOD_NOT_ALLOWED: "Allow"}


def _read(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let `view` be asked with HEAD too, and answer it compressed to whoever takes that."""
    whole = gzip_page(view)

    @require_safe
    @wraps(view)
    def answer(request: HttpRequest, **named: Any) -> HttpResponse:
        request.method = "GET"  # ninja knows of no HEAD; the server leaves the body out
        return whole(request, **named)

    return answer


#: Without ninja's own start page: it would need a second name in the table of rights, and shows nothing.
urlpatterns = [
    path("openapi.json", openapi, name="api-openapi"),
    *(
        path(str(route.pattern), _read(route.callback), name=route.name)
        for route in api.urls[0]
        if isinstance(route, URLPattern) and route.name != "api-root"
    ),
]
