"""A gate of today understands the collector of each released version: its rosters, commands and acknowledgements."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from fabgate import badge, wire
from fabgate.demo.furnishing.people import CARDS
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.source import RosterStored
from fabgate.rules import vocabulary
from fabgate.seal import entry_hash, to_text
from tests.gate.roster.collector import Harness
from tests.support.recording import TOPICS, Recording


def test_the_seal_of_a_recorded_roster_is_right(recording: Recording):
    body, headers = recording.roster()
    covered = wire.sealed_roster(body, headers["nonce"])
    recording.keys().verify(headers[wire.HEADER_SEAL], wire.PURPOSE_ROSTER, TOPICS.account, covered)


def test_an_old_roster_is_stored_and_decided_by(recording: Recording, tmp_path: Path):
    body, _ = recording.roster()
    harness = Harness(tmp_path)
    try:
        # The account of the test's gate; the members, rules and badges are the recorded ones.
        harness.collector.current = msgspec.structs.replace(wire.decode(body, wire.Roster), site="lyon")
        harness.source = harness.make(badge_keys={"b1": recording.badge_key()})
        (stored,) = harness.fetch()
        assert isinstance(stored, RosterStored), stored
        with contextlib.closing(Directory(harness.stored)) as directory:
            holders = {who: directory.find(digest(recording, who)) for who in ("ada", "cleo", "mo", "stranger")}
            lock = directory.machine.lock
            assert directory.machine.limit_s == 600
    finally:
        harness.close()
    assert holders["stranger"] is None
    assert {who: holder.id for who, holder in holders.items() if isinstance(holder, vocabulary.Member)} == {
        "ada": "m-1",
        "cleo": "m-3",
        "mo": "m-4",
    }
    assert isinstance(holders["cleo"], vocabulary.Member)
    assert holders["cleo"].level is vocabulary.Level.MAINTAINER
    assert lock is not None
    assert (lock.when, lock.reason) == ("now", "Broken belt")


def digest(recording: Recording, who: str) -> str:
    return badge.digest(badge.parse(CARDS[who]), recording.badge_key())


def test_old_commands_are_sealed_as_today_and_read(recording: Recording):
    read = []
    for message in recording.messages("command"):
        recording.keys().verify(message.properties["seal"], wire.PURPOSE_COMMAND, TOPICS.account, message.body)
        read.append(wire.decode(message.body, wire.Command).verb)
    assert read == ["lock", "unlock"]


def test_old_acknowledgements_name_entries_of_the_gate(recording: Recording):
    hashes = {}
    for message in recording.messages("event/"):
        entry = wire.decode_entry(message.body)
        hashes[entry.journal, entry.seq] = to_text(entry_hash(message.body))
    acks = [wire.decode(message.body, wire.Ack) for message in recording.messages("ack")]
    named = [ack for ack in acks if ack.seq]
    assert named
    assert all(hashes[ack.journal, ack.seq] == ack.hash for ack in named)
