"""The thread of an output on a network: with the real driver, an emulated plug, and a network that loses, doubles and delays.

Time is virtual, and a request lives in the network for at most `LIVES_S`: a packet is not delivered after an hour.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.outputs.shelly import ShellyOptions, ShellyOutput
from fabgate.drivers.outputs.shelly_rpc import Answer
from fabgate.errors import HardwareError
from fabgate.gate.hardware import output_thread
from fabgate.gate.hardware.output_thread import OutputThread

OFF_AFTER_S = 30
#: How long a request can be under way. With the timer: what the whole may take after the gate has died.
LIVES_S = 5
DEADLINE_S = OFF_AFTER_S + LIVES_S
FATES = ("answered", "answer lost", "lost", "late", "repeated", "late and repeated")


class World:
    """One gate's thread, its plug, and the network between them, in which `fates` wait for the next requests."""

    def __init__(self, password_file: Path, *, counts_nonces: bool = False) -> None:
        password_file.write_text("let me in", encoding="utf-8")
        self.now = 1_000.0
        self.fates: list[str] = []
        self.plug = Plug(clock=lambda: self.now, counts_nonces=counts_nonces)
        #: What is under way: when it arrives, and what it is.
        self.under_way: list[tuple[float, str, str]] = []
        #: When the gate sent each order to switch on.
        self.sent_on: list[float] = []
        self.ordered_on = False
        self.output = ShellyOutput(
            ShellyOptions(
                host="127.0.0.1",
                device_id=self.plug.device_id,
                password_file=password_file,
                meter_lag_ms=0,
                timeout_ms=500,
            )
        )
        self.output._clock = lambda: self.now
        self.output._link.exchange = self.exchange
        self.wakes = 0
        self.loop_hangs = False
        self.thread = OutputThread(self.output, self.wake, clock=lambda: self.now)
        self.due = self.now

    def wake(self) -> None:
        self.wakes += 1

    def exchange(self, target: str, proof: str, _until_s: float) -> Answer:
        fate = self.fates.pop(0) if self.fates else "answered"
        if "on=true" in target and proof:
            assert "toggle_after=30" in target
            assert self.ordered_on, "an order to switch on, although off was ordered before"
            self.sent_on.append(self.now)
        if "on=false" in target:
            assert "toggle_after" not in target
        if fate in ("late", "late and repeated"):
            self.under_way.append((self.now + LIVES_S, target, proof))
        if fate in ("repeated", "late and repeated"):
            self.under_way.append((self.now + LIVES_S / 2, target, proof))
        if fate in ("lost", "late", "late and repeated"):
            self.pass_time(0.5)
            raise HardwareError("no answer in time")
        reply = self.plug.answer(target, proof)
        if fate == "answer lost":
            self.pass_time(0.5)
            raise HardwareError("no answer in time")
        return Answer(reply.status, dict(reply.headers).get("WWW-Authenticate", ""), reply.body)

    def pass_time(self, seconds: float) -> None:
        """Let time pass; what is under way arrives, and the plug's timer runs."""
        until = self.now + seconds
        while self.under_way and min(self.under_way)[0] <= until:
            first = min(self.under_way)
            self.under_way.remove(first)
            self.now = max(self.now, first[0])
            self.plug.answer(first[1], first[2])
        self.now = until
        assert self.plug.on in (True, False)  # its timer has been looked at

    def order(self, *, on: bool) -> None:
        self.ordered_on = on
        self.thread.set(on=on)
        self.due = self.now

    def live(self, seconds: float) -> None:
        """Let the thread do what it does for so long."""
        until = self.now + seconds
        while self.due <= until:
            self.pass_time(max(0.0, self.due - self.now))
            if not self.loop_hangs:
                self.thread.attend()
            wait = self.thread.step()
            self.due = self.now if self.thread._news.is_set() else self.now + wait
            if self.thread.trouble and not self.loop_hangs:
                self.ordered_on = False  # the rules cut at once
                self.thread.set(on=False)
                self.due = self.now if wait == 0 else max(self.due, self.now + 0.05)
        self.pass_time(max(0.0, until - self.now))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "password")


def test_power_is_confirmed_at_once_and_kept(world):
    world.live(0.1)
    world.order(on=True)
    assert not world.thread.is_on
    world.live(0.05)
    assert world.thread.is_on
    assert world.plug.on
    world.live(3_600)
    assert world.thread.is_on
    assert [on for _, on in world.plug.history] == [True]
    gaps = [after - before for before, after in zip(world.sent_on, world.sent_on[1:], strict=False)]
    assert 9 < min(gaps) <= max(gaps) < 12
    asked = []
    ask = world.output._link.exchange
    world.output._link.exchange = lambda *given: (asked.append(given[0]), ask(*given))[1]
    world.order(on=False)
    world.thread.step()
    assert asked[0] == "/rpc/Switch.Set?id=0&on=false", "off is the first thing that is sent"
    assert not world.plug.on
    assert (world.thread.trouble, world.thread.alarms()) == ("", [])


@pytest.mark.parametrize("lost", [1, 2])
def test_some_lost_orders_to_stay_on_end_nothing(world, lost):
    world.live(0.1)
    world.order(on=True)
    world.live(9.9)
    world.fates = ["lost"] * 2 * lost
    world.live(60)
    assert world.thread.is_on
    assert [on for _, on in world.plug.history] == [True]


def test_a_network_that_is_away_ends_the_session_before_the_plug_falls_off(world):
    world.live(0.1)
    world.order(on=True)
    world.live(9)
    world.fates = ["lost"] * 1_000
    armed = world.sent_on[-1]
    while not world.thread.trouble:
        assert world.thread.is_on
        world.live(0.1)
        world.order(on=False) if world.thread.trouble else None
    assert OFF_AFTER_S - 5 <= world.now - armed <= OFF_AFTER_S
    assert world.plug.on
    world.pass_time(5)
    assert not world.plug.on
    world.fates = []
    world.live(10)
    assert (world.thread.trouble, world.thread.is_on) == ("", False)  # it clears by itself
    assert not world.plug.on


def test_a_plug_that_was_switched_off_at_its_button_stays_off_and_ends_the_session(world):
    world.live(0.1)
    world.order(on=True)
    world.live(5)
    world.plug.press_button()
    world.live(1.1)
    assert world.wakes
    assert not world.ordered_on
    world.live(60)
    assert [on for _, on in world.plug.history] == [True, False]
    assert world.thread.trouble == ""


def test_a_plug_that_is_on_without_a_session_is_switched_off_and_told_once(world):
    world.live(5)
    world.plug.press_button()
    world.live(1.1)
    assert not world.plug.on
    (alarm,) = world.thread.alarms()
    assert alarm.startswith("it was on without a session, and was switched off")
    world.live(60)
    assert (world.thread.alarms(), world.thread.trouble) == ([], "")


@pytest.mark.parametrize("fates", [["answered", "answer lost"], ["answer lost"], ["lost"] * 20])
def test_that_it_was_on_without_a_session_is_told_whatever_was_lost(world, fates):
    world.live(5)
    world.plug.press_button()
    world.fates = fates
    world.live(30)
    assert not world.plug.on
    (alarm,) = world.thread.alarms()
    assert alarm.startswith("it was on without a session")
    assert world.thread.trouble == ""


def test_a_session_that_begins_before_the_end_of_the_last_one_has_reached_the_plug_gets_its_power(world):
    world.live(0.1)
    world.order(on=True)

    def exchange(target: str, proof: str, until_s: float, ask=world.exchange) -> Answer:
        world.output._link.exchange = ask
        world.thread.set(on=False)
        world.thread.set(on=True)
        return ask(target, proof, until_s)

    world.output._link.exchange = exchange
    world.thread.step()
    assert not world.thread.is_on, "it is to be switched off first"
    world.live(5)
    assert (world.thread.is_on, world.thread.trouble) == (True, "")
    assert [on for _, on in world.plug.history] == [True, False, True]


def test_an_order_on_that_is_not_answered_is_lost_for_the_loop_even_if_the_plug_answers_again_at_once(world):
    world.live(0.1)
    world.fates = ["answer lost"]
    world.ordered_on = True
    world.thread.set(on=True)
    world.thread.step()
    world.thread.step()
    assert "no answer in time" in world.thread.trouble
    assert not world.plug.on
    world.thread.step()
    assert world.thread.trouble, "the loop has not seen it yet"
    world.order(on=False)
    world.live(0.5)
    assert world.thread.trouble == ""


def test_an_order_off_while_on_is_not_confirmed_yet_is_no_trouble(world):
    world.live(0.1)
    world.ordered_on = True
    world.thread.set(on=True)
    fates = ["answer lost"]

    def exchange(target: str, proof: str, until_s: float, ask=world.exchange) -> Answer:
        if fates:
            world.fates = [fates.pop()]
            world.ordered_on = True
            world.thread.set(on=False)
        return ask(target, proof, until_s)

    world.output._link.exchange = exchange
    world.thread.step()
    world.live(2)
    assert (world.thread.trouble, world.thread.is_on, world.plug.on) == ("", False, False)


def test_a_driver_that_fails_leaves_power_off_and_never_switches_on_by_itself(world, monkeypatch):
    world.live(0.1)
    world.order(on=True)
    world.live(1)
    monkeypatch.setattr(world.output, "tend", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        world.thread.run()
    assert "ZeroDivisionError" in world.thread.trouble
    monkeypatch.undo()
    world.order(on=False)
    world.live(1)
    assert (world.thread.trouble, world.plug.on) == ("", False)


def test_a_loop_that_hangs_loses_the_power_although_the_thread_lives(world):
    world.live(0.1)
    world.order(on=True)
    world.live(60)
    world.loop_hangs = True
    world.live(output_thread.LOOP_S + 1.1)
    assert not world.plug.on
    assert "loop does not answer" in world.thread.trouble
    world.live(60)
    assert not world.plug.on


def test_a_call_that_hangs_is_trouble(world):
    assert world.thread.power_w is None
    world.plug.load_w = 25.0
    world.live(0.1)
    assert (world.thread.power_w, world.thread.energy_wh) == (0.0, 0)
    world.thread._busy_since_s = world.now
    world.now += output_thread.HANG_S + 1
    assert world.thread.trouble == "the output does not answer"


def test_a_welded_contact_shows_within_a_few_tenths_of_a_second_and_an_absent_plug_is_none(world):
    world.plug.load_w = 60.0
    world.live(0.1)
    world.order(on=True)
    world.live(1)
    world.plug.welded = True
    assert world.thread.read_back() is None
    world.order(on=False)
    world.live(output_thread.SOON_S)
    assert world.thread.read_back() is True
    seen = []
    ask = world.output._link.exchange
    world.output._link.exchange = lambda *given: (seen.append(world.thread.read_back()), ask(*given))[1]
    for _ in range(5):  # the loop orders off again and again meanwhile
        world.order(on=False)
        world.live(0.1)
    assert set(seen) == {True}, "it must show without a break, or it never counts as welded"
    world.fates = ["lost"] * 1_000
    world.live(5)
    assert world.thread.read_back() is None
    assert world.thread.trouble


class AnyOrder(RuleBasedStateMachine):
    """Orders, deaths, presses and restarts, in any order, over a network that does its worst."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.folder / "password")
        self.died_at: float | None = None
        self.off_since: float | None = self.world.now
        #: When somebody else has last switched the plug on: its timer cannot help there.
        self.by_hand = False

    @rule(on=st.booleans())
    @precondition(lambda self: self.died_at is None)
    def order(self, on: bool) -> None:
        world = self.world
        if on and (world.thread.trouble or world.ordered_on):
            return
        world.order(on=on)
        self.off_since = None if on else (self.off_since if self.off_since is not None else world.now)

    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=12))
    def worsen(self, fates: list[str]) -> None:
        self.world.fates += fates

    @rule(seconds=st.sampled_from([0.05, 0.7, 3.0, 11.0, 40.0]))
    def live(self, seconds: float) -> None:
        world = self.world
        if self.died_at is None:
            world.live(seconds)
            if not world.ordered_on and self.off_since is None:
                self.off_since = world.now
        else:
            world.pass_time(seconds)

    @rule()
    @precondition(lambda self: self.died_at is None)
    def die(self) -> None:
        self.died_at = self.world.now

    @rule()
    def restart_the_plug(self) -> None:
        self.world.plug.restart()

    @rule()
    @precondition(lambda self: self.died_at is None)
    def press(self) -> None:
        assume(self.world.plug.on)  # off; who presses it on is told by an alarm, and its timer is not ours
        self.world.plug.press_button()

    @invariant()
    def nothing_leaves_it_on(self) -> None:
        world = self.world
        if not world.plug.on:
            return
        since = self.died_at if self.died_at is not None else self.off_since
        last = max(world.sent_on, default=-1e9)
        assert world.now - last <= DEADLINE_S, "on without an order in the time of its timer"
        if since is not None:
            assert world.now - since <= DEADLINE_S, "on for too long after the gate died or ordered off"
        if self.off_since is not None and not world.fates and not world.under_way and self.died_at is None:
            assert world.now - max(self.off_since, last) <= DEADLINE_S

    def teardown(self) -> None:
        world = self.world
        world.fates = []
        if self.died_at is not None:
            world.pass_time(DEADLINE_S)
            assert not world.plug.on
            return
        world.order(on=False)
        world.live(LIVES_S)  # what is still under way arrives
        world.live(1.5)
        assert not world.plug.on, "the gate is there, the network is well, and it is on"
        world.live(10)
        assert world.thread.trouble == ""


def test_no_order_of_orders_loss_repetition_and_delay_leaves_it_on(tmp_path):
    AnyOrder.folder = tmp_path
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
