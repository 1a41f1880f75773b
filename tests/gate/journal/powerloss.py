"""The life of a journal on a disk whose power fails, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.writer import FOLD_AFTER, NO_CHANGE, Change, Draft, Journal, OpenSession
from fabgate.seal import first_break, first_prev, from_text
from tests.gate.disk import Disk

TOPICS = wire.GateTopics("lyon", "laser-1")
BOOT = "6f1c2a5e-0000-4000-8000-000000000001"
START = datetime(2026, 11, 24, 8, tzinfo=UTC)


def journal_on(disk: Disk, **changes: Any) -> Journal:
    tools = {
        "connect": disk.connect,
        "sync_directory": disk.sync_directory,
        "create": disk.create,
        "write_back": disk.write_back,
    }
    journal = Journal(disk.folder / "journal.db", TOPICS, **(tools | changes))
    journal.slice = 4  # so that a renewal has many steps
    return journal


def clock() -> wire.Clock:
    return wire.Clock(boot=BOOT, boottime_ms=1000, synced=True)


def draft(kind: str, number: int, *, session: str = "") -> Draft:
    data: wire.Data
    if kind == "session.started":
        data = wire.SessionStarted(
            clock=clock(), session=session, member="m-1", badge="d" * 64, basis=wire.Basis(kind="grant"), mode="tap"
        )
    elif kind == "session.ended":
        data = wire.SessionEnded(
            clock=clock(), session=session, member="m-1", badge="d" * 64, energised_ms=1, running_ms=0, reason="badge"
        )
    else:
        data = wire.AccessRefused(clock=clock(), badge="e" * 64, reasons=["training-missing"] * (number % 40))
    time = None if number % 7 == 0 else START + timedelta(minutes=number)
    return Draft(uuid7(), kind, data, time)


def checkpoint_of(session: str) -> OpenSession:
    return OpenSession(session, "m-1", "d" * 64, 7, 0, 0, BOOT, 1000, 90_000)


@dataclass
class Known:
    """What the outside world was told: everything that returned, and what was under way."""

    entries: list[Draft] = field(default_factory=list)
    anchor: int = 0
    mark: int = 0
    opened: OpenSession | None = None
    latched: frozenset[str] = frozenset()
    lock: str | None = None
    #: Which journal it is; not known before it was opened once.
    journal: str = ""

    def after(self, drafts: list[Draft], change: Change) -> Known:
        opened = None if self.opened and self.opened.session in change.closes else self.opened
        latched = (self.latched | change.latch) - change.unlatch
        lock = self.lock if change.lock is None else change.lock
        return replace(self, entries=self.entries + drafts, opened=change.opens or opened, latched=latched, lock=lock)

    def renewed(self, journal: str, first: Draft) -> Known:
        kept = [first, *self.entries[self.anchor :]]
        return replace(self, entries=kept, anchor=0, mark=0, journal=journal)


class Life:
    """A random workload on one disk, with the model of what it may find after a cut."""

    def __init__(self, disk: Disk, random: Random) -> None:
        self.disk = disk
        self.random = random
        self.known = Known()
        #: What holds instead of `known` if the interrupted step became durable.
        self.maybe: Known | None = None
        #: The same for interrupted steps that were not there after a restart. Until a later step is certain, they may
        #: still appear: the next frame of the WAL is written over what is left of theirs, often the same page with the
        #: same end, and a second power cut can leave a mixture of both that is the older frame, whole.
        self.absent: list[Known] = []
        self.interrupted: tuple[list[Draft], Change] | None = None
        self.interrupted_renewal: tuple[str, Draft] | None = None
        self.count = 0
        #: After about so many steps the WAL is folded.
        self.fold_every = 150

    def run_until_stopped(self, journal: Journal | None = None) -> None:
        """Work, and after a failure go on, as the recorder does, until nothing answers any more."""
        while not self.disk.off:
            if journal is None:
                self.fold_every = self.random.choice((1, 2, 8, 150))
                journal = journal_on(self.disk)
            try:
                journal.open()
                self._compare(journal)
                if self.interrupted is not None:
                    self._append(journal, *self.interrupted)
                if self.interrupted_renewal is not None:
                    self._renew(journal, *self.interrupted_renewal)
                while True:
                    self._step(journal)
                    if self.random.randrange(self.fold_every) == 0:
                        self.fold(journal)
            except JournalError:
                assert self.disk.off or self.disk.has_failed
                self.disk.heal()
            finally:
                journal.close()
            if self.random.random() < 0.5:
                journal = None

    def _compare(self, journal: Journal) -> None:
        """Compare with what was promised; learn whether an interrupted step is there. What is seen must stay."""
        found = look(journal)
        if self.maybe is not None:
            self.absent.append(self.maybe)
            self.maybe = None
        if fits(self.known, found):
            self.known = replace(self.known, journal=journal.id)
            return
        fitting = [known for known in self.absent if fits(known, found)]
        assert fitting, f"promised {self.known}, or {self.absent}, found {found}"
        self.known, self.absent = replace(fitting[-1], journal=journal.id), []

    def _step(self, journal: Journal) -> None:
        chance = self.random.random()
        if chance < 0.60:
            self.append_something(journal)
        elif chance < 0.75:
            self.checkpoint(journal)
        elif chance < 0.88:
            self.acknowledge(journal)
        elif chance < 0.95:
            self.trim(journal)
        elif chance < 0.96:
            self.renew(journal)
        elif chance < 0.98:
            journal.tidy_some()
        else:
            journal.close()

    def _something(self) -> tuple[list[Draft], Change]:
        kinds = ["access.refused"] * self.random.randrange(3)
        change = NO_CHANGE
        session = ""
        opened = self.known.opened
        if opened is None and self.random.random() < 0.6:
            session = uuid7()
            kinds.append("session.started")
            change = Change(opens=checkpoint_of(session), latch=frozenset({"danger"}))
        elif opened is not None and self.random.random() < 0.5:
            session = opened.session
            kinds.append("session.ended")
            change = Change(closes=frozenset({session}), unlatch=frozenset({"danger"}), lock=f"after {session}")
        drafts = []
        for kind in kinds or ["access.refused"]:
            self.count += 1
            drafts.append(draft(kind, self.count, session=session))
        return drafts, change

    def append_something(self, journal: Journal) -> None:
        self._append(journal, *self._something())

    def start_session(self, journal: Journal) -> None:
        session = uuid7()
        drafts = [draft("access.refused", 1), draft("session.started", 2, session=session)]
        self._append(journal, drafts, Change(opens=checkpoint_of(session), latch=frozenset({"danger", "report"})))

    def end_session(self, journal: Journal) -> None:
        assert self.known.opened is not None
        session = self.known.opened.session
        change = Change(closes=frozenset({session}), unlatch=frozenset({"danger"}))
        self._append(journal, [draft("session.ended", 3, session=session)], change)

    def hand_over(self, journal: Journal) -> None:
        assert self.known.opened is not None
        old, new = self.known.opened.session, uuid7()
        drafts = [draft("session.ended", 4, session=old), draft("session.started", 5, session=new)]
        self._append(journal, drafts, Change(opens=checkpoint_of(new), closes=frozenset({old})))

    def _append(self, journal: Journal, drafts: list[Draft], change: Change) -> None:
        self.interrupted = (drafts, change)
        done = self.known.entries[-len(drafts) :] == drafts
        self.maybe = self.known if done else self.known.after(drafts, change)
        head = journal.append(drafts, change)
        self._certain()
        assert head == len(self.known.entries)

    def renew(self, journal: Journal) -> None:
        old = journal.id
        data = wire.JournalForked(clock=clock(), journal=old, floor=journal.floor, head=journal.head, mark=journal.mark)
        self._renew(journal, uuid7().replace("-", ""), Draft(uuid7(), "journal.forked", data, START))

    def _renew(self, journal: Journal, name: str, first: Draft) -> None:
        self.interrupted_renewal = (name, first)
        self.maybe = self.known if self.known.journal == name else self.known.renewed(name, first)
        head = journal.renew(name, first)
        self._certain()
        assert head == len(self.known.entries)

    def checkpoint(self, journal: Journal) -> None:
        opened = self.known.opened
        if opened is None:
            journal.checkpoint("another", energised_ms=9, running_ms=9, boot_ms=9)
            return
        longer_ms = opened.energised_ms + 30_000
        more = msgspec.structs.replace(opened, energised_ms=longer_ms, boot_ms=opened.boot_ms + 30_000)
        self.maybe = replace(self.known, opened=more)
        journal.checkpoint(more.session, energised_ms=more.energised_ms, running_ms=0, boot_ms=more.boot_ms)
        self._certain()

    def acknowledge(self, journal: Journal, mark: int | None = None) -> None:
        if mark is None:
            mark = self.random.randint(self.known.anchor, len(self.known.entries))
        self.maybe = replace(self.known, mark=mark)
        journal.acknowledge(mark)
        self._certain()

    def trim(self, journal: Journal, most: int | None = None) -> None:
        if most is None:
            most = self.random.randrange(12)
        anchor = max(self.known.anchor, min(self.known.mark, len(self.known.entries) - most))
        self.maybe = replace(self.known, anchor=anchor)
        assert journal.trim(before_ms=0, most=most) == anchor - self.known.anchor
        self._certain()

    def fold(self, journal: Journal) -> None:
        journal._unfolded = FOLD_AFTER  # as if so many transactions had gone before
        journal.fold()

    def _certain(self) -> None:
        assert self.maybe is not None
        self.known, self.maybe, self.absent = self.maybe, None, []
        self.interrupted = self.interrupted_renewal = None


def look(journal: Journal) -> dict[str, Any]:
    """Check what must hold whatever was promised, and return the rest."""
    assert journal._rows("PRAGMA integrity_check") == [("ok",)]
    rows = journal._rows("SELECT seq, uid, body FROM entry ORDER BY seq")
    links = [(seq, from_text(wire.decode_entry(body).prev), body) for seq, _, body in rows]
    seq, prev = journal.anchor
    assert first_break(links, after=seq, prev=prev) is None
    assert seq or prev == first_prev(journal.id)
    assert journal.head == seq + len(rows)
    assert len({uid for _, uid, _ in rows}) == len(rows)
    assert journal.anchor[0] <= journal.mark <= journal.head
    return {
        "uids": [uid for _, uid, _ in rows],
        "anchor": journal.anchor[0],
        "mark": journal.mark,
        "opened": journal.open_session(),
        "latched": journal.latched(),
        "lock": journal.lock(),
        "journal": journal.id,
    }


def fits(known: Known, found: dict[str, Any]) -> bool:
    return found == {
        "uids": [draft.uid for draft in known.entries[known.anchor :]],
        "anchor": known.anchor,
        "mark": known.mark,
        "opened": known.opened,
        "latched": known.latched,
        "lock": known.lock,
        "journal": known.journal or found["journal"],
    }


def reopen(life: Life, journal: Journal) -> None:
    journal.close()
    life.append_something(journal)


ACTS: dict[str, Callable[[Life, Journal], None]] = {
    "open": lambda life, journal: None,
    "start": Life.start_session,
    "end": Life.end_session,
    "hand over": Life.hand_over,
    "checkpoint": Life.checkpoint,
    "acknowledge": lambda life, journal: life.acknowledge(journal, journal.head - 1),
    "trim": lambda life, journal: life.trim(journal, 1),
    "reopen": reopen,
    "renew": Life.renew,
    "fold": Life.fold,
}


def and_fold(act: Callable[[Life, Journal], None]) -> Callable[[Life, Journal], None]:
    def both(life: Life, journal: Journal) -> None:
        act(life, journal)
        life.fold(journal)

    return both


ACTS |= {f"{name} and fold": and_fold(act) for name, act in ACTS.items() if name not in ("open", "fold")}


def steps_that_fail(folder: Path, act: str, **how: Any) -> Iterator[tuple[Life, Journal, bool]]:
    """Do `act` on a prepared journal again and again, the n-th write or sync failing; yield what was left."""
    forgetful = how.pop("forgetful", False)
    for n in count(1):
        for left in folder.iterdir():
            left.unlink()
        random = Random(0)
        disk = Disk(folder, random, mode=Random(n).choice(("drop", "subset", "torn")), forgetful=forgetful)
        life = Life(disk, random)
        journal = journal_on(disk)
        if act != "open":
            journal.open()
            for _ in range(3):
                life.append_something(journal)
            starts = act.startswith("start")
            if starts and life.known.opened:
                life.end_session(journal)
            elif not starts and not life.known.opened:
                life.start_session(journal)
            life.acknowledge(journal, journal.head)
        random.seed(n)
        disk.fail_at(n, **how)
        returned = True
        try:
            journal.open() if act == "open" else ACTS[act](life, journal)
        except JournalError:
            returned = False
        if not disk.has_failed:
            disk.stop()
            journal.close()
            disk.close()
            assert returned
            assert n > 3
            return
        yield life, journal, returned
        disk.stop()
        journal.close()
        disk.close()
