"""What does the gate know, and how does it put it into facts and words?

Everything that the machine of ``session`` remembers stands here, with the small tools that every part of it needs: to
ask who a badge's holder is and what they may do, to write a fact down, to tell the person at the machine. Nothing
here decides about power; the verbs that do are named at the end and written in ``session``, in one place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace

from fabgate.rules import panel
from fabgate.rules import vocabulary as w
from fabgate.rules.access import IN_USE, Decision, decide, may_supervise
from fabgate.rules.flags import Flags
from fabgate.rules.meter import Meter
from fabgate.rules.owner import STATE_OF, Pending, Phase, Session
from fabgate.rules.strangers import Strangers
from fabgate.rules.term import Term


class Notebook(ABC):
    """What is known of one machine. See ``session.Gate`` for the arguments."""

    def __init__(
        self,
        look_up: Callable[[str], w.Holder | None],
        rules: w.MachineRules,
        *,
        new_id: Callable[[], str],
        run_sense: bool = False,
        continuous: bool = True,
        checkpoint_ms: int = 30_000,
        latched: Iterable[str] = (),
    ) -> None:
        self._look_up = look_up
        self._rules = rules
        self._new_id = new_id
        self._run_sense = run_sense
        self._checkpoint_ms = checkpoint_ms
        kept = set(latched)
        if w.FlagKind.DANGER in kept:
            kept.add(w.Cause.FLAG)  # a danger blocks by whichever of its names it was kept
        self._flags = Flags(reported=w.FlagKind.REPORT in kept, continuous=continuous)
        self._causes: dict[w.Cause, str] = dict.fromkeys(w.LATCHING & kept, "")
        self._stale = False
        self._running = False
        self._phase = Phase.IDLE
        self._session: Session | None = None
        self._pending: Pending | None = None
        self._strangers = Strangers()
        self._next_mode = rules.mode
        self._token = 0
        self._now = w.Now(0)
        self._out: list[w.Command] = []

    # --- what others see ----------------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """Return where the session stands."""
        return self._phase

    @property
    def state(self) -> str:
        """Return idle, starting, active or finishing."""
        return STATE_OF[self._phase]

    @property
    def causes(self) -> list[w.Cause]:
        """Return what forbids use, worst first."""
        return [cause for cause in w.Cause if cause in self._causes]

    @property
    def session(self) -> Session | None:
        """Return the session that owns the power, or None."""
        return self._session

    @property
    def powered(self) -> bool:
        """Return whether the machine has power by these rules: ACTIVE or FINISHING, and never in audit mode."""
        return self._session is not None and self._rules.mode is not w.Mode.AUDIT

    @property
    def rules(self) -> w.MachineRules:
        """Return the rules in force."""
        return self._rules

    @property
    def shown(self) -> w.Shown:
        """Return what the panel shows until the state changes."""
        return panel.shown(
            self._phase,
            self._session,
            self._pending,
            {cause: self._causes[cause] for cause in self.causes},
            asked=self._flags.asked,
            rules=self._rules,
            still=self._still,
            felt=self._run_sense,
            at_ms=self._now.boot_ms,
        )

    # --- who is who ---------------------------------------------------------------------------------------------------

    def _owner(self) -> Session:
        assert self._session is not None
        return self._session

    @property
    def _still(self) -> bool:
        """Whether the machine is known to stand still; without an input nobody knows."""
        return self._run_sense and not self._running

    def _holder(self, badge: str | None, member: str | None) -> w.Holder | None:
        """Return who holds `badge` if that is still `member`: a badge may have changed hands since it was tapped."""
        holder = None if badge is None else self._look_up(badge)
        return holder if holder is not None and holder.id == member else None

    def _decide(self, holder: w.Holder | None) -> Decision:
        return decide(holder, rules=self._rules, causes=self._causes.keys(), stale=self._stale, now=self._now)

    def _person(self, holder: w.Holder | None) -> Decision:
        """Decide on a person alone. Causes, and a clock that is lost, have rules of their own for a running session."""
        now = replace(self._now, synced=True)
        return decide(holder, rules=self._rules, causes=frozenset(), stale=False, now=now)

    def _level(self, holder: w.Holder) -> w.Level:
        """Return what a person may do beyond using the machine: nothing once the roster no longer admits them."""
        admitted = isinstance(holder, w.Member) and self._person(holder).basis is not None
        return holder.rank if isinstance(holder, w.Member) and admitted else w.Level.USER

    def _guest_barred(self, session: Session) -> bool:
        """Say whether a guest's badge has turned out to be one that the roster refuses: nobody answers for that."""
        holder = self._look_up(session.badge) if session.sponsored else None
        return isinstance(holder, w.Barred) and self._person(holder).basis is None

    def _may_supervise(self, holder: w.Holder | None) -> bool:
        return may_supervise(holder, rules=self._rules, causes=self._causes.keys(), now=self._now)

    def _may_sponsor(self, holder: w.Holder) -> bool:
        """Say whether a badge opens a session for a stranger; never under a cause, whatever its holder may do alone."""
        return self._rules.sponsor and self._cards_may_change and not self._causes and self._may_supervise(holder)

    @property
    def _cards_may_change(self) -> bool:
        """Whether the member's card may leave for a supervisor's: in hold mode only a grace time allows that."""
        return self._rules.mode is not w.Mode.HOLD or self._rules.grace_ms > 0

    def _new_session(
        self,
        badge: str,
        holder: w.Holder,
        basis: w.Basis,
        *,
        supervisor: str | None = None,
        supervisor_badge: str | None = None,
    ) -> Session:
        return Session(
            id=self._new_id(),
            member=holder.id or "",
            name=getattr(holder, "name", ""),
            lang=getattr(holder, "lang", "en"),
            badge=badge,
            basis=basis,
            term=self._term(holder),
            supervisor=supervisor,
            supervisor_badge=supervisor_badge,
        )

    def _term(self, holder: w.Holder | None) -> Term:
        """Return how long `holder` may use the machine by the rules of this moment."""
        limit_ms = (holder.limit_ms if isinstance(holder, w.Member) else None) or self._rules.limit_ms
        return Term(limit_ms, self._rules.max_ms)

    # --- facts --------------------------------------------------------------------------------------------------------

    def _record(self, *facts: w.Fact) -> int:
        self._token += 1
        self._out.append(w.Record(self._token, facts, self._now))
        return self._token

    def _started(
        self, session: Session, *, continues: str | None = None, energised_from_ms: int | None = None
    ) -> w.Started:
        return w.Started(
            session.id,
            session.member,
            session.badge,
            session.basis,
            self._rules.mode,
            session.supervisor,
            continues,
            energised_from_ms,
        )

    def _ended(self, session: Session, reason: w.EndReason, meter: Meter, *, actor: str | None = None) -> w.Ended:
        return w.Ended(session.id, session.member, session.badge, reason, meter.energised_ms, meter.running_ms, actor)

    def _refuse_in_use(self, badge: str, holder: w.Holder | None) -> None:
        # What keeps them from the machine for ever comes before what keeps them for the moment.
        self._refuse(badge, holder, (*self._decide(holder).reasons, IN_USE))

    def _refuse(self, badge: str, holder: w.Holder | None, reasons: tuple[str, ...]) -> None:
        if holder is None and not self._strangers.unknown(badge, self._now.boot_ms):
            return
        if holder is None or self._strangers.known(badge, reasons, self._now.boot_ms):
            self._record(w.Refused(badge, None if holder is None else holder.id, reasons))
        lang = None if holder is None or not isinstance(holder, w.Member | w.Barred) else holder.lang
        self._signal(w.SignalKind.REFUSED, lang=lang, reasons=reasons)

    def _turn_away(self, session: Session, reasons: tuple[str, ...]) -> None:
        """Refuse whoever waits to begin: nobody tapped that badge now, so it is no stranger's who may be sponsored."""
        holder = self._holder(session.badge, session.member)
        if self._strangers.known(session.badge, reasons, self._now.boot_ms):
            self._record(w.Refused(session.badge, None if holder is None else holder.id, reasons))
        self._signal(w.SignalKind.REFUSED, lang=session.lang, reasons=reasons)

    # --- words --------------------------------------------------------------------------------------------------------

    def _signal(
        self,
        kind: w.SignalKind,
        *,
        session: Session | None = None,
        lang: str | None = None,
        reasons: tuple[str, ...] = (),
        ms: int = 0,
        detail: str = "",
    ) -> None:
        if session is not None:
            lang = session.lang
        self._out.append(w.Signal(kind, session.name if session else "", lang, reasons, ms, detail))

    # --- the verbs of session -----------------------------------------------------------------------------------------

    @abstractmethod
    def _ask_supervisor(self, session: Session) -> None: ...

    @abstractmethod
    def _ask_journal(self, session: Session) -> None: ...

    @abstractmethod
    def _decide_again(self) -> bool: ...

    @abstractmethod
    def _hand_over(self, newcomer: Session) -> None: ...

    @abstractmethod
    def _cancel(self, reason: w.EndReason) -> None: ...

    @abstractmethod
    def _cancel_start(self) -> None: ...

    @abstractmethod
    def _wish_end(self, reason: w.EndReason, *, actor: str | None = None) -> None: ...

    @abstractmethod
    def _job_said_done(self, session: Session) -> None: ...

    @abstractmethod
    def _cut(self, *facts: w.Fact) -> None: ...

    @abstractmethod
    def _power_off(self) -> None: ...
