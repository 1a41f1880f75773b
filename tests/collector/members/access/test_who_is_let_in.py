"""Pages, rosters and gates say the same of everybody, and what the documents say: in random workshops.

The gate is the real one: each roster is stored under the guard, over the one of a workshop of before, and each badge is
decided by the rules. What is right is said by oracle.py, which knows nothing of the code.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, event, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from fabgate import wire
from fabgate.collector.faces.pages.my import allowed
from fabgate.collector.faces.pages.people.person import page
from fabgate.collector.ground import models
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import reasons
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.people import machine_rules
from fabgate.gate.roster.source import replace_stored
from fabgate.rules import vocabulary
from fabgate.rules.access import Decision, decide, may_supervise
from tests.collector import oracle, workshops
from tests.collector.grants import today
from tests.collector.postgresql import SERVER
from tests.collector.rosters import add
from tests.collector.workshops import Written

pytestmark = pytest.mark.usefixtures("env")

EXAMPLES = 500 if os.environ.get("FABGATE_SOAK") else 8 if SERVER else 20


@dataclass
class Beside:
    """The gate beside a machine."""

    machine: str
    stored: Path

    def fetch(self) -> None:
        """Take what the collector serves, under the guard."""
        served = models.Gate.objects.get(name=f"{self.machine}-1")
        replace_stored(wire.decode(served.roster, wire.Roster), self.stored)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Directory]:
        """Give the roster that it decides by."""
        with contextlib.closing(Directory(self.stored)) as directory:
            yield directory


def moment(day: int, minute: int) -> vocabulary.Now:
    at = datetime.combine(today() + timedelta(days=day), time(minute // 60, minute % 60))
    return vocabulary.Now(0, at.replace(tzinfo=ZoneInfo(settings.ENVIRONMENT.tz)), synced=True)


def check_gate(written: Written, beside: Beside, day: int, minute: int) -> None:
    """Compare what a gate that heard of the workshop today, and of nothing since, decides at a moment."""
    machine = next(one for one in written.shop.machines if one.name == beside.machine)
    now, is_open = moment(day, minute), oracle.is_open(written.shop, machine, day, minute)
    with beside.opened() as directory:
        rules = machine_rules(directory.machine)
        for card in written.cards:
            holder = directory.find(card.digest)
            said = decide(holder, rules=rules, causes=frozenset(), stale=False, now=now)
            where = f"{card} at {machine.name} on day {day}, minute {minute}: {said}"
            if card.gave_up:
                assert said.reasons == ("badge-lost" if card.gave_up == "lost" else "unknown-badge",), where
                continue
            wanted = workshops.answer(written, card.holder, machine.name, day)
            shut = not is_open and not wanted.at_all_hours
            may = may_supervise(holder, rules=rules, causes=frozenset(), now=now)
            if day == 0:
                assert set(said.reasons) == wanted.reasons | ({"outside-hours"} if shut else set()), where
            if card.last_day is not None and card.last_day < day:
                assert said.basis is None, where
            until_then = {workshops.answer(written, card.holder, machine.name, one) for one in range(day + 1)}
            is_lent = card.last_day is None or day <= card.last_day
            if until_then == {wanted} and not wanted.reasons and not shut and is_lent:
                assert said.basis is not None, where
            if said.basis is None:
                assert not may, where
                if isinstance(holder, vocabulary.Member):
                    check_end(written, card, machine.name, holder, set(said.reasons) - {"outside-hours"}, where)
                continue
            # Without a collector a gate may know of too early an end, and never lets in who is not to be let in.
            assert not wanted.reasons, where
            assert not shut, where
            assert said.needs_supervisor or not wanted.needs_supervisor, where
            assert wanted.supervises or not may, where
            if day == 0:
                assert said.needs_supervisor == wanted.needs_supervisor, where
                assert may == wanted.supervises, where
            event(f"let in on day {day}, {'with a supervisor' if said.needs_supervisor else 'alone'}")


def check_end(
    written: Written, card: workshops.Card, machine: str, holder: vocabulary.Member, said: set[str], where: str
) -> None:
    """Check that a gate that heard of nothing since names the right that ended: what is missing on the first day after it."""
    if not said:
        return
    assert holder.valid_until is not None, where
    end = (holder.valid_until - today()).days + holder.grace_days + 1
    missing = workshops.answer(written, card.holder, machine, end).reasons
    if card.last_day is not None and card.last_day < end:
        missing |= {"loan-over"}
    # Who may only do less from then on cannot be told that by a gate: it refuses them, because a stage has expired.
    assert said <= (missing or {"training-expired"}), f"{where}; missing from day {end}: {missing}"
    event(f"after its end: {said}")


def check_pages(written: Written) -> None:
    """Compare what the desk and the members themselves read."""
    for person in written.shop.people:
        member = models.Member.objects.get(pk=person.id)
        own = {row.machine.name: row for row in allowed.machines(member, timezone.localtime())}
        for row in page.machines(member, timezone.localtime()):
            wanted = workshops.answer(written, person.id, row.machine.name, 0)
            where = f"{person} at {row.machine.name}: {row}"
            state = "bad" if wanted.reasons else "warn" if wanted.needs_supervisor else "ok"
            assert (row.chip.state, own[row.machine.name].state) == (state, state), where
            # One text names all ways to the machine: "training missing: Laser or Saw (expired)".
            wants = {"training-missing" if why == "training-expired" else why for why in wanted.reasons}
            assert {in_words(why) for why in row.why} == set(map(reasons.refused, wants)), where
            if any(why.startswith(reasons.refused("training-expired")) for why in row.why):
                assert "training-expired" in wanted.reasons, where
            if not wanted.reasons:
                assert row.until == last_day(written, person, row.machine.name), where


def last_day(written: Written, person: oracle.Person, name: str) -> date | None:
    """Return until when the desk is to say that a person may use a machine: with what they have lent, if only that."""
    machine = next(one for one in written.shop.machines if one.name == name)
    lent = [card.last_day for card in written.cards if card.holder == person.id and not card.gave_up]
    ends = [end for end in (oracle.last_day(written.shop, person, machine),) if end is not None]
    ends += [max(day for day in lent if day is not None)] if lent and None not in lent else []
    return today() + timedelta(days=min(ends)) if ends else None


def in_words(why: str) -> str:
    """Return a reason of the desk without what it adds: which trainings are missing or expired, or that none gives access."""
    missing, expired = reasons.refused("training-missing"), reasons.refused("training-expired")
    return missing if why.startswith((missing, expired, "needs individual access")) else why


@pytest.fixture
def beside_each_machine(env, told) -> None:
    for name in workshops.MACHINES:
        add(f"{name}-1", name)


@pytest.mark.usefixtures("beside_each_machine")
@examples(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes, and each assertion says whom it is about
)
@given(data=st.data())
def test_page_roster_and_gate_say_what_the_documents_say(tmp_path_factory, data):
    begun, weekday = today(), today().isoweekday()
    folder = tmp_path_factory.mktemp("gates")
    gates = [Beside(name, folder / f"{name}.db") for name in workshops.MACHINES]
    with transaction.atomic():
        for _ in range(2):
            written = data.draw(workshops.workshops(weekday))
            workshops.write(written, begun)
            roster.rebuild()
            for beside in gates:
                beside.fetch()
        check_pages(written)
        times = [(0, data.draw(st.integers(0, 1439))), (data.draw(st.integers(0, 6)), data.draw(st.integers(0, 1439)))]
        for beside in gates:
            for day, minute in times:
                if today() == begun:
                    check_gate(written, beside, day, minute)
        transaction.set_rollback(True)


def check_open_to_all(written: Written, beside: Beside, now: vocabulary.Now) -> None:
    """Compare what both pages say of a machine that may be open to all members with what its gate decides."""
    machine, local = models.Machine.objects.get(name=beside.machine), now.local
    assert local is not None
    until = machine.open_until(local)
    holders = {card.holder: card for card in written.cards if not card.gave_up}
    with beside.opened() as directory:
        rules = machine_rules(directory.machine)

        def decided(card: workshops.Card, now: vocabulary.Now) -> Decision:
            return decide(directory.find(card.digest), rules=rules, causes=frozenset(), stale=False, now=now)

        for person in written.shop.people:
            member = models.Member.objects.get(pk=person.id)
            (row,) = [row for row in page.machines(member, local) if row.machine == machine]
            (own,) = [row for row in allowed.machines(member, local) if row.machine == machine]
            word = row.chip.word.replace("Instructor", "Yes")
            is_open = word.startswith("Yes, open to all members until ")
            where = f"{person} at {machine.name}, {local}, open until {until}: {row}, {own}"
            assert (own.word, own.state) == (word, row.chip.state), where
            assert until is not None or not is_open, where
            if person.id not in holders:
                continue
            card = holders[person.id]
            said = decided(card, now)
            where = f"{where}; the gate: {said}"
            assert (said.basis is not None) == (word != "No" and "closed" not in word), where
            if said.basis is None:
                continue
            assert said.needs_supervisor == (word == "With a supervisor"), where
            assert is_open or said.basis.kind != "observe", where
            if is_open:
                event("open to all members")
                assert until is not None
                last = until - timedelta(seconds=1)
                assert decided(card, vocabulary.Now(0, last, synced=True)).basis is not None, where


@pytest.mark.usefixtures("beside_each_machine")
@examples(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(data=st.data())
def test_pages_say_what_a_gate_does_while_its_machine_is_open_to_all(tmp_path_factory, data):
    folder, now = tmp_path_factory.mktemp("gates"), moment(0, data.draw(st.integers(0, 1439)))
    assert now.local is not None
    with transaction.atomic():
        written = data.draw(workshops.workshops(today().isoweekday()))
        workshops.write(written, today())
        for machine in models.Machine.objects.all():
            ahead = data.draw(st.one_of(st.none(), st.integers(-60, 60), st.integers(0, 6 * 1440)))
            if ahead is not None:
                until = now.local + timedelta(minutes=ahead)
                until = data.draw(st.sampled_from([until, until.astimezone(UTC), until.replace(tzinfo=None)]))
                machine.rules |= {"observe_until": until.isoformat()}
                machine.save()
        roster.rebuild()
        for name in workshops.MACHINES:
            beside = Beside(name, folder / f"{name}.db")
            beside.fetch()
            check_open_to_all(written, beside, now)
        transaction.set_rollback(True)
