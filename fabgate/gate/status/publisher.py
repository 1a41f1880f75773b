"""Publishes the machine's state and the gate's status when they change: to the broker, and to status.json."""

from __future__ import annotations

import msgspec

import fabgate
from fabgate import wire
from fabgate.gate.journal.recorder import EntriesStored
from fabgate.gate.parts import Parts
from fabgate.gate.reports.readers import ReaderReport
from fabgate.gate.reports.reports import Reports
from fabgate.gate.status.since import Since
from fabgate.gate.status.status_file import StatusFile, without_age
from fabgate.gate.uplink.events import LinkChanged
from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate


class _Published(msgspec.Struct, frozen=True):
    """What was published last."""

    state: wire.State
    status: wire.Status
    link: LinkChanged
    stored: EntriesStored
    journal: str
    readers: tuple[ReaderReport, ...]
    read_back: str
    longest_pauses_ms: tuple[int, ...]


class Publisher:
    """Publishes for one gate."""

    def __init__(self, parts: Parts, reports: Reports, status_file: StatusFile, *, readers_supervised: bool) -> None:
        self._boot = parts.clock.boot
        self._in_force = parts.roster.in_force
        self._authorities = parts.roster.authorities
        self._uplink = parts.uplink
        self._senses_work = parts.config.senses_work
        self._reports = reports
        self._status_file = status_file
        self._readers_supervised = readers_supervised
        self._since = Since()
        self._last: _Published | None = None
        #: What status.json contains. It is not written again when only the age of the roster changes, to save the card.
        self._written: _Published | None = None

    def publish(self, gate: Gate, now: vocabulary.Now) -> None:
        """Publish what has changed since the last call."""
        last, newest = self._last, self._newest(gate, now)
        if newest == last:
            return
        if self._uplink is not None:
            if last is None or newest.state != last.state:
                self._uplink.publish(newest.state)
            if last is None or newest.status != last.status:
                self._uplink.publish(newest.status)
            if last is None or newest.stored != last.stored:
                self._uplink.entries_stored(newest.stored.head)  # also for a new mark: entries may have been trimmed
        ageless = msgspec.structs.replace(newest, status=without_age(newest.status))
        if ageless != self._written:
            self._written = ageless
            self._status_file.write(
                newest.state,
                newest.status,
                newest.link,
                newest.stored,
                newest.journal,
                newest.readers,
                newest.read_back,
                newest.longest_pauses_ms,
            )
        self._last = newest

    def _newest(self, gate: Gate, now: vocabulary.Now) -> _Published:
        session, reports = gate.session, self._reports
        state = wire.State(
            state=gate.state,
            causes=[cause.value for cause in gate.causes],
            session=session.id if session else None,
            member=session.member if session else None,
            since=self._since.of(session.id if session else gate.state, now),
            energised_ms=session.meter.energised_ms if session else 0,
            running_ms=session.meter.running_ms if session else 0,
        )
        status = wire.Status(
            online=True,
            version=fabgate.__version__,
            boot=self._boot,
            roster=self._in_force.info(now),
            synced=now.synced,
            reader="fault" if "reader" in reports.problems else "ok",
            reader_supervised=self._readers_supervised,
            senses_work=self._senses_work,
            problems=sorted(f"{key}: {text}" for key, text in reports.problems.items()),
            authorities=list(self._authorities.fingerprints),
        )
        return _Published(
            state,
            status,
            reports.network.link,
            reports.journal.stored,
            reports.journal.id,
            reports.readers.each,
            reports.read_back,
            reports.readers.longest_pauses_ms,
        )
