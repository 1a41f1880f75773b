"""What does a badge mean at this moment? A start, an end, more time, a supervisor's consent, a report, or a refusal.

Each phase has its own answer, and each answer is one of the verbs of ``session``.
"""

from __future__ import annotations

from dataclasses import replace

from fabgate.rules import vocabulary as w
from fabgate.rules.access import SUPERVISOR_NEEDED
from fabgate.rules.lasting import Lasting
from fabgate.rules.owner import Phase, Session


class Taps(Lasting):
    """Badges that come and go."""

    def _presented(self, badge: str) -> None:
        holder = self._look_up(badge)
        guest = self._strangers.take_guest(self._now.boot_ms)
        if guest is not None and self._look_up(guest) is not None:
            guest = None  # another roster came since: it is no stranger's any more
        if self._flags.asking and holder is not None and holder.id is not None:
            self._put_back(badge)
            self._flagged_by(badge, holder)
        elif self._phase is Phase.IDLE:
            self._tapped_idle(badge, holder, guest)
        elif self._phase is Phase.AWAIT_SUPERVISOR:
            self._tapped_awaiting(holder, badge)
        elif self._phase in (Phase.AWAIT_JOURNAL, Phase.HANDING_OVER):
            if not self._came_back(badge):
                self._put_back(badge)
                self._cancel(w.EndReason.CANCELLED)
        elif self._phase is Phase.RUN_ON:
            self._tapped_run_on(badge, holder, guest)
        else:
            self._tapped_in_use(badge, holder)

    def _lies(self, badge: str) -> None:
        """Handle a card that did not arrive: it starts, ends and permits nothing.

        In hold mode it can prove that the member's card is in its holder (again), for a session and for a start.
        """
        self._put_back(badge)

    def _tapped_idle(self, badge: str, holder: w.Holder | None, guest: str | None) -> None:
        if w.Cause.OUTPUT in self._causes and holder is not None and self._level(holder) is w.Level.MAINTAINER:
            self._out.append(w.ClearFault(holder.id or "", getattr(holder, "lang", None)))
            return
        decision = self._decide(holder)
        if holder is None or decision.basis is None:
            self._refuse(badge, holder, decision.reasons)
        elif guest is not None and self._may_sponsor(holder):
            basis = replace(decision.basis, kind="sponsor")
            session = self._new_session(guest, holder, basis, supervisor=holder.id, supervisor_badge=badge)
            session.present = False  # the card in the field is the sponsor's
            self._ask_journal(session)
        elif decision.needs_supervisor and not self._cards_may_change:
            self._refuse(badge, holder, (SUPERVISOR_NEEDED,))
        elif decision.needs_supervisor:
            self._ask_supervisor(self._new_session(badge, holder, decision.basis))
        else:
            self._ask_journal(self._new_session(badge, holder, decision.basis))

    def _tapped_awaiting(self, holder: w.Holder | None, badge: str) -> None:
        assert self._pending is not None
        session = self._pending.session
        if badge == session.badge or (holder is not None and holder.id == session.member):
            self._cancel(w.EndReason.CANCELLED)
        elif holder is not None and self._may_supervise(holder):
            if self._decide_again():
                session.supervisor, session.supervisor_badge = holder.id, badge
                self._ask_journal(session)
        else:
            self._cancel(w.EndReason.CANCELLED)
            self._refuse(badge, holder, self._no_supervisor(holder))

    def _no_supervisor(self, holder: w.Holder | None) -> tuple[str, ...]:
        """Return why a badge lets nobody else begin: its own reasons, and its holder's level if that is too low."""
        reasons = self._decide(holder).reasons
        too_low = isinstance(holder, w.Member) and not holder.rank.supervises
        return (*reasons, SUPERVISOR_NEEDED) if too_low or not reasons else reasons

    def _came_back(self, badge: str) -> bool:
        """Take the member's own card back into its holder after the supervisor's was shown: no second tap, that."""
        assert self._pending is not None
        session = self._pending.session
        if self._rules.mode is not w.Mode.HOLD or session.present or badge != session.badge:
            return False
        session.present = True
        return True

    def _tapped_run_on(self, badge: str, holder: w.Holder | None, guest: str | None) -> None:
        """Let nobody wait for a fan: whoever may start now, and alone, ends the run-on and starts."""
        decision = self._decide(holder)
        if decision.basis is not None and not decision.needs_supervisor:
            self._cut()
            self._tapped_idle(badge, holder, guest)
        else:
            self._refuse_in_use(badge, holder)

    def _tapped_in_use(self, badge: str, holder: w.Holder | None) -> None:
        session = self._owner()
        if badge == session.badge or (holder is not None and holder.id == session.member):
            self._own_tap(session, badge)
            return
        if session.supervisor is not None and (
            badge == session.supervisor_badge or (holder is not None and holder.id == session.supervisor)
        ):
            self._supervisor_ends(session, badge)
            return
        decision = self._decide(holder)
        takes_over = self._rules.handover and self._phase is Phase.ACTIVE
        if not takes_over or holder is None or decision.basis is None or decision.needs_supervisor:
            self._refuse_in_use(badge, holder)
            return
        self._hand_over(self._new_session(badge, holder, decision.basis))

    def _own_tap(self, session: Session, badge: str) -> None:
        same_card = badge == session.badge
        if self._phase is Phase.FINISHING_JOB and self._rules.mode is w.Mode.HOLD and same_card:
            self._put_back(badge)  # what says that the job is done is taking it out
        elif self._phase is Phase.FINISHING_JOB:
            self._job_said_done(session)
        elif self._rules.mode is w.Mode.HOLD and same_card:
            self._put_back(badge)
            self._extend(session)
        elif self._rules.mode is w.Mode.TIMED and same_card:
            if not self._extend(session, always=True):
                left_ms = session.term.limit_at - self._now.boot_ms
                self._signal(w.SignalKind.WARNING, session=session, ms=left_ms, detail=w.LAST)
        elif not self._extend(session):
            self._flags.hold(badge, self._now.boot_ms)
            self._wish_end(w.EndReason.BADGE)

    def _supervisor_ends(self, session: Session, badge: str) -> None:
        """End what a supervisor answers for: their badge switches off, and never gives more time."""
        if self._phase is Phase.FINISHING_JOB:
            self._job_said_done(session)
        else:
            self._flags.hold(badge, self._now.boot_ms)
            self._wish_end(w.EndReason.BADGE, actor=session.supervisor)

    def _flagged_by(self, badge: str, holder: w.Holder) -> None:
        danger = w.Cause.FLAG in self._causes
        facts, signal = self._flags.badge(badge, holder.id or "", self._level(holder), danger=danger)
        for fact in facts:
            if isinstance(fact, w.Blocked):
                self._causes[fact.cause] = fact.detail
            elif isinstance(fact, w.Cleared) and isinstance(fact.cause, w.Cause):
                del self._causes[fact.cause]
        self._cancel_start()  # it is a second tap, whatever else it says
        if facts:
            self._record(*facts)
        self._signal(signal, lang=getattr(holder, "lang", None))

    def _removed(self, badge: str) -> None:
        self._flags.release(badge)
        if self._rules.mode is not w.Mode.HOLD:
            return
        pending = self._pending
        if pending is not None and pending.session.badge == badge:
            pending.session.present = False
            # Where a supervisor's card must be shown, the member's own has to leave the reader: the grace time then
            # runs from the start. Anywhere else a card that left means that nobody stands there.
            if pending.token is not None:
                self._cancel(w.EndReason.CANCELLED)
        elif self._session is not None and self._session.badge == badge:
            self._session.present = False
            self._start_grace(self._session)
