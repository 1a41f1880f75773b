"""Continuing a journal under another id."""

from __future__ import annotations

import contextlib

from fabgate import wire
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Change, Draft, Journal
from fabgate.seal import entry_hash, from_text
from tests.gate.journal.journals import CLOCK, SESSION, START, TOPICS, refused, started, uids


def test_a_renewed_journal_copies_every_entry_that_is_kept_and_names_its_first_original(journal):
    drafts = [refused(time=None), started(), refused()]
    journal.append(drafts, Change(opens=SESSION))
    journal.acknowledge(1)
    journal.trim(before_ms=0, most=2)
    old = journal.id
    view = JournalReader(journal.path)
    originals = {entry.seq: entry_hash(entry.body) for entry in view.after(0, most=9)}
    view.close()
    for name in ("new", "newer"):
        data = wire.JournalForked(clock=CLOCK, journal=journal.id, floor=2, head=3, mark=1)
        first = Draft(uuid7(), "journal.forked", data, START)
        head = journal.renew(name, first)
        assert journal.renew(name, first) == head, "again, it is done already"
    view = JournalReader(journal.path)
    assert (view.id, view.bounds()) == ("newer", (1, 4, 0))
    assert view.first_break() is None
    copies = [wire.decode_entry(entry.body) for entry in view.after(0, most=9)]
    view.close()
    assert [copy.uid for copy in copies][2:] == [drafts[1].uid, drafts[2].uid]
    # The first renewal copied 2 and 3 to 2 and 3; the second its journal.forked too.
    assert [str(copy.copyof).split("/")[:2] for copy in copies[1:]] == [["new", "1"], [old, "2"], [old, "3"]]
    assert [from_text(str(copy.copyof).split("/", 2)[2]) for copy in copies[2:]] == [originals[2], originals[3]]
    assert [wire.decode_data(copy) for copy in copies[2:]] == [drafts[1].data, drafts[2].data]
    assert journal.open_session() == SESSION
    assert journal.append([refused()]) == 5


def test_what_is_written_while_a_journal_is_renewed_is_copied_too(journal):
    journal.slice = 2
    journal.append([refused() for _ in range(5)])
    first = Draft(
        uuid7(), "journal.forked", wire.JournalForked(clock=CLOCK, journal=journal.id, floor=1, head=5, mark=0), START
    )
    while not journal.renew_some("new", first):
        if journal.head < 9:
            journal.append([refused()], Change(opens=SESSION, latch=frozenset({"danger"})))
    assert (journal.id, journal.head, journal.mark, journal.unacknowledged) == ("new", 10, 0, 10)
    with contextlib.closing(JournalReader(journal.path)) as view:
        assert view.first_break() is None
        assert len({wire.decode_entry(entry.body).uid for entry in view.after(0, most=99)}) == 10
    assert journal.open_session() == SESSION
    assert journal.trim(before_ms=0, most=2) == 0


def test_a_renewal_that_a_restart_ended_changes_nothing_and_begins_again_under_another_name(journal):
    journal.slice = 2
    before = [refused() for _ in range(9)]
    journal.append(before)
    data = wire.JournalForked(clock=CLOCK, journal=journal.id, floor=1, head=9, mark=0)
    one, two = (Draft(uuid7(), "journal.forked", data, START) for _ in range(2))
    old = journal.id
    for _ in range(3):
        assert not journal.renew_some("new", one)
    journal.close()
    again = Journal(journal.path, TOPICS)
    again.open()
    assert (again.id, again.head) == (old, 9)
    assert uids(again.path) == [draft.uid for draft in before]
    assert again.has_leftovers
    assert again.renew("newer", two) == 10
    assert uids(again.path) == [two.uid, *(draft.uid for draft in before)]
    while again.has_leftovers:
        again.tidy_some()
    again.close()
