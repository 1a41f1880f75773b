"""Random histories of a workshop: gates that fork, boot and lose cards; entries in any order; people who decide."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import (
    Badge,
    Collector,
    Correction,
    Gate,
    Group,
    Machine,
    Member,
    Payer,
    Review,
    RosterLimit,
)
from fabgate.collector.ground.models import UsageSession as Session
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector import postgresql
from tests.collector.gates import NOON, Journal
from tests.collector.recording.intake.moves import MOVES
from tests.collector.recording.intake.moves import Gate as Writer
from tests.support.baseline import log_the_rest

DELIVER = ["deliver", "deliver", "deliver", "again", "status", "state", "garbage"]
DECIDE = ["correct", "correct", "contest", "accept", "favour", "category", "badge", "machine", "log"]
#: A session from its start to its end.
WHOLE = ["whole"] * 8
STEPS = st.lists(
    st.tuples(st.sampled_from([*MOVES, *WHOLE, *DELIVER, *DECIDE]), st.integers(0, 100_000)),
    min_size=20,
    max_size=80,
)
ZONE = "Europe/Paris"


def empty(template: Path, database: Path) -> None:
    """Empty this test's database again."""
    from django.db import connection

    connection.close()
    if postgresql.SERVER:
        postgresql.empty()
        return
    for leftover in database.parent.glob(f"{database.name}-*"):
        leftover.unlink()
    database.write_bytes(template.read_bytes())


@dataclass
class History:
    """A workshop with two gates, and what has been delivered of their entries."""

    writers: list[Writer] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    now: datetime = NOON

    def __post_init__(self) -> None:
        Collector.objects.create(id=1, collector="c", site="lyon", rolled_tz=ZONE)
        for name in ("laser-1", "saw-1"):
            machine = Machine.objects.create(name=name.removesuffix("-1"))
            gate = Gate.objects.create(name=name, machine=machine)
            RosterLimit.objects.create(gate=gate, version=7, longest_s=40)
            # Their sessions have other ids, but some may have the same: no gate may change a session of the other.
            self.writers.append(Writer([Journal(gate=name)], count=3 * len(self.writers)))
        for n in range(3):
            member = Member.objects.create(id=f"m-{n}", name=f"Person {n}", category=("adult", "student", "")[n])
            payers.ensure(Payer(id=member.pk, member=member), actor="maya")
        group = Group.objects.create(name="5b", kind="class")
        Badge.objects.create(digest="d1", key_id="b1", group=group, since=NOON - timedelta(days=9))
        log_the_rest()
        self.store = Store("lyon")

    def play(self, steps: Sequence[tuple[str, int]]) -> None:
        """Do all steps, then deliver what is left."""
        for what, number in steps:
            self.step(what, number)
        self.deliver_all()

    def step(self, what: str, number: int) -> None:
        chance = random.Random(number)
        writer = self.writers[number % 2]
        self.now += timedelta(seconds=chance.randrange(1, 400))
        if what in MOVES:
            writer.move(what, number)
        elif what == "whole":
            for move in ("end", "start", "progress", "end"):
                writer.move(move, number)
            self.deliver(writer, chance)
        elif what == "deliver":
            self.deliver(writer, chance)
        elif what in {"status", "state", "garbage", "again"}:
            self.store.store(list(self.other(what, writer, chance)), self.now)
        else:
            with contextlib.suppress(UsageError):
                self.decide(what, chance)

    def deliver(self, writer: Writer, chance: random.Random) -> None:
        """Deliver some entries of a gate that were not delivered yet, perhaps with a gap before them."""
        journal = chance.choice(writer.journals)
        sent = self.sent.get(journal.name, 0)
        first = sent + 1 + (chance.randrange(3) == 0)
        last = min(journal.head, first + chance.randrange(6))
        if first <= last:
            self.store.store([journal.message(seq) for seq in range(first, last + 1)], self.now)
            self.sent[journal.name] = max(sent, last) if first == sent + 1 else sent

    def other(self, what: str, writer: Writer, chance: random.Random) -> list[Received]:
        journal = writer.journal
        if what == "status":
            # Sometimes of another card, which the gate used before or uses again, or from before its last entries.
            journal = chance.choice(writer.journals)
            head = chance.choice([journal.head, chance.randrange(journal.head + 1)])
            return [journal.status(at=self.now, head=head, floor=chance.choice([1, 1, max(1, head)]), mark=0)]
        if what == "state":
            return [
                journal.state(state="active", session=writer.session or "s-9", energised_ms=chance.randrange(90_000))
            ]
        if what == "garbage":
            seq = journal.head + 1
            return [Received(journal.topics.event("fabgate.session.started.v1"), b"{", journal.name, str(seq + 50))]
        return journal.messages()[: chance.randrange(5)]

    def deliver_all(self) -> None:
        """Deliver everything, and the statuses."""
        for writer in self.writers:
            for journal in writer.journals:
                self.now += timedelta(seconds=7)
                self.store.store(journal.messages(), self.now)
            self.store.store([writer.journal.status(at=self.now)], self.now)

    def decide(self, what: str, chance: random.Random) -> None:
        sessions = list(Session.objects.exclude(reason=None).order_by("id"))
        session = chance.choice(sessions) if sessions else None
        waiting = list(Review.objects.filter(settled_at=None).order_by("id"))
        why = f"because {chance.randrange(9)}"
        if what == "correct" and session:
            kind = chance.choice(Correction.FIELDS)
            new = {"time": str(chance.randrange(90_000)), "purpose": chance.choice(["own", "training", "group"])}
            value = new.get(kind, f"m-{chance.randrange(3)}")
            corrections.correct(session.pk, kind, value, author=chance.choice(["maya", "bo"]), reason=why)
        elif what == "contest" and session:
            corrections.contest(session, why, author=session.used_by)
        elif what in {"accept", "favour"} and waiting:
            decide = corrections.accept if what == "accept" else corrections.favour
            decide(chance.choice(waiting), author="maya", note=chance.choice(["", why]))
        elif what == "category":
            member = Member.objects.get(pk=f"m-{chance.randrange(3)}")
            with audit.change("maya", "member.updated", member):
                member.category, member.payer_id = chance.choice(["adult", "school"]), f"m-{chance.randrange(3)}"
                member.save()
        elif what == "badge":
            ended = list(Badge.objects.filter(ended_at=None))
            with audit.changes("maya", "badge.ended", ended):
                Badge.objects.filter(ended_at=None).update(ended_at=self.now - timedelta(days=1), end_reason="returned")
            given = Badge(digest="d1", key_id="b1", member_id=f"m-{chance.randrange(3)}", since=self.now)
            with audit.change("maya", "badge.given", given):
                given.save()
        elif what == "machine":
            gate = Gate.objects.order_by("id")[chance.randrange(2)]
            with audit.change("maya", "gate.moved", gate):
                gate.machine = Machine.objects.order_by("id")[chance.randrange(2)]
                gate.save(update_fields=["machine"])
        elif what == "log":
            with audit.changes("maya", "member.updated", list(Member.objects.order_by("id"))):
                Member.objects.update(name=why)


def texts(report: object) -> list[str]:
    """Return the findings as lines, for the message of an assertion."""
    return [finding.text for finding in report.findings]  # type: ignore[attr-defined]
