"""What the source of rosters reports, and what is wrong with the roster in force."""

from __future__ import annotations

import logging

from fabgate import wire
from fabgate.gate.config.gate_yaml import NO_RUN_SENSE, NO_RUN_SENSE_FOR_COLLECTOR
from fabgate.gate.journal.writer import NO_CHANGE, Change
from fabgate.gate.parts import Parts
from fabgate.gate.reports.entries import EntryQueue
from fabgate.gate.reports.problems import Problems
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused, RosterStored
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)


class RosterReports:
    """The reports about one gate's rosters."""

    def __init__(self, parts: Parts, entries: EntryQueue, problems: Problems) -> None:
        self._config = parts.config
        self._in_force = parts.roster.in_force
        self._badge_keys = parts.roster.badge_keys
        self._authorities = parts.roster.authorities
        self._readers = parts.hardware.readers
        self._entries = entries
        self._problems = problems

    def translate(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        """Return the events for the rules that follow from an event; None for one of another source."""
        match event:
            case RosterStored():
                return self._stored(event, now)
            case RosterConfirmed():
                self._check_authorities()
                self._problems.pop("roster", None)
                self.check_locks()
                return self._in_force.changed(now)
            case RosterRefused():
                self._refused(event, now)
                return []
        return None

    def use(self) -> None:
        """Let the readers use the key of the roster in force, and check its rules and locks."""
        self._choose_badge_key()
        self._check_rules()
        self.check_locks()

    def _choose_badge_key(self) -> None:
        """Digest badges under the key that the roster in force was made with, or the first where it names none."""
        first = next(iter(self._badge_keys.values()))
        for reader in self._readers:
            reader.use_key(self._badge_keys.get(self._in_force.badge_key_id or "", first))

    def _check_rules(self) -> None:
        """Report rules that this gate cannot apply as they are; ``fabgate check`` reports them as mistakes."""
        rules = self._in_force.rules()
        without_grace = wire.holder_mistake(self._in_force.machine)
        self._problems.note("grace", None if without_grace is None else f"machine.{without_grace}")
        idle_off_ms = rules.idle_off_ms
        lacks_run_sense = idle_off_ms is not None and not self._config.senses_work
        text = NO_RUN_SENSE if self._config.roster.file is not None else NO_RUN_SENSE_FOR_COLLECTOR
        problem = f"machine.idle_off_s: {text.format((idle_off_ms or 0) // 1000)}"
        self._problems.note("idle-off", problem if lacks_run_sense else None)

    def check_locks(self) -> None:
        """Report locks that the collector does not know, and so cannot lift: it was restored from a copy."""
        unknown = ", ".join(f"{lock.id} ({lock.reason})" for lock in self._in_force.unnamed_locks())
        problem = f"the roster does not know of {unknown}; a lock is lifted only by its id" if unknown else None
        self._problems.note("lock", problem)

    def _check_authorities(self) -> None:
        self._problems.note("authorities", self._authorities.problem or None)

    def _stored(self, stored: RosterStored, now: vocabulary.Now) -> list[vocabulary.Event]:
        before = self._in_force.locks
        self._in_force.reload()
        self._problems.pop("roster", None)
        self._problems.pop("roster-members", None)
        self._check_authorities()
        self.use()
        if stored.adopted:
            log.warning("a person on this gate adopted the roster version %d", stored.version)
        data = wire.RosterReplaced(
            clock=self._entries.clock(now), version=stored.version, members=stored.members, adopted=stored.adopted
        )
        locks = self._in_force.locks
        self._entries.put("roster.replaced", data, now, Change(lock=locks.to_text()) if locks != before else NO_CHANGE)
        return self._in_force.changed(now, members=True)

    def _refused(self, refused: RosterRefused, now: vocabulary.Now) -> None:
        # Members that are kept although they vanished stay a problem until a complete roster comes.
        in_part = refused.version is not None and refused.version == self._in_force.version
        log.error(
            "the roster was %s: %s", "accepted in part" if in_part else "refused", refused.detail or refused.reason
        )
        self._problems["roster-members" if in_part else "roster"] = refused.reason
        rejected = wire.RosterRejected(
            clock=self._entries.clock(now), reason=refused.reason[:2000], version=refused.version
        )
        self._entries.put("roster.rejected", rejected, now)
