from __future__ import annotations

from copy import deepcopy
from datetime import timedelta

import pytest
from django.db import connection
from msgspec.structs import replace

from fabgate import seal, wire
from fabgate.collector.ground.models import Boot, Entry, Gate, Hole, LedgerLine, Quarantine, UsageSession
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON, Journal, ack
from tests.collector.rosters import own_roster

pytestmark = pytest.mark.usefixtures("database")


def reasons() -> list[tuple[int, str, bool]]:
    return list(Quarantine.objects.order_by("id").values_list("seq", "reason", "counts"))


def test_a_session_that_arrived_in_order_is_one_row_with_its_exact_milliseconds(store, journal):
    said = ack(store.store(journal.messages(), NOON))
    assert (said.journal, said.seq, said.hash) == (journal.name, 4, seal.to_text(journal.hash(4)))
    assert said.collector == store.collector
    row = UsageSession.objects.get()
    assert (row.id, row.member, row.reason) == ("s-1", "m-1", "badge")
    assert (row.energised_ms, row.running_ms, row.uncertainty_ms, row.review) == (1_234_567, 1_000_000, 0, None)
    assert (row.started_at, row.ended_at) == (NOON + timedelta(seconds=2), NOON + timedelta(seconds=4))
    assert [bytes(b) for b in Entry.objects.order_by("seq").values_list("body", flat=True)] == journal.bodies


def test_a_gate_of_a_version_with_a_long_name_is_heard(store, journal):
    store.store([journal.status(version="1" * 300)], NOON)
    assert (Gate.objects.get().version, Gate.objects.get().online) == ("1" * 200, True)


def test_the_same_bytes_again_are_ignored_and_acknowledged_again(store, journal):
    store.store(journal.messages(), NOON)
    said = ack(store.store(journal.messages()[:2], NOON))
    assert said.seq == 4
    assert Entry.objects.count() == 4
    assert not Quarantine.objects.exists()


def test_a_batch_that_holds_an_entry_twice_stores_it_once(store, journal):
    said = ack(store.store(journal.messages() + journal.messages(), NOON))
    assert (said.seq, Entry.objects.count()) == (4, 4)


def test_an_entry_beyond_a_gap_is_stored_but_not_acknowledged_until_the_gap_is_filled(store, journal):
    first, second, third, fourth = journal.messages()
    assert ack(store.store([first, fourth], NOON)).seq == 1
    assert ack(store.store([third], NOON)).seq == 1
    assert ack(store.store([second], NOON)).seq == 4


def test_entries_beyond_a_gap_are_answered_at_most_once_a_second(store, journal):
    for number in range(10):
        journal.start(f"t-{number}")
    store.store(journal.messages()[:1], NOON)
    answers = [store.store([journal.message(3 + n)], NOON + timedelta(milliseconds=400 * n)) for n in range(6)]
    assert [len(answer) for answer in answers] == [1, 0, 0, 1, 0, 0]


def test_other_bytes_under_a_stored_number_are_a_fork_that_never_counts(store, journal):
    store.store(journal.messages()[:2], NOON)
    other = Journal(name=journal.name)
    other.bodies, other.types, other.uids = journal.bodies[:1], journal.types[:1], journal.uids[:1]
    other.start("s-other")
    other.end("s-other", 5)
    said = ack(store.store(other.messages()[1:], NOON))
    assert (said.seq, said.hash) == (2, seal.to_text(journal.hash(2)))
    assert reasons() == [(2, "fork", False), (3, "fork", False)]
    assert [row.id for row in UsageSession.objects.all()] == ["s-1"]


def test_a_fork_sent_again_is_one_row_that_counts_its_times(store, journal):
    store.store(journal.messages(), NOON)
    wrong = replace(journal.message(2), body=journal.message(2).body.replace(b"m-1", b"m-2"))
    for _ in range(3):
        store.store([wrong], NOON)
    assert Quarantine.objects.get().times == 3


def test_an_entry_whose_successor_is_stored_must_be_what_that_one_follows(store, journal):
    store.store([journal.message(1), journal.message(3)], NOON)
    other = Journal(name=journal.name)
    other.bodies, other.types, other.uids = journal.bodies[:1], journal.types[:1], journal.uids[:1]
    other.start("s-other")
    said = ack(store.store([other.message(2)], NOON))
    assert reasons() == [(2, "fork", False)]
    # The ack itself would be 1, which that gate has too: it would send the same entries for ever. What is stored
    # beyond the gap differs from what it has, or lies beyond its head.
    assert (said.seq, said.hash) == (3, seal.to_text(journal.hash(3)))
    assert Row.objects.get().ack_seq == 1


def test_entry_one_must_follow_its_own_journal_id(store):
    journal = Journal()
    journal.bodies.append(b"")  # so that entry 2's prev is somebody else's hash
    journal.types.append("gate.started")
    message = journal.write("gate.started", version="1")
    body = message.body.replace(b'"id":"2","sequence":"2"', b'"id":"1","sequence":"1"')
    assert ack(store.store([replace(message, body=body, seq="1")], NOON)).seq == 0
    assert reasons() == [(1, "fork", False)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: replace(m, body=b"{"), "undecodable"),
        (lambda m: replace(m, body=b""), "undecodable"),
        (lambda m: replace(m, body=b"\xff\xfe"), "undecodable"),
        (lambda m: replace(m, body=b"[" * 60_000), "undecodable"),
        (lambda m: replace(m, body=m.body.replace(b'"id":"3"', b'"id":"' + b"3" * 5000 + b'"')), "undecodable"),
        (lambda m: replace(m, body=m.body + b" " * 70_000), "too-large"),
        (lambda m: replace(m, body=m.body.replace(b"gates/laser-1", b"gates/saw")), "source"),
        (lambda m: replace(m, body=m.body.replace(b"session.progress", b"session.ended")), "type"),
        (lambda m: replace(m, body=m.body.replace(b'"id":"3"', b'"id":"4"')), "number"),
        (lambda m: replace(m, body=m.body.replace(b'"id":"3","sequence":"3"', b'"id":"9","sequence":"9"')), "number"),
        (lambda m: replace(m, body=m.body.replace(b'"prev":"', b'"prev":"x')), "data"),
        (lambda m: replace(m, body=m.body.replace(b"900000", b"-1")), "data"),
        (lambda m: replace(m, body=m.body.replace(b"900000", b"99999999999999999999")), "data"),
        (lambda m: replace(m, body=m.body.replace(b"900000", b"31622400001")), "data"),  # a year and a millisecond
        (lambda m: replace(m, body=m.body.replace(b"900000", b'"a"')), "data"),
        (lambda m: replace(m, body=m.body.replace(b'"s-1"', b'"' + b"s" * 300 + b'"')), "data"),
        (lambda m: replace(m, body=m.body.replace(b'"s-1"', b'""')), "data"),
        (lambda m: replace(m, body=m.body.replace(b'"s-1"', b'"s\\u0000"')), "data"),
        (lambda m: replace(m, body=m.body.replace(b'"s-1"', b'"\\\\\\u0000"')), "data"),
        (lambda m: replace(m, body=m.body.replace(b"2026-11-24", b"0001-01-01")), "time"),
        (lambda m: replace(m, body=m.body.replace(b'03Z"', b'03"')), "time"),
    ],
)
def test_a_broken_entry_is_quarantined_under_its_number_and_the_ack_passes_it(store, journal, change, reason):
    messages = journal.messages()[:3]
    messages[2] = change(messages[2])
    publications = store.store(messages, NOON)
    (row,) = Quarantine.objects.all()
    assert (row.seq, row.reason, row.counts) == (3, reason, True)
    assert bytes(row.hash) == seal.entry_hash(messages[2].body)
    said = ack(publications)
    assert (said.seq, said.hash) == (3, seal.to_text(seal.entry_hash(messages[2].body)))
    assert ack(store.store([messages[2]], NOON)).seq == 3  # the same bytes again are a duplicate
    # The next one follows what the gate wrote, so that what was changed on the way cannot be acknowledged past: the
    # gate sees a hash that is not its own, opens another journal, and sends the true entry as a copy.
    assert ack(store.store([journal.message(4)], NOON)).seq == 3
    assert reasons()[-1] == (4, "fork", False)
    store.store(journal.fork().messages(), NOON)
    assert UsageSession.objects.get().energised_ms == 1_234_567


@pytest.mark.parametrize("name", ["energised_ms", "running_ms", "uncertainty_ms"])
def test_no_session_is_believed_to_last_longer_than_a_year(store, name):
    year = 366 * 24 * 3_600_000
    journal = Journal()
    for number, ms in enumerate((year, year + 1, 1 << 53)):
        journal.start(f"s-{number}")
        journal.end(f"s-{number}", **{"energised_ms": 1, name: ms})
    assert ack(store.store(journal.messages(), NOON)).seq == 6
    assert reasons() == [(4, "data", True), (6, "data", True)]
    assert list(UsageSession.objects.exclude(reason=None).values_list("id", name)) == [("s-0", year)]
    if name != "uncertainty_ms":  # the others are counters of the state, too
        for ms in (year, year + 1):
            store.store([journal.state(state="active", session="s-1", **{name: ms})], NOON)
        assert reasons()[-1][1] == "undecodable"
        assert getattr(Gate.objects.get(), name) == year


def test_what_a_gate_itself_wrote_wrongly_holds_up_nothing(store):
    journal = Journal()
    journal.write("gate.started", version="1")
    bad = journal.write("session.progress", session="", member="m", badge="b", energised_ms=-5, running_ms=0)
    journal.start("s-2")
    assert ack(store.store(journal.messages(), NOON)).seq == 3
    assert reasons() == [(2, "data", True)]
    assert bytes(Quarantine.objects.get().body) == bad.body


def test_text_that_is_only_shown_may_be_long_and_letters_like_those_of_a_nul_are_none(store):
    journal = Journal()
    journal.write("gate.started", version="1")
    journal.write("roster.rejected", reason="9 of 40 members would vanish " * 50, version=3)
    journal.write("reader.fault", detail=r"the chip says \u0000 and \\u0000")
    assert ack(store.store(journal.messages(), NOON)).seq == 3
    assert reasons() == []


def test_a_nul_in_a_field_of_a_later_version_is_kept_as_it_came(store, journal):
    (message,) = journal.messages()[:1]
    later = replace(message, body=message.body.replace(b'"data":{', b'"data":{"later":"\\u0000",'))
    assert later.body != message.body
    assert ack(store.store([later], NOON)).seq == 1
    assert reasons() == []


def test_the_name_of_a_journal_ends_with_its_line(store):
    journal = Journal()
    journal.write("gate.started", version="1", replaces="j-0\n")
    assert ack(store.store(journal.messages(), NOON)).seq == 1
    assert reasons() == [(1, "data", True)]


def test_a_message_without_any_number_is_kept_and_counts_nowhere(store):
    topics = wire.GateTopics("lyon", "laser-1")
    messages = [
        Received(topics.event("gate.started"), b"?"),
        Received(topics.event("gate.started"), b"?", "j\0", "-1"),
        Received(topics.event("gate.started"), b"?", "j", "9" * 30),
        Received("fabgate/v1/paris/laser-1/event/gate/started", b"?", "j", "1"),
        Received("fabgate/v1/lyon/collector/event/gate/started", b"?", "j", "1"),
        Received("x", b"?"),
        Received(topics.topic("status"), b"?"),
        Received(topics.topic("state"), b'{"state":"idle","energised_ms":-1}'),
    ]
    assert store.store(messages, NOON) == []
    assert not Quarantine.objects.filter(counts=True).exists()
    assert Quarantine.objects.count() == 6  # three of them are the same


def test_an_unknown_type_with_a_sound_envelope_is_stored_as_it_came(store, journal):
    message = journal.message(3)
    body = message.body.replace(b"session.progress", b"laser.aligned").replace(b"900000", b'"what ever"')
    topic = message.topic.replace("session/progress", "laser/aligned")
    store.store([*journal.messages()[:2], replace(message, topic=topic, body=body)], NOON)
    entry = Entry.objects.get(seq=3)
    assert (entry.type, bytes(entry.body)) == ("laser.aligned", body)


def test_a_number_counts_only_from_the_gate_that_first_carried_the_journal(store, journal):
    store.store(journal.messages()[:2], NOON)
    thief = Received(wire.GateTopics("lyon", "saw").event("gate.started"), b"?", journal.name, "3")
    assert store.store([thief], NOON) == []
    assert ack(store.store(journal.messages(), NOON)).seq == 4
    assert reasons() == [(3, "undecodable", False)]


def test_another_gates_uid_does_not_hide_a_fact(store, journal):
    store.store(journal.messages(), NOON)
    other = Journal(gate="saw")
    other.write("gate.started", version="1", uid=journal.uids[0])
    assert ack(store.store(other.messages(), NOON), "saw").seq == 1
    assert reasons() == [(1, "uid", True)]


def test_no_gate_can_change_the_minutes_of_its_neighbour(store, journal):
    store.store(journal.messages(), NOON)
    other = Journal(gate="saw")
    other.end("s-1", 9_999_999)
    store.store(other.messages(), NOON)
    assert UsageSession.objects.get().energised_ms == 1_234_567


def test_an_end_before_its_start_gives_the_same_session(store, journal):
    store.store(journal.messages(), NOON)
    wanted = UsageSession.objects.values().get()
    LedgerLine.objects.all().delete()
    UsageSession.objects.all().delete()
    Entry.objects.all().delete()
    for message in reversed(journal.messages()):
        store.store([message], NOON)
    assert UsageSession.objects.values().get() == wanted


def test_numbers_below_the_floor_that_never_arrived_are_named_lost_and_passed_over(store, journal):
    for _ in range(3):
        journal.write("gate.stopping", reason="x")
    store.store([journal.message(1), journal.message(6), journal.message(7)], NOON)
    said = ack(store.store([journal.status(floor=6)], NOON))
    assert said.seq == 7
    assert list(Hole.objects.values_list("first", "last", "state")) == [(2, 5, "lost")]
    # A late arrival clears what it fills.
    store.store([journal.message(3)], NOON)
    assert list(Hole.objects.order_by("first").values_list("first", "last", "state")) == [
        (2, 2, "lost"),
        (3, 3, "filled"),
        (4, 5, "lost"),
    ]


def test_a_status_with_another_mark_is_answered_with_the_ack(store, journal):
    store.store(journal.messages(), NOON)
    assert store.store([journal.status(mark=4, hash=seal.to_text(journal.hash(4)))], NOON) == []
    assert ack(store.store([journal.status(mark=2)], NOON)).seq == 4
    assert ack(store.store([journal.status(mark=4, hash=seal.to_text(journal.hash(3)))], NOON)).seq == 4


def test_a_journal_that_nobody_has_heard_of_is_acknowledged_at_zero(store, journal):
    said = ack(store.store([journal.status(mark=4)], NOON))
    assert (said.seq, said.hash) == (0, seal.to_text(seal.ZERO_HASH))


def test_a_nonsensical_floor_loses_nothing_that_is_still_to_be_written(store, journal):
    store.store([*journal.messages(), journal.status(floor=1 << 52)], NOON)
    assert not Hole.objects.exists()


def test_a_status_updates_what_is_known_of_the_gate_and_its_last_will_keeps_the_journal(store, journal):
    store.store([journal.status(roster=own_roster(version=77))], NOON)
    store.store([Received(journal.topics.topic("status"), wire.encode(wire.Status(online=False)))], NOON)
    gate = Gate.objects.get()
    assert (gate.online, gate.journal, gate.reported_roster, gate.seen_at) == (False, journal.name, 77, NOON)


@pytest.mark.sqlite
def test_a_restored_database_acknowledges_less(store, journal, database, tmp_path):
    import shutil

    store.store(journal.messages()[:2], NOON)
    connection.close()
    shutil.copyfile(database, tmp_path / "yesterday.db")
    store.store(journal.messages(), NOON)
    connection.close()
    shutil.copyfile(tmp_path / "yesterday.db", database)
    assert ack(Store("lyon").greetings()).seq == 2
    assert ack(Store("lyon").store(journal.messages()[2:], NOON)).seq == 4


def test_an_unsynchronised_boot_is_dated_by_its_latest_tie_whenever_that_arrives(store):
    journal = Journal(synced=False)
    journal.write("gate.started", version="1")
    journal.start("s-1")
    journal.end("s-1", 1000)
    journal.write("clock.synced", time=NOON)  # at 4 s of the boot clock
    journal.write("clock.synced", time=NOON + timedelta(hours=1))  # at 5 s
    first, start, end, tie, better = journal.messages()
    store.store([first, end], NOON)
    row = UsageSession.objects.get()
    assert (row.started_at, row.ended_at, row.reason, row.review) == (None, NOON, "badge", "undated")
    store.store([tie], NOON)
    row.refresh_from_db()
    assert (row.ended_at, row.not_after, row.review) == (NOON - timedelta(seconds=1), None, None)
    store.store([start], NOON)
    row.refresh_from_db()
    assert row.started_at == NOON - timedelta(seconds=2)
    store.store([better, tie], NOON)
    row.refresh_from_db()
    assert row.started_at == NOON + timedelta(hours=1) - timedelta(seconds=3)
    assert Boot.objects.count() == 1


def test_a_live_counter_above_the_end_sends_the_session_to_review(store, journal):
    journal.start("s-2")
    store.store([*journal.messages(), journal.state(state="active", session="s-2", energised_ms=500_000)], NOON)
    journal.end("s-2", 400_000, reason="power-loss", uncertainty_ms=90_000)
    store.store(journal.messages(5), NOON)
    row = UsageSession.objects.get(id="s-2")
    assert (row.energised_ms, row.review) == (400_000, "counter-above-end")


def test_deriving_sessions_changes_no_gate_and_names_the_live_counters_that_it_stored(store, journal, monkeypatch):
    from fabgate.collector.recording.sessions import derive

    real, calls = derive.update_sessions, []

    def fields(gates):
        return {name: deepcopy({**vars(gate), "_state": None}) for name, gate in gates.items()}

    def watched(facts, gates, *args):
        before = fields(gates)
        updated = real(facts, gates, *args)
        calls.append((updated, before, fields(gates)))
        return updated

    monkeypatch.setattr(derive, "update_sessions", watched)
    store.store([journal.state(state="active", session="s-2", energised_ms=500_000)], NOON)
    assert Gate.objects.get().hints == {"s-2": 500_000}
    journal.start("s-2")
    store.store(journal.messages(), NOON)
    assert [after for _, _, after in calls] == [before for _, before, _ in calls]
    assert [set(updated.hinted[journal.gate]) for updated, _, _ in calls] == [set(), {"s-2"}]
    assert Gate.objects.get().hints == {}
    assert UsageSession.objects.get(id="s-2").hint_ms == 500_000


def test_a_bug_in_the_store_quarantines_the_message_and_not_the_batch(store, journal, monkeypatch):
    from fabgate.collector.recording.sessions import derive

    real = derive.update_sessions

    def breaks(facts, *args):
        if any(fact.seq == 3 for fact in facts):
            raise ZeroDivisionError
        return real(facts, *args)

    monkeypatch.setattr(derive, "update_sessions", breaks)
    assert [wire.decode(p.body, wire.Ack).seq for p in store.store(journal.messages(), NOON)][-1] == 4
    assert reasons() == [(3, "error", True)]


def test_a_database_that_cannot_be_written_loses_nothing(store, journal, monkeypatch):
    from django.db import OperationalError

    from fabgate.collector.recording.sessions import rows

    def locked(*_):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "save_sessions", locked)
        with pytest.raises(OperationalError):
            store.store(journal.messages(), NOON)
    assert not Entry.objects.exists()
    assert ack(store.store(journal.messages(), NOON)).seq == 4
