"""What does each machine do now, as a person says it? One station for each gate that stands beside a machine."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector import formats
from fabgate.collector.access import opening_hours
from fabgate.collector.base import local_times
from fabgate.collector.machines import locks
from fabgate.collector.models import Gate, Journal, Machine
from fabgate.collector.pages import clocks
from fabgate.collector.pages.floor import extensions
from fabgate.collector.pages.formatting import STATES
from fabgate.collector.people import display_names, reasons
from fabgate.collector.people.display_names import Who

#: A gate speaks once a minute of how long the job has run; one that did not run for so long was left on.
STILL_FOR: Final = timedelta(minutes=3)
#: A day is named without its year while no other is meant.
_THIS_YEAR: Final = timedelta(days=300)
#: A gate that keeps a lock which its roster has forgotten names it so (gate/reports.py).
_FORGOTTEN: Final = re.compile(r"(?:of|,) ([0-9a-f]{32}) \(")
#: A machine that left the workshop while it was on is forgotten when its gate has been silent for so long.
_LEFT_ON: Final = timedelta(days=1)
LOCKS: Final = frozenset({"lock-now", "lock-idle"})
IN_USE: Final = frozenset({"in-use", "running", "left-on", "starting", "finishing"})


@dataclass(frozen=True, slots=True)
class Note:
    """One more thing to know: its state gives the colour, and the icon where it has none of its own.

    What is public may stand on the big display that everybody reads.
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
    """A machine and the gate beside it, in words. `state` is one of the template tags' states."""

    machine: Machine
    gate: Gate | None
    state: str = "free"
    word: str = ""
    #: Since when, where it goes on: a clock ticks.
    since: datetime | None = None
    who: Who | None = None
    #: Who locked it, as they are called.
    locked_by: str = ""
    locked_since: str = ""
    notes: list[Note] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Return what tells it from the others on a page."""
        return self.gate.name if self.gate else f"-{self.machine.name}"

    @property
    def forgotten(self) -> list[str]:
        """Return the ids of the locks that its gate keeps and that nobody here knows."""
        return forgotten_locks(self.gate) if self.gate else []

    @property
    def longer(self) -> dict[str, str]:
        """Return the buttons that make its session longer."""
        return extensions.choices(self.machine)

    @property
    def shown(self) -> str:
        """Return all that its card shows: while this is the same, so is the card."""
        machine, person = self.machine, self.who
        about = (
            self.key,
            machine.name,
            machine.title,
            machine.lock_id,
            machine.lock_reason,
            machine.retired_at,
            self.forgotten,
            self.locked_by,
            self.longer,
        )
        person_shown = person and (person.id, person.name, person.member is not None)
        session = self.gate.session if self.gate else ""  # of which its buttons are
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
        """Whether somebody uses it, as far as is known now."""
        return self.state in IN_USE

    @property
    def is_reachable(self) -> bool:
        """Whether an order reaches its gate now."""
        return self.gate is not None and bool(self.gate.boot) and self.gate.is_heard(datetime.now(UTC))

    @property
    def may_be_on(self) -> bool:
        """Whether it is on, or was when its gate fell silent."""
        return self.is_in_use or (self.state == "silent" and self.gate is not None and self.gate.state in Gate.BUSY)


def now(at: datetime, names: Collection[str] | None = None) -> list[Station]:
    """Return every station, or those of the gates of these `names`; those of a kind together."""
    return _told(_beside_machines(at, names), at)


def of(machine: Machine, at: datetime) -> list[Station]:
    """Return the stations of one machine, by their gates' names; of one that has left the workshop those still on."""
    found = [Station(machine, gate) for gate in _there(at).filter(machine=machine).order_by("name")]
    if not found and machine.retired_at is None:
        found = [Station(machine, None)]
    return _told(found, at)


def _told(stations: list[Station], at: datetime) -> list[Station]:
    gates = [station.gate for station in stations if station.gate is not None]
    people = display_names.called(gate.session_member for gate in gates)
    behind = awaited(gates)
    accounts = display_names.signing_in(station.machine.locked_by for station in stations)
    hours = opening_hours.Calendar(timezone.localtime(at).date())
    for station in stations:
        station.locked_by = accounts.get(station.machine.locked_by, "")
        station.locked_since = moment(station.machine.locked_at) if station.machine.locked_at else ""
        _tell(station, people, behind, at)
        if station.state == "free":
            _tell_hours(station, hours, at)
    return stations


def used(since: datetime) -> list[Gate]:
    """Return the gates whose stations are in use, or were when the gate fell silent, and that were heard after `since`.

    In the order of the stations, with the little that tells by whom.
    """
    there = _there(since).filter(state__in=Gate.BUSY, seen_at__gt=since)
    machine = ("machine__name", "machine__title", "machine__category")
    told = there.only("name", "session", "session_member", "online", "seen_at", *machine)
    return sorted(told, key=lambda gate: _place(gate.machine, gate.name))


def _there(at: datetime) -> QuerySet[Gate]:
    """Return the gates beside machines of the workshop; also beside one that left it while somebody used it.

    That one still has power until it is off, and somebody must be able to see and stop it.
    """
    still_on = Q(state__in=Gate.BUSY, seen_at__gt=at - _LEFT_ON)
    there = Gate.objects.filter(Q(machine__retired_at=None) | still_on, machine__isnull=False)
    return there.select_related("machine")


def _beside_machines(at: datetime, names: Collection[str] | None) -> list[Station]:
    gates = _there(at)
    if names is not None:
        gates = gates.filter(name__in=names)
    found = [Station(gate.machine, gate) for gate in gates if gate.machine is not None]
    if names is None:
        found += [Station(machine, None) for machine in Machine.objects.filter(retired_at=None, gates=None)]
    return sorted(found, key=lambda station: _place(station.machine, station.key))


def _place(machine: Machine | None, name: str) -> tuple[str, str, int, str]:
    assert machine is not None, "a gate without one is no station"
    return machine.category.casefold(), str(machine).casefold(), machine.pk, name


def awaited(gates: Iterable[Gate]) -> dict[int, int]:
    """Return of each gate how many entries it has written that are not here yet; 0 left out."""
    wanted = {gate.journal: gate.pk for gate in gates if gate.journal}
    rows = Journal.objects.filter(name__in=wanted, head__gt=F("ack_seq")).values_list("name", "head", "ack_seq")
    return {wanted[name]: head - stored for name, head, stored in rows}


def forgotten_locks(gate: Gate) -> list[str]:
    """Return the ids of the locks that the gate keeps and that this database, restored from a copy, does not know."""
    said = next((text for text in gate.problems if text.startswith("lock: ")), "")
    return _FORGOTTEN.findall(said)


def moment(at: datetime) -> str:
    """Return a moment as people say it: its time where it is today, else with the day; of one that came twice, which."""
    local, today = timezone.localtime(at), timezone.localdate()
    which = local_times.which(local)
    said = f"{date_format(local, 'H:i')}{which}"
    if local.date() == today:
        return said
    if local.date() == today - timedelta(days=1):
        return _("yesterday %(time)s") % {"time": said}
    if today - local.date() < _THIS_YEAR:
        return f"{formats.short(local, 'j M H:i')}{which}"
    return f"{date_format(local, 'SHORT_DATETIME_FORMAT')}{which}"


def day(text: str) -> str:
    """Return a day as the locale writes it; what is none is shown as it was written."""
    found = parse_date(text[:10]) if text else None
    return date_format(found, "SHORT_DATE_FORMAT") if found else text


def _tell(station: Station, people: Mapping[str, Who], behind: Mapping[int, int], at: datetime) -> None:
    gate = station.gate
    if gate is None:
        station.state, station.word = "silent", _("No gate")
        station.notes.append(Note("silent", _("No gate stands beside it: nothing is known of it.")))
        return
    station.who = people.get(gate.session_member)
    if gate.seen_at is None:
        station.state, station.word = "silent", _("Not heard yet")
        _note_lock(station, is_confirmed=True)
        return
    if not gate.is_heard(at):
        station.state = "silent"
        station.notes.append(Note("silent", _last_known(station, moment(gate.seen_at))))
        _note_lock(station, is_confirmed=gate.knows_roster)
        return
    if gate.state in Gate.BUSY:
        _tell_use(station, gate, at)
    else:
        _tell_idle(station, gate)
    _note_health(station, gate, behind.get(gate.pk, 0))


def _tell_use(station: Station, gate: Gate, at: datetime) -> None:
    # A gate without the time, or with a wrong one, does not say since when; its counter does, as of when it was heard.
    assert gate.seen_at is not None
    said = gate.state_since if gate.clock_off_ms is None else None
    station.since = said or gate.seen_at - timedelta(milliseconds=gate.energised_ms)
    if gate.state == "active":
        _tell_active(station, gate, at)
    else:
        station.state = gate.state
        if gate.state == "finishing":
            station.notes.append(Note("finishing", _("Whoever uses it may finish; then the power goes off.")))
    if station.machine.lock is not None or LOCKS & set(gate.causes):
        _note_lock(station, is_confirmed=bool(LOCKS & set(gate.causes)))
    station.notes += [Note("blocked", _cause(cause), is_public=True) for cause in gate.causes if cause not in LOCKS]


def _tell_active(station: Station, gate: Gate, at: datetime) -> None:
    if gate.running_ms == 0 or gate.ran_at is None:
        # Nothing feels whether it runs, or it has not run yet: it is on, and that is all that is known.
        station.state = "in-use"
    elif at - gate.ran_at < STILL_FOR:
        station.state = "running"
    else:
        station.state = "left-on"
        text = _("On, and standing still since %(at)s.") % {"at": moment(gate.ran_at)}
        station.notes.append(Note("left-on", text))


def _tell_idle(station: Station, gate: Gate) -> None:
    locked, others = LOCKS & set(gate.causes), [cause for cause in gate.causes if cause not in LOCKS]
    if others:
        station.state = "blocked"
    elif locked or station.machine.lock is not None:
        station.state = "locked"
    station.notes += [Note("blocked", _cause(cause), is_public=True) for cause in others]
    if locked or station.machine.lock is not None:
        _note_lock(station, is_confirmed=bool(locked))


def _tell_hours(station: Station, hours: opening_hours.Calendar, at: datetime) -> None:
    """Say of a machine that could be used that it is closed now: its gate lets nobody begin but maintainers."""
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
            text = _("Its gate keeps a lock that is taken off here, or that nobody here knows.")
            station.notes.append(Note("locked", text))
        return
    if station.forgotten:
        station.notes.append(Note("locked", _("Its gate keeps another lock too, that nobody here knows.")))
    station.notes.append(Note("locked", locks.said(lock.reason), is_public=True))
    if lock.back:
        station.notes.append(
            Note("locked", _("Expected back: %(day)s") % {"day": day(lock.back)}, "calendar", is_public=True)
        )
    if station.is_in_use:
        station.notes.append(Note("locked", _("It locks once it is idle.")))
    elif not is_confirmed:
        station.notes.append(Note("starting", _("Its gate has not said yet that it is locked.")))


def _note_health(station: Station, gate: Gate, behind: int) -> None:
    """Add what is wrong with the gate itself: whoever stands there does not see it."""
    if behind:
        text = ngettext("%(n)d entry is awaited from its gate.", "%(n)d entries are awaited from its gate.", behind)
        station.notes.append(Note("warn", text % {"n": behind}))
    if gate.reader not in ("", "ok") and "reader" not in gate.causes:
        station.notes.append(Note("warn", _("Its badge reader has a fault.")))
    if gate.clock_off_ms is not None:
        text = _("The clock of its gate is wrong, by at least %(span)s.")
        station.notes.append(Note("warn", text % {"span": clocks.span(gate.clock_off_ms)}))
    elif not gate.synced:
        station.notes.append(Note("warn", _("Its gate does not know the time.")))


def _cause(cause: str) -> str:
    found = reasons.refused(f"blocked-{cause}")
    return cause if found == f"blocked-{cause}" else f"{found[:1].upper()}{found[1:]}"


def _last_known(station: Station, at: str) -> str:
    gate = station.gate
    assert gate is not None
    if gate.state in Gate.BUSY:
        name = station.who.name if station.who else _("somebody")
        return _("Not heard since %(at)s; %(who)s was using it then.") % {"at": at, "who": name}
    return _("Not heard since %(at)s; nobody was using it then.") % {"at": at}
