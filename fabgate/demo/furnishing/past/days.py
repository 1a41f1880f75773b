"""Makes up the last ten weeks of the demo's workshop: the entries that its three gates wrote into their journals.

A workshop of volunteers, open from Tuesday to Saturday: members come after work and on Saturdays, some often. No member
uses two machines at once, or a machine before they were trained for it. There was one power cut, and one gate set its
clock while the machine ran; these sessions need a review.

The same arguments always give the same days. playback.py turns them into real entries.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from fabgate import wire
from fabgate.demo.furnishing.people import MEMBERS, MINOR, REGULARS, DemoPerson
from fabgate.gate.journal.changes import Draft
from fabgate.gate.journal.ids import uuid7
from fabgate.rules.vocabulary import EndReason

WEEKS: Final = 10
#: Opening hours by ISO weekday; the workshop is closed on Sunday and Monday.
OPEN: Final = {
    2: (time(14), time(21)),
    3: (time(14), time(21)),
    4: (time(14), time(21)),
    5: (time(14), time(21)),
    6: (time(10), time(18)),
}
#: How many days before today Mo's membership ended, and Ada lost her first card.
LAPSED_DAYS: Final = 30
LOST_DAYS: Final = 45
#: How many days before today these members were trained for these machines, later than all others.
TRAINED_LATE: Final = {("m-11", "printer"): 38, ("m-12", "laser"): 29, ("m-18", "saw"): 21, ("m-9", "saw"): 17}
#: A member who had not paid; and how many days before today their block began and ended.
DEBTOR: Final = "m-16"
OWED_DAYS: Final = (26, 12)
SUPERVISOR: Final = "m-5"
LAPSED: Final = "m-4"
#: How often each member comes, compared with the others; 2 for members who are not listed.
OFTEN: Final = {"m-1": 5, "m-2": 3, "m-7": 5, "m-9": 4, "m-10": 4, "m-13": 3, "m-17": 4, "m-3": 1, "m-5": 1, "m-6": 1}
PROGRESS_MS: Final = 15 * 60_000
#: In timed mode a tap gives half an hour.
A_TAP: Final = timedelta(minutes=30)
CHECKPOINT_MS: Final = 30_000
#: The uncertainty that a gate adds after a power cut: its checkpoint interval of 30 s, and the minute of
#: gate/journal/facts.py.
POWER_LOSS_MS: Final = 90_000


@dataclass(frozen=True, slots=True)
class PastMachine:
    """How a machine is used: minutes of a session, minutes between sessions, and how sessions end (with weights)."""

    name: str
    gate: str
    mode: str
    session_min: tuple[int, int]
    pause_min: tuple[int, int]
    ends: Mapping[EndReason, int]


MACHINES: Final = (
    PastMachine(
        "laser",
        "laser-1",
        "tap",
        (8, 75),
        (10, 130),
        {EndReason.BADGE: 80, EndReason.BUTTON: 8, EndReason.HANDOVER: 12},
    ),
    PastMachine("saw", "saw-1", "hold", (4, 40), (25, 190), {EndReason.REMOVED: 95, EndReason.BUTTON: 5}),
    PastMachine("printer", "printer-1", "timed", (50, 230), (30, 200), {EndReason.BADGE: 55, EndReason.LIMIT: 45}),
)


@dataclass(frozen=True, slots=True)
class Known:
    """Ids that entries contain and the collector has: digests by card, and the ids of grants by member and machine."""

    digests: Mapping[str, str]
    grants: Mapping[tuple[str, str], int]


@dataclass
class Past:
    """The entries of one gate, in order, each with the day on which it was written."""

    gate: str
    days: dict[date, list[Draft]] = field(default_factory=lambda: defaultdict(list))


def members_on(today: date) -> tuple[DemoPerson, ...]:
    """Return all members; the membership of one of them has ended."""
    ended = (today - timedelta(days=LAPSED_DAYS)).isoformat()
    return tuple(
        person._replace(valid_until=ended) if person.id == LAPSED else person for person in (*MEMBERS, *REGULARS)
    )


def first_day(today: date) -> date:
    """Return the Monday on which the history begins; members, machines and most trainings are older."""
    return today - timedelta(weeks=WEEKS, days=today.weekday())


def trained_on(person: DemoPerson, machine: str, today: date) -> date | None:
    """Return the day on which a member was trained for a machine, or None."""
    if machine not in person.machines.split():
        return None
    days = TRAINED_LATE.get((person.id, machine))
    return first_day(today) - timedelta(days=30) if days is None else today - timedelta(days=days)


def open_days(today: date) -> list[date]:
    """Return the days on which the workshop was open, up to yesterday."""
    count = (today - first_day(today)).days
    days = [first_day(today) + timedelta(days=number) for number in range(count)]
    return [day for day in days if day.isoweekday() in OPEN]


def write(today: date, zone: ZoneInfo, known: Known, *, version: str, chance: random.Random) -> list[Past]:
    """Return what each gate wrote until yesterday evening. `version` is that of the gates' program."""
    return _Workshop(today, zone, known, version, chance).write()


class _Journal:
    """The journal of one gate: turns events into drafts, with the clock of the gate's boot."""

    def __init__(self, machine: PastMachine, on: datetime, version: str) -> None:
        self.past = Past(machine.gate)
        self._version = version
        self._day = on.date()
        self.boot(on)
        self.set_clock(on + timedelta(seconds=31))

    def boot(self, on: datetime) -> None:
        """Start the gate after its power came on; its clock is not set yet."""
        self._boot, self._on, self._synced = str(uuid.uuid4()), on, False
        self.add(on + timedelta(seconds=11), "gate.started", version=self._version)

    def set_clock(self, at: datetime, step_ms: int | None = None) -> None:
        """Let the network set the gate's clock."""
        self._synced = True
        self.add(at, "clock.synced", step_ms=step_ms)

    def day(self, day: date) -> None:
        """Date the following entries on this day."""
        self._day = day

    def boot_ms(self, at: datetime) -> int:
        """Return the time on the boot's clock, in milliseconds."""
        return max(0, (at - self._on) // timedelta(milliseconds=1))

    def add(self, at: datetime, kind: str, *, off: timedelta = timedelta(0), **fields: Any) -> None:
        """Write an entry. `off` is the error of the wall clock."""
        wall = at + off
        clock = wire.Clock(boot=self._boot, boottime_ms=self.boot_ms(at), synced=self._synced)
        data = wire.ENTRY_TYPES[kind](clock=clock, **fields)
        uid = uuid7(round(wall.timestamp() * 1000))
        self.past.days[self._day].append(Draft(uid, kind, data, wall if self._synced else None))


@dataclass
class _Use:
    """A session that has started and will be written to a journal."""

    session: str
    person: DemoPerson
    began: datetime
    #: when the machine came on for this member, on the boot's clock
    on_ms: int


class _Workshop:
    """Plays the days one after the other, and within a day each machine's sessions in order."""

    def __init__(self, today: date, zone: ZoneInfo, known: Known, version: str, chance: random.Random) -> None:
        self._today = today
        self._zone = zone
        self._known = known
        self._chance = chance
        self._busy: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        opens = self._at(first_day(today), time(9))
        self._journals = {machine.name: _Journal(machine, opens, version) for machine in MACHINES}
        days = open_days(today)
        #: late in the history, so that these sessions still wait for a review
        self._cut_day = days[-4]
        self._clock_day: date | None = days[-6]

    def write(self) -> list[Past]:
        for day in open_days(self._today):
            self._busy.clear()
            for machine in MACHINES:
                self._journals[machine.name].day(day)
            if day == self._cut_day:
                self._day_of_power_cut(day)
            else:
                for machine in MACHINES:
                    self._hours(machine, *self._hours_of(day))
        return [journal.past for journal in self._journals.values()]

    def _at(self, day: date, moment: time) -> datetime:
        return datetime.combine(day, moment, self._zone).astimezone(UTC)

    def _hours_of(self, day: date) -> tuple[datetime, datetime]:
        first, last = OPEN[day.isoweekday()]
        return self._at(day, first), self._at(day, last)

    # --- a day --------------------------------------------------------------------------------------------------------

    def _hours(self, machine: PastMachine, opens: datetime, closes: datetime) -> None:
        """Let members use a machine between two moments."""
        at = opens + self._minutes((2, 50))
        while at < closes - timedelta(minutes=5):
            if self._chance.random() < 0.22:
                self._refusal(machine, at)
                at += timedelta(minutes=1)
            ends = at + self._minutes(machine.session_min)
            if ends > closes - timedelta(minutes=5):
                return
            person = self._somebody(machine, at, ends)
            if person is not None:
                at = self._session(machine, person, at, ends, closes)
            at += self._minutes(machine.pause_min)

    def _session(
        self, machine: PastMachine, person: DemoPerson, began: datetime, ends: datetime, closes: datetime
    ) -> datetime:
        """Write a session and its handover, if any; return when the last of the sessions ended."""
        reason = self._chance.choices([*machine.ends], [*machine.ends.values()])[0]
        if machine.name == "laser" and began.astimezone(self._zone).date() == self._clock_day:
            self._clock_day = None  # only one session has a wrong clock
            return self._session_with_wrong_clock(machine, person, began)
        use = self._start(machine, person, began)
        if machine.mode == "timed" and reason is EndReason.LIMIT:
            ends = began + max(1, (ends - began) // A_TAP) * A_TAP
        if reason is EndReason.HANDOVER:
            later = ends + self._minutes(machine.session_min)
            newcomer = self._somebody(machine, ends, later)
            if newcomer is not None and later < closes:
                self._end(machine, use, ends, EndReason.HANDOVER)
                use, ends = self._start(machine, newcomer, ends, takes_over=True), later
            reason = EndReason.BADGE
        if machine.name == "saw" and self._chance.random() < 0.1:
            # The refusal comes before the session's first progress, so that the entries stay in order.
            self._refuse(machine, began + (ends - began) / 3, "in-use", self._other(machine, person, began))
        self._end(machine, use, ends, reason)
        return ends

    def _day_of_power_cut(self, day: date) -> None:
        """Let the mains fail while laser and printer run; the gates start again a quarter of an hour later."""
        opens, closes = self._hours_of(day)
        cut = opens + (closes - opens) / 2
        for machine, minutes in zip(MACHINES, (34, None, 71), strict=True):
            began = None if minutes is None else cut - timedelta(minutes=minutes)
            self._hours(machine, opens, began or cut)
            use = None
            if began is not None and (person := self._somebody(machine, began, cut)) is not None:
                use = self._start(machine, person, began)
                self._progress(machine, use, cut)
            back = cut + timedelta(minutes=14, seconds=3)
            journal = self._journals[machine.name]
            counted_ms = 0 if use is None else (journal.boot_ms(cut) - use.on_ms) // CHECKPOINT_MS * CHECKPOINT_MS
            journal.boot(back)
            if use is not None:
                ended = {"energised_ms": counted_ms, "reason": EndReason.POWER_LOSS, "uncertainty_ms": POWER_LOSS_MS}
                self._add_session(machine, use, back + timedelta(seconds=12), "session.ended", **ended)
            journal.set_clock(back + timedelta(seconds=31))
            self._hours(machine, back + timedelta(minutes=1), closes)

    def _session_with_wrong_clock(self, machine: PastMachine, person: DemoPerson, began: datetime) -> datetime:
        """Write a session during which the gate's clock, which was seven minutes fast, is set."""
        ahead, lasts = timedelta(minutes=7, seconds=12), timedelta(minutes=13)
        use = self._start(machine, person, began, off=ahead)
        self._journals[machine.name].set_clock(began + lasts / 2, step_ms=-(ahead // timedelta(milliseconds=1)))
        self._end(machine, use, began + lasts, EndReason.BADGE)
        return began + lasts

    # --- entries ------------------------------------------------------------------------------------------------------

    def _start(
        self,
        machine: PastMachine,
        person: DemoPerson,
        at: datetime,
        *,
        takes_over: bool = False,
        off: timedelta = timedelta(0),
    ) -> _Use:
        journal = self._journals[machine.name]
        use = _Use(uuid7(round(at.timestamp() * 1000)), person, at, journal.boot_ms(at))
        grant = self._known.grants[person.id, machine.name]
        self._add_session(
            machine,
            use,
            at,
            "session.started",
            basis=wire.Basis(kind="grant", grant=str(grant)),
            mode=machine.mode,
            supervisor=SUPERVISOR if person.id == MINOR else None,
            energised_from_ms=use.on_ms if takes_over else None,
            off=off,
        )
        return use

    def _end(self, machine: PastMachine, use: _Use, at: datetime, reason: EndReason) -> None:
        self._progress(machine, use, at)
        energised_ms = self._journals[machine.name].boot_ms(at) - use.on_ms
        self._add_session(machine, use, at, "session.ended", energised_ms=energised_ms, reason=reason)

    def _progress(self, machine: PastMachine, use: _Use, until: datetime) -> None:
        """Write the progress that a gate records every 15 minutes of a session."""
        lasted_ms = self._journals[machine.name].boot_ms(until) - use.on_ms
        for energised_ms in range(PROGRESS_MS, lasted_ms, PROGRESS_MS):
            at = use.began + timedelta(milliseconds=energised_ms)
            self._add_session(machine, use, at, "session.progress", energised_ms=energised_ms)

    def _add_session(self, machine: PastMachine, use: _Use, at: datetime, kind: str, **fields: Any) -> None:
        holder: dict[str, Any] = {
            "member": use.person.id,
            "badge": self._known.digests[use.person.card],
            "session": use.session,
        }
        if kind != "session.started":
            fields["running_ms"] = 0  # no machine of the demo has a run-sense input
        self._journals[machine.name].add(at, kind, **holder, **fields)

    def _refuse(
        self, machine: PastMachine, at: datetime, reason: str, person: DemoPerson | None, card: str = ""
    ) -> None:
        badge = self._known.digests[card or (person.card if person else "stranger")]
        member = None if person is None else person.id
        self._journals[machine.name].add(at, "access.refused", badge=badge, member=member, reasons=[reason])

    def _refusal(self, machine: PastMachine, at: datetime) -> None:
        """Write a refusal for a reason that applies at this moment."""
        day = at.astimezone(self._zone).date()
        people = {person.id: person for person in (*MEMBERS, *REGULARS)}
        reasons = ["training-missing"] * 4 + ["unknown-badge"] * 2
        if day > self._today - timedelta(days=LOST_DAYS):
            reasons += ["badge-lost"]
        for reason, member, often, holds in (
            ("supervisor-needed", MINOR, 1, True),
            ("expired", LAPSED, 2, day > self._today - timedelta(days=LAPSED_DAYS)),
            ("payment-due", DEBTOR, 6, self._owes(day)),
        ):
            if holds and self._is_trained(people[member], machine, day):
                reasons += [reason] * often
        reason = self._chance.choice(reasons)
        if reason == "unknown-badge":
            self._refuse(machine, at, reason, None, self._chance.choice(("stranger", "visitor")))
        elif reason == "badge-lost":
            self._refuse(machine, at, reason, None, "lost")
        elif reason == "training-missing":
            untrained = [person for person in REGULARS if not self._is_trained(person, machine, day)]
            self._refuse(machine, at, reason, self._chance.choice(untrained))
        else:
            member = {"supervisor-needed": MINOR, "expired": LAPSED, "payment-due": DEBTOR}[reason]
            self._refuse(machine, at, reason, people[member])

    # --- who ----------------------------------------------------------------------------------------------------------

    def _somebody(self, machine: PastMachine, begins: datetime, ends: datetime) -> DemoPerson | None:
        """Return a member who may use the machine and is free at that time, and mark them as busy."""
        day = begins.astimezone(self._zone).date()
        free = [
            person
            for person in (*MEMBERS, *REGULARS)
            if self._may_use(person, machine, day)
            and all(ends <= first or last <= begins for first, last in self._busy[person.id])
        ]
        if not free:
            return None
        person = self._chance.choices(free, [OFTEN.get(person.id, 2) for person in free])[0]
        self._busy[person.id].append((begins, ends))
        return person

    def _other(self, machine: PastMachine, than: DemoPerson, at: datetime) -> DemoPerson:
        """Return another member who may use the machine."""
        day = at.astimezone(self._zone).date()
        return self._chance.choice(
            [person for person in (*MEMBERS, *REGULARS) if person is not than and self._may_use(person, machine, day)]
        )

    def _may_use(self, person: DemoPerson, machine: PastMachine, day: date) -> bool:
        has_left = person.id == LAPSED and day > self._today - timedelta(days=LAPSED_DAYS)
        owes = person.id == DEBTOR and self._owes(day)
        return not has_left and not owes and self._is_trained(person, machine, day)

    def _is_trained(self, person: DemoPerson, machine: PastMachine, day: date) -> bool:
        since = trained_on(person, machine.name, self._today)
        return since is not None and since <= day

    def _owes(self, day: date) -> bool:
        first, last = (self._today - timedelta(days=days) for days in OWED_DAYS)
        return first < day < last

    def _minutes(self, between: tuple[int, int]) -> timedelta:
        """Return a duration in this range of minutes; short ones are more likely."""
        least, most = between
        return timedelta(seconds=round((least + (most - least) * self._chance.betavariate(1.4, 2.6)) * 60))
