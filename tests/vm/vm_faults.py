"""The output line through what can go wrong: off at boot, on after a tap, off after each fault, and no rise without a badge.

The cases of a class share one guest. Each begins with a gate that waits for a badge.
"""

from __future__ import annotations

import itertools
import time

from tests.vm.line import Event, What

#: A program of Debian, which line-off calls: it drives a line that its program has left.
_LINE_OFF = "gpioset"


class Faults:
    held: bool

    def test_off_at_boot_and_on_after_a_tap(self, machine, rounds, measured):
        assert machine.line.since(0) == []
        on_s, off_s = [], []
        for _ in range(rounds):
            on_s.append(_seconds(machine.tap(), What.TAP, What.ON))
            off_s.append(_seconds(machine.tap_off(), What.TAP, What.OFF))
            machine.idle()
        measured("on after a tap", on_s)
        measured("off after a second one", off_s)

    def test_off_after_sigterm(self, machine, rounds, measured):
        """The gate switches off itself: it closes its pins before it ends."""
        _signals(machine, "TERM", rounds, measured)

    def test_off_after_sigkill(self, machine, rounds, measured):
        """The kernel releases the line. Where that leaves it high, line-off drives it low before the gate is started again."""
        by = _signals(machine, "KILL", rounds, measured)
        assert (_LINE_OFF in by) is self.held, by

    def test_off_after_sigstop(self, machine, rounds, measured):
        """The watchdog kills a gate that hangs; from there on it is the case above."""
        by = _signals(machine, "STOP", rounds, measured)
        assert (_LINE_OFF in by) is self.held, by

    def test_off_in_a_crash_loop_that_never_ends_in_failed(self, machine, rounds, measured):
        """A gate that is killed again and again is started again and again, and its line stays low."""
        before = machine.status()
        machine.tap()
        place = machine.line.here()
        pids = machine.ask("kill_again", 4 * rounds)["pids"]
        assert pids[0] == before["pid"]
        now = machine.idle(other_than=pids[-1])
        assert now["pid"] not in pids
        events = machine.line.since(place)
        assert [event.what for event in events] == [What.KILL, What.OFF, *[What.KILL] * (len(pids) - 1)]
        measured("off after the first kill", [events[1].at_s - events[0].at_s])
        measured(
            "from one kill to the next",
            [then.at_s - one.at_s for one, then in itertools.pairwise([events[0], *events[2:]])],
        )
        machine.tap()
        machine.tap_off()

    def test_off_after_sigkill_on_a_disk_that_nobody_can_write(self, machine, measured):
        """systemd runs line-off there too, though it cannot prepare the folders of the gate."""
        machine.tap()
        place, boots = machine.line.here(), machine.boots
        machine.ask("kill_on_read_only_disk")
        assert machine.line.comes(What.OFF, place), machine.says("systemctl status fabgate-gate")
        events = machine.line.since(place)
        assert [event.what for event in events] == [What.KILL, What.OFF]
        assert (events[-1].by == _LINE_OFF) is self.held
        measured("off after SIGKILL", [_seconds(events, What.KILL, What.OFF)])
        machine.cut_power()
        machine.booted(boots)

    def test_off_after_a_panic(self, machine, rounds, measured):
        """Nothing runs any more: the hardware watchdog resets the computer."""
        off_s, ready_s = [], []
        for _ in range(max(1, rounds // 2)):
            machine.idle()
            machine.tap()
            place, boots = machine.line.here(), machine.boots
            machine.order("panic")
            assert machine.line.comes(What.RESET, place), machine.line.since(place)
            events = machine.line.since(place)
            off_s.append(_seconds(events, What.KILL, What.RESET))
            machine.booted(boots)
            machine.idle()
            assert What.ON not in {event.what for event in machine.line.since(place)}
            ready_s.append(time.monotonic() - events[0].at_s)
        measured("reset after a panic", off_s)
        measured("a gate that waits for a badge after a panic", ready_s)

    def test_off_after_a_power_cut(self, machine, rounds, measured):
        """What was on the disk is there again, and the session that the cut has ended is in it."""
        ready_s = []
        for _ in range(max(1, rounds // 2)):
            machine.idle()
            machine.tap()
            session = machine.newest("session.started")["session"]
            place, boots = machine.line.here(), machine.boots
            machine.cut_power()
            machine.booted(boots)
            machine.idle()
            events = machine.line.since(place)
            assert [event.what for event in events if event.what in {What.ON, What.OFF}] == []
            ready_s.append(time.monotonic() - events[0].at_s)
            ended = machine.newest("session.ended")
            assert (ended["session"], ended["reason"]) == (session, "power-loss")
        measured("a gate that waits for a badge after a power cut", ready_s)


class TestHeld(Faults):
    """Pins that keep their level when their program dies, as on Raspberry Pi OS without `strict_gpiod`."""

    held = True


class TestReleased(Faults):
    """Pins that fall back to their pull-down, as in Linux elsewhere."""

    held = False


def _signals(machine, name: str, rounds: int, measured) -> set[str]:
    """Send a signal to a gate that powers its machine, several times, and return the programs that have moved the line."""
    off_s, ready_s, by = [], [], set()
    for _ in range(rounds):
        before = machine.idle()
        machine.tap()
        place = machine.line.here()
        machine.ask("kill", name)
        assert machine.line.comes(What.OFF, place), machine.line.since(place)
        events = machine.line.since(place)
        assert [event.what for event in events] == [What.KILL, What.OFF]
        off_s.append(_seconds(events, What.KILL, What.OFF))
        by.add(events[-1].by)
        machine.idle(other_than=before["pid"])
        ready_s.append(time.monotonic() - events[0].at_s)
        assert [event.what for event in machine.line.since(place)] == [What.KILL, What.OFF]
    measured(f"off after SIG{name}, by {' and '.join(sorted(by))}", off_s)
    measured("a gate that waits for a badge", ready_s)
    return by


def _seconds(events: list[Event], first: What, then: What) -> float:
    """Return the time from the last event of one kind to the first one of another that comes after it."""
    (number,) = [number for number, event in enumerate(events) if event.what is first][-1:]
    return next(event.at_s for event in events[number:] if event.what is then) - events[number].at_s
