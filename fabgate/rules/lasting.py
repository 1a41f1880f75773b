"""What happens while a session lasts? Checkpoints and progress, more time, the grace of an empty holder.

And whether its member may still use the machine at all: who is blocked or expires in mid-session is never cut, but
ended as a lock would.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules import vocabulary as w
from fabgate.rules.notebook import Notebook
from fabgate.rules.owner import Phase, Session

PROGRESS_MS: Final = 15 * 60_000


class Lasting(Notebook):
    """The small events of a running session."""

    def _checkpoint(self) -> None:
        session = self._owner()
        session.checkpoint_at = self._now.boot_ms + self._checkpoint_ms
        session.meter = session.meter.read(self._now.boot_ms)
        if self._phase is not Phase.HANDING_OVER:
            meter = session.meter
            self._out.append(w.Checkpoint(session.id, meter.energised_ms, meter.running_ms, self._now))
        self._recheck()

    def _progress(self) -> None:
        session = self._owner()
        session.progress_at = self._now.boot_ms + PROGRESS_MS
        session.meter = session.meter.read(self._now.boot_ms)
        if self._phase is not Phase.HANDING_OVER:
            meter = session.meter
            self._record(w.Progress(session.id, session.member, session.badge, meter.energised_ms, meter.running_ms))

    def _recheck(self) -> None:
        """End the session, once idle, when its member may no longer use the machine (blocked, expired, window over)."""
        session = self._session
        if session is None or self._phase not in (Phase.ACTIVE, Phase.HANDING_OVER):
            return
        badge = session.supervisor_badge if session.sponsored else session.badge
        if self._person(self._holder(badge, session.member)).basis is None or self._guest_barred(session):
            self._wish_end(w.EndReason.REVOKED)

    def _extend(self, session: Session, *, always: bool = False) -> bool:
        """Extend a session that is soon over, or `always`; say whether that was possible."""
        at, term = self._now.boot_ms, session.term
        soon_over = always or term.soon_over(at, self._rules, still=self._still)
        if not soon_over or not term.extend(at, self._rules, still=self._still):
            return False
        self._signal(w.SignalKind.EXTENDED, session=session, ms=session.term.limit_at - at)
        return True

    def extension_ms(self, by_ms: int) -> int | None:
        """Return by how much a manager who gives `by_ms` would put the end off; None where no session can take it."""
        session = self._session
        if session is None or self._phase not in (Phase.ACTIVE, Phase.HANDING_OVER):
            return None
        return session.term.addition_ms(by_ms)

    def _extend_remotely(self, by_ms: int) -> None:
        session = self._session
        if self.extension_ms(by_ms):
            assert session is not None
            session.term.add(by_ms)
            self._signal(w.SignalKind.EXTENDED, session=session, ms=session.term.limit_at - self._now.boot_ms)

    def _put_back(self, badge: str) -> None:
        """Take that `badge` is in the holder, for whatever reason it was put there: no grace runs for it."""
        for session in (self._session, self._pending.session if self._pending is not None else None):
            if session is not None and session.badge == badge:
                session.present = True
        session = self._session
        if session is not None and session.badge == badge and session.term.grace_until is not None:
            session.term.grace_until = None

    def _tell_finishing(self, session: Session) -> None:
        """Say that power stays until the job is done: the input will tell, or else the member has to."""
        left_ms = max(0, session.term.finish_until - self._now.boot_ms)
        self._signal(w.SignalKind.FINISHING, session=session, ms=left_ms, detail="" if self._run_sense else w.UNFELT)

    def _start_grace(self, session: Session) -> None:
        # Where a job is waited for and an input says whether it runs, the card says nothing more.
        counts = self._phase in (Phase.ACTIVE, Phase.HANDING_OVER) or (
            self._phase is Phase.FINISHING_JOB and not self._run_sense
        )
        if session.term.grace_until is None and counts:
            session.term.grace_until = self._now.boot_ms + self._rules.grace_ms
