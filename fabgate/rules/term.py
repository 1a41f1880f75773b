"""Computes how long a session may last: limit, longest time, idle time-out, warning, extensions and notice.

Power always has a deadline: the limit, which extensions move but never past ``max_at``; then at most ``finish_max_ms``
for a running job and the fan's run-on (``off_by``).

A lock "after the job", or a right that ends (closing time, membership, training), ends a session by a *notice*: if an
input reports that the machine stands still, the session may last until ``deadline_at``, and nothing postpones that.
docs/decisions/0052 has the table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fabgate.rules.vocabulary import MachineRules

#: The shortest and the longest notice; between them it is the machine's warning time (docs/decisions/0052).
NOTICE_LEAST_MS: Final = 30_000
NOTICE_MOST_MS: Final = 120_000


def notice_ms(rules: MachineRules) -> int:
    """Return how long the notice is."""
    return min(max(rules.warn_ms, NOTICE_LEAST_MS), NOTICE_MOST_MS)


class Term(NamedTuple):
    """The times of one session, in boot milliseconds; every method that changes one returns a new term.

    `limit_ms` is the limit of the member or the machine, `max_ms` the longest time. Each is the shorter of the value at
    the tap and the value at the beginning; later rules do not change them.

    `still_since` is since when the machine has stood still, or from when that counts. `deadline_at` is the end of a
    notice; `spares_job` means that the job that runs began before the notice, so that it may end.
    """

    limit_ms: int
    max_ms: int
    limit_at: int = 0
    max_at: int = 0
    still_since: int = 0
    grace_until: int | None = None
    finish_until: int = 0
    off_by: int | None = None
    run_on_until: int = 0
    deadline_at: int | None = None
    spares_job: bool = False

    def at_most(self, other: Term) -> Term:
        """Take the shorter of each limit, before the session begins."""
        return self._replace(limit_ms=min(self.limit_ms, other.limit_ms), max_ms=min(self.max_ms, other.max_ms))

    def begin(self, at_ms: int, rules: MachineRules) -> Term:
        """Count from `at_ms`, when power goes on. Standing still counts only after the warm-up."""
        max_at = at_ms + self.max_ms
        limit_at = min(at_ms + self.limit_ms, max_at)
        return self._replace(max_at=max_at, limit_at=limit_at, still_since=at_ms + rules.warm_up_ms)

    def still_from(self, at_ms: int) -> Term:
        """Count standing still from `at_ms`, or from the end of the warm-up."""
        return self._replace(still_since=max(self.still_since, at_ms))

    def with_notice(self, at_ms: int, rules: MachineRules, *, works: bool) -> Term:
        """Set the deadline of a cause that came at `at_ms`. A job that runs then may end; the next one has the deadline."""
        return self._replace(deadline_at=at_ms + notice_ms(rules), spares_job=works)

    @property
    def cut_at(self) -> int | None:
        """When the notice ends this session and a job that began after it, or None."""
        return None if self.spares_job else self.deadline_at

    # --- when it ends, and when to warn -------------------------------------------------------------------------------

    def idle_off_at(self, rules: MachineRules, *, still: bool) -> int | None:
        """Return when the machine will have stood still for too long; `still` is whether an input reports that now."""
        if not still or rules.idle_off_ms is None:
            return None
        return self.still_since + rules.idle_off_ms

    def ends_at(self, rules: MachineRules, *, still: bool) -> int:
        """Return when the session will end if nothing happens."""
        idle_off_at = self.idle_off_at(rules, still=still)
        ends_at = self.limit_at if idle_off_at is None else min(self.limit_at, idle_off_at)
        return ends_at if self.cut_at is None else min(ends_at, self.cut_at)

    def warn_at(self, rules: MachineRules, *, still: bool) -> int:
        """Return when to warn.

        A short limit warns in its last quarter: with two minutes' notice on a limit of one minute, every tap would
        extend the session and none could end it.
        """
        limit = self.limit_at - min(rules.warn_ms, self.limit_ms // 4)
        idle_off_at = self.idle_off_at(rules, still=still)
        if idle_off_at is None or rules.idle_off_ms is None:
            return limit
        return min(limit, idle_off_at - min(rules.warn_ms, rules.idle_off_ms // 4))

    def ends_soon(self, at_ms: int, rules: MachineRules, *, still: bool) -> bool:
        """Return whether the end is so near that people are warned, and a tap extends."""
        return at_ms >= self.warn_at(rules, still=still)

    # --- more time ----------------------------------------------------------------------------------------------------

    def extended(self, at_ms: int, rules: MachineRules, *, still: bool) -> Term | None:
        """Return the term after a tap: a full limit from now, up to the longest time. None if a tap gives no time.

        A tap gives time if it moves the limit, or if a longer idle time ends the warning. Otherwise it ends the
        session: near the longest time, each tap could else extend only the idle time, and none could end the session.
        After a notice no tap gives time.
        """
        if self.deadline_at is not None:
            return None
        limit_at = min(max(self.limit_at, at_ms + self.limit_ms), self.max_at)
        longer = self.still_from(at_ms)._replace(limit_at=limit_at)
        if longer.ends_at(rules, still=still) <= self.ends_at(rules, still=still):
            return None
        if longer.limit_at == self.limit_at and longer.warn_at(rules, still=still) <= at_ms:
            return None
        return longer

    def addition_ms(self, by_ms: int) -> int:
        """Return how much of `by_ms` a manager can give: at most the limit at once, never beyond the longest.

        After a notice it is nothing.
        """
        if self.deadline_at is not None:
            return 0
        return min(by_ms, self.limit_ms, self.max_at - self.limit_at)

    # --- after the end ------------------------------------------------------------------------------------------------

    def finish(self, at_ms: int, rules: MachineRules, *, run_sense: bool) -> Term:
        """Set the last deadlines: a job may run until ``finish_until``, the fan until ``off_by``.

        Both count from the limit at the latest, even if the gate was delayed and handles the limit late. A job that an
        input reports (`run_sense`) may continue after the limit. Without an input it may not, because a lock or a block
        must never make a session longer than its limit.
        """
        if self.off_by is not None:
            return self
        finish_until = min(at_ms, self.limit_at) + rules.finish_max_ms
        if not run_sense:
            finish_until = min(finish_until, self.limit_at)
        return self._replace(finish_until=finish_until, off_by=finish_until + rules.run_on_ms)

    def run_on(self, at_ms: int, rules: MachineRules, *, run_sense: bool) -> Term:
        """Let the fan run, within the last deadline."""
        last = self.finish(at_ms, rules, run_sense=run_sense)
        assert last.off_by is not None
        return last._replace(run_on_until=min(at_ms + rules.run_on_ms, last.off_by))
