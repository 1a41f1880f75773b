"""A real gate and an emulated Shelly plug."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.gates import people
from bench.gates.config import write_config
from bench.gates.process import GateProcess
from bench.process import BenchError, wait_for
from bench.run import Run
from fabgate.drivers.emulated.control import ask
from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.drivers.outputs.shelly import ShellyOptions, ShellyOutput
from fabgate.gate.hardware.output_thread import OutputThread

ORDERS = 40
ANSWER_S = 0.04
KILLS = 3


@measures(
    Figure("order to confirmed power, p99, each answer after 40 ms", "ms", 300),
    Figure("gate killed in a session to plug off, the longest of three", "s", 35),
)
def plug(run: Run) -> Passes:
    """How soon does a plug confirm power, and how soon is it off when its gate dies?

    A real gate process and an emulated Shelly plug that answers each request after 40 ms, as one on a busy Wi-Fi does. The way
    from the gate's order to the plug's confirmation is measured in this process, with the gate's own thread and driver; the
    death of the gate with ``fabgate run``, which is killed in a session: the plug's timer then ends the power.
    """
    password = run.fresh("plug") / "password"
    password.write_text("let me in\n", encoding="ascii")
    for _ in range(PASSES):
        yield percentile(_confirmed_ms(password), 0.99), None
    yield None, max(_off_s(run, password, number) for number in range(1, KILLS + 1))


def _confirmed_ms(password: Path) -> list[float]:
    """Switch on and off; return how long it takes until the gate knows that the plug is on."""
    took_ms = []
    with EmulatedShelly(Plug()) as shelly:
        woken = threading.Event()
        output = OutputThread(ShellyOutput(ShellyOptions(**_options(shelly), password_file=password)), woken.set)
        thread = threading.Thread(target=output.run)
        thread.start()
        try:
            wait_for("the plug", lambda: not output.may_be_on and not output.trouble)
            shelly.delay_s = ANSWER_S
            for _ in range(ORDERS):
                began_s = time.perf_counter()
                output.set(on=True)
                while not output.is_on:
                    woken.wait(1)
                    woken.clear()
                    if time.perf_counter() - began_s > 5:
                        raise BenchError(f"the plug was not switched on: {output.trouble}")
                took_ms.append((time.perf_counter() - began_s) * 1000)
                output.set(on=False)
                wait_for("power to end", lambda: not output.may_be_on)
        finally:
            output.stop()
            thread.join()
    return took_ms


def _off_s(run: Run, password: Path, number: int) -> float:
    """Kill a gate some seconds after its session began; return after how many seconds the plug is off."""
    socket = run.socket()
    with EmulatedShelly(Plug()) as shelly:
        output = {"driver": "shelly", **_options(shelly), "password_file": str(password)}
        with GateProcess(write_config(run.fresh("gate"), socket, people.SMALL, output=output)) as gate:
            gate.ready()
            wait_for("the plug to be examined", lambda: "/rpc/Script.List" in shelly.requests)
            time.sleep(1)
            ask(socket, {"do": "tap", "uid": people.uid(0).hex()})
            wait_for("power", lambda: shelly.plug.on)
            time.sleep(4 * number)  # at another age of the timer each time: it begins again every 10 s
            gate.process.kill()
            killed_s = time.monotonic()
            wait_for("the plug to fall off", lambda: not shelly.plug.on, timeout_s=60)
            off_s = time.monotonic() - killed_s
    run.log(f"gate {number}, killed after {4 * number} s: the plug was off {off_s:.1f} s later")
    return off_s


def _options(shelly: EmulatedShelly) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": shelly.port, "device_id": shelly.plug.device_id}
