"""One machine's gate: events go in, commands come out.

``handle`` takes one event and returns the commands it leads to, in the order in which they must be carried out;
``deadline`` returns when it must be called again. There is no clock, disk or pin in here: the time is an argument.

What an event means is decided by ``reactions``: functions that read what is known of the machine (``machine.Machine``,
frozen) and return intents. ``power`` carries these out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fabgate.rules import panel, vocabulary
from fabgate.rules.intents import AdoptRules, CountEnergy, Cut, Refuse, SeeCard
from fabgate.rules.machine import STATE_OF, Machine, Phase, Session
from fabgate.rules.power import Power
from fabgate.rules.reactions import cause_changes, in_session, taps
from fabgate.rules.reactions.flags import Flags
from fabgate.rules.reactions.refusals import Refusals
from fabgate.rules.readers import Readers

#: Events about a card on a reader.
_OF_CARDS = (vocabulary.Presented, vocabulary.Lying, vocabulary.Removed)


class Gate:
    """One machine.

    `look_up` returns the holder of a badge (by digest); `new_id` makes session ids. `run_sense` is whether an input
    reports that the machine works, `readers` those of the machine (by default one that proves presence), `checkpoint_ms`
    the time between two checkpoints. `latched` are the causes and reports that outlived a restart, except locks, which
    come with the roster.
    """

    def __init__(
        self,
        look_up: Callable[[str], vocabulary.Holder | None],
        rules: vocabulary.MachineRules,
        *,
        new_id: Callable[[], str],
        run_sense: bool = False,
        readers: Readers | None = None,
        checkpoint_ms: int = 30_000,
        latched: Iterable[str] = (),
    ) -> None:
        kept = set(latched)
        if vocabulary.FlagKind.DANGER in kept:
            kept.add(vocabulary.Cause.FLAG)  # a danger blocks the machine under both names
        latched_causes = {cause: "" for cause in vocabulary.LATCHING if cause in kept}
        self._readers = readers or Readers()
        #: The fault of readers that is a cause now.
        self._fault: str | None = None
        place = self._readers.place(0)
        machine = Machine(look_up, vocabulary.Now(0), rules, rules.mode, run_sense, latched_causes, place=place)
        self._flags = Flags(reported=vocabulary.FlagKind.REPORT in kept)
        self._refusals = Refusals()
        self._power = Power(machine, self._flags, self._refusals, new_id=new_id, checkpoint_ms=checkpoint_ms)

    # --- what others see ----------------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The phase of the session."""
        return self._power.machine.phase

    @property
    def state(self) -> str:
        """The state that others see: idle, starting, active or finishing."""
        return STATE_OF[self._power.machine.phase]

    @property
    def causes(self) -> list[vocabulary.Cause]:
        """The causes that forbid use, the worst first."""
        return [cause for cause in vocabulary.Cause if cause in self._power.machine.causes]

    @property
    def session(self) -> Session | None:
        """The session that has power, or None."""
        return self._power.machine.session

    @property
    def rules(self) -> vocabulary.MachineRules:
        """The rules in force."""
        return self._power.machine.rules

    @property
    def powered(self) -> bool:
        """Whether the machine has power by these rules: in ACTIVE and FINISHING, and never in audit mode."""
        return self.session is not None and self.rules.mode is not vocabulary.Mode.AUDIT

    @property
    def shown(self) -> vocabulary.Shown:
        """What the panel shows until the state changes."""
        return panel.shown(self._power.machine, flag_asked=self._flags.asked)

    def extension_ms(self, by_ms: int) -> int | None:
        """Return by how much a manager who gives `by_ms` would postpone the end; None if no session can be extended."""
        return in_session.remote_extension_ms(self._power.machine, by_ms)

    def deadline(self) -> int | None:
        """Return the boot milliseconds at which a ``Tick`` is due, or None."""
        return self._power.deadline()

    # --- events -------------------------------------------------------------------------------------------------------

    def handle(self, event: vocabulary.Event, now: vocabulary.Now) -> list[vocabulary.Command]:
        """Process one event; return the commands in the order in which they must be carried out.

        Overdue deadlines come first.
        """
        place = self._readers.place(event.reader) if isinstance(event, _OF_CARDS) else None
        self._power.begin_answer(now, place)
        self._power.run_overdue()
        self._answer(event)
        self._follow_faults()
        self._power.run_overdue()  # an event may have set a deadline that has already passed
        self._follow_faults()  # another mode may be in force once the machine is free
        return self._power.commands

    def _follow_faults(self) -> None:
        """Raise or clear the cause ``reader``, as the faults of the readers and the mode want it."""
        if self._fault is None and not self._readers.any_fault:
            return  # the usual case first, because every event calls this
        fault = self._readers.fault(self.rules.mode)
        if fault == self._fault:
            return
        self._fault = fault
        machine = self._power.machine
        if fault is None:
            self._power.do(cause_changes.cleared(machine, vocabulary.Cause.READER, None))
        else:
            self._power.do(cause_changes.raised(machine, vocabulary.Cause.READER, fault))

    def _tapped(self, badge: str, reader: int) -> None:
        """React to a tap, unless it is the echo of one on another reader (``readers``); ``taps`` decides what it means."""
        machine, readers = self._power.machine, self._readers
        readers.lies(badge, reader)
        person = self._person(badge)
        if readers.is_echo(person, reader, machine.now.boot_ms):
            self._see_card(badge)
            return
        guest = self._refusals.take_guest(machine.now.boot_ms)
        answer = taps.presented(machine, badge, guest, flag_asks=self._flags.asking)
        if any(isinstance(intent, Refuse) and intent.for_its_reader for intent in answer):
            readers.forget(person)  # so that their next tap, on another reader, is no echo of this one
        self._power.do(answer)

    def _person(self, badge: str) -> str:
        """Return whose tap may have an echo: the badge's member, or the badge itself if it has none."""
        holder = self._power.machine.look_up(badge) if self._readers.several else None
        return badge if holder is None or holder.id is None else holder.id

    def _see_card(self, badge: str) -> None:
        """Note that a card is on the reader with the holder: in hold mode this proves that it is in its holder."""
        if not self._power.machine.place.beside:
            self._power.do((SeeCard(badge, present=True),))

    def _answer(self, event: vocabulary.Event) -> None:  # noqa: C901 - one line an event, read as a table
        do, machine = self._power.do, self._power.machine
        match event:
            case vocabulary.Presented(badge, reader):
                self._tapped(badge, reader)
            case vocabulary.Committed(token):
                self._power.committed(token)
            case vocabulary.Lying(badge, reader, before_empty):
                self._readers.lies(badge, reader)
                self._see_card(badge)
                if before_empty and not machine.holds(badge):
                    do((vocabulary.Signal(vocabulary.SignalKind.MISREAD, detail=vocabulary.LYING),))
            case vocabulary.Removed(badge, reader):
                self._readers.lifted(badge, reader)
                self._flags.release(badge)
                do((*in_session.badge_left(machine, badge), *taps.removed(machine, badge)))
            case vocabulary.Misread(why):
                do((vocabulary.Signal(vocabulary.SignalKind.MISREAD, detail=why),))
            case vocabulary.StopPressed(actor, known):
                do(in_session.stop_pressed(machine, actor) if known else in_session.stop_unreadable(machine))
            case vocabulary.Running(on, by, known):
                do(in_session.work_sensed(machine, by, on=on, known=known))
            case vocabulary.MeterFailed(meter):
                do(in_session.meter_changed(machine, meter, broken=True))
            case vocabulary.MeterWorks(meter):
                do(in_session.meter_changed(machine, meter, broken=False))
            case vocabulary.EnergyCounted(wh):
                do((CountEnergy(wh),))
            case vocabulary.FlagPressed(down):
                self._flags.pressed(machine.now.boot_ms, down=down)
            case vocabulary.CauseRaised(cause, detail):
                do(cause_changes.raised(machine, cause, detail))
            case vocabulary.CauseCleared(cause, member):
                do(cause_changes.cleared(machine, cause, member))
            case vocabulary.ReaderFailed(reader, detail):
                self._readers.failed(reader, detail)
            case vocabulary.ReaderWorks(reader):
                self._readers.works(reader)
            case vocabulary.CheckpointLate(detail):
                do(cause_changes.checkpoint_late(machine, detail))
            case vocabulary.RosterChanged(rules, stale):
                do((AdoptRules(rules, stale),))
                for cause_event in cause_changes.of_roster(rules, stale=stale):
                    self._answer(cause_event)
                self._power.roster_changed()
            case vocabulary.Extend(by_ms, _):
                do(in_session.remote_extension(machine, by_ms))
            case vocabulary.Stopping():
                do((Cut(vocabulary.EndReason.RESTART),))
            # A Tick only runs what is overdue.
