"""Sessions for billing programs, in the order of commits, from where the program stopped.

    curl -H 'Authorization: Bearer fg_…' https://fabgate.example.org/api/v1/sessions?after=0

Store `next`, and pass it as ``after=`` the next time. A session appears when it has ended, and again after each change;
its newest row applies. docs/openapi.json describes the API, and a test compares it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest
from ninja import Field, Query, Schema

from fabgate.collector.faces.api.programs import money
from fabgate.collector.faces.api.programs.interface import MOST, SESSIONS_READ, BadCursor, Key, answers, api
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Correction, LedgerLine
from fabgate.collector.ground.models.sessions.words import PURPOSES
from fabgate.collector.members.people.display_names import names_of
from fabgate.collector.money.billing import member_plans, terms
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.recording.entries import completeness

#: The position of the last row that was read, and its time in microseconds since 1970; 0 before any.
CURSOR: Final = r"^(?:0|([1-9][0-9]{0,17})\.[0-9]{1,17})$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: What the rows of a page read of their sessions, machines and gates.
_READ: Final = (
    *("session__energised_ms", "session__running_ms", "session__corrected", "session__basis", "session__supervisor"),
    "session__energy_wh",
    *("session__not_after", "session__gate__name", "session__machine__name", "session__machine__category"),
)


class SessionRow(Schema):
    """A session as it was when it ended or changed; the newest row of a session applies.

    Fields "as of now", like names, are those of the moment of the request, also in earlier rows.
    """

    position: int = Field(ge=1, description="Its place in the list; rows never change, and none is inserted between.")
    kind: str = Field(
        description="ended, changed (by later entries), corrected (by a person), reviewed (by a person: only `review`"
        " changed) or withdrawn (still open).",
        json_schema_extra={"enum": [*LedgerLine.KINDS]},
    )
    at: datetime = Field(description="When the row was added.")
    session: str
    gate: str
    machine: str = Field(description="The machine's name, or the gate's if it has no machine.")
    used_by: str = Field(description="The user of the machine: a member's id, group:N, or emergency:LABEL.")
    used_by_name: str = Field(description="The present name.")
    payer: str = Field(description="The payer: a member's id, group:N, or payer:N for an organisation.")
    payer_name: str = money.PAYER_NAME
    purpose: str = Field(description="The purpose of the session.", json_schema_extra={"enum": [*PURPOSES]})
    category: str = Field(description="The member's category when the session began.")
    plan: str = Field(description="The member's plan on the day of the end, by its name; empty without one. As of now.")
    machine_category: str = Field(description="The machine's category; empty without one. As of now.")
    started_at: datetime | None
    ended_at: datetime | None = Field(description="The session counts on the day of its end.")
    not_before: datetime | None = Field(description="Set if the dates are only limits.")
    not_after: datetime | None = Field(description="The other limit: set if the start or the end has no exact date.")
    counted_ms: int = Field(ge=0, description="The billable time, in whole milliseconds.")
    running_ms: int = Field(ge=0)
    recorded_ms: int = Field(
        ge=0,
        description="The time that the gate recorded, which differs from `counted_ms` after a correction. As of now.",
    )
    recorded_running_ms: int = Field(ge=0, description="The running time that the gate recorded. As of now.")
    energy_wh: int | None = Field(
        ge=0, description="What the machine took, in Wh, by its own meter; null: not known, which is not 0. As of now."
    )
    corrected: list[str] = Field(
        description="The fields that a person had corrected by then.",
        json_schema_extra={"items": {"type": "string", "enum": [*Correction.FIELDS]}},
    )
    basis: str = Field(description="Why the gate gave power, such as grant, maintainer or emergency.")
    supervisor: str | None = Field(description="The id of the supervisor who tapped too.")
    uncertainty_ms: int = Field(
        ge=0, description="The true time is between counted_ms and counted_ms + uncertainty_ms."
    )
    reason: str = Field(description="Why it ended; empty if withdrawn.")
    review: str = Field(
        description="Why a person still has to check it, such as uncertain, or contested by the member; empty: nothing"
        " to check, or it was settled."
    )
    author: str = Field(description="For corrections and reviews: by whom.")
    why: str = Field(description="For corrections and reviews: why.")


class Completeness(Schema):
    """Until when everything that a gate recorded is here."""

    gate: str
    complete_until: datetime | None = Field(
        description="No entry of this gate from before is missing; null: not known."
    )
    behind: bool = Field(description="Whether it has reported entries that are missing.")
    counts: bool = Field(description="Whether it counts for all gates: it is behind, or its machine is in use.")


class Sessions(Schema):
    """Rows in the order of commits."""

    sessions: list[SessionRow]
    next: str = Field(pattern=CURSOR, description="The value of after= for the next request.")
    more: bool = Field(description="Whether there are already more rows.")
    complete_until: datetime | None = Field(
        description="For all gates that count: once `more` is false, no session that ended before is missing in the rows"
        " up to here. Entries that were lost at a gate never come, and people may correct any session. Null: not known."
    )
    gates: list[Completeness] = Field(description="The same for each gate.")


@api.get(
    "/sessions",
    url_name="api-sessions",
    operation_id="sessions",
    auth=Key(SESSIONS_READ),
    response=answers(Sessions, has_cursor=True),
    summary="Sessions and their corrections, in the order of commit",
)
def sessions(
    request: HttpRequest,  # noqa: ARG001 (ninja's signature)
    after: Annotated[str, Query(pattern=CURSOR, description="`next` of the previous answer; 0 at first.")] = "0",
    limit: Annotated[int, Query(ge=1, le=MOST, description="The largest number of rows.")] = 500,
) -> dict[str, Any]:
    """Return the rows after `after`."""
    position = _position(after)
    # Before the rows are read: what is here until then is among them.
    gates = completeness.by_gate()
    lines = list(LedgerLine.after(position).only(*_OWN, *_READ)[: limit + 1])
    shown = lines[:limit]
    return {
        "sessions": list(rows(shown)),
        "next": _cursor(shown[-1]) if shown else after,
        "more": len(lines) > limit,
        "complete_until": completeness.complete_until(gates),
        "gates": [
            {"gate": one.gate, "complete_until": one.until, "behind": one.is_behind, "counts": one.counts}
            for one in gates
        ],
    }


_OWN: Final = tuple(field.name for field in LedgerLine._meta.concrete_fields)  # noqa: SLF001 (Django's name for it)
#: The fields of a row that are columns of the line.
_SAME: Final = (
    *("kind", "payer", "purpose", "category", "started_at", "ended_at", "not_before", "running_ms", "uncertainty_ms"),
    *("reason", "review", "author", "why"),
)


def rows(lines: list[LedgerLine]) -> Iterable[dict[str, Any]]:
    """Yield ledger lines as the API shows them."""
    names, called = names_of(line.used_by for line in lines), payers.legal_names({line.payer for line in lines})
    plans = member_plans.histories({line.used_by for line in lines}) if lines else {}
    billed = terms.started() if plans else None
    zone = ZoneInfo(billed.zone if billed else settings.ENVIRONMENT.tz)
    corrected = _corrected(lines)
    for line in lines:
        session, history = line.session, plans.get(line.used_by)
        yield {
            **{name: getattr(line, name) for name in _SAME},
            "position": line.pk,
            "at": line.at,
            "session": line.session_id,
            "gate": session.gate.name,
            "machine": session.machine_name,
            "machine_category": session.machine.category if session.machine else "",
            "used_by": line.used_by,
            "used_by_name": str(names.get(line.used_by, "")),
            "payer_name": called.get(line.payer, ""),
            "plan": member_plans.plan_on(history, line.ended_at.astimezone(zone).date())
            if history and line.ended_at
            else "",
            "not_after": session.not_after,
            "counted_ms": line.counted_ms,
            "recorded_ms": session.energised_ms,
            "recorded_running_ms": session.running_ms,
            "energy_wh": session.energy_wh,
            "corrected": sorted({field for at, field in corrected.get(line.session_id, ()) if at <= line.at}),
            "basis": session.basis,
            "supervisor": session.supervisor,
        }


def _corrected(lines: Iterable[LedgerLine]) -> Mapping[str, list[tuple[datetime, str]]]:
    """Return the corrections of the sessions of `lines`: when, and of which field."""
    wanted = sorted({line.session_id for line in lines if line.session.corrected})
    found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for session, at, field in statements.rows_among(Correction.objects.all(), "session", wanted, "at", "field"):
        found[session].append((at, field))
    return found


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
        raise BadCursor("rows with the same `session` replace each other, and the newest applies")
    return line.pk
