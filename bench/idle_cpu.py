"""How much processor time does an idle gate take, with reader, lights and OLED attached?

``fabgate run`` with its reader polling at 20 Hz, the broker up, and the real drivers of both panels. The chip of the reader
and the pins are emulated in the same process, which is Python where a real gate has silicon: the figure is an upper bound.
The chip of the display is emulated in this process. Then the same with a session, whose clock ticks on the display.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench import people
from bench.gates import BenchError, GateProcess, collector, wait_for, write_config
from bench.harness import PASSES, Figure, Run
from bench.peers import broker, connected, light_collector
from bench.usage import cpu_s
from fabgate import wire
from fabgate.drivers.emulated.control import ask
from fabgate.drivers.emulated.displays.i2c import Board, EmulatedBus
from fabgate.drivers.emulated.displays.oled_chip import OledChip

#: Long enough for each pass to have a repetition of what the display shows.
PASS_S = 10.0


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    body = folder / "body.json"
    body.write_bytes(wire.encode(people.roster(range(1))))
    stored = people.stored(folder / "1k.db", people.SMALL)
    reader, display, bus = run.socket(), run.socket(), EmulatedBus()
    bus.chips[0x3C] = OledChip("sh1106")
    board = Board(Path(display), bus)
    panel = [{"driver": "lights"}, {"driver": "oled", "chip": "emulated", "i2c_socket": display}]
    with collector(body) as url, broker(run) as mqtt, light_collector(mqtt["port"]):
        roster = {"url": url, "token_file": str(folder / "token")}
        config = write_config(folder, reader, roster_db=stored, roster=roster, mqtt=mqtt, panel=panel)
        with GateProcess(config, run.socket()) as gate:
            gate.ready()
            connected(gate)
            wait_for("the display", lambda: bus.writes)
            time.sleep(2)  # until the start is over
            idle = [_share(run, gate, bus, f"idle, pass {number}") for number in range(1, PASSES + 1)]
            ask(reader, {"do": "tap", "uid": people.uid(0).hex()})
            gate.changed(on=True)
            time.sleep(1)
            used = [_share(run, gate, bus, f"session, pass {number}") for number in range(1, PASSES + 1)]
    board.close()
    return [
        run.figure("running gate with reader, lights and OLED, idle machine", "% of a core", idle, 1.5),
        run.figure("the same, a session's clock ticking", "% of a core", used, 1.5),
    ]


def _share(run: Run, gate: GateProcess, bus: EmulatedBus, what: str) -> float:
    """Return the share of a core that the gate takes for some seconds, in percent."""
    before_s, began_s, writes = cpu_s(gate.pid), time.perf_counter(), bus.writes
    time.sleep(PASS_S)
    share = 100 * (cpu_s(gate.pid) - before_s) / (time.perf_counter() - began_s)
    if bus.writes == writes:
        raise BenchError("the display was not written: nothing was measured")
    run.log(f"{what}: {share:.2f} % of a core, {bus.writes - writes} transfers to the display")
    return share
