"""Several panels, clocks that run, and panels that hang or are unplugged: none delays another one or the gate."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from fabgate.drivers.panels import Clock, Notice
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Driver
from fabgate.gate.panel import panel_thread
from fabgate.gate.panel.panel_thread import Panels
from fabgate.gate.workers import Workers
from tests.gate.panel.plugged import Device, Display, Options
from tests.gate.shell import let_pass, wait

MINUTE_MS = 60_000
#: With a session that began then, each full second is followed by the next text within 10 ms.
SOON_MS = -990


class Lamp(Display):
    """A panel without text."""

    repeats = False


class Bench:
    """Panels with their threads, and a clock that a test moves."""

    def __init__(self, *kinds: str) -> None:
        self.boot_ms = 0
        self.devices = [Device() for _ in kinds]
        self.failed: list[object] = []
        sections = [
            Driver(driver=kind, options=Options(device)) for kind, device in zip(kinds, self.devices, strict=True)
        ]
        self.panels = Panels(sections, boot_ms=lambda: self.boot_ms)
        self.workers = Workers(self.failed.append)
        for name, run in self.panels.named.items():
            self.workers.start(name, run)

    def end(self) -> None:
        for device in self.devices:
            device.answers.set()
        self.panels.stop()
        assert self.workers.stop(timeout_s=30) == []


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    points = [EntryPoint(name, f"{__name__}:{name.capitalize()}", "fabgate.panels") for name in ("display", "lamp")]
    monkeypatch.setattr(gate_yaml, "entry_points", lambda group: points)
    monkeypatch.setattr("fabgate.gate.workers.RESTART_FIRST_S", 0.01)
    benches: list[Bench] = []

    def make_(*kinds: str) -> Bench:
        benches.append(Bench(*kinds))
        return benches[-1]

    yield make_
    for bench in benches:
        bench.end()


def test_every_panel_shows_each_notice(make: Any) -> None:
    bench = make("display", "lamp")
    assert list(bench.panels.named) == ["panel-1", "panel-2"]
    bench.panels.show(Notice("green", "short", ("Hello Ada",)))
    for device in bench.devices:
        wait(lambda device=device: device.text == "Hello Ada", "the greeting")
        assert device.seen[-1].sound == "short"


def test_a_new_price_waits_in_silence_until_what_has_just_happened_has_passed(make: Any) -> None:
    bench = make("display")
    (display,) = bench.devices
    bench.panels.show(Notice("green", "short", ("Cheap",)))
    wait(lambda: display.text == "Cheap", "the first price")
    bench.panels.update(Notice("green", "short", ("Dear",)))
    wait(lambda: display.text == "Dear", "the second price")
    bench.panels.show(Notice("red", "low", ("Refused",), 0.2))
    wait(lambda: display.text == "Refused", "the refusal")
    bench.panels.update(Notice("green", "short", ("Cheap again",)))
    wait(lambda: display.text == "Cheap again", "the third price")
    assert [(notice.lines[0], notice.sound) for notice in display.seen] == [
        ("Cheap", "short"),
        ("Dear", ""),
        ("Refused", "low"),
        ("Cheap again", ""),
    ]


def test_a_clock_ticks_on_a_display_without_another_notice_and_in_silence(make: Any) -> None:
    bench = make("display", "lamp")
    display, lamp = bench.devices
    bench.panels.show(
        Notice("green", "short", ("Hello", "0:00 of 60 min"), clock=Clock(1, SOON_MS, after=" of 60 min"))
    )
    wait(lambda: display.seen and lamp.seen, "the first notice")
    for ms, text in ((1_000, "0:01"), (5_000, "0:05"), (59 * MINUTE_MS, "59:00"), (61 * MINUTE_MS, "1:01:00")):
        bench.boot_ms = ms
        wait(lambda text=text: display.text == f"Hello / {text} of 60 min", "the clock")
    assert [notice.sound for notice in display.seen] == ["short"] + [""] * (len(display.seen) - 1)
    assert all(notice.clock is None for notice in display.seen)
    assert len(lamp.seen) == 1


def test_a_warning_ticks_every_ten_seconds(make: Any) -> None:
    bench = make("display")
    (display,) = bench.devices
    bench.panels.show(Notice("green blink", "tick", ("Stops in 0:30",), clock=Clock(0, 30_000, True, "Stops in ")))
    wait(lambda: display.seen, "the warning")
    for second in range(1, 31):
        bench.boot_ms = second * 1_000
        wait(lambda left=30 - second: display.text == f"Stops in 0:{left:02}", "the clock")
    assert [notice.lines[0][-4:] for notice in display.seen if notice.sound] == ["0:30", "0:20", "0:10", "0:00"]


def test_a_panel_that_hangs_delays_nothing_and_shows_only_the_newest_notice_after_it(make: Any) -> None:
    bench = make("display", "lamp")
    hung, other = bench.devices
    hung.answers.clear()
    bench.panels.show(Notice("green", "short", ("first",)))
    wait(lambda: other.text == "first", "the other panel")
    for text in ("second", "third"):
        bench.panels.show(Notice("green", "short", (text,)))
    wait(lambda: other.text == "third", "the other panel")
    assert hung.seen == []
    hung.answers.set()
    wait(lambda: hung.text == "third", "the newest notice")
    assert "second" not in [notice.lines[0] for notice in hung.seen]


def test_a_panel_that_is_plugged_in_again_shows_what_is_true_now_and_late_sounds_are_dropped(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make("display")
    (display,) = bench.devices
    bench.panels.show(Notice("green", "short", ("Hello Ada",)))
    wait(lambda: display.seen, "the greeting")
    display.is_plugged = False
    bench.panels.show(Notice("red", "low low", ("Not allowed",), for_s=3_600))
    wait(lambda: display.opened > 2, "the gate to try again")
    let_pass(bench.panels._threads[0])
    monkeypatch.setattr(panel_thread, "LATE_S", 0)
    display.seen.clear()
    display.is_plugged = True
    wait(lambda: display.seen, "the display")
    assert display.seen[0] == Notice("green", "", ("Hello Ada",))


def test_a_display_is_written_again_from_time_to_time_because_it_may_have_lost_power(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel_thread, "REPEAT_S", 0.01)
    bench = make("display", "lamp")
    display, lamp = bench.devices
    bench.panels.show(Notice("amber", "low", ("Out of service",)))
    wait(lambda: len(display.seen) > 3, "the display written again")
    assert set(display.seen[1:]) == {Notice("amber", "", ("Out of service",))}
    assert len(lamp.seen) == 1
