"""Under which roster, and under which lock, does the machine stand now?

Holds the last good roster, the gate's own emergency badges and the lock; answers the rules' look-up; and says when any
of it changed what the rules should know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.locks import Locked
from fabgate.gate.roster.origin import Relation, relation
from fabgate.gate.roster.people import machine_rules
from fabgate.rules import vocabulary as w

log = logging.getLogger(__name__)

SEEN_MOST: Final = 256


class Standing:
    """The roster in force. `age_ms` tells how long ago it was confirmed, or None where it cannot grow old."""

    def __init__(self, config: Config, *, age_ms: Callable[[w.Now], int | None] = lambda _: None) -> None:
        self._path: Path = config.state_dir / "roster.db"
        self._fallback = config.machine.rules()
        self._emergency = {entry.digest: w.Emergency(entry.label) for entry in config.emergency_badges}
        self._directory: Directory | None = None
        self._told: w.RosterChanged | None = None
        #: Whose badges were looked up lately, and in which roster. Everything is decided twice, the second time while
        #: somebody waits for power; and a badge tapped under another key is looked up by its holder.
        self._seen: dict[str, tuple[Directory, w.Holder]] = {}
        self._grows_old = config.roster.url is not None
        self.age_ms = age_ms
        #: Called once for each roster that turns out to be damaged: whoever gets rosters stores it anew.
        self.mend: Callable[[], None] = lambda: None
        self._damaged: Directory | None = None
        self.locked = Locked()
        #: Why there was no roster when it was last asked for: a start asks twice, and says it once.
        self._lacking = ""
        self.reload()

    @property
    def version(self) -> int:
        """Return the version of the roster in force, 0 when there is none."""
        return 0 if self._directory is None else self._directory.version

    @property
    def source(self) -> str:
        """Return where the roster in force came from (roster_origin), empty where that is not known."""
        return "" if self._directory is None else self._directory.source

    @property
    def badge_key_id(self) -> str | None:
        """Return under which key the roster's badges were digested, where it says."""
        return None if self._directory is None else self._directory.badge_key_id

    @property
    def zone(self) -> ZoneInfo:
        """Return the site's time zone."""
        return ZoneInfo("UTC" if self._directory is None else self._directory.tz)

    def look_up(self, digest: str) -> w.Holder | None:
        """Return who holds a badge. Emergency badges come first: they need no roster."""
        found = self._emergency.get(digest)
        if found is not None:
            return found
        try:
            return self._find(digest)
        except UsageError as error:
            log.error("%s: nobody is known until it is stored anew", error)
            if self._damaged is not self._directory:
                self._damaged = self._directory
                self.mend()
            return None

    def _find(self, digest: str) -> w.Holder | None:
        if self._directory is None:
            return None
        seen_in, holder = self._seen.get(digest, (None, None))
        if seen_in is self._directory:
            return holder
        found = self._directory.find(digest)
        if found is not None:
            self._seen[digest] = (self._directory, found)
            if len(self._seen) > SEEN_MOST:
                self._seen.pop(next(iter(self._seen)))
            return found
        # The badge of a running session was digested under the key of its start. A new key is no new member.
        if seen_in is None or holder is None or holder.id is None or seen_in.badge_key_id == self.badge_key_id:
            return None
        return self._directory.find_member(holder.id)

    def reload(self) -> None:
        """Open the stored roster; the one before stays where there is none."""
        try:
            fresh = Directory(self._path)
        except UsageError as error:
            if str(error) != self._lacking:
                log.info("%s", error)
            self._lacking = str(error)
            return
        old, self._directory = self._directory, fresh
        self.locked = self.locked.by_roster(fresh.machine, fresh.version, fresh.source)
        if old is not None:
            old.close()

    def close(self) -> None:
        """Let go of the roster."""
        if self._directory is not None:
            self._directory.close()

    @property
    def machine(self) -> wire.MachineRules:
        """Return the machine's rules as the roster has them, or gate.yaml where there is no roster."""
        return self._fallback if self._directory is None else self._directory.machine

    def rules(self) -> w.MachineRules:
        """Return the machine's rules, with the lock that holds."""
        return machine_rules(msgspec.structs.replace(self.machine, lock=self.locked.lock))

    def unnamed_locks(self) -> tuple[wire.Lock, ...]:
        """Return the locks that stand although the roster, which is the last word, does not have them."""
        if self._directory is None or self._directory.version < self.locked.version:
            return ()
        if relation(self._directory.source, self.locked.source) is Relation.OTHER:
            return ()
        own = self._directory.machine.lock
        return tuple(lock for lock in self.locked.locks if own is None or lock.id != own.id)

    def is_stale(self, now: w.Now) -> bool:
        """Whether the collector has not confirmed the roster for longer than the site trusts it."""
        if self._directory is None:
            return False
        age_ms = self.age_ms(now)
        if age_ms is None:
            return self._grows_old  # nobody can tell how old: then it is too old
        return age_ms > self._directory.fresh_for_s * 1000

    def changed(self, now: w.Now, *, members: bool = False) -> list[w.Event]:
        """Return what the rules should be told, when that is something new or `members` changed."""
        event = w.RosterChanged(self.rules(), self.is_stale(now))
        if event == self._told and not members:
            return []
        self._told = event
        return [event]

    def info(self, now: w.Now) -> wire.RosterInfo | None:
        """Return the roster's part of the status; the age in whole minutes, or status would change each second."""
        if self._directory is None:
            return None
        age_ms = self.age_ms(now)
        age_s = None if age_ms is None else age_ms // 60_000 * 60
        return wire.RosterInfo(
            version=self._directory.version, age_s=age_s, stale=self.is_stale(now), source=self.source or None
        )
