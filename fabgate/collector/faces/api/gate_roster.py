"""Serves each gate its roster over HTTP, sealed."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from fabgate import wire
from fabgate.collector.ground.base import roster_gzip
from fabgate.collector.ground.models import Gate
from fabgate.collector.members.access import roster
from fabgate.collector.members.accounts import sign_in
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.members.people import blocks
from fabgate.errors import UsageError
from fabgate.seal import Keys

_NONCE = re.compile(r"[A-Za-z0-9_+/=.~-]{16,128}")


@require_safe
def gate_roster(request: HttpRequest, gate: str) -> HttpResponse:
    """Serve the roster of `gate` to clients that have its token. The seal covers the nonce, against replays."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    address, now = sign_in.address_of(request), datetime.now(UTC)
    row = Gate.by_token(gate, token)
    if row is None:
        clones.refused(gate, token, address, now)
        answer = _say(401, "found no token of this gate in 'Authorization: Bearer', wanted the one from gate-add")
        answer.headers["WWW-Authenticate"] = 'Bearer realm="fabgate"'
        return answer
    clones.fetched(row, request.headers.get(wire.HEADER_BOOT, ""), address, now)
    if blocks.lift_ended():
        row.refresh_from_db()
    nonce = request.headers.get(wire.HEADER_NONCE, "")
    if not _NONCE.fullmatch(nonce):
        return _say(400, f"found no usable {wire.HEADER_NONCE}, wanted 16 to 128 random letters and digits")
    if not row.roster_version:
        return _say(404, "no roster was built for this gate: it has no machine")
    try:
        keys = roster.gate_keys(settings.ENVIRONMENT, row.name)
    except UsageError as error:
        return _say(503, str(error))
    account = wire.GateTopics(settings.ENVIRONMENT.site, row.name).account
    etag = f'"{row.roster_version}"'
    if etag in {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}:
        answer = _same(row, keys, account, nonce)
    else:
        answer = _whole(row, keys, account, nonce, compress="gzip" in request.headers.get("Accept-Encoding", ""))
    answer.headers["ETag"] = etag
    answer.headers["Vary"] = "Accept-Encoding"
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers[wire.HEADER_VERSION] = str(row.roster_version)
    return answer


def _whole(row: Gate, keys: Keys, account: str, nonce: str, *, compress: bool) -> HttpResponse:
    small = row.packed_roster
    body = roster_gzip.unpack(small)
    answer = HttpResponse(content_type="application/json")
    answer.headers[wire.HEADER_SEAL] = keys.seal(wire.PURPOSE_ROSTER, account, wire.sealed_roster(body, nonce))
    if compress:
        answer.headers["Content-Encoding"] = "gzip"
    answer.content = small if compress else body
    return answer


def _same(row: Gate, keys: Keys, account: str, nonce: str) -> HttpResponse:
    date = http_date(time.time())
    answer = HttpResponse(status=304)
    answer.headers["Date"] = date
    covered = wire.sealed_same(row.roster_version, date, nonce)
    answer.headers[wire.HEADER_SEAL] = keys.seal(wire.PURPOSE_ROSTER_SAME, account, covered)
    return answer


def _say(status: int, text: str) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, content_type="text/plain; charset=utf-8")
