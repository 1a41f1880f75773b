"""The observer of the pins."""

from __future__ import annotations

import time
from pathlib import Path

from fabgate.demo.observer import Observer, PlugObserver
from fabgate.demo.waiting import wait_for
from fabgate.drivers.emulated.outputs.plug import Plug


def test_the_observer_sees_each_stretch_and_counts_a_death_as_the_line_falling(tmp_path: Path) -> None:
    observer = Observer(tmp_path / "pins", 17)
    with (tmp_path / "pins").open("w") as pins:
        pins.write("1000 17 1\n2000 4 1\n3000 17 0\n5000 17 1\n")
        pins.flush()
        wait_for("the second stretch", lambda: observer.on)
        assert [(seen.on_ns, seen.off_ns, seen.killed) for seen in observer.stretches()] == [(1000, 3000, False)]
    wait_for("the end of the pipe", lambda: not observer.on)
    last = observer.stretches()[-1]
    assert last.on_ns == 5000
    assert last.killed
    assert abs(last.off_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 5_000_000_000


def test_a_plug_is_observed_at_its_relay_until_its_own_timer_ends() -> None:
    now = [100.0]
    plug = Plug(None, clock=lambda: now[0])
    seen = PlugObserver(plug)
    assert (seen.on, seen.since_ns, seen.stretches()) == (False, None, [])
    plug.answer("/rpc/Switch.Set?id=0&on=true&toggle_after=30")
    now[0] = 120.0
    assert (seen.on, seen.since_ns, seen.stretches()) == (True, 100_000_000_000, [])
    now[0] = 500.0
    assert (seen.on, seen.since_ns) == (False, None)
    assert [stretch.ms for stretch in seen.stretches()] == [30_000]
