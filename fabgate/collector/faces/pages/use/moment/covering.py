"""Finds the sessions that cover a moment at a machine, certainly or perhaps.

No list here is cut off, because the page may have to state that no one used the machine. A session covers the moment
certainly if it is between its start and its counted end, and perhaps if the records leave that open. The candidates are
found by several queries, each answered by an index, so that the machine's later sessions cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from fabgate.collector.ground.models import Correction, Entry, Journal, Machine, Review, UsageSession
from fabgate.collector.ground.models.sessions.words import JOURNAL_LOST
from fabgate.collector.recording.sessions.merge import BEFORE_FIRST, CONCLUDED, MAX_UNREVIEWED_MS, was_clock_set

_MS: Final = timedelta(milliseconds=1)
#: Why a session only perhaps covers a moment; CERTAIN if there is no doubt.
CERTAIN, UNCERTAIN, UNDATED, UNHEARD, LOST, CLOCK, CORRECTED = (
    *("", "uncertain", "undated", "unheard", "lost", "clock", "corrected"),
)


@dataclass(frozen=True, slots=True)
class Around:
    """The sessions at a machine around a moment.

    `covering` are those that cover it, with the reason for doubt, ordered by their start. `before` is the last session
    that ended before it, `after` the first that started after it.
    """

    covering: list[tuple[UsageSession, str]]
    before: UsageSession | None
    after: UsageSession | None


def around(machine: Machine, moment: datetime) -> Around:
    """Return the sessions at a machine around a moment."""
    candidates = _candidates(machine, moment)
    covering = [(one, why) for one in candidates if (why := perhaps(one, moment)) is not None]
    covered = {one.pk for one, _ in covering}
    # The machine was switched off before the moment, although the end may have been recorded after it.
    passed = [one for one in candidates if one.pk not in covered and (_went_off(one) or moment) < moment]
    known = covered | {one.pk for one in candidates if (_began(one) or moment) <= moment}
    rows = _at(machine).filter(ended_at__isnull=False).exclude(pk__in=known)
    last = rows.filter(ended_at__lt=moment).order_by("-ended_at", "-id").first()
    went_off = [one for one in (*passed, last) if one is not None]
    return Around(
        covering=sorted(covering, key=lambda found: (_began(found[0]) or moment, found[0].pk)),
        before=max(went_off, key=lambda one: (_went_off(one) or moment, one.pk), default=None),
        after=_first_after(machine, moment, rows),
    )


def perhaps(session: UsageSession, moment: datetime) -> str | None:
    """Return None if the session does not cover the moment, CERTAIN if it does, else the reason for doubt."""
    start = _began(session)
    if session.reason is None:
        if start is not None and start > moment:
            return None
        heard = heard_at(session)
        return CERTAIN if heard is None or moment <= heard else UNHEARD
    end = session.counted_until
    assert end is not None
    if session.is_about:
        return UNDATED if (start is None or start <= moment) and moment <= end else None
    if session.clock_off_ms is not None or was_clock_set(session) or session.doubt == BEFORE_FIRST:
        return CLOCK if any(first <= moment <= last for first, last in _spans(session)) else None
    if start is None:
        return _without_start(session, moment, end)
    if moment < start:
        return None
    return CERTAIN if moment <= end else _after_end(session, moment, end)


def heard_at(session: UsageSession) -> datetime | None:
    """Return when the gate last reported an open session; None if it still reports it."""
    gate = session.gate
    last = session.last_at or session.last_arrived_at
    if gate.session != session.pk or gate.seen_at is None:
        return last
    return None if gate.is_online(timezone.now()) else max(filter(None, (gate.seen_at, last)))


def _at(machine: Machine) -> QuerySet[UsageSession]:
    return UsageSession.objects.filter(machine=machine).select_related("machine", "gate", "opened_in")


def _candidates(machine: Machine, moment: datetime) -> list[UsageSession]:
    """Return every session that may cover the moment."""
    rows = _at(machine)
    reviewed = rows.filter(pk__in=Review.objects.values("session"))
    parts = (
        _lasting(machine, moment),
        # An end with at most this uncertainty has no review; every other doubt has one.
        rows.filter(
            uncertain=True, ended_at__lt=moment, ended_at__gte=moment - timedelta(milliseconds=MAX_UNREVIEWED_MS)
        ),
        reviewed.filter(Q(reason=JOURNAL_LOST) | Q(uncertainty_ms__gt=0), ended_at__lt=moment),
        reviewed.filter(Q(clock_off_ms__isnull=False) | Q(doubt=BEFORE_FIRST)),
        reviewed.filter(start_timed=True, last_timed=True, start_boot=F("last_boot")),
        rows.filter(pk__in=Correction.objects.filter(field=Correction.TIME).values("session"), ended_at__lt=moment),
        UsageSession.open().filter(machine=machine).select_related("opened_in"),
    )
    return list({one.pk: one for part in parts for one in part}.values())


def _lasting(machine: Machine, moment: datetime) -> QuerySet[UsageSession]:
    """Return the sessions that began before the moment and ended after it, by their dates or the limits of their dates.

    The query is for all machines first, because the index by end includes the start, and few sessions contain one
    moment.
    """
    ended = UsageSession.objects.filter(ended_at__isnull=False, ended_at__gte=moment)
    lasting = ended.filter(Q(started_at__lte=moment) | Q(started_at__isnull=True)).values("pk")
    can_be = Q(started_at__isnull=False) | Q(not_before__isnull=True) | Q(not_before__lte=moment)
    return _at(machine).filter(can_be, pk__in=lasting)


def _began(session: UsageSession) -> datetime | None:
    return session.started_at or session.not_before


def _went_off(session: UsageSession) -> datetime | None:
    return None if session.reason is None else session.counted_until


def _after_end(session: UsageSession, moment: datetime, end: datetime) -> str | None:
    """Return why a session may cover a moment after its counted end; None if it cannot."""
    if session.is_time_corrected:
        recorded = session.recorded_until
        assert recorded is not None
        return CORRECTED if moment <= recorded + session.uncertainty_ms * _MS else None
    if moment <= end + session.uncertainty_ms * _MS:
        return UNCERTAIN
    if session.reason == JOURNAL_LOST and not session.has_end:
        next_word = _next_word(session.opened_in)
        return LOST if next_word is None or moment <= next_word else None
    return None


def _without_start(session: UsageSession, moment: datetime, end: datetime) -> str | None:
    """Return the same for a session without a start: it was on for its counted time, until its end."""
    if moment > end:
        return _after_end(session, moment, end)
    if session.reason in CONCLUDED:
        # The end has the date of the gate's next start, an unknown time after the power failed. A gate has one session
        # at a time, so this one started after the previous one ended.
        before = UsageSession.objects.filter(gate=session.gate_id, ended_at__lt=session.ended_at)
        last = before.order_by("-ended_at", "-id").values_list("ended_at", flat=True).first()
        return UNDATED if last is None or moment > last else None
    return CERTAIN if moment >= end - session.counted_ms * _MS else None


def _spans(session: UsageSession) -> Iterator[tuple[datetime, datetime]]:
    """Yield the spans in which a session with wrong dates may have taken place."""
    start, end = session.started_at, session.recorded_until
    assert end is not None
    on = max(session.energised_ms, session.counted_ms) * _MS
    more = session.uncertainty_ms * _MS
    if was_clock_set(session):  # one of the two dates is right
        assert start is not None
        lasted = max((session.last_boottime_ms - session.start_boottime_ms) * _MS, on)
        yield start, start + lasted + more
        yield end - lasted, end + more
        yield min(start, end), max(start, end)
        return
    start = start or end - on
    if session.doubt == BEFORE_FIRST and session.gate.earliest_at is not None:  # or later, until it arrived here
        yield session.gate.earliest_at, Review.objects.values_list("opened_at", flat=True).get(session=session)
    off = (session.clock_off_ms or 0) * _MS
    yield (start - off, end + more) if off > timedelta() else (start, end - off + more)


def _next_word(journal: Journal) -> datetime | None:
    """Return the first date in the gate's next journals, or None."""
    seen = set()
    following = journal.superseded_by
    while following is not None and following.pk not in seen:
        seen.add(following.pk)
        own = Entry.objects.filter(journal=following, occurred_at__isnull=False, copyof__isnull=True)
        at = own.order_by("seq").values_list("occurred_at", flat=True).first()
        if at is not None:
            return at
        following = following.superseded_by
    return None


def _first_after(machine: Machine, moment: datetime, rows: QuerySet[UsageSession]) -> UsageSession | None:
    """Return the first session that started after the moment; `rows` are the ended sessions not looked at yet.

    It is not always the one that ended first: a session with an earlier start may have ended later.
    """
    first = rows.filter(ended_at__gte=moment).order_by("ended_at", "id").first()
    found: list[UsageSession] = [] if first is None else [first]
    if first is not None and first.started_at is not None:
        found += _lasting(machine, first.started_at).filter(started_at__gt=moment)
    found += UsageSession.open().filter(machine=machine, started_at__gt=moment)
    undated = first if first is not None and _began(first) is None else None
    return min(_later(found, moment), key=lambda one: (_began(one) or moment, one.pk), default=undated)


def _later(sessions: Iterable[UsageSession], moment: datetime) -> Iterator[UsageSession]:
    return (one for one in sessions if (began := _began(one)) is not None and began > moment)
