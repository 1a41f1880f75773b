"""Commands from the collector: which are obeyed, what each does, and that none can switch power on."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate import wire
from fabgate.errors import SealError, UsageError
from fabgate.gate.config.gate_yaml import MachineSection, Mqtt, RosterSource
from fabgate.gate.journal.writer import Draft, Journal
from fabgate.gate.uplink.commands import IDS_MOST, PENDING_MOST, CommandChecker, RefusedError
from fabgate.gate.uplink.events import CommandArrived, MessageArrived, RosterNudged
from fabgate.rules import vocabulary
from fabgate.seal import Keys
from tests.gate.fakes import NOON
from tests.gate.shell import KEYS, Bench, running, wait
from tests.gate.uplink.commanding import ACCOUNT, command, door, lock, now, outcomes, sealed, send

AT = vocabulary.Now(1_000_000, NOON, synced=True)
UNSYNCED = vocabulary.Now(1_000_000, NOON, synced=False)


def desk(seen: set[str] | None = None) -> CommandChecker:
    return CommandChecker(boot="boot-1", executed=set() if seen is None else seen)


# --- may it be obeyed? ------------------------------------------------------------------------------------------------


def test_a_fresh_command_is_obeyed_once() -> None:
    at = desk()
    at.check(command(), AT)
    with pytest.raises(RefusedError, match="executed already"):
        at.check(command(), AT)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (command("switch-on"), "wanted lock, unlock, stop"),
        (command(boot="boot-0"), "before this gate restarted"),
        (command(issued=NOON - timedelta(seconds=61), expires=NOON - timedelta(seconds=1)), "it expired at 11:59:59"),
        (command(issued=NOON - timedelta(hours=1), expires=NOON + timedelta(days=1)), "expired"),
        (command(issued=NOON + timedelta(seconds=6)), "in the future"),
        (command(issued=datetime.max.replace(tzinfo=UTC), expires=datetime.max.replace(tzinfo=UTC)), "in the future"),
        (command(issued=NOON.replace(tzinfo=None)), "time zone"),
        (command(expires=NOON.replace(tzinfo=None)), "time zone"),
        (command("lock"), "found no lock, no roster version or no collector"),
        (lock(lock=None), "no lock, no roster"),
        (lock("unlock", roster=None), "no roster version or no collector"),
        (lock(collector=None), "or no collector"),
        (lock("unlock", collector=""), "or no collector"),
        (lock(lock=wire.Lock(id="l", when="soon", reason="")), "found a lock for 'soon'"),
        (lock(version=1 << 70), "63 bits"),
        (lock(version=-1), "63 bits"),
        (command("extend"), "more than 0"),
        (command("extend", seconds=-5), "more than 0"),
    ],
)
def test_a_command_that_is_stale_or_makes_no_sense_is_refused_with_its_reason(found: wire.Command, why: str) -> None:
    with pytest.raises(RefusedError, match=why) as caught:
        desk().check(found, AT)
    assert caught.value.command == found


def test_an_id_that_is_on_record_is_refused() -> None:
    with pytest.raises(RefusedError, match="executed already"):
        desk(seen={"c-1"}).check(command(), AT)


def test_a_refusal_is_answered_once_however_often_it_is_replayed() -> None:
    at = desk()
    late = command(boot="boot-0")
    with pytest.raises(RefusedError):
        at.check(late, AT)
    with pytest.raises(UsageError, match="again") as caught:
        at.check(late, AT)
    assert not isinstance(caught.value, RefusedError)


@pytest.mark.parametrize("verb", wire.COMMANDS)
def test_without_a_clock_only_what_makes_safer_or_tells_is_taken(verb: str) -> None:
    found = lock(verb) if verb in ("lock", "unlock") else command(verb, seconds=60)
    if verb in wire.COMMANDS_WITHOUT_CLOCK:
        desk().check(found, UNSYNCED)
    else:
        with pytest.raises(RefusedError, match="not synchronised"):
            desk().check(found, UNSYNCED)


def test_whoever_is_not_known_is_not_answered() -> None:
    payload, seal = sealed(command())
    for kind, keys, found, its in (
        (SealError, None, payload, seal),
        (SealError, KEYS, payload, None),
        (SealError, KEYS, payload, KEYS.seal(wire.PURPOSE_ROSTER, ACCOUNT, payload)),
        (SealError, KEYS, payload, KEYS.seal(wire.PURPOSE_COMMAND, "lyon/saw", payload)),
        (SealError, KEYS, *sealed(command(), Keys({"k1": b"another key, long enough"}))),
        (SealError, KEYS, *sealed(command(), Keys({"k9": b"a key that nobody knows"}))),
        (UsageError, KEYS, *sealed(b"{not json")),
        (UsageError, KEYS, *sealed(b"{}")),
        (UsageError, KEYS, *sealed(b"\xff\xfe")),
    ):
        with pytest.raises(kind) as caught:
            door(keys).admit(found, its)
        assert not isinstance(caught.value, RefusedError)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_to_a_command_or_its_seal_is_refused(data: st.DataObject) -> None:
    payload, seal = sealed(lock())
    of_payload = data.draw(st.booleans())
    text = bytearray(payload if of_payload else seal.encode())
    at = data.draw(st.integers(0, len(text) - 1))
    match data.draw(st.sampled_from(("flip", "cut", "add", "swap"))):
        case "flip":
            text[at] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            del text[at]
        case "add":
            text.insert(at, data.draw(st.integers(0, 255)))
        case "swap":
            text[at] = data.draw(st.integers(0, 255))
    if bytes(text) == (payload if of_payload else seal.encode()):
        return
    changed = (bytes(text), seal) if of_payload else (payload, bytes(text).decode("latin-1"))
    with pytest.raises(SealError):
        door().admit(*changed)


def test_a_sealed_command_comes_in_and_once_more_to_be_told_that_it_was_obeyed() -> None:
    at = door()
    assert at.admit(*sealed(command())) == command()
    assert at.admit(*sealed(command())) == command()
    for _ in range(3):
        with pytest.raises(UsageError, match="command c-1 came more than 2 times"):
            at.admit(*sealed(command()))
    assert at.admit(*sealed(command(id="c-2"))).id == "c-2"


def test_few_commands_wait_for_the_loop_at_any_time() -> None:
    at = door()
    for n in range(PENDING_MOST):
        at.admit(*sealed(command(id=f"c-{n}")))
    with pytest.raises(UsageError, match="are waiting already; send it again"):
        at.admit(*sealed(command(id="late")))
    at.handled()
    assert at.admit(*sealed(command(id="late"))).id == "late", "what was turned away has not come yet"
    with pytest.raises(UsageError, match="are waiting already"):
        at.admit(*sealed(command(id="later")))


def test_a_door_forgets_the_oldest_ids_and_so_never_grows() -> None:
    at = door()
    for n in range(IDS_MOST + 5):
        at.admit(*sealed(command(id=f"c-{n}")))
        at.handled()
    assert len(at._times) == IDS_MOST
    at.admit(*sealed(command(id=f"c-{IDS_MOST}")))
    with pytest.raises(UsageError, match="more than 2 times"):
        at.admit(*sealed(command(id=f"c-{IDS_MOST}")))


# --- what each does, through the whole gate ---------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running(tmp_path, mqtt=Mqtt(host="127.0.0.1", port=1)) as found:
        yield found


def arrive(bench: Bench, *messages: tuple[bytes, str | None]) -> None:
    """Let messages come as commands, as the network brings them."""
    assert bench.daemon._uplink is not None
    for payload, seal in messages:
        bench.daemon._uplink._queue.put(MessageArrived(f"fabgate/v1/{ACCOUNT}/command", payload, seal))


def test_stop_ends_the_session_and_names_who_stopped_it(bench: Bench) -> None:
    bench.use("ada")
    send(bench, now(bench, "stop"))
    assert bench.levels == [True, False]
    assert outcomes(bench) == [("stop", "done")]
    (ended,) = bench.of("session.ended")
    assert (ended.reason, ended.actor) == ("remote", "m-manager")


def test_lock_now_cuts_and_unlock_lets_people_begin_again(bench: Bench) -> None:
    bench.use("ada")
    send(bench, now(bench, "lock"))
    assert bench.levels == [True, False]
    assert bench.causes == ["lock-now"]
    bench.tap("bob")
    assert bench.state == "idle"
    send(bench, now(bench, "unlock", id="c-2", version=(1 << 50) + 1))
    assert bench.causes == []
    assert bench.levels == [True, False], "an unlock switches nothing on"
    bench.use("bob")


@pytest.mark.parametrize("verb", ["lock", "stop"])
def test_power_is_off_before_the_command_that_took_it_is_put_on_record(bench: Bench, verb: str) -> None:
    bench.use("ada")
    recorder = bench.daemon._recorder
    queue, powered_at_record = recorder.append, []

    def append(*drafts: Any, **more: Any) -> None:
        powered_at_record.append(bench.output.on)
        queue(*drafts, **more)

    recorder.append = append  # the daemon's own recorder goes on; this only looks
    send(bench, now(bench, verb))
    assert outcomes(bench) == [(verb, "done")]
    assert powered_at_record
    assert not any(powered_at_record)


def test_lock_idle_waits_for_a_running_job(tmp_path: Path) -> None:
    with running(tmp_path, machine=MachineSection(finish="wait", finish_max_s=600)) as bench:
        bench.use("ada")
        send(bench, now(bench, "lock", lock=wire.Lock(id="l-2", when="idle", reason="service")))
        assert bench.output.on
        assert bench.causes == ["lock-idle"]
        bench.tap("ada")
        assert not bench.output.on
        bench.tap("bob")
        assert bench.state == "idle"


def test_extend_gives_a_running_session_more_time_up_to_its_longest(tmp_path: Path) -> None:
    with running(tmp_path, machine=MachineSection(finish="cut", limit_s=600, max_s=900)) as bench:
        send(bench, now(bench, "extend", seconds=600))
        assert not bench.output.on
        bench.use("ada")
        send(bench, now(bench, "extend", id="c-2", seconds=10**15))
        bench.advance(899_000)
        assert bench.output.on
        bench.advance(1_000)
        assert not bench.output.on


def test_identify_signals_and_nothing_else(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    send(bench, now(bench, "identify"))
    assert outcomes(bench) == [("identify", "done")]
    assert bench.levels == []
    wait(lambda: "[white blink]" in caplog.text, "the light by which the gate is found")


def test_clear_fault_opens_the_reader_anew_and_clears_no_other_fault(bench: Bench) -> None:
    bench.output.welded = True
    bench.settle()
    bench.advance(501)
    assert bench.causes == ["output"]
    opened = bench.reader.opened
    send(bench, now(bench, "clear-fault"))
    wait(lambda: bench.reader.opened > opened, "the reader to be opened")
    bench.output.welded = False
    send(bench, now(bench, "clear-fault", id="c-2"))
    assert bench.causes == ["output"]


def test_fetch_roster_asks_the_collector_at_once(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    roster = RosterSource(url="http://127.0.0.1:1/", token_file=tmp_path / "token", fetch_every_s=3_600)
    with running(tmp_path, roster=roster) as bench:
        bench.daemon._source._fetch_wanted.clear()  # type: ignore[union-attr]
        seen = []
        bench.daemon._source.fetch_now = lambda: seen.append(1)  # type: ignore[union-attr, method-assign]
        send(bench, now(bench, "fetch-roster"))
        send(bench, now(bench, "lock", id="c-2"))
        assert seen == [1, 1]


def test_a_replayed_command_is_refused_also_after_the_daemon_was_started_again(bench: Bench) -> None:
    bench.use("ada")
    once = now(bench, "stop")
    send(bench, once)
    bench.use("bob")
    send(bench, once)
    assert bench.output.on
    bench.tap("bob")
    assert outcomes(bench) == [("stop", "done"), ("stop", "refused")]
    bench.stop()
    bench.start()
    bench.use("ada")
    for _ in range(5):
        send(bench, once)
    assert bench.output.on
    assert outcomes(bench)[2:] == [("stop", "refused")], "recorded once, however often it is replayed"


def test_a_command_that_an_earlier_version_wrote_otherwise_keeps_no_gate_from_starting(bench: Bench) -> None:
    once = now(bench, "stop")
    send(bench, once)
    bench.stop()
    journal = Journal(bench.config.state_dir / "journal.db", bench.config.topics)
    journal.open()
    clock = wire.Clock(boot="b", boottime_ms=1)
    said = wire.CommandExecuted(clock=clock, command="c-9", verb="stop", outcome="done", actor="a" * 300)
    journal.append([Draft("u-1", "command.executed", said, None)])
    journal.close()
    bench.start()
    bench.use("ada")
    send(bench, once)
    assert bench.output.on, "the one that can be read is known still"


def test_what_cannot_be_believed_never_reaches_the_loop_and_is_counted(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    bench.use("ada")
    bench.written()
    entries = len(bench.entries())
    inbox, post = [], bench.daemon._uplink._post  # type: ignore[union-attr]
    bench.daemon._uplink._post = lambda event: (inbox.append(event), post(event))  # type: ignore[union-attr, func-returns-value]
    payload, seal = sealed(now(bench, "stop"))
    bad = [(payload, None), (payload, seal[:-3] + "AA="), (payload + b" ", seal), sealed(b"\x00" * 100)]
    arrive(bench, *bad * 50, (payload * 1_000, seal))
    bench.wait_for_status(lambda found: any("command: 1 refused since the start" in line for line in found["problems"]))
    wait(bench.daemon._uplink._queue.empty, "the flood")  # type: ignore[union-attr]
    bench.advance(60_001)  # the heartbeat tells what came since
    arrive(bench, (payload, None))
    bench.wait_for_status(lambda found: any(re.match("command: 20[12] refused", line) for line in found["problems"]))
    assert not [event for event in inbox if isinstance(event, CommandArrived)]
    assert caplog.text.count("refused a message on fabgate/v1/lyon/laser-1/command") <= 3
    bench.written()
    assert len(bench.entries()) == entries
    assert bench.output.on
    send(bench, now(bench, "identify"))
    bench.wait_for_status(lambda found: not found["problems"])


def test_of_one_command_that_comes_a_thousand_times_the_loop_sees_two(bench: Bench) -> None:
    bench.use("ada")
    once = sealed(now(bench, "stop"))
    arrive(bench, *[once] * 1_000)
    bench.wait_for_status(lambda found: any("c-1 came more than 2 times" in line for line in found["problems"]))
    assert outcomes(bench) == [("stop", "done"), ("stop", "refused")]
    assert bench.levels == [True, False]


def test_nudges_that_nobody_has_taken_yet_are_one(bench: Bench) -> None:
    uplink = bench.daemon._uplink
    assert uplink is not None
    posted: list[object] = []
    uplink._post = posted.append  # the loop is away for a moment
    for _ in range(1_000):
        uplink._queue.put(MessageArrived(f"fabgate/v1/{ACCOUNT}/roster", b'{"version":1}'))
    wait(uplink._queue.empty, "the nudges")
    uplink.handled(RosterNudged())
    uplink._queue.put(MessageArrived(f"fabgate/v1/{ACCOUNT}/roster", b'{"version":2}'))
    wait(lambda: posted == [RosterNudged()] * 2, "one of the flood, and the one after it")


def test_a_gate_without_a_key_takes_no_command(tmp_path: Path) -> None:
    with running(tmp_path, gate_key_file=None, mqtt=Mqtt(host="127.0.0.1", port=1)) as bench:
        bench.use("ada")
        arrive(bench, sealed(now(bench, "stop")))
        assert any("gate_key_file" in line for line in bench.wait_for_status(lambda s: s["problems"])["problems"])
        assert bench.output.on


def test_no_command_and_no_mutation_of_one_ever_raises_power(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        examples = iter(range(10_000))

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(
            st.sampled_from([*wire.COMMANDS, "on", "start", "power"]),
            st.dictionaries(
                st.sampled_from(["seconds", "roster", "reason", "boot", "lock", "expires", "issued", "actor"]),
                st.none() | st.integers() | st.text(max_size=20) | st.booleans() | st.just("boot-1"),
                max_size=4,
            ),
        )
        def anything(verb: str, changes: dict[str, Any]) -> None:
            raw = msgspec.to_builtins(now(bench, verb, id=f"x-{next(examples)}"))
            payload = msgspec.json.encode({**raw, **{k: _plain(v) for k, v in changes.items()}})
            with contextlib.suppress(UsageError):
                bench.post(CommandArrived(door().admit(*sealed(payload))))
            assert bench.levels == []
            assert not bench.over

        anything()


def _plain(value: Any) -> Any:
    return value % (1 << 63) if isinstance(value, int) and not isinstance(value, bool) else value
