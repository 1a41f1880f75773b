"""How much of a session is certain while its figures are in doubt: what its payer owes whatever a person decides. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.ground.models.sessions.words import EARLIER_HOLDER
from fabgate.collector.recording.sessions import merge
from fabgate.collector.recording.sessions.merge import DerivedSession

if TYPE_CHECKING:
    from fabgate.collector.ground.models import UsageSession


def certain_ms(session: DerivedSession | UsageSession) -> int:
    """Return the certain time of an ended session that the books themselves doubt, in milliseconds; at most what counts.

    That is what its end names, without a higher counter of an earlier report; at most the time between its dates, if the
    counter is above it, and what its roster allows. Nothing is certain where somebody else may have used the machine.
    """
    if counted.is_time_corrected(session):
        return session.counted_ms
    if session.doubt in (merge.OVERLAP, EARLIER_HOLDER):
        return 0
    limits = [session.counted_ms, recorded_ms(session)]
    if session.doubt == merge.TOO_MUCH_TIME and (between_ms := merge.between_ms(session)) is not None:
        limits.append(max(0, between_ms))
    if session.doubt == merge.TOO_LONG:
        limits.append(merge.longest_ms(session))
    return min(limits)


def recorded_ms(session: DerivedSession | UsageSession) -> int:
    """Return the time that the end names; without an end, that of the latest report."""
    return session.last_energised_ms if session.has_end else session.energised_ms
