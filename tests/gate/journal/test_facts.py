"""How the rules' facts become entries: every fact, its checkpoint, its latch, and an honest end of what was left open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from fabgate import wire
from fabgate.gate.journal.facts import (
    POWER_LOSS_SLACK_MS,
    FactWriter,
    close_unfinished,
    cut_to_fit,
    describe,
    since_checkpoint,
    wall_floor,
)
from fabgate.gate.journal.writer import OpenSession
from fabgate.rules import vocabulary
from tests.gate.fakes import NOON

AT = vocabulary.Now(5_000, NOON, synced=True)
RULES = vocabulary.MachineRules(finishes_jobs=False)
GRANT = vocabulary.Basis("grant", grant="g-1", stale_roster=True, would_refuse=("expired",))
STARTED = vocabulary.Started("s-1", "m-ada", "b" * 64, GRANT, vocabulary.Mode.TAP, "m-sue", "s-0", 4_000)
ENDED = vocabulary.Ended("s-1", "m-ada", "b" * 64, vocabulary.EndReason.BADGE, 1_000, 500, "m-boss")

FACTS: list[tuple[vocabulary.Fact, str, dict[str, Any], str]] = [
    (STARTED, "session.started", {"supervisor": "m-sue", "continues": "s-0", "mode": "tap"}, "session s-1 of m-ada"),
    (ENDED, "session.ended", {"reason": "badge", "running_ms": 500, "actor": "m-boss"}, "after 1000 ms"),
    (
        vocabulary.Progress("s-1", "m", "b" * 9, 7, 3),
        "session.progress",
        {"energised_ms": 7, "running_ms": 3},
        "continues: 7 ms",
    ),
    (
        vocabulary.Refused("b" * 64, None, ("a", "c")),
        "access.refused",
        {"reasons": ["a", "c"]},
        "refused an unknown person",
    ),
    (
        vocabulary.Blocked(vocabulary.Cause.ESTOP, "x"),
        "machine.blocked",
        {"cause": "estop", "level": "cut", "detail": "x"},
        "blocked",
    ),
    (vocabulary.Blocked(vocabulary.Cause.READER), "machine.blocked", {"level": "hold"}, "blocked: reader"),
    (
        vocabulary.Cleared(vocabulary.Cause.FLAG, "m-max"),
        "machine.cleared",
        {"cause": "flag", "member": "m-max"},
        "by m-max",
    ),
    (vocabulary.Cleared(vocabulary.Cause.READER), "machine.cleared", {"cause": "reader"}, "cleared: reader"),
    (
        vocabulary.Flagged(vocabulary.FlagKind.DANGER, "m", "b"),
        "machine.flagged",
        {"kind": "danger"},
        "flagged by m: danger",
    ),
]


def writer() -> FactWriter:
    ids = iter(range(1_000))
    return FactWriter(boot="boot-1", new_uid=lambda: f"u{next(ids)}", checkpoint_ms=30_000, roster=lambda: 42)


@pytest.mark.parametrize(("fact", "kind", "wanted", "line"), FACTS)
def test_each_fact_has_its_entry_and_its_line(
    fact: vocabulary.Fact, kind: str, wanted: dict[str, Any], line: str
) -> None:
    ((draft,), _) = writer().drafts((fact,), AT, RULES)
    found = msgspec.to_builtins(draft.data)
    assert draft.type == kind
    assert isinstance(draft.data, wire.ENTRY_TYPES[kind])
    assert {key: found[key] for key in wanted} == wanted
    assert found["clock"] == {"boot": "boot-1", "boottime_ms": 5_000, "synced": True}
    assert found.get("roster", 42) == 42
    assert line in describe(fact)
    assert "b" * 64 not in describe(fact), "never a badge in full"


def test_the_basis_of_a_session_is_kept_whole() -> None:
    ((draft,), _) = writer().drafts((STARTED,), AT, RULES)
    assert draft.data.basis == wire.Basis(  # type: ignore[attr-defined]
        kind="grant", grant="g-1", stale_roster=True, would_refuse=["expired"]
    )


def test_a_time_that_is_not_sure_is_absent() -> None:
    for at in (vocabulary.Now(1, NOON, synced=False), vocabulary.Now(1, None, synced=True)):
        assert writer().draft("gate.stopping", wire.GateStopping(clock=writer().clock(at), reason=""), at).time is None
    east = datetime(2026, 11, 24, 13, 0).astimezone()
    at = vocabulary.Now(1, east, synced=True)
    draft = writer().draft("gate.stopping", wire.GateStopping(clock=writer().clock(at), reason=""), at)
    assert draft.time == east
    assert draft.time is not None
    assert draft.time.tzinfo is UTC


def test_a_start_opens_its_checkpoint_and_an_end_closes_it() -> None:
    _, change = writer().drafts((STARTED,), AT, RULES)
    assert change.opens is not None
    assert (change.opens.session, change.opens.energised_ms, change.opens.boot_ms) == ("s-1", 0, 4_000)
    assert change.opens.slack_ms == 90_000
    _, change = writer().drafts((ENDED,), AT, RULES)
    assert (change.opens, change.closes) == (None, frozenset({"s-1"}))


def test_a_handover_closes_one_and_opens_the_other_in_one_transaction() -> None:
    newcomer = msgspec_free_replace(STARTED, session="s-2", energised_from_ms=None)
    _, change = writer().drafts((ENDED, newcomer), AT, RULES)
    assert change.closes == frozenset({"s-1"})
    assert change.opens is not None
    assert (change.opens.session, change.opens.boot_ms) == ("s-2", 5_000)


def test_a_session_that_ends_in_the_record_that_started_it_leaves_no_checkpoint() -> None:
    _, change = writer().drafts((STARTED, ENDED), AT, RULES)
    assert change.opens is None


def msgspec_free_replace(fact: vocabulary.Started, **changes: Any) -> vocabulary.Started:
    from dataclasses import replace

    return replace(fact, **changes)


@pytest.mark.parametrize(
    ("rules", "slack_ms"),
    [
        (vocabulary.MachineRules(finishes_jobs=False), 90_000),
        (vocabulary.MachineRules(finishes_jobs=False, run_on_ms=5_000), 95_000),
        (vocabulary.MachineRules(finishes_jobs=True, finish_max_ms=600_000, run_on_ms=5_000), 695_000),
    ],
)
def test_the_doubt_after_a_power_cut_covers_how_long_a_machine_may_finish(
    rules: vocabulary.MachineRules, slack_ms: int
) -> None:
    _, change = writer().drafts((STARTED,), AT, rules)
    assert change.opens is not None
    assert change.opens.slack_ms == slack_ms


def test_what_a_person_must_clear_is_latched_and_unlatched() -> None:
    def change(*facts: vocabulary.Fact) -> tuple[set[str], set[str]]:
        found = writer().drafts(facts, AT, RULES)[1]
        return set(found.latch), set(found.unlatch)

    assert change(vocabulary.Blocked(vocabulary.Cause.OUTPUT)) == ({"output"}, set())
    assert change(vocabulary.Blocked(vocabulary.Cause.READER)) == (set(), set())
    assert change(vocabulary.Flagged(vocabulary.FlagKind.REPORT, "m", "b")) == ({"report"}, set())
    assert change(
        vocabulary.Flagged(vocabulary.FlagKind.DANGER, "m", "b"), vocabulary.Blocked(vocabulary.Cause.FLAG)
    ) == ({"danger", "flag"}, set())
    assert change(vocabulary.Cleared(vocabulary.Cause.FLAG, "m")) == (set(), {"flag", "danger"})
    assert change(vocabulary.Cleared(vocabulary.FlagKind.REPORT, "m")) == (set(), {"report"})


LEFT = OpenSession("s-1", "m-ada", "b", 42, 60_000, 20_000, "boot-1", 100_000, 90_000)
CLOCK = wire.Clock(boot="x", boottime_ms=1)


def closed(*, boot: str, boot_ms: int, since_ms: int | None = None, stays_on_ms: int = 0) -> wire.SessionEnded:
    """How what was left open ends at a gate that writes a checkpoint every fifteen seconds."""
    return close_unfinished(
        LEFT,
        boot=boot,
        boot_ms=boot_ms,
        clock=CLOCK,
        checkpoint_ms=15_000,
        since_ms=since_ms,
        stays_on_ms=stays_on_ms,
    )


def test_an_output_that_stays_on_after_the_gate_adds_to_the_doubt() -> None:
    assert closed(boot="boot-1", boot_ms=130_000, stays_on_ms=35_000).uncertainty_ms == 65_000
    assert closed(boot="boot-2", boot_ms=4_000, since_ms=0, stays_on_ms=35_000).uncertainty_ms == 75_000 + 35_000


def test_of_an_output_that_confirms_only_what_is_proved_is_certain() -> None:
    asked: list[tuple[int, bool]] = []

    def bounds(counted_ms: int, goes_on: bool) -> tuple[int, int]:
        asked.append((counted_ms, goes_on))
        return 300, 36_000

    found = FactWriter(boot="boot-1", new_uid=lambda: "u", checkpoint_ms=30_000, bounds=bounds)
    handed_over = replace(ENDED, reason=vocabulary.EndReason.HANDOVER)
    progress = vocabulary.Progress("s-1", "m", "b" * 9, 7_000, 3)
    ended, over, progressed = (draft.data for draft in found.drafts([ENDED, handed_over, progress], AT, RULES)[0])
    assert asked == [(1_000, False), (1_000, True), (7_000, True)]
    for one in (ended, over):
        assert isinstance(one, wire.SessionEnded)
        assert (one.energised_ms, one.running_ms, one.uncertainty_ms) == (300, 300, 35_700)
    assert isinstance(progressed, wire.SessionProgress)
    assert (progressed.energised_ms, progressed.running_ms) == (300, 3)


def test_what_was_left_open_ends_with_the_doubt_of_its_boot() -> None:
    same = closed(boot="boot-1", boot_ms=130_000)
    assert (same.reason, same.energised_ms, same.running_ms, same.uncertainty_ms) == ("restart", 60_000, 20_000, 30_000)
    other = closed(boot="boot-2", boot_ms=4_000)
    assert (other.reason, other.energised_ms, other.uncertainty_ms) == ("power-loss", 60_000, 90_000)
    assert (other.session, other.member, other.badge, other.roster) == ("s-1", "m-ada", "b", 42)


def test_no_doubt_is_negative() -> None:
    assert closed(boot="boot-1", boot_ms=1).uncertainty_ms == 0


def test_no_doubt_is_longer_than_anybody_believes_however_long_a_gate_was_not_started() -> None:
    found = closed(boot="boot-1", boot_ms=5 * 366 * 86_400_000)
    assert found.uncertainty_ms == 366 * 86_400_000
    assert wire.decode(wire.encode(found), wire.SessionEnded) == found


def test_no_rule_of_a_machine_lets_a_session_or_its_doubt_last_so_long() -> None:
    longest_ms = wire.MAX_SECONDS * 1000  # each of max_s, finish_max_s and run_on_s
    assert 3 * longest_ms + 900_000 + POWER_LOSS_SLACK_MS < wire.MAX_DURATION_MS


def test_where_the_time_without_power_is_known_it_is_the_most_that_a_job_went_on_unseen() -> None:
    assert closed(boot="boot-2", boot_ms=4_000, since_ms=10_000).uncertainty_ms == 15_000 + 60_000 + 10_000
    assert closed(boot="boot-2", boot_ms=4_000, since_ms=0).uncertainty_ms == 75_000
    assert closed(boot="boot-2", boot_ms=4_000, since_ms=9_000_000).uncertainty_ms == LEFT.slack_ms
    assert closed(boot="boot-1", boot_ms=130_000, since_ms=0).uncertainty_ms == 30_000


START = datetime(2026, 3, 14, 10, 0, tzinfo=UTC)


def begun(*, session: str = "s-1", boot: str = "boot-1", time: datetime | None = START) -> wire.Entry:
    """The entry of a start at the boot millisecond 40,000; the checkpoint of LEFT was a minute later."""
    data = wire.SessionStarted(
        clock=wire.Clock(boot=boot, boottime_ms=40_000, synced=True),
        session=session,
        member="m-ada",
        badge="b",
        basis=wire.Basis(kind="grant"),
        mode="tap",
        roster=42,
    )
    topics = wire.GateTopics("lyon", "laser-1")
    body = wire.encode_entry(
        topics=topics, journal="j", seq=1, prev="", uid="u", event_type="session.started", data=data, time=time
    )
    return wire.decode_entry(body)


def test_how_long_ago_a_checkpoint_was_is_told_by_two_clocks_that_know_the_time() -> None:
    def ago(entry: wire.Entry, *, synced: bool = True, seconds: int = 90) -> int | None:
        return since_checkpoint(LEFT, entry, vocabulary.Now(4_000, START + timedelta(seconds=seconds), synced))

    assert ago(begun()) == 30_000
    assert ago(begun(), seconds=10) is None  # set back since: nobody knows
    assert ago(begun(), synced=False) is None
    assert ago(begun(time=None)) is None
    assert ago(begun(boot="boot-0")) is None
    assert ago(begun(session="s-0")) is None


def test_an_entry_that_would_be_too_large_is_cut_and_any_other_is_left_alone() -> None:
    small = wire.AccessRefused(clock=CLOCK, badge="b", reasons=["x" * 1_000] * 10)
    assert cut_to_fit(small) is small
    huge = wire.AccessRefused(clock=CLOCK, badge="b\n" * 40_000, reasons=["\x01ä" * 5_000] * 500, member="m" * 50_000)
    found = cut_to_fit(huge)
    assert len(wire.encode(found)) < wire.MAX_ENTRY_BYTES
    assert len(found.reasons) == 15
    assert {len(text) for text in (found.badge, found.member or "", *found.reasons)} == {200}
    basis = wire.Basis(kind="grant", would_refuse=["r" * 900] * 99)
    started = wire.SessionStarted(clock=CLOCK, session="s", member="m", badge="b", basis=basis, mode="tap")
    assert len(cut_to_fit(started).basis.would_refuse) == 15


def test_the_last_time_on_record_is_a_floor() -> None:
    assert wall_floor(None) is None
    assert wall_floor(1_500) == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) + timedelta(milliseconds=500)
