"""The current state of each machine, in words. A station is a machine and one of its gates."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.faces.pages.floor import extensions
from fabgate.collector.faces.pages.words import durations
from fabgate.collector.faces.pages.words.formatting import STATES
from fabgate.collector.ground import formats
from fabgate.collector.ground.base import local_times
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Gate, Journal, Machine
from fabgate.collector.members.access import opening_hours
from fabgate.collector.members.machines import locks
from fabgate.collector.members.people import display_names, reasons
from fabgate.collector.members.people.display_names import DisplayName

#: A gate reports the running time once a minute. A machine that has not run for this long counts as left on.
STILL_FOR: Final = timedelta(minutes=3)
#: Nearer moments are written without their year.
_THIS_YEAR: Final = timedelta(days=300)
#: Finds the ids of locks that a gate has and its roster no longer names, in the text of gate/reports/roster.py.
_FORGOTTEN: Final = re.compile(r"(?:of|,) ([0-9a-f]{32}) \(")
#: A retired machine that was on disappears once its gate has been offline for this long.
_RETIRED_ON: Final = timedelta(days=1)
LOCKS: Final = frozenset({"lock-now", "lock-idle"})
IN_USE: Final = frozenset({"in-use", "running", "left-on", "starting", "finishing"})


@dataclass(frozen=True, slots=True)
class Note:
    """An extra line on a card. The state sets its colour, and its icon unless `icon` is given.

    Public notes also appear on the big display.
    """

    state: str
    text: str
    icon: str = ""
    is_public: bool = False

    @property
    def picture(self) -> str:
        """Return the icon's name."""
        return self.icon or STATES[self.state][0]


@dataclass(slots=True)
class Station:
    """A machine and its gate, ready for display. `state` is one of STATES (faces/pages/words/formatting.py)."""

    machine: Machine
    gate: Gate | None
    state: str = "free"
    word: str = ""
    #: When the current use started; the page shows a running clock.
    since: datetime | None = None
    who: DisplayName | None = None
    #: The name of the person who locked it.
    locked_by: str = ""
    locked_since: str = ""
    notes: list[Note] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Return a key that is unique on the page."""
        return self.gate.name if self.gate else f"-{self.machine.name}"

    @property
    def forgotten(self) -> list[str]:
        """Return the ids of locks that its gate has, but this database does not contain."""
        return forgotten_locks(self.gate) if self.gate else []

    @property
    def extensions(self) -> dict[str, str]:
        """Return the buttons that extend its session: command and label."""
        return extensions.choices(self.machine)

    @property
    def cache_key(self) -> str:
        """Return a text with everything on which its card depends; the card is cached under it."""
        machine, person = self.machine, self.who
        about = (
            self.key,
            machine.name,
            machine.title,
            machine.category,
            machine.lock_id,
            machine.lock_reason,
            machine.retired_at,
            self.forgotten,
            self.locked_by,
            self.extensions,
        )
        person_shown = person and (person.id, person.name, person.member is not None)
        session = self.gate.session if self.gate else ""  # the buttons name the session
        now = (
            self.state,
            self.word,
            self.since,
            self.locked_since,
            person_shown,
            self.notes,
            self.is_reachable,
            session,
        )
        return repr((about, now))

    @property
    def is_in_use(self) -> bool:
        """Return whether it is in use, as far as known."""
        return self.state in IN_USE

    @property
    def is_reachable(self) -> bool:
        """Return whether its gate can receive commands now."""
        return self.gate is not None and bool(self.gate.boot) and self.gate.is_online(datetime.now(UTC))

    @property
    def may_be_on(self) -> bool:
        """Return whether it is on, or was on when its gate went offline."""
        return self.is_in_use or (self.state == "silent" and self.gate is not None and self.gate.state in Gate.BUSY)


def now(at: datetime, names: Collection[str] | None = None) -> list[Station]:
    """Return all stations, or those of the gates in `names`, grouped by category."""
    return _described(_of_gates(at, names), at)


def of(machine: Machine, at: datetime) -> list[Station]:
    """Return the stations of one machine, sorted by gate; for a retired machine only those that are still on."""
    of_machine = [Station(machine, gate) for gate in _gates(at).filter(machine=machine).order_by("name")]
    if not of_machine and machine.retired_at is None:
        of_machine = [Station(machine, None)]
    return _described(of_machine, at)


def _described(stations: list[Station], at: datetime) -> list[Station]:
    gates = [station.gate for station in stations if station.gate is not None]
    people = display_names.names_of(gate.session_member for gate in gates)
    behind = awaited(gates)
    accounts = display_names.account_names(station.machine.locked_by for station in stations)
    hours = opening_hours.Calendar(timezone.localtime(at).date())
    for station in stations:
        station.locked_by = accounts.get(station.machine.locked_by, "")
        station.locked_since = moment(station.machine.locked_at) if station.machine.locked_at else ""
        _describe(station, people, behind, at)
        if station.state == "free":
            _describe_hours(station, hours, at)
    return stations


def used(since: datetime) -> list[Gate]:
    """Return the gates that reported after `since` and whose machine is in use, or was when the gate went offline.

    They are in the order of the stations, with only the columns that name machine and user.
    """
    busy = _gates(since).filter(state__in=Gate.BUSY, seen_at__gt=since)
    machine = ("machine__name", "machine__title", "machine__category")
    rows = busy.only("name", "session", "session_member", "online", "seen_at", *machine)
    return sorted(rows, key=lambda gate: _order(gate.machine, gate.name))


def _gates(at: datetime) -> QuerySet[Gate]:
    """Return the gates of machines in service, and of machines that were retired while in use.

    The latter have power until their session ends, so the floor must show them and be able to stop them.
    """
    still_on = Q(state__in=Gate.BUSY, seen_at__gt=at - _RETIRED_ON)
    rows = Gate.objects.filter(Q(machine__retired_at=None) | still_on, machine__isnull=False)
    return rows.select_related("machine")


def _of_gates(at: datetime, names: Collection[str] | None) -> list[Station]:
    gates = _gates(at)
    if names is not None:
        gates = gates.filter(name__in=names)
    shown = [Station(gate.machine, gate) for gate in gates if gate.machine is not None]
    if names is None:
        shown += [Station(machine, None) for machine in Machine.objects.filter(retired_at=None, gates=None)]
    return sorted(shown, key=lambda station: _order(station.machine, station.key))


def _order(machine: Machine | None, name: str) -> tuple[str, str, int, str]:
    assert machine is not None, "a gate without a machine is not a station"
    return machine.category.casefold(), str(machine).casefold(), machine.pk, name


def awaited(gates: Iterable[Gate]) -> dict[int, int]:
    """Return, by gate id, how many entries the gate has written that are not stored here yet; zeros are left out."""
    wanted = {gate.journal: gate.pk for gate in gates if gate.journal}
    rows = Journal.objects.filter(name__in=wanted, head__gt=F("ack_seq")).values_list("name", "head", "ack_seq")
    return {wanted[name]: head - stored for name, head, stored in rows}


def forgotten_locks(gate: Gate) -> list[str]:
    """Return the ids of locks that the gate has, but this database does not contain after a restore."""
    problem = next((text for text in gate.problems if text.startswith("lock: ")), "")
    return _FORGOTTEN.findall(problem)


def moment(at: datetime) -> str:
    """Return a moment in short form: the time, with the day unless it is today. Times that occur twice are marked."""
    local, today = timezone.localtime(at), timezone.localdate()
    which = local_times.which(local)
    clock = f"{date_format(local, 'H:i')}{which}"
    if local.date() == today:
        return clock
    if local.date() == today - timedelta(days=1):
        return _("yesterday %(time)s") % {"time": clock}
    if today - local.date() < _THIS_YEAR:
        return f"{formats.short(local, 'j M H:i')}{which}"
    return f"{date_format(local, 'SHORT_DATETIME_FORMAT')}{which}"


def day(text: str) -> str:
    """Return an ISO date as the locale writes it; any other text is returned unchanged."""
    parsed = parse_date(text[:10]) if text else None
    return date_format(parsed, "SHORT_DATE_FORMAT") if parsed else text


def _describe(station: Station, people: Mapping[str, DisplayName], behind: Mapping[int, int], at: datetime) -> None:
    gate = station.gate
    if gate is None:
        station.state, station.word = "silent", _("No gate")
        station.notes.append(Note("silent", _("This machine has no gate; its state is unknown.")))
        return
    station.who = people.get(gate.session_member)
    if gate.seen_at is None:
        station.state, station.word = "silent", _("Never online")
        _note_lock(station, is_confirmed=True)
        return
    if not gate.is_online(at):
        station.state = "silent"
        station.notes.append(Note("silent", _last_known(station, moment(gate.seen_at))))
        _note_lock(station, is_confirmed=gate.knows_roster)
        return
    if gate.state in Gate.BUSY:
        _describe_use(station, gate, at)
    else:
        _describe_idle(station, gate)
    _note_health(station, gate, behind.get(gate.pk, 0))


def _describe_use(station: Station, gate: Gate, at: datetime) -> None:
    # A gate with a wrong clock cannot date the start; it follows from the counter in its last report.
    assert gate.seen_at is not None
    started = gate.state_since if gate.clock_off_ms is None else None
    station.since = started or gate.seen_at - timedelta(milliseconds=gate.energised_ms)
    if gate.state == "active":
        _describe_active(station, gate, at)
    else:
        station.state = gate.state
        if gate.state == "finishing":
            station.notes.append(Note("finishing", _("The job may finish; then the power goes off.")))
    if station.machine.lock is not None or LOCKS & set(gate.causes):
        _note_lock(station, is_confirmed=bool(LOCKS & set(gate.causes)))
    station.notes += [Note("blocked", _cause(cause), is_public=True) for cause in gate.causes if cause not in LOCKS]


def _describe_active(station: Station, gate: Gate, at: datetime) -> None:
    if gate.running_ms == 0 or gate.ran_at is None:
        # no sensor, or the machine has not run yet: all that is known is that it is on
        station.state = "in-use"
    elif at - gate.ran_at < STILL_FOR:
        station.state = "running"
    else:
        station.state = "left-on"
        text = _("On, but idle since %(at)s.") % {"at": moment(gate.ran_at)}
        station.notes.append(Note("left-on", text))


def _describe_idle(station: Station, gate: Gate) -> None:
    locked, others = LOCKS & set(gate.causes), [cause for cause in gate.causes if cause not in LOCKS]
    if others:
        station.state = "blocked"
    elif locked or station.machine.lock is not None:
        station.state = "locked"
    station.notes += [Note("blocked", _cause(cause), is_public=True) for cause in others]
    if locked or station.machine.lock is not None:
        _note_lock(station, is_confirmed=bool(locked))


def _describe_hours(station: Station, hours: opening_hours.Calendar, at: datetime) -> None:
    """Mark a free machine as closed outside its opening hours, when only maintainers can start it."""
    local = timezone.localtime(at)
    if hours.is_open(station.machine, local):
        return
    station.state = "closed"
    if opens := hours.opens(station.machine, local):
        day, time = opens
        when = time if day == local.date() else f"{formats.short(day, 'l j M')} {time}"
        station.notes.insert(0, Note("closed", _("Opens: %(when)s") % {"when": when}, "clock", is_public=True))


def _note_lock(station: Station, *, is_confirmed: bool) -> None:
    lock = station.machine.lock
    if lock is None:
        if station.gate is not None and LOCKS & set(station.gate.causes):
            text = _("Its gate still applies a lock that was removed here, or one that the collector does not know.")
            station.notes.append(Note("locked", text))
        return
    if station.forgotten:
        station.notes.append(
            Note("locked", _("In addition, its gate applies a lock that the collector does not know."))
        )
    station.notes.append(Note("locked", locks.reason_text(lock.reason), is_public=True))
    if lock.back:
        station.notes.append(
            Note("locked", _("Expected back: %(day)s") % {"day": day(lock.back)}, "calendar", is_public=True)
        )
    if station.is_in_use:
        station.notes.append(Note("locked", _("Will lock when idle.")))
    elif not is_confirmed:
        station.notes.append(Note("starting", _("Waiting for the gate to confirm the lock.")))


def _note_health(station: Station, gate: Gate, behind: int) -> None:
    """Add problems of the gate itself, which people at the machine cannot see."""
    if behind:
        text = ngettext("Waiting for %(n)d entry from its gate.", "Waiting for %(n)d entries from its gate.", behind)
        station.notes.append(Note("warn", text % {"n": behind}))
    if gate.is_reader_broken and "reader" not in gate.causes:
        station.notes.append(Note("warn", _("A badge reader has a fault.")))
    if gate.clock_off_ms is not None:
        text = _("Its gate's clock is wrong by at least %(span)s.")
        station.notes.append(Note("warn", text % {"span": durations.clock_error(gate.clock_off_ms)}))
    elif not gate.synced:
        station.notes.append(Note("warn", _("Its gate does not know the time.")))


def _cause(cause: str) -> str:
    text = reasons.refused(f"blocked-{cause}")
    return cause if text == f"blocked-{cause}" else f"{text[:1].upper()}{text[1:]}"


def _last_known(station: Station, at: str) -> str:
    gate = station.gate
    assert gate is not None
    if gate.state in Gate.BUSY:
        name = station.who.name if station.who else _("someone")
        return _("Offline since %(at)s; %(who)s was using the machine then.") % {"at": at, "who": name}
    return _("Offline since %(at)s; the machine was not in use then.") % {"at": at}
