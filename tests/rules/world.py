"""A workshop on paper for the tests of the rules: people, one machine, a clock that is moved by hand, a slow journal.

Each command of the gate becomes one short line, so that a test can assert what happened and in which order: ``off``,
then ``record ended s1 badge 5000``, then ``signal ended``. After them comes what the panel shows from then on, if its
kind has changed: ``show free``. `signals` holds both, as they read at that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count

from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate
from fabgate.rules.readers import Readers
from tests.rules.observer import check_off_first

NOON = datetime(2026, 11, 24, 12, 0)  # a Tuesday  # noqa: DTZ001 - the site's zone, as the gate hands it over

S = 1_000
MIN = 60 * S
H = 60 * MIN


def people() -> dict[str, vocabulary.Holder]:
    """The people of this workshop. A badge is named after its holder."""
    return {
        "ada": vocabulary.Member("m-ada", "Ada", "fr", grant="g-1"),
        "ada's phone": vocabulary.Member("m-ada", "Ada", "fr", grant="g-1"),
        "bob": vocabulary.Member("m-bob", "Bob", grant="g-2"),
        "kid": vocabulary.Member("m-kid", "Kid", supervised=True, grant="g-3"),
        "sue": vocabulary.Member("m-sue", "Sue", level=vocabulary.Level.SUPERVISOR, grant="g-4"),
        "max": vocabulary.Member("m-max", "Max", level=vocabulary.Level.MAINTAINER, grant="g-5"),
        "eve": vocabulary.Barred(("training-missing", "payment"), "m-eve", "fr"),
        "lost": vocabulary.Barred(("badge-lost",)),
        "desk": vocabulary.Emergency("desk"),
    }


class World:
    """One machine, its people, its clock and its journal. `slow` keeps records from disk until ``commit``."""

    def __init__(
        self,
        *,
        run_sense: bool = False,
        continuous: Sequence[bool] = (True,),
        holder: int = 0,
        checkpoint_ms: int = 30 * S,
        latched: Iterable[str] = (),
        **rules: object,
    ) -> None:
        self.people = people()
        self.rules = vocabulary.MachineRules(**rules)  # type: ignore[arg-type]
        ids = count(1)
        self.gate = Gate(
            self.people.get,
            self.rules,
            new_id=lambda: f"s{next(ids)}",
            run_sense=run_sense,
            readers=Readers(continuous, holder=holder),
            checkpoint_ms=checkpoint_ms,
            latched=latched,
        )
        self.ms = 1_000_000
        self.synced = True
        self.timeless = False
        self.noon = NOON
        self.waiting: deque[vocabulary.Record] = deque()
        self.facts: list[vocabulary.Fact] = []
        self.signals: list[vocabulary.Signal] = []
        self.power = False
        self.panel = self.gate.shown

    # --- time and events ---

    @property
    def now(self) -> vocabulary.Now:
        local = None if self.timeless else self.noon + timedelta(milliseconds=self.ms - 1_000_000)
        return vocabulary.Now(self.ms, local, self.synced)

    def do(self, event: vocabulary.Event) -> list[str]:
        commands = self.gate.handle(event, self.now)
        check_off_first(commands)
        for command in commands:
            if isinstance(command, vocabulary.SetPower):
                self.power = command.on
            elif isinstance(command, vocabulary.Record):
                self.waiting.append(command)
                self.facts.extend(command.facts)
            elif isinstance(command, vocabulary.Signal):
                self.signals.append(command)
        assert self.power is self.gate.powered
        return [line(command) for command in commands] + self._look()

    def _look(self) -> list[str]:
        """Look at the panel; return a line with the kind of what it shows, if that changed."""
        before, self.panel = self.panel, self.gate.shown
        if self.panel != before:
            self.signals.append(self.panel.at(self.ms))
        return [f"show {self.panel.kind}"] if self.panel.kind is not before.kind else []

    def after(self, ms: int) -> list[str]:
        """Let time pass, with a tick at each deadline of the gate. Checkpoints and progress are left out."""
        until, out = self.ms + ms, []
        while (due := self.gate.deadline()) is not None and due <= until:
            assert due > self.ms
            self.ms = due
            out += self.do(vocabulary.Tick())
        self.ms = until
        return [text for text in out if not text.startswith(("checkpoint", "record progress"))]

    def commit(self) -> list[str]:
        """Let the journal confirm everything that waits."""
        out = []
        while self.waiting:
            out += self.do(vocabulary.Committed(self.waiting.popleft().token))
        return out

    def tap(self, badge: str, reader: int = 0) -> list[str]:
        return self.do(vocabulary.Presented(badge, reader))

    def lift(self, badge: str, reader: int = 0) -> list[str]:
        return self.do(vocabulary.Removed(badge, reader))

    def stop(self, actor: str | None = None) -> list[str]:
        return self.do(vocabulary.StopPressed(actor))

    def loses_stop(self) -> list[str]:
        """Let the input of the stop button fail, as its thread posts it."""
        return self.do(vocabulary.StopPressed(known=False))

    def running(self, on: bool, by: str = "") -> list[str]:
        return self.do(vocabulary.Running(on, by))

    def breaks(self, meter: str = "meter") -> list[str]:
        """Let a meter that reports work fail, as its thread posts it."""
        return self.do(vocabulary.MeterFailed(meter)) + self.running(True, meter)

    def happens(self, cause: vocabulary.Cause, detail: str = "") -> list[str]:
        return self.do(vocabulary.CauseRaised(cause, detail))

    def is_over(self, cause: vocabulary.Cause, member: str | None = None) -> list[str]:
        return self.do(vocabulary.CauseCleared(cause, member))

    def roster(self, *, stale: bool = False, **changes: object) -> list[str]:
        """Bring a new roster: `changes` to the machine's rules; change people in place before."""
        self.rules = vocabulary.MachineRules(**{**{k: getattr(self.rules, k) for k in self.rules.__slots__}, **changes})
        return self.do(vocabulary.RosterChanged(self.rules, stale))

    # --- common beginnings ---

    def start(self, badge: str = "ada") -> World:
        """A session of `badge` has power, and everything so far is on disk."""
        self.tap(badge)
        self.commit()
        assert self.gate.phase == "active"
        return self

    def ask_flag(self) -> list[str]:
        """Press the flag button for three seconds."""
        self.do(vocabulary.FlagPressed(True))
        out = self.after(3 * S)
        self.do(vocabulary.FlagPressed(False))
        return out

    @property
    def phase(self) -> str:
        return str(self.gate.phase)

    @property
    def last(self) -> vocabulary.Fact:
        return self.facts[-1]

    def ends(self) -> list[tuple[str, str, int, int]]:
        """Session, reason, energised and running milliseconds of every end so far."""
        return [
            (fact.session, str(fact.reason), fact.energised_ms, fact.running_ms)
            for fact in self.facts
            if isinstance(fact, vocabulary.Ended)
        ]


def line(command: vocabulary.Command) -> str:
    match command:
        case vocabulary.SetPower(on):
            return "on" if on else "off"
        case vocabulary.Record(_, facts, _):
            return "record " + " + ".join(_fact(fact) for fact in facts)
        case vocabulary.Checkpoint(session):
            return f"checkpoint {session}"
        case vocabulary.ClearFault(member):
            return f"clear-fault {member}"
        case vocabulary.Signal(kind):
            return f"signal {kind}"


def _fact(fact: vocabulary.Fact) -> str:
    match fact:
        case vocabulary.Started(session):
            return f"started {session}"
        case vocabulary.Progress(session):
            return f"progress {session}"
        case vocabulary.Ended(session, _, _, reason, energised_ms):
            return f"ended {session} {reason} {energised_ms}"
        case vocabulary.Refused(_, _, reasons):
            return f"refused {','.join(reasons)}"
        case vocabulary.Blocked(cause):
            return f"blocked {cause}"
        case vocabulary.Cleared(cause):
            return f"cleared {cause}"
        case vocabulary.Flagged(kind):
            return f"flagged {kind}"
