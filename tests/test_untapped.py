"""Which sessions may have begun without a tap? Starts that followed, within seconds, what could have caused them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fabgate import wire
from fabgate.untapped import OTHER_BADGE, OWN_END, READER, RESTART, Untapped, untapped

TOPICS = wire.GateTopics("lyon", "laser-1")


class Journal:
    """Entries of one gate, written at given boot milliseconds."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.boot = "boot-1"

    def write(self, kind: str, at_ms: int, **data: object) -> Journal:
        clock = wire.Clock(boot=self.boot, boottime_ms=at_ms, synced=True)
        seq = len(self.bodies) + 1
        self.bodies.append(
            wire.encode_entry(
                topics=TOPICS,
                journal="j",
                seq=seq,
                prev="",
                uid=str(seq),
                event_type=kind,
                data=wire.ENTRY_TYPES[kind](clock=clock, **data),
                time=None,
            )
        )
        return self

    def start(self, session: str, badge: str, at_ms: int, **more: object) -> Journal:
        basis = wire.Basis(kind="grant")
        return self.write(
            "session.started", at_ms, session=session, member=f"m-{badge}", badge=badge, basis=basis, mode="tap", **more
        )

    def end(self, session: str, badge: str, at_ms: int, reason: str = "badge") -> Journal:
        return self.write(
            "session.ended",
            at_ms,
            session=session,
            member=f"m-{badge}",
            badge=badge,
            energised_ms=1_000,
            running_ms=0,
            reason=reason,
        )

    def entries(self) -> Iterator[wire.Entry]:
        return map(wire.decode_entry, self.bodies)

    def doubts(self) -> list[Untapped]:
        return list(untapped(self.entries()))


def test_a_start_within_seconds_of_a_restart_is_listed():
    journal = Journal().write("gate.started", 5_000, version="0.1.0").start("s1", "ada", 6_200)
    assert journal.doubts() == [Untapped("s1", RESTART, 1_200)]


def test_a_start_long_after_a_restart_is_not_listed():
    journal = Journal().write("gate.started", 5_000, version="0.1.0").start("s1", "ada", 15_001)
    assert journal.doubts() == []


@pytest.mark.parametrize("kind", ["reader.fault", "reader.recovered"])
def test_a_start_within_seconds_of_a_fault_of_the_reader_is_listed(kind):
    assert Journal().write(kind, 0, detail="x").start("s1", "ada", 9_999).doubts() == [Untapped("s1", READER, 9_999)]


@pytest.mark.parametrize(
    ("verb", "outcome", "listed"),
    [("clear-fault", "done", True), ("clear-fault", "refused", False), ("identify", "done", False)],
)
def test_a_start_within_seconds_of_a_reader_that_was_opened_again_from_afar_is_listed(verb, outcome, listed):
    journal = Journal().write("command.executed", 1_000, command="c1", verb=verb, outcome=outcome, actor="boss")
    journal.start("s1", "ada", 1_700)
    assert journal.doubts() == ([Untapped("s1", READER, 700)] if listed else [])


def test_a_fault_of_the_output_explains_nothing():
    assert Journal().write("output.fault", 0, detail="x").start("s1", "ada", 100).doubts() == []


def test_a_start_after_another_badge_was_refused_or_ended_its_session_is_listed():
    journal = Journal().write("access.refused", 0, badge="bob", reasons=["unknown"]).start("s1", "ada", 900)
    journal.end("s1", "ada", 60_000).start("s2", "eve", 61_000)
    assert journal.doubts() == [Untapped("s1", OTHER_BADGE, 900), Untapped("s2", OTHER_BADGE, 1_000)]


def test_a_card_that_takes_over_right_after_another_took_over_is_listed():
    journal = Journal().start("s1", "ada", 0)
    journal.end("s1", "ada", 60_000, "handover").start("s2", "bob", 60_000, energised_from_ms=60_000)
    journal.end("s2", "bob", 61_500, "handover").start("s3", "ada", 61_500, energised_from_ms=61_500)
    assert journal.doubts() == [Untapped("s3", OTHER_BADGE, 1_500)]


@pytest.mark.parametrize("reason", ["limit", "idle", "button", "lock", "removed"])
def test_a_start_after_the_members_own_session_ended_by_itself_is_listed(reason):
    journal = Journal().start("s1", "ada", 0).end("s1", "ada", 60_000, reason).start("s2", "ada", 60_700)
    assert journal.doubts() == [Untapped("s2", OWN_END, 700)]


def test_a_member_who_ends_and_starts_with_their_badge_is_not_listed():
    assert Journal().start("s1", "ada", 0).end("s1", "ada", 60_000).start("s2", "ada", 61_000).doubts() == []


def test_what_continues_after_a_handover_is_not_listed():
    journal = Journal().write("access.refused", 0, badge="bob", reasons=["in-use"])
    assert journal.start("s2", "ada", 100, continues="s1", energised_from_ms=50).doubts() == []


def test_another_boot_has_another_clock():
    journal = Journal().write("gate.started", 5_000, version="0.1.0")
    journal.boot = "boot-2"
    assert journal.start("s1", "ada", 6_000).doubts() == []


def test_an_entry_of_a_later_version_is_passed_over():
    journal = Journal().write("gate.started", 0, version="9")
    journal.bodies[0] = journal.bodies[0].replace(b"gate.started", b"gate.dreamed")
    assert journal.start("s1", "ada", 100).doubts() == []
