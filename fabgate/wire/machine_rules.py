"""How does a machine behave? A roster contains these rules."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fabgate.wire.messages import Message

#: The values of a machine's rules, by field.
MACHINE_WORDS: Final = {
    "mode": ("tap", "hold", "timed", "audit"),
    "finish": ("wait", "cut"),
    "supervisor": ("never", "minors", "always"),
    "on_stale": ("allow", "deny"),
}
#: No rule of a machine lasts longer than this: 31 days.
MAX_SECONDS: Final = 31 * 86_400


class Lock(Message, frozen=True, kw_only=True):
    """Part of a sealed roster and of the lock command: state, not a message. `when` is now or idle."""

    id: str
    when: str
    reason: str
    back: str | None = None


class MachineRules(Message, frozen=True, kw_only=True):
    """How the machine behaves; a manager edits it on the machine's page. Times are seconds."""

    mode: str = "tap"
    observe_until: datetime | None = None
    limit_s: int = 43_200
    max_s: int = 86_400
    idle_off_s: int | None = None
    warn_s: int = 120
    grace_s: int = 10
    finish: str = "wait"
    finish_max_s: int = 14_400
    run_on_s: int = 0
    warm_up_s: int = 0
    handover: bool = False
    supervisor: str = "minors"
    sponsor: bool = False
    on_stale: str = "allow"
    attended: bool = True
    lock: Lock | None = None
    #: Ids of lifted locks: a lock is lifted only by its id, so that yesterday's database, restored, does not lift today's
    #: lock because it does not know it.
    lifted: list[str] = []
    price_hint: str | None = None


def longest_s(rules: MachineRules) -> int:
    """Return how many seconds one session may keep a machine on, including extensions, job end and run-on."""
    return rules.max_s + rules.run_on_s + (rules.finish_max_s if rules.finish == "wait" else 0)
