"""The roster and the locks that are in force now.

It has the last good roster, the gate's own emergency badges and the locks; looks up badges for the rules; and returns an
event when the rules have to know a change.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.locks import NO_LOCKS, Locks
from fabgate.gate.roster.people import machine_rules
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)

CACHE_SIZE: Final = 256


def _in_a_thread(work: Callable[[], None]) -> None:
    try:
        threading.Thread(target=work, daemon=True).start()
    except RuntimeError:  # the system has no thread left: the loop must not die of that
        work()


class RosterInForce:
    """The roster in force.

    `locks` are those on record. `age_ms` returns how long ago the roster was confirmed, or None where that is unknown.
    `replace_damaged` is called once for each roster that turns out to be damaged; `in_background` runs what the loop must
    not wait for.
    """

    def __init__(
        self,
        config: Config,
        *,
        locks: Locks = NO_LOCKS,
        age_ms: Callable[[vocabulary.Now], int | None] = lambda _: None,
        replace_damaged: Callable[[], None] = lambda: None,
        in_background: Callable[[Callable[[], None]], None] = _in_a_thread,
    ) -> None:
        self._path: Path = config.state_dir / "roster.db"
        self._fallback = config.machine.rules()
        self._emergency = {entry.digest: vocabulary.Emergency(entry.label) for entry in config.emergency_badges}
        self._directory: Directory | None = None
        self._last_event: vocabulary.RosterChanged | None = None
        #: The last look-ups, and the roster of each. Every start is decided twice, the second time while the member
        #: waits for power. They also tell who holds a badge that was digested under an earlier key.
        self._cache: dict[str, tuple[Directory, vocabulary.Holder]] = {}
        self._can_become_stale = config.roster.url is not None
        self._age_ms = age_ms
        self._replace_damaged = replace_damaged
        self._in_background = in_background
        self._damaged: Directory | None = None
        #: Replaced when a roster or a command brings or lifts a lock.
        self.locks = locks
        self.reload()

    @property
    def version(self) -> int:
        """Return the version of the roster in force, 0 when there is none."""
        return 0 if self._directory is None else self._directory.version

    @property
    def source(self) -> str:
        """Return the source of the roster in force (``origin``), or "" without one."""
        return "" if self._directory is None else self._directory.source

    @property
    def badge_key_id(self) -> str | None:
        """Return the id of the key under which the roster's badges were digested, where the roster names it."""
        return None if self._directory is None else self._directory.badge_key_id

    @property
    def zone(self) -> ZoneInfo:
        """Return the site's time zone."""
        return ZoneInfo("UTC" if self._directory is None else self._directory.tz)

    def look_up(self, digest: str) -> vocabulary.Holder | None:
        """Return the holder of a badge. Emergency badges come first: they need no roster."""
        emergency = self._emergency.get(digest)
        if emergency is not None:
            return emergency
        try:
            return self._find(digest)
        except UsageError as error:
            log.error("%s: no member is known until it is stored again", error)
            if self._damaged is not self._directory:
                self._damaged = self._directory
                self._replace_damaged()
            return None

    @property
    def prices(self) -> bytes | None:
        """Return the JSON of the roster's prices, for the panel."""
        return None if self._directory is None else self._directory.prices

    def price_list(self, digest: str) -> Any:
        """Return which list of prices is that of a badge's holder, or None. Raises UsageError for a damaged roster."""
        found = self._member(digest)
        return None if found is None else found.price_list

    def has_low_credit(self, digest: str) -> bool:
        """Return whether the credit of a badge's holder is low. Raises UsageError for a damaged roster."""
        found = self._member(digest)
        return found is not None and found.low_credit is True

    def _member(self, digest: str) -> wire.Member | None:
        return None if self._directory is None else self._directory.wire_member(digest)

    def _find(self, digest: str) -> vocabulary.Holder | None:
        if self._directory is None:
            return None
        earlier, earlier_holder = self._cache.get(digest, (None, None))
        if earlier is self._directory:
            return earlier_holder
        holder = self._directory.find(digest)
        if holder is not None:
            self._cache[digest] = (self._directory, holder)
            if len(self._cache) > CACHE_SIZE:
                self._cache.pop(next(iter(self._cache)))
            return holder
        # The badge of a running session was digested under the key of its start. The member stays the same under a new key.
        if earlier is None or earlier_holder is None or earlier_holder.id is None:
            return None
        return None if earlier.badge_key_id == self.badge_key_id else self._directory.find_member(earlier_holder.id)

    def reload(self) -> None:
        """Open the stored roster; where there is none, the earlier one stays in force."""
        try:
            fresh = Directory(self._path)
        except UsageError as error:
            log.info("%s", error)
            return
        old, self._directory = self._directory, fresh
        self.locks = self.locks.by_roster(fresh.machine, fresh.version, fresh.source)
        if old is not None:
            # Its file has no name any more, so the last close frees its blocks: 8 to 23 ms for 100,000 members on a PC.
            self._in_background(old.close)

    def close(self) -> None:
        """Close the roster."""
        if self._directory is not None:
            self._directory.close()

    @property
    def machine(self) -> wire.MachineRules:
        """Return the machine's rules of the roster, or of gate.yaml where there is no roster."""
        return self._fallback if self._directory is None else self._directory.machine

    def rules(self) -> vocabulary.MachineRules:
        """Return the machine's rules, with the lock in force."""
        return machine_rules(msgspec.structs.replace(self.machine, lock=self.locks.lock))

    def unnamed_locks(self) -> tuple[wire.Lock, ...]:
        """Return the locks in force that the roster does not name, although it is the newest."""
        if self._directory is None or self._directory.source != self.locks.source:
            return ()
        if self._directory.version < self.locks.version:
            return ()
        own = self._directory.machine.lock
        return tuple(lock for lock in self.locks.locks if own is None or lock.id != own.id)

    def is_stale(self, now: vocabulary.Now) -> bool:
        """Whether the collector has not confirmed the roster for longer than the site trusts it."""
        if self._directory is None:
            return False
        age_ms = self._age_ms(now)
        if age_ms is None:
            return self._can_become_stale  # a collector's roster of unknown age counts as stale
        return age_ms > self._directory.fresh_for_s * 1000

    def changed(self, now: vocabulary.Now, *, members: bool = False) -> list[vocabulary.Event]:
        """Return an event for the rules if anything, or `members`, changed since the last call."""
        event = vocabulary.RosterChanged(self.rules(), self.is_stale(now))
        if event == self._last_event and not members:
            return []
        self._last_event = event
        return [event]

    def info(self, now: vocabulary.Now) -> wire.RosterInfo | None:
        """Return the roster's part of the status; the age in whole minutes, so that it does not change each second."""
        if self._directory is None:
            return None
        age_ms = self._age_ms(now)
        age_s = None if age_ms is None else age_ms // 60_000 * 60
        return wire.RosterInfo(
            version=self._directory.version, age_s=age_s, stale=self.is_stale(now), source=self._directory.source
        )
