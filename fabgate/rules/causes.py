"""What forbids the use of the machine, since when, and what becomes of whoever uses it?

A cause is raised by the daemon, by a roster (lock, age) or by a member's flag. Those in ``CUT`` take the power
away at once, those in ``END_WHEN_IDLE`` once the job is done, the others only forbid the next start.
"""

from __future__ import annotations

from dataclasses import replace

from fabgate.rules import vocabulary as w
from fabgate.rules.lasting import Lasting
from fabgate.rules.owner import Phase


class Causes(Lasting):
    """Causes and rosters."""

    def _raise(self, cause: w.Cause, detail: str) -> None:
        known = cause in self._causes
        self._causes[cause] = detail
        if known:
            return
        fact = w.Blocked(cause, detail)
        if cause in w.CUT and self._session is not None:
            self._session.end_reason = w.EndReason.LOCK if cause is w.Cause.LOCK_NOW else w.EndReason.FAULT
            self._session.end_actor = None
            self._cut(fact)
        elif cause in w.CUT:
            self._power_off()
            self._cancel_start()
            self._record(fact)
        else:
            self._cancel_start()
            self._record(fact)
            if cause in w.END_WHEN_IDLE and self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
                self._wish_end(w.EndReason.LOCK)
            elif cause is w.Cause.READER and self._rules.mode is w.Mode.HOLD and self._session is not None:
                self._start_grace(self._session)

    def _checkpoint_late(self, detail: str) -> None:
        """End a session that runs unrecorded, as a lock would: one failed write alone only forbids the next start."""
        self._raise(w.Cause.JOURNAL, detail)
        if self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
            self._wish_end(w.EndReason.FAULT)

    def _clear(self, cause: w.Cause, member: str | None) -> None:
        if self._causes.pop(cause, None) is None:
            return
        self._record(w.Cleared(cause, member))
        if cause is w.Cause.READER and self._session is not None and self._session.present:
            self._put_back(self._session.badge)  # the reader had only hung: the card never left

    def _roster_changed(self, rules: w.MachineRules, *, stale: bool) -> None:
        # The mode of a session is the one it began with: power that audit mode does not switch would otherwise stay on,
        # and a card that was tapped would be missed in its holder. The new one holds from the next idle moment.
        self._next_mode = rules.mode
        if self._session is not None and rules.idle_off_ms != self._rules.idle_off_ms:
            # Another idle time counts from now: nobody loses power to one that they were not warned of.
            term = self._session.term
            term.still_since = max(term.still_since, self._now.boot_ms)
        self._rules = rules if self._phase is Phase.IDLE else replace(rules, mode=self._rules.mode)
        self._stale = stale
        wanted = {w.Cause.LOCK_NOW: False, w.Cause.LOCK_IDLE: False, w.Cause.STALE: stale and rules.deny_when_stale}
        if rules.lock is not None:
            wanted[w.Cause.LOCK_NOW if rules.lock.now else w.Cause.LOCK_IDLE] = True
        for cause, there in wanted.items():
            if there:
                self._raise(cause, rules.lock.reason if rules.lock and cause is not w.Cause.STALE else "")
        for cause, there in wanted.items():
            if not there:
                self._clear(cause, None)
        self._recheck()
        self._decide_again()
