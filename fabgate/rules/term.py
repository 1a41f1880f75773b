"""How long may this session last? Its limit, its longest, its idle time-out, the warning before, and what extends it.

Power always has a deadline: the limit, moved by extensions but never past ``max_at``; then at most ``finish_max``
for a running job and the fan's run-on (``off_by``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fabgate.rules.vocabulary import MachineRules


@dataclass(slots=True)
class Term:
    """The times of one session, in boot milliseconds.

    `limit_ms` is the member's own limit or the machine's, `max_ms` the longest: by the rules under which the session
    was asked for, or those under which it began, whichever were shorter. Later rules change neither.
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

    def at_most(self, other: Term) -> None:
        """Take the shorter of each limit, before the session begins."""
        self.limit_ms, self.max_ms = min(self.limit_ms, other.limit_ms), min(self.max_ms, other.max_ms)

    def begin(self, at_ms: int, rules: MachineRules) -> None:
        """Count from `at_ms`: the machine has power now. Idling counts only once it had time to warm up."""
        self.max_at = at_ms + self.max_ms
        self.limit_at = min(at_ms + self.limit_ms, self.max_at)
        self.still_since = at_ms + rules.warm_up_ms

    def idle_at(self, rules: MachineRules, *, still: bool) -> int | None:
        """Return when the machine will have idled too long; `still` says that it is known to stand still."""
        if not still or rules.idle_off_ms is None:
            return None
        return self.still_since + rules.idle_off_ms

    def ends_at(self, rules: MachineRules, *, still: bool) -> int:
        """Return when the session will end if nothing happens."""
        idle_at = self.idle_at(rules, still=still)
        return self.limit_at if idle_at is None else min(self.limit_at, idle_at)

    def warn_at(self, rules: MachineRules, *, still: bool) -> int:
        """Return when to warn.

        A short limit warns in its last quarter: with two minutes' notice on a limit of one, every tap would extend
        and none could end.
        """
        limit = self.limit_at - min(rules.warn_ms, self.limit_ms // 4)
        idle_at = self.idle_at(rules, still=still)
        if idle_at is None or rules.idle_off_ms is None:
            return limit
        return min(limit, idle_at - min(rules.warn_ms, rules.idle_off_ms // 4))

    def soon_over(self, at_ms: int, rules: MachineRules, *, still: bool) -> bool:
        """Say whether the end is so near that people are warned, and a tap extends."""
        return at_ms >= self.warn_at(rules, still=still)

    def extended(self, at_ms: int, rules: MachineRules, *, still: bool) -> Term | None:
        """Return the term that a tap gives, or None where it gives no time."""
        longer = replace(
            self,
            limit_at=min(max(self.limit_at, at_ms + self.limit_ms), self.max_at),
            still_since=max(self.still_since, at_ms),  # warming up is not idling
        )
        if longer.ends_at(rules, still=still) <= self.ends_at(rules, still=still):
            return None
        if longer.limit_at == self.limit_at and longer.warn_at(rules, still=still) <= at_ms:
            return None
        return longer

    def extend(self, at_ms: int, rules: MachineRules, *, still: bool) -> bool:
        """Give a full limit more from now, never beyond the longest; say whether that put the end off.

        It does where the limit moves, and where a longer idle time ends the warning. Else nothing is changed: that tap
        ends the session, or no tap could. At the longest a warning that begins before the machine idles for long would
        otherwise let each tap extend the idle time by what passed since the one before.
        """
        longer = self.extended(at_ms, rules, still=still)
        if longer is None:
            return False
        self.limit_at, self.still_since = longer.limit_at, longer.still_since
        return True

    def addition_ms(self, by_ms: int) -> int:
        """Return how much of `by_ms` a manager can give: at most the limit at once, never beyond the longest."""
        return min(by_ms, self.limit_ms, self.max_at - self.limit_at)

    def add(self, by_ms: int) -> None:
        """Give more time from afar."""
        self.limit_at += self.addition_ms(by_ms)

    def finish(self, at_ms: int, rules: MachineRules, *, felt: bool) -> None:
        """Set the last deadlines, once: a job may run until ``finish_until``, the fan until ``off_by``.

        Both count from the limit at the latest, also where the gate was held up and handles the limit late.
        A job that an input feels may outlast the limit. One that nobody feels may not: at its limit the session would
        have ended without any lock or block, and these never make it longer.
        """
        if self.off_by is None:
            self.finish_until = min(at_ms, self.limit_at) + rules.finish_max_ms
            if not felt:
                self.finish_until = min(self.finish_until, self.limit_at)
            self.off_by = self.finish_until + rules.run_on_ms

    def run_on(self, at_ms: int, rules: MachineRules, *, felt: bool) -> None:
        """Let the fan run, within the last deadline."""
        self.finish(at_ms, rules, felt=felt)
        assert self.off_by is not None
        self.run_on_until = min(at_ms + rules.run_on_ms, self.off_by)
