"""Forks, clones and holes: what a store must keep of them, whatever arrives first."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate import seal
from fabgate.collector.ground.models import Entry, Hole, Quarantine, UsageSession
from fabgate.collector.ground.models import Journal as Row
from tests.collector.gates import NOON, Journal, ack

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def journal() -> Journal:
    written = Journal()
    written.write("gate.started", version="1")
    written.start("s-1")
    return written


def image_of(journal: Journal, head: int) -> Journal:
    """Return what an SD image of this journal holds that was taken at `head`."""
    image = Journal(gate=journal.gate, name=journal.name, boot="restored", boottime_ms=500)
    image.bodies, image.types, image.uids = journal.bodies[:head], journal.types[:head], journal.uids[:head]
    return image


def session(name: str) -> UsageSession:
    return UsageSession.objects.get(id=name)


def holes() -> list[tuple[int, int, str]]:
    return list(Hole.objects.order_by("journal", "first").values_list("first", "last", "state"))


# --- sessions that end badly ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["restart", "power-loss"])
@pytest.mark.parametrize("forked_first", [False, True])
def test_a_session_closed_at_a_start_of_a_journal_that_then_forks_goes_to_review(store, journal, reason, forked_first):
    store.store(journal.messages(), NOON)
    end = journal.end("s-1", 30_000, reason=reason, uncertainty_ms=0)
    if not forked_first:
        store.store([end], NOON)
        assert session("s-1").review is None
    store.store(journal.fork(mark=2).messages(), NOON)
    store.store([end], NOON)
    assert (session("s-1").reason, session("s-1").review) == (reason, "restored-image")


def test_a_session_that_ended_by_itself_needs_no_review_because_its_journal_forks(store, journal):
    journal.end("s-1", 30_000)
    store.store(journal.messages(), NOON)
    store.store(journal.fork(mark=1).messages(), NOON)
    assert session("s-1").review is None


def test_a_session_whose_last_state_counter_exceeds_value_and_uncertainty_goes_to_review(store, journal):
    for number, (counter, review) in enumerate([(120_000, None), (120_001, "counter-above-end")]):
        name = f"t-{number}"
        journal.start(name)
        store.store([*journal.messages(), journal.state(state="active", session=name, energised_ms=counter)], NOON)
        journal.end(name, 70_000, reason="power-loss", uncertainty_ms=50_000)
        store.store(journal.messages(), NOON)
        assert session(name).review == review


def test_the_last_counter_of_a_session_is_kept_although_its_entries_and_another_sessions_state_come_first(
    store, journal
):
    journal.start("s-2")
    journal.end("s-2", 1_000, reason="power-loss", uncertainty_ms=2_000)
    journal.start("s-3")
    two = journal.state(state="active", session="s-2", energised_ms=900_000)
    three = journal.state(state="active", session="s-3", energised_ms=5)
    store.store([two, three], NOON)
    store.store([three], NOON + timedelta(minutes=1))
    store.store(journal.messages(), NOON)
    assert (session("s-2").hint_ms, session("s-2").review) == (900_000, "counter-above-end")
    assert session("s-3").hint_ms == 5


def test_a_counter_of_another_gates_session_is_not_believed(store, journal):
    store.store(journal.messages(), NOON)
    store.store([Journal(gate="saw").state(state="active", session="s-1", energised_ms=900_000)], NOON)
    assert session("s-1").hint_ms == 0


# --- forks ------------------------------------------------------------------------------------------------------------


def test_the_collector_never_drops_a_repeated_number_with_other_bytes(store, journal):
    journal.progress("s-1", 5)
    store.store(journal.messages(), NOON)
    image = image_of(journal, 1)
    image.start("s-image")
    said = ack(store.store(image.messages()[1:], NOON))
    kept = Quarantine.objects.get()
    assert (kept.seq, kept.reason, kept.counts, bytes(kept.body)) == (2, "fork", False, image.bodies[1])
    assert (said.seq, said.hash) == (3, seal.to_text(journal.hash(3)))


def test_an_image_whose_entries_fit_before_a_gap_is_told_of_what_lies_beyond_it(store, journal):
    """The ack alone would be the image's own history, and it would send the same entries for ever."""
    for number in range(4):
        journal.progress("s-1", number)
    store.store([*journal.messages()[:2], journal.message(5), journal.message(6)], NOON)
    image = image_of(journal, 2)
    for number in range(9):
        image.progress("s-1", 100 + number)
    said = ack(store.store(image.messages(3), NOON))
    assert said.seq in {4, 5}
    assert said.hash != seal.to_text(image.hash(said.seq))
    # Told so, it opens another journal; nothing that either wrote is lost or counted twice.
    new = image.fork(mark=2)
    assert ack(store.store([*new.messages(), new.status()], NOON)).seq == new.head
    facts = set(Entry.objects.filter(is_copy=False).values_list("uid", flat=True))
    assert facts == {*journal.uids[:2], *journal.uids[4:6], *image.uids, new.uids[0]}


def test_what_was_stored_before_the_fork_is_no_clones_and_is_closed_with_its_journal(store, journal):
    journal.end("s-1", 9)
    journal.start("s-2")
    journal.progress("s-2", 700)
    store.store(journal.messages(), NOON)
    new = image_of(journal, 3).fork(mark=3)  # the image never knew s-2
    store.store([*new.messages(), new.status()], NOON)
    assert (session("s-2").reason, session("s-2").energised_ms) == ("journal-lost", 700)
    assert not Row.objects.filter(cloned=True).exists()


@pytest.mark.parametrize("together", [False, True])
def test_a_new_entry_in_a_journal_already_forked_from_is_an_alarm_and_closes_nothing(store, journal, together, caplog):
    store.store(journal.messages(), NOON)
    new = journal.fork(mark=2)
    new.start("s-new")
    journal.end("s-1", 9)
    journal.start("s-clone")
    batches = [new.messages() + journal.messages(3)] if together else [new.messages(), journal.messages(3)]
    for batch in batches:
        store.store(batch, NOON)
    assert Row.objects.get(name=journal.name).cloned
    assert any("clone: laser-1 still writes" in record.message for record in caplog.records)
    assert {name: session(name).reason for name in ("s-new", "s-clone")} == {"s-new": None, "s-clone": None}


def test_copies_of_copies_name_the_first_original_and_count_once(store, journal):
    journal.end("s-1", 9)
    first = journal.fork(mark=1)
    second = first.fork(mark=1)
    store.store(second.messages(), NOON)
    assert session("s-1").energised_ms == 9
    store.store([*journal.messages(), *first.messages()], NOON)
    assert sorted(Entry.objects.filter(is_copy=False).values_list("uid", flat=True)) == sorted(set(second.uids))


# --- holes ------------------------------------------------------------------------------------------------------------


def test_numbers_missing_in_an_older_journal_up_to_its_last_known_head_are_lost_unless_copied(store, journal):
    for number in range(6):
        journal.progress("s-1", number)
    store.store([journal.message(1), journal.message(6)], NOON)  # no status ever told of a head
    new = Journal()
    new.write("gate.started", version="1", replaces=journal.name)
    store.store(new.messages(), NOON)
    assert holes() == [(2, 5, "lost")]


def test_what_comes_late_to_an_older_journal_clears_its_number_and_names_those_before_it(store, journal):
    for number in range(6):
        journal.progress("s-1", number)
    store.store([journal.message(1)], NOON)
    new = Journal()
    new.write("gate.started", version="1", replaces=journal.name)
    store.store(new.messages(), NOON)
    store.store([journal.message(4)], NOON)
    assert holes() == [(2, 3, "lost")]
    store.store([journal.message(2)], NOON)
    assert holes() == [(2, 2, "filled"), (3, 3, "lost")]
    assert Row.objects.get(name=journal.name).ack_seq == 2  # whoever sends it late may have the third too


def test_journal_forked_names_the_old_journals_remaining_holes(store, journal):
    for number in range(6):
        journal.progress("s-1", number)
    store.store(journal.messages()[:2], NOON)
    new = journal.fork(floor=6, mark=2)
    store.store([*new.messages(), new.status()], NOON)
    assert holes() == [(3, 5, "lost"), (6, 8, "copied")]


def test_a_quarantined_entry_that_is_no_fork_counts_as_stored_and_is_no_hole(store, journal):
    wire_entry = journal.write("session.progress", session="", member="m", badge="b", energised_ms=-5, running_ms=0)
    journal.progress("s-1", 7)
    assert ack(store.store([*journal.messages(), journal.status(floor=4)], NOON)).seq == 4
    assert bytes(Quarantine.objects.get(counts=True).body) == wire_entry.body
    assert holes() == []


def test_a_fork_never_counts_for_the_ack_nor_fills_a_hole(store, journal):
    for number in range(3):
        journal.progress("s-1", number)
    store.store([journal.message(1), journal.message(3), journal.status(floor=3)], NOON)
    image = image_of(journal, 1)
    image.start("s-image")
    store.store(image.messages(2), NOON)
    assert holes() == [(2, 2, "lost")]
    assert Row.objects.get().ack_seq == 3


def test_a_gate_that_asks_is_answered_also_while_entries_arrive_beyond_a_gap(store, journal):
    for number in range(6):
        journal.progress("s-1", number)
    store.store([journal.message(1)], NOON)
    for seq in (3, 4):
        asked = [journal.message(seq), journal.status(mark=0)]
        assert ack(store.store(asked, NOON)).seq == 1
    assert store.store([journal.message(5)], NOON) != []
    assert store.store([journal.message(6)], NOON) == []


def test_a_status_of_another_gates_journal_moves_nothing(store, journal):
    store.store(journal.messages(), NOON)
    thief = Journal(gate="saw", name=journal.name)
    store.store([thief.status(floor=1, head=99), thief.status(floor=50, head=99)], NOON)
    assert (Row.objects.get().head, holes()) == (0, [])
