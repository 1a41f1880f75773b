"""The routes of the API for programs, and its description, docs/openapi.json."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from fabgate.collector.faces.api.programs import charges, sessions, statements
from fabgate.collector.faces.api.programs.interface import api

PREFIX: Final = "/api/v1/"
#: The modules whose operations are part of the API: they add themselves to it.
OPERATIONS: Final = (sessions, charges, statements)


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
            link = {_FROM[one["name"]]: one["name"] for one in operation["parameters"] if one["name"] in _FROM}
            for field, parameter in link.items():
                again = {"operationId": operation["operationId"]}
                given = {parameter: f"$response.body#/{field}"}
                if any(one["name"] == "month" for one in operation["parameters"]):
                    given["month"] = "$request.query.month"
                responses[HTTPStatus.OK]["links"] = {"next": {**again, "parameters": given}}
    return found


#: Which field of an answer is the next request's parameter.
_FROM: Final = {"after": "next", "page": "next_page"}
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
