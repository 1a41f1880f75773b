"""The three requests of a gate that joins. They need no token: each step proves that the gate knows the code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from msgspec import Struct

from fabgate.collector.members.accounts import sign_in
from fabgate.collector.members.machines import joins
from fabgate.collector.members.machines.joins import JoinRefused
from fabgate.errors import SealError, UsageError
from fabgate.join import messages

_Kind = TypeVar("_Kind", bound=Struct)


@csrf_exempt
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Answer the first message of an exchange."""
    address = sign_in.address_of(request)
    return _answer(request, messages.Begin, lambda asked: joins.begin(asked, address, datetime.now(UTC)))


@csrf_exempt
@require_POST
def agree(request: HttpRequest) -> HttpResponse:
    """Give a gate that knows the code its identity, sealed."""
    return _answer(request, messages.Agree, lambda asked: joins.agree(asked, datetime.now(UTC)))


@csrf_exempt
@require_POST
def finish(request: HttpRequest) -> HttpResponse:
    """Make the gate valid."""
    return _answer(request, messages.Finish, lambda asked: joins.finish(asked, datetime.now(UTC)))


def _answer(request: HttpRequest, kind: type[_Kind], step: Callable[[_Kind], Struct]) -> HttpResponse:
    try:
        found = step(messages.decode(request.body, kind))
    except JoinRefused as error:
        return _say(error.status, str(error))
    except (UsageError, SealError) as error:
        return _say(400, str(error))
    return HttpResponse(messages.encode(found), content_type="application/json")


def _say(status: int, text: str) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, content_type="text/plain; charset=utf-8")
