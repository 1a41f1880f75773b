"""What is recorded of a session on a plug, against the time that the plug really had power, by a model of its own.

Chance chooses delays, lost questions and answers, presses of the button, power cuts of the plug, and when the gate dies. The
model of the plug shares no line with the driver or with the emulated plug: it is what the maker's documentation says.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from fabgate import wire
from fabgate.drivers.outputs.shelly import ShellyOptions, ShellyOutput
from fabgate.drivers.outputs.shelly_rpc import Answer
from fabgate.errors import HardwareError
from fabgate.gate.hardware.output_thread import OutputThread
from fabgate.gate.journal.changes import OpenSession
from fabgate.gate.journal.facts import close_unfinished

#: A packet that has not arrived by then never will.
LIVES_S = 5.0
#: From when a person is asked for auto-off, at the latest.
AUTO_OFF_S = 35.0
DEVICE = "shellyplugsg3-8cbfeaa03350"


class ModelPlug:
    """A relay with a timer and a button. `flips` has when it changed, and to what."""

    def __init__(self) -> None:
        self.flips: list[tuple[float, bool]] = []
        self.on = False
        self.timer: tuple[float, float] | None = None

    def pass_time(self, now_s: float) -> None:
        if self.on and self.timer is not None and sum(self.timer) <= now_s:
            self.flip(sum(self.timer), on=False)

    def flip(self, at_s: float, *, on: bool, after_s: float | None = None) -> None:
        self.timer = (at_s, AUTO_OFF_S if after_s is None else after_s) if on else None
        if on is not self.on:
            self.on = on
            self.flips.append((at_s, on))

    def with_power(self, began_s: float, ended_s: float) -> float:
        """Return for how long it was on since `began_s`, until it first went off at `ended_s` or later."""
        total_s, since_s = 0.0, None
        for at_s, on in [*self.flips, (float("inf"), False)]:
            if on:
                since_s = at_s
            elif since_s is not None:
                assert at_s != float("inf"), "it stays on without limit"
                total_s += max(0.0, at_s - max(since_s, began_s))
                since_s = None
            if not on and at_s >= ended_s:
                break
        return total_s


class Life:
    """One gate, its plug and the network between them. Time passes only while something waits."""

    def __init__(self, chance: random.Random, password: Path) -> None:
        self.chance = chance
        self.now = 1_000.0
        self.plug = ModelPlug()
        self.under_way: list[tuple[float, int, dict[str, str]]] = []
        self.numbers = itertools.count()
        self.is_away = False
        self.lossy = chance.choice([0.0, 0.0, 0.1, 0.5])
        self.slow_s = chance.choice([0.0, 0.05, 0.3])
        #: When a hand or a power cut changes the plug, in the order of time.
        self.hands: list[tuple[float, str]] = []
        self.dies_s = float("inf")
        options = ShellyOptions(host="127.0.0.1", device_id=DEVICE, password_file=password, timeout_ms=500)
        self.output = ShellyOutput(options)
        self.output._clock = lambda: self.now
        self.output._link.exchange = self.exchange  # type: ignore[method-assign]
        self.thread = OutputThread(self.output, lambda: None, clock=lambda: self.now)

    def pass_to(self, until_s: float) -> None:
        while True:
            due = [
                *((at, 0, n, asked) for at, n, asked in self.under_way),
                *((at, 1, 0, what) for at, what in self.hands),
            ]
            first = min((one for one in due if one[0] <= until_s), key=lambda one: one[:3], default=None)
            self.now = until_s if first is None else max(self.now, first[0])
            self.plug.pass_time(self.now)
            if first is None:
                break
            if first[1] == 0:
                self.under_way.remove((first[0], first[2], first[3]))
                self.do(first[3])
            else:
                self.hands.remove((first[0], first[3]))
                self.touch(first[3])
        if self.now >= self.dies_s:
            raise GateDiedError

    def touch(self, what: str) -> None:
        if what == "cut":
            self.plug.flip(self.now, on=False)
        elif what == "off and on" and self.plug.on:
            self.plug.flip(self.now, on=False)
            self.hands.append((self.now + self.chance.choice([1, 1, 20]) * self.chance.uniform(0.1, 0.9), "on"))
        elif what != "off and on":
            self.plug.flip(self.now, on=what == "on")

    def do(self, asked: dict[str, str]) -> bool:
        was_on = self.plug.on
        if "on" in asked:
            after = asked.get("toggle_after")
            self.plug.flip(self.now, on=asked["on"] == "true", after_s=None if after is None else float(after))
        return was_on

    def exchange(self, target: str, proof: str, _until_s: float) -> Answer:
        asked = dict(parse_qsl(urlsplit(target).query))
        method = urlsplit(target).path.rpartition("/")[2]
        if self.is_away or self.chance.random() < self.lossy:
            fate = self.chance.choice(["lost", "late", "answer lost"]) if not self.is_away else "lost"
            if fate == "late" and proof:
                self.under_way.append((self.now + self.chance.uniform(0.5, LIVES_S), next(self.numbers), asked))
            elif fate == "answer lost" and proof:
                self.pass_to(self.now + self.chance.uniform(0, 0.3))
                self.do(asked)
            self.pass_to(self.now + 0.5)
            raise HardwareError("no answer in time")
        self.pass_to(self.now + self.chance.uniform(0, self.slow_s))
        answer = self.answer(method, proof, asked)
        self.pass_to(self.now + self.chance.uniform(0, self.slow_s / 2))
        return answer

    def answer(self, method: str, proof: str, asked: dict[str, str]) -> Answer:
        if not proof and method != "Shelly.GetDeviceInfo":
            return Answer(401, f'Digest qop="auth", realm="{DEVICE}", nonce="n{self.now}", algorithm=SHA-256', b"")
        found: object = {"jobs": [], "hooks": [], "scripts": []}
        if method == "Shelly.GetDeviceInfo":
            found = {"id": DEVICE, "gen": 3, "auth_en": True}
        elif method == "Shelly.GetConfig":
            found = {"switch:0": {"initial_state": "off", "auto_on": False}}
        elif method == "Switch.Set":
            found = {"was_on": self.do(asked)}
        elif method == "Switch.GetStatus":
            timer = self.plug.timer
            found = {"output": self.plug.on} | (
                {} if timer is None else {"timer_started_at": round(timer[0], 2), "timer_duration": timer[1]}
            )
        return Answer(200, "", json.dumps(found).encode())

    def live(self, until_s: float) -> None:
        """Let loop and thread do what they do, until then or until power is given up."""
        while self.now < until_s:
            self.thread.attend()
            pause_s = self.thread.step()
            if self.thread.trouble and self.thread._has_lost:
                return
            if not self.thread._news.is_set():
                self.pass_to(min(max(until_s, self.now), self.now + pause_s))


class GateDiedError(Exception):
    """The process is killed."""


def one_life(chance: random.Random, password: Path) -> tuple[str, float, int, int]:
    """Live one session; return how it ended, its true time with power, and what was recorded of it, in milliseconds."""
    life = Life(chance, password)
    life.live(life.now + 1)
    while life.thread.trouble or not life.output._is_open:
        life.live(life.now + 1)
    began_s = life.now
    length_s = chance.choice([0.0, 0.3, 2.0, 14.0, 70.0, 200.0]) * chance.uniform(0.5, 1.5)
    end_s = began_s + length_s
    for _ in range(chance.choice([0, 0, 1, 2])):
        life.hands.append((chance.uniform(began_s, end_s), chance.choice(["off", "cut", "off and on"])))
    if chance.random() < 0.2:
        life.hands.append((max(began_s, end_s - chance.uniform(0, 1)), "off and on"))
    away_s = chance.uniform(began_s, end_s) if chance.random() < 0.3 else float("inf")
    if chance.random() < 0.3:
        life.dies_s = chance.uniform(began_s, end_s + 1)
    recorded = None
    checkpoint = OpenSession("s", "m", "b", 1, 0, 0, "boot", round(began_s * 1000), 0)
    try:
        life.thread.set(on=True)
        while life.now < end_s and not life.thread._has_lost:
            life.is_away = life.now >= away_s
            life.live(min(end_s, life.now + 1))
            if life.now - checkpoint.boot_ms / 1000 >= 30:  # as daemon._carry_out does
                counted_ms = round((life.now - began_s) * 1000)
                least_ms, _ = life.thread.bounds_ms(counted_ms, goes_on=True)
                at_ms = round(life.now * 1000) - (counted_ms - least_ms)
                checkpoint = OpenSession("s", "m", "b", 1, least_ms, 0, "boot", at_ms, 0)
        ended_s, how = life.now, "lost" if life.thread._has_lost else "ended"
        counted_ms = round((ended_s - began_s) * 1000)
        handed_over = life.thread.bounds_ms(counted_ms, goes_on=True)  # the loop has not looked yet
        life.thread.set(on=False)
        recorded = life.thread.bounds_ms(counted_ms)
        assert handed_over[0] == recorded[0], how
        life.dies_s = chance.choice([float("inf"), ended_s + chance.uniform(0, 1)])
        life.hands = []  # a hand after the end is no part of the session, and the gate tells of it
        life.live(ended_s + 100)
    except GateDiedError:
        life.dies_s, life.hands = float("inf"), []
        if recorded is None:
            ended_s, how = life.now, "killed"
            ended = close_unfinished(
                checkpoint,
                boot="boot",
                boot_ms=round(ended_s * 1000) + chance.randrange(3_000),
                clock=wire.Clock(boot="boot", boottime_ms=0, synced=True),
                checkpoint_ms=30_000,
                since_ms=None,
                stays_on_ms=life.thread.stays_on_ms,
            )
            recorded = ended.energised_ms, ended.energised_ms + ended.uncertainty_ms
    life.pass_to(life.now + 200)
    return how, life.plug.with_power(began_s, ended_s) * 1000, *recorded


def test_the_true_time_with_power_is_never_outside_of_what_is_recorded(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("let me in", encoding="utf-8")
    seen: Counter[str] = Counter()
    exact = 0
    for seed in range(600):
        how, true_ms, least_ms, most_ms = one_life(random.Random(seed), password)
        seen[how] += 1
        exact += how == "ended" and true_ms - least_ms < 2_000
        assert least_ms - 2 <= true_ms <= most_ms + 2, f"seed {seed}: {how}, {true_ms:.0f} ms"
    assert min(seen[how] for how in ("ended", "lost", "killed")) > 30, seen
    assert exact > seen["ended"] / 2, "what is certain is not given away"


def test_a_timer_that_a_hand_has_begun_is_not_taken_for_that_of_the_order_before(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("let me in", encoding="utf-8")
    for seed, auto_off_s in enumerate((AUTO_OFF_S, 30.0)):  # also the duration of the gate's own orders
        life = Life(random.Random(seed), password)
        life.lossy, life.slow_s = 0.0, 0.05
        life.live(life.now + 1)
        began_s = life.now
        life.thread.set(on=True)
        life.live(life.now + 3)
        armed_s = life.output._rearm_at_s
        while life.output._rearm_at_s == armed_s:
            life.live(life.now + 0.05)
        life.is_away = True  # no look comes after the order that has just been confirmed
        life.live(life.now + 4)
        life.plug.flip(life.now, on=False)
        life.live(life.now + 12)
        life.plug.flip(life.now, on=True, after_s=auto_off_s)
        life.is_away = False
        life.live(life.now + 5)
        ended_s = life.now
        assert not life.thread.trouble
        life.thread.set(on=False)
        least_ms, most_ms = life.thread.bounds_ms(round((ended_s - began_s) * 1000))
        life.live(ended_s + 50)
        assert least_ms <= life.plug.with_power(began_s, ended_s) * 1000 <= most_ms


@pytest.mark.parametrize("pressed", [False, True])
def test_a_button_in_the_moment_of_an_end_is_told(tmp_path: Path, *, pressed: bool) -> None:
    password = tmp_path / "password"
    password.write_text("let me in", encoding="utf-8")
    life = Life(random.Random(0), password)
    life.lossy, life.slow_s = 0.0, 0.2
    life.live(life.now + 1)
    life.thread.set(on=True)
    life.live(life.now + 3)
    assert life.plug.on
    life.thread.set(on=False)
    if pressed:
        do = life.do

        def press_after(asked: dict[str, str]) -> bool:
            was_on = do(asked)
            if asked.get("on") == "false" and was_on and not life.hands:
                life.do = do  # type: ignore[method-assign]
                life.hands.append((life.now + 0.01, "on"))  # before the gate has asked again
            return was_on

        life.do = press_after  # type: ignore[method-assign]
    life.live(life.now + 5)
    assert not life.plug.on
    assert len(life.thread.alarms()) == pressed


def test_an_old_status_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("let me in", encoding="utf-8")
    life = Life(random.Random(0), password)
    life.lossy, answer = 0.0, life.answer

    def with_watts(method: str, proof: str, asked: dict[str, str]) -> Answer:
        found = answer(method, proof, asked)
        if method != "Switch.GetStatus" or not proof:
            return found
        body = json.loads(found.body) | {"apower": 60.0, "aenergy": {"total": 7.2}}
        return Answer(found.status, found.challenge, json.dumps(body).encode())

    life.answer = with_watts  # type: ignore[method-assign]
    life.live(life.now + 1)
    assert (life.output.power_w, life.output.energy_wh) == (60.0, 7)
    life.now += 3.1  # the next request hangs
    assert (life.output.power_w, life.output.energy_wh) == (None, None)
