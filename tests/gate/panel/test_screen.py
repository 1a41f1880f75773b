"""What stands on the panel and what passes over it, with the panel's own thread and in a whole gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.log import LogOptions
from fabgate.gate.config.gate_yaml import Driver, MachineSection
from fabgate.gate.panel.costs import Money
from fabgate.gate.panel.screen import Screen
from fabgate.rules import vocabulary
from tests.gate.panel.wall import Wall
from tests.gate.shell import Bench, running, wait
from tests.gate.uplink.commanding import now, outcomes, send

KIND = vocabulary.SignalKind
GO = vocabulary.Shown(KIND.GO, "Ada", until_ms=3_600_000)
ENDED = vocabulary.Signal(KIND.ENDED, ms=60_000, reasons=("badge",))
REFUSED = vocabulary.Signal(KIND.REFUSED, reasons=("in-use",))


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def show(wall: Wall) -> Callable[..., Notice]:
    face = Screen(wall, "Laser", "en")

    def show_(state: vocabulary.Shown, *happened: vocabulary.Signal) -> Notice:
        face.show(happened, state, mode=vocabulary.Mode.TAP, lock=None, boot_ms=0)
        return wall.seen

    return show_


IDLE = vocabulary.Shown(KIND.FREE)
ESTOP = vocabulary.Shown(KIND.BLOCKED, reasons=(vocabulary.Cause.ESTOP,))
WARNING = vocabulary.Shown(KIND.WARNING, "Ada", until_ms=90_000)


def test_what_happened_is_seen_first_and_then_what_is(wall: Wall, show: Callable[..., Notice]) -> None:
    assert show(GO).lines[0] == "Hello Ada"
    assert show(GO, REFUSED).light == "red"
    assert (wall.passes().lines[0], wall.heard) == ("Hello Ada", ["short", "low low", ""])
    assert show(IDLE, ENDED).lines[0] == "Session ended"
    assert wall.passes() == Notice("off")


def test_what_has_changed_meanwhile_is_seen_at_once(wall: Wall, show: Callable[..., Notice]) -> None:
    show(GO)
    show(GO, REFUSED)
    assert show(WARNING).lines[0] == "Stops in 1:30"
    assert wall.passes().lines[0] == "Stops in 1:30"


def test_what_has_not_changed_is_not_shown_again(wall: Wall, show: Callable[..., Notice]) -> None:
    show(GO)
    show(GO)
    assert wall.heard == ["short"]


def test_a_supervisor_reads_once_in_a_session_that_a_member_taps_first(wall: Wall, show: Callable[..., Notice]) -> None:
    own = vocabulary.Shown(KIND.GO, "Sue", until_ms=3_600_000, detail=vocabulary.MEMBER_FIRST)
    show(vocabulary.Shown(KIND.WAIT, "Sue"))
    assert show(own).lines == ("Hello Sue", "To supervise: end", "your session, then", "member taps first")
    assert (wall.passes().lines[1], wall.heard) == ("Laser is yours", ["", "short", ""])
    show(WARNING)
    assert show(own).lines[1] == "Laser is yours"
    show(IDLE, ENDED)
    assert show(own).lines[3] == "member taps first"


def test_that_credit_is_low_is_seen_first_and_then_the_session(wall: Wall) -> None:
    face, told = Screen(wall, "Laser", "fr"), iter([True, False, True])

    def show(state: vocabulary.Shown, *happened: vocabulary.Signal) -> str:
        money = Money(is_low=lambda: next(told))
        face.show(happened, state, mode=vocabulary.Mode.TAP, lock=None, boot_ms=0, money=money)
        return "/".join(wall.seen.lines)

    assert show(GO) == "Bonjour Ada/Crédit faible :/rechargez/à l'accueil"
    assert (wall.seen.light, wall.passes().lines[:2], wall.heard) == (
        "green",
        ("Bonjour Ada", "Laser : à vous"),
        ["short", ""],
    )
    show(WARNING)
    assert show(GO).startswith("Bonjour Ada/Laser")
    show(WARNING)
    assert show(GO, REFUSED).startswith("Accès"), "what has just happened is more urgent"
    assert next(told), "it is not said yet"


def test_an_end_does_not_hide_for_long_that_the_machine_is_blocked(wall: Wall, show: Callable[..., Notice]) -> None:
    show(GO)
    assert show(ESTOP, ENDED).for_s <= 5
    assert wall.passes().lines[1] == "The emergency stop"


def test_nor_does_it_while_a_question_of_the_flag_button_is_open(wall: Wall, show: Callable[..., Notice]) -> None:
    asked = vocabulary.Shown(KIND.FLAG_ASK, reasons=(vocabulary.Cause.ESTOP,), detail="report")
    show(GO)
    assert show(asked, ENDED).for_s <= 5
    assert show(vocabulary.Shown(KIND.FLAG_ASK, detail="report"), ENDED).for_s == 30


def test_an_end_that_wavers_by_milliseconds_is_not_shown_again(wall: Wall, show: Callable[..., Notice]) -> None:
    for waver_ms in (0, 1, -1, 900, -900):
        show(vocabulary.Shown(KIND.GO, "Ada", until_ms=3_600_000 + waver_ms))
    assert wall.heard == ["short"]
    assert show(vocabulary.Shown(KIND.WARNING, "Ada", until_ms=3_600_001)).lines[0] == "Stops in 1:00:00"
    show(vocabulary.Shown(KIND.WARNING, "Ada", until_ms=3_605_000))
    assert wall.heard == ["short", "tick", "tick"]


def test_a_warning_is_heard_although_something_else_is_shown_before_it(wall: Wall, show: Callable[..., Notice]) -> None:
    show(GO)
    show(WARNING, vocabulary.Signal(KIND.EXTENDED, ms=90_000))
    wall.passes()
    assert wall.heard == ["short", "short", "tick"]


def test_the_clock_of_what_has_just_happened_runs_too(wall: Wall) -> None:
    face = Screen(wall, "Laser", "en")
    last = vocabulary.Signal(KIND.WARNING, ms=20_000, detail=vocabulary.LAST)
    face.show([last], GO, mode=vocabulary.Mode.TIMED, lock=None, boot_ms=1_000_000)
    assert [wall.seen.lines_at(ms)[0] for ms in (1_000_000, 1_005_000)] == ["Stops in 0:20", "Stops in 0:15"]


def test_after_a_power_cut_that_is_said_until_somebody_uses_the_machine(wall: Wall) -> None:
    face = Screen(wall, "Laser", "en")
    face.power_was_cut()

    def show(state: vocabulary.Shown, *happened: vocabulary.Signal) -> str:
        face.show(happened, state, mode=vocabulary.Mode.TAP, lock=None, boot_ms=0)
        return (wall.seen.lines or ("",))[0]

    assert show(IDLE) == "Power was cut"
    assert show(IDLE, REFUSED) == "Not allowed"
    assert wall.passes().lines[0] == "Power was cut"
    assert show(ESTOP) == "Out of service"
    assert show(IDLE) == "Power was cut"
    assert show(GO) == "Hello Ada"
    assert show(IDLE) == ""


# --- a whole gate -----------------------------------------------------------------------------------------------------


class Panel:
    """What a gate's panel has shown so far, from the file of its log."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "panel"
        self.driver = Driver(driver="log", options=LogOptions(file=self.file))

    def wait_for_event(self, text: str) -> None:
        wait(lambda: self.file.exists() and self.last.find(text) >= 0, f"{text!r} on the panel")

    @property
    def last(self) -> str:
        return (self.file.read_text().splitlines() or [""])[-1]


@pytest.fixture
def panel(tmp_path: Path) -> Panel:
    return Panel(tmp_path)


@pytest.fixture
def bench(tmp_path: Path, panel: Panel) -> Iterator[Bench]:
    with running(tmp_path, panel=[panel.driver], machine=MachineSection(finish="cut", limit_s=600, max_s=600)) as found:
        yield found


def test_a_fault_that_cannot_be_cleared_is_answered_and_stays_shown(bench: Bench, panel: Panel) -> None:
    bench.use("ada")
    bench.output.welded = True
    bench.tap("ada")
    bench.advance(501)
    panel.wait_for_event("Switching fault")
    bench.tap("max")
    panel.wait_for_event("The contactor is / still closed")
    panel.wait_for_event("Switching fault")
    bench.output.welded = False
    bench.tap("max")
    panel.wait_for_event("[off]")


def test_a_latched_fault_is_shown_after_a_restart(bench: Bench, panel: Panel) -> None:
    bench.output.welded = True
    bench.settle()
    bench.advance(501)
    panel.wait_for_event("Switching fault")
    bench.written()
    bench.stop()
    panel.file.write_text("")
    bench.start()
    panel.wait_for_event("Switching fault")


def test_a_journal_that_opens_at_last_is_no_longer_said_to_be_broken(bench: Bench, panel: Panel) -> None:
    bench.stop()
    bench.disk.broken = "unable to open database file"
    bench.start(ready=False)
    panel.wait_for_event("Nothing can be")
    bench.disk.broken = ""
    bench.wait_until_ready()
    panel.wait_for_event("[off]")


def test_a_manager_who_gives_more_time_than_there_is_is_refused(bench: Bench, panel: Panel) -> None:
    send(bench, now(bench, "extend", id="c-1", seconds=60))
    bench.use("ada")
    panel.wait_for_event("Hello ")
    send(bench, now(bench, "extend", id="c-2", seconds=60))
    assert outcomes(bench) == [("extend", "refused"), ("extend", "refused")]
    assert [data.reason for data in bench.of("command.executed")] == [
        "no session is running that could be extended",
        "the session has its longest time already, or its end has begun",
    ]
    assert "Extended" not in panel.file.read_text()


def test_a_manager_is_told_how_much_of_the_time_was_given(tmp_path: Path, panel: Panel) -> None:
    with running(tmp_path, panel=[panel.driver], machine=MachineSection(finish="cut", limit_s=600, max_s=900)) as bench:
        bench.use("ada")
        send(bench, now(bench, "extend", seconds=600))
        assert outcomes(bench) == [("extend", "done")]
        assert bench.of("command.executed")[0].reason == "300 s of 600 s: the session then has its longest time"
        panel.wait_for_event("Extended")
