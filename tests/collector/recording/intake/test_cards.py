"""Cards that are put back, taken out and restored twice: what they still have is not given up, nor what they run."""

from __future__ import annotations

import pytest

from fabgate import wire
from fabgate.collector.ground.models import Hole, UsageSession
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON, Journal, ack

pytestmark = pytest.mark.usefixtures("database")


def begun(boot: str, **data: str) -> Journal:
    journal = Journal(boot=boot)
    journal.write("gate.started", version="1", **data)
    return journal


def deliver(store: Store, *journals: Journal) -> None:
    for journal in journals:
        store.store([journal.status(), *journal.messages()], NOON)


def reason(session: str) -> str | None:
    found: str | None = UsageSession.objects.get(id=session).reason
    return found


def test_an_ack_does_not_pass_what_an_older_card_still_has(store):
    older, newer = begun("one"), begun("two")
    deliver(store, older, newer)
    older.start("s-1")
    older.end("s-1", 1_000)
    older.start("s-2")
    # The older card was put back, and the broker lost two of its entries.
    sent = store.store([older.status(mark=1, floor=1), older.message(4)], NOON)
    assert ack(sent).seq == 1
    assert ack(store.store([older.message(2), older.message(3)], NOON)).seq == 4


def test_an_ack_passes_what_an_older_card_has_no_more(store):
    older, newer = begun("one"), begun("two")
    deliver(store, older, newer)
    for _ in range(3):
        older.write("access.refused", badge="d9", reasons=["unknown-badge"])
    store.store([older.message(4)], NOON)
    assert ack(store.store([older.status(mark=1, floor=4)], NOON)).seq == 4
    assert list(Hole.objects.values_list("first", "last", "state")) == [(2, 3, Hole.LOST)]


def test_an_ack_stops_where_a_floor_divides_what_was_named_lost(store):
    older, newer = begun("one"), begun("two")
    for _ in range(5):
        older.write("access.refused", badge="d9", reasons=["unknown-badge"])
    store.store([older.status(), older.message(1)], NOON)
    deliver(store, newer)
    store.store([older.message(6)], NOON)  # 2 to 5 are named lost
    assert ack(store.store([older.status(mark=1, floor=4), older.message(6)], NOON)).seq == 1
    assert ack(store.store([older.message(4), older.message(5)], NOON)).seq == 6


@pytest.mark.parametrize("order", ["entries first", "status first", "together"])
def test_an_ack_goes_back_to_what_an_image_still_has_of_what_was_named_lost(store, order):
    card = begun("one")
    for _ in range(7):
        card.write("access.refused", badge="d9", reasons=["unknown-badge"])
    # This collector is new, and the card has no entries below 6 any more.
    store.store([card.status(mark=5, floor=6, head=6)], NOON)
    # An image of the card is put back that still has them.
    entries, status = [card.message(7), card.message(8)], card.status(mark=6, floor=3)
    if order == "entries first":  # the broker lost the status at the connection; the heartbeat brings the next one
        store.store([card.message(6), *entries], NOON)
        assert Row.objects.get().ack_seq == 8
        sent = store.store([status], NOON)
    elif order == "status first":
        store.store([status], NOON)
        sent = store.store(entries, NOON)
    else:
        sent = store.store([*entries, status], NOON)
    assert ack(sent).seq == 0, "the ack confirms entries that only the image has"
    sent = store.store(card.messages(3), NOON)
    assert ack(sent).seq == 8
    assert [(hole.first, hole.last) for hole in Hole.objects.filter(state=Hole.LOST)] == [(1, 2)]


def test_a_session_on_an_older_card_that_was_put_back_goes_on(store):
    older, newer = begun("one"), begun("two")
    deliver(store, older, newer)
    older.boot = "three"
    older.start("s-1")
    deliver(store, older)
    assert reason("s-1") is None
    assert UsageSession.objects.get(id="s-1").review is None


def test_a_session_on_a_card_that_was_taken_out_is_over_until_the_card_is_put_back(store):
    older, newer = begun("one"), begun("two")
    deliver(store, older, newer)
    newer.start("s-1")
    deliver(store, newer)
    assert reason("s-1") is None
    store.store([older.status()], NOON)
    assert reason("s-1") == "journal-lost"
    store.store([newer.status()], NOON)
    assert reason("s-1") is None


def test_what_an_older_card_did_not_deliver_is_named_when_it_is_taken_out_again(store):
    older, newer = begun("one"), begun("two")
    deliver(store, older, newer)
    older.start("s-1")
    older.end("s-1", 1_000)
    store.store([older.status(), older.message(3)], NOON)
    assert not Hole.objects.exists()
    store.store([newer.status()], NOON)
    assert list(Hole.objects.values_list("first", "last", "state")) == [(2, 2, Hole.LOST)]
    assert UsageSession.objects.get(id="s-1").review == "no-start"


def test_what_a_newer_card_did_not_deliver_is_named_when_the_older_one_is_put_back(store):
    older, newer = begun("one"), begun("two")
    deliver(store, older, newer)
    newer.start("s-1")
    newer.end("s-1", 1_000)
    store.store([newer.status(), newer.message(3)], NOON)
    assert not Hole.objects.exists()
    store.store([older.status()], NOON)
    assert list(Hole.objects.values_list("journal__name", "first", "last", "state")) == [(newer.name, 2, 2, Hole.LOST)]
    assert UsageSession.objects.get(id="s-1").review == "no-start"
    store.store([newer.status(), newer.message(2)], NOON)
    assert [state for (state,) in Hole.objects.values_list("state")] == [Hole.FILLED]
    assert UsageSession.objects.get(id="s-1").review is None


@pytest.mark.parametrize("forks", ["", "status first", "entries first"])
def test_a_journal_whose_first_entry_never_arrived_ends_when_the_gate_turns_to_another_one(store, forks):
    older, newer = begun("one"), begun("two")
    deliver(store, older)
    newer.start("s-1")
    newer.write("access.refused", badge="d9", reasons=["unknown-badge"])
    store.store([newer.status(), newer.message(2)], NOON)
    assert (reason("s-1"), Hole.objects.count()) == (None, 0)
    # The older card, or an image of it, is put back; its gate may open another journal before it reports the old one.
    fork = older.fork()
    if not forks:
        store.store([older.status()], NOON)
    elif forks == "status first":
        store.store([fork.status()], NOON)
        store.store(fork.messages(), NOON)
    else:
        store.store(fork.messages(), NOON)
        assert Hole.objects.count() == 0, "its gate may still write it"
        store.store([fork.status()], NOON)
    assert reason("s-1") == "journal-lost"
    assert list(Hole.objects.order_by("first").values_list("journal__name", "first", "last", "state")) == [
        (newer.name, 1, 1, Hole.LOST),
        (newer.name, 3, 3, Hole.LOST),
    ]
    store.store([newer.status(), *newer.messages()], NOON)
    assert {state for (state,) in Hole.objects.values_list("state")} == {Hole.FILLED}
    assert reason("s-1") is None


def test_a_new_card_whose_status_is_still_to_come_has_not_ended(store):
    older, newer = begun("one"), begun("two")
    deliver(store, older)
    newer.start("s-1")
    newer.write("access.refused", badge="d9", reasons=["unknown-badge"])
    store.store([newer.message(2)], NOON)
    store.store([older.status(), newer.message(3)], NOON)
    assert (reason("s-1"), Hole.objects.count()) == (None, 0)


@pytest.mark.parametrize("reported_before", [False, True])
def test_a_journal_whose_first_entry_the_gate_has_deleted_ends_the_one_before(store, reported_before):
    older, newer = begun("one"), begun("two")
    older.start("s-1")
    older.write("access.refused", badge="d9", reasons=["unknown-badge"])
    store.store([older.status(), older.message(1), older.message(2)], NOON)
    # A restored collector: the gate began the newer journal, and deleted its first entry, after the copy was made.
    newer.start("s-2")
    if reported_before:
        store.store([newer.status(mark=1, floor=1)], NOON)
    store.store([newer.status(mark=1, floor=2), newer.message(2)], NOON)
    assert [reason("s-1"), reason("s-2")] == ["journal-lost", None]
    lost = Hole.objects.order_by("journal").values_list("journal__name", "first", "last", "state")
    assert list(lost) == [(older.name, 3, 3, Hole.LOST), (newer.name, 1, 1, Hole.LOST)]


def test_a_session_without_a_start_waits_for_it_again_once_an_image_has_it(store):
    card = begun("one")
    card.start("s-1")
    card.end("s-1", 1_000)
    card.write("access.refused", badge="d9", reasons=["unknown-badge"])
    store.store([card.status(mark=2, floor=3), card.message(3), card.message(4)], NOON)
    assert UsageSession.objects.get(id="s-1").review == "no-start"
    assert ack(store.store([card.status(mark=4, floor=1)], NOON)).seq == 0
    assert UsageSession.objects.get(id="s-1").review is None
    store.store(card.messages(), NOON)
    assert (reason("s-1"), UsageSession.objects.get(id="s-1").review) == ("badge", None)


def test_an_ack_says_from_where_on_it_holds(store):
    card = begun("one")
    for _ in range(3):
        card.write("access.refused", badge="d9", reasons=["unknown-badge"])
    assert ack(store.store([card.status(mark=2, floor=3), card.message(3), card.message(4)], NOON)).floor == 3
    image = Journal(name=card.name, boot="restored", bodies=list(card.bodies[:3]))
    image.types, image.uids = list(card.types[:3]), list(card.uids[:3])
    image.write("gate.started", version="1")
    store.store([image.status(mark=0, floor=1)], NOON)
    witness = ack(store.store([image.message(4)], NOON))  # evidence only: it confirms nothing below itself
    assert (witness.seq, witness.floor) == (4, 4)


@pytest.mark.parametrize("known", [False, True])
def test_a_session_that_runs_while_its_journal_forks_goes_on(store, known):
    journal = begun("one")
    journal.start("s-1")
    if known:
        deliver(store, journal)
    copy = journal.fork()
    store.store([copy.status()], NOON)
    for message in copy.messages():
        store.store([message], NOON)
    assert reason("s-1") is None
    assert UsageSession.objects.get(id="s-1").review is None


def test_a_session_that_the_restored_image_does_not_have_is_over(store):
    journal = begun("one")
    image = Journal(name=journal.name, boot="restored", bodies=list(journal.bodies))
    image.types, image.uids = list(journal.types), list(journal.uids)
    journal.start("s-1")
    deliver(store, journal)
    image.write("gate.started", version="1")
    image.start("s-2")  # under the number that follows that of the other session's start
    deliver(store, image.fork())
    assert [reason("s-1"), reason("s-2")] == ["journal-lost", None]


def test_a_session_that_began_while_the_journal_was_copied_is_over_with_the_new_journal(store):
    journal = begun("one")
    deliver(store, journal)
    copy = journal.fork()
    journal.start("s-1")  # beyond what the fork names as the head: nothing of it is published as it is
    entry = wire.decode_entry(journal.bodies[1])
    data = wire.decode_data(entry)
    assert isinstance(data, wire.SessionStarted)
    copy.append("session.started", data, uid=entry.uid, copyof=f"{journal.name}/2/{'A' * 43}=", time=NOON)
    deliver(store, copy)
    assert reason("s-1") is None
    deliver(store, begun("two"))
    assert reason("s-1") == "journal-lost"


def test_the_second_fork_of_an_image_ends_the_first(store):
    journal = begun("one")
    deliver(store, journal)
    first = journal.fork()
    first.start("s-1")
    deliver(store, first)
    assert reason("s-1") is None
    second = journal.fork()
    deliver(store, second)
    assert reason("s-1") == "journal-lost"
    found = {row.name: row for row in Row.objects.select_related("superseded_by")}
    assert found[first.name].superseded_by == found[second.name]
    assert found[second.name].superseded_by is None


@pytest.mark.parametrize("together", [False, True])
def test_copies_of_what_an_image_wrote_stand_for_nothing_that_its_card_had(store, together):
    card = begun("one")
    image = Journal(name=card.name, boot="restored", bodies=list(card.bodies))
    image.types, image.uids = list(card.types), list(card.uids)
    for number in range(4):
        card.write("access.refused", badge=f"d{number}", reasons=["unknown-badge"])
    store.store([card.message(1), card.message(5)], NOON)  # the broker lost 2 to 4, and then the card failed
    image.write("gate.started", version="1")
    for number in range(3):
        image.write("access.refused", badge=f"e{number}", reasons=["unknown-badge"])
    fork = image.fork().messages()
    for batch in [fork] if together else [[message] for message in fork]:
        store.store(batch, NOON)
    assert list(Hole.objects.values_list("first", "last", "state")) == [(2, 4, Hole.LOST)]


@pytest.mark.parametrize("together", [False, True])
def test_copies_of_what_lies_before_a_stored_entry_of_the_same_card_stand_for_it(store, together):
    card = begun("one")
    for number in range(4):
        card.write("access.refused", badge=f"d{number}", reasons=["unknown-badge"])
    store.store([card.message(1), card.message(5)], NOON)
    fork = card.fork().messages()
    for batch in [fork] if together else [[message] for message in fork]:
        store.store(batch, NOON)
    assert [(first, last) for first, last in Hole.objects.filter(state=Hole.LOST).values_list("first", "last")] == []
    assert {state for (state,) in Hole.objects.values_list("state")} == {Hole.COPIED}
