"""Many gates in one process, as a collector sees them: journals, windows, repeats; no disk and no rules.

The gate's own fabgate.gate.uplink.delivery decides what is published when.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from typing import Any

import msgspec

from bench.peers import journals
from bench.peers.light_mqtt import Client, publish
from bench.process import Process
from fabgate import seal, wire
from fabgate.gate.uplink.delivery import Delivery

#: After AGAIN_EVERY entries a gate repeats the last AGAIN, as after a lost connection: a tenth comes twice.
AGAIN_EVERY, AGAIN = 100, 10
#: How long it waits for the last acknowledgement.
GIVE_UP_S = 300.0


class Workload(msgspec.Struct):
    """Which gates. With `rate` they publish that many entries a second together; else a backlog at once.

    The first entry of each is delivered before they are ready: a gate that is new to a collector costs more, once.
    """

    port: int
    prefix: str
    gates: int
    entries: int
    rate: float = 0.0
    #: Whether they also publish the state of their machines.
    states: bool = False


class Outcome(msgspec.Struct):
    """The result. `waits_s` has for each entry the time from its first publish to its ack; `sent_at` the time of the former."""

    took_s: float
    published: int
    entries: int
    ended: int
    energised_ms: int
    refused: int
    waits_s: list[float] = []
    sent_at: dict[str, float] = {}


class LightGates(Process):
    """The gates of a workload in a process of their own: connected when made."""

    def __init__(self, workload: Workload) -> None:
        super().__init__("bench.calls", "bench.peers.light_gates")
        self.call("connect", msgspec.to_builtins(workload))

    def deliver(self) -> Outcome:
        """Let them publish everything; return how it went once all is acknowledged."""
        self.send("run")
        return self.outcome()

    def outcome(self) -> Outcome:
        """Wait until everything is acknowledged after ``send("run")``; return how it went."""
        return msgspec.convert(self.answer(), Outcome)


def deliver(workload: Workload) -> Outcome:
    """Let new gates publish everything."""
    with LightGates(workload) as gates:
        return gates.deliver()


class Gate:
    """One gate."""

    def __init__(self, workload: Workload, number: int) -> None:
        self.journal = journals.journal(f"{workload.prefix}-{number}", workload.entries, number)
        self.topics = self.journal.topics
        self.client: Client
        self.published = 0
        self.sent_at = [0.0] * (self.journal.head + 1)
        self.acked_at = [0.0] * (self.journal.head + 1)
        self._again = not workload.rate
        self._packets = [
            publish(one.topic, one.body, {wire.PROP_JOURNAL: self.journal.name, wire.PROP_SEQ: str(one.seq)})
            for one in self.journal.messages()
        ]
        states = self.journal.states if workload.states else {}
        self._states = {seq: publish(self.topics.topic("state"), body, {}, retain=True) for seq, body in states.items()}
        #: How many publishes that are no entries are not confirmed yet.
        self._extra = 0
        self.delivery = Delivery(floor=1, head=1, mark=0)

    async def connect(self, port: int) -> None:
        """Connect, and publish the status."""
        loop = asyncio.get_running_loop()
        _, self.client = await loop.create_connection(
            lambda: Client(f"bench-{self.journal.gate}", self.topics.topic("ack")), "127.0.0.1", port
        )
        self.client.received, self.client.confirmed = self._received, self._confirmed
        await self.client.ready
        status = wire.Status(
            online=True, journal=self.journal.name, floor=1, head=self.delivery.head, reader="ok", synced=True
        )
        self.client.send(publish(self.topics.topic("status"), wire.encode(status), {}, retain=True))
        self._extra += 1

    def go(self) -> None:
        """Publish what is written."""
        self.delivery.connect(_now_ms())
        self.pump()

    def write(self, more: int) -> None:
        """Add `more` entries to what is written."""
        self.delivery.stored(self.delivery.head + more, _now_ms())
        self.pump()

    def pump(self) -> None:
        """Publish what may be published now."""
        while self.delivery.room() > 0 and self.delivery.next <= self.delivery.head:
            seq = self.delivery.next
            self.sent_at[seq] = self.sent_at[seq] or time.time()
            self.client.send(self._packets[seq - 1])
            self.delivery.sent(seq)
            self.published += 1
            if state := self._states.get(seq):
                self.client.send(state)
                self._extra += 1
            if self._again and seq % AGAIN_EVERY == 0:
                for earlier in range(seq - AGAIN, seq):
                    self.client.send(self._packets[earlier])
                    self._extra += 1
                    self.published += 1

    def _confirmed(self) -> None:
        if self._extra:
            self._extra -= 1
        else:
            self.delivery.puback()
        self.pump()

    def _received(self, _topic: str, body: bytes) -> None:
        ack = wire.decode(body, wire.Ack)
        if ack.journal != self.journal.name:
            return
        now, before = time.time(), self.delivery.mark
        same_history = not ack.hash or ack.hash == seal.to_text(self.journal.hash(ack.seq))
        self.delivery.ack(ack.seq, same_history=same_history, now_ms=_now_ms())
        for seq in range(before + 1, self.delivery.mark + 1):
            self.acked_at[seq] = now
        self.pump()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


_loop = asyncio.new_event_loop()
_workload: Workload
_gates: list[Gate]


def connect(workload: dict[str, Any]) -> None:
    """Connect the gates, and deliver the first entry of each."""
    global _workload, _gates
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536) if most > 0 else 65_536, most))
    _workload = msgspec.convert(workload, Workload)
    _gates = [Gate(_workload, number) for number in range(_workload.gates)]
    _loop.run_until_complete(_connect())


async def _connect() -> None:
    for start in range(0, len(_gates), 50):  # Mosquitto's queue of new connections is short
        await asyncio.gather(*(gate.connect(_workload.port) for gate in _gates[start : start + 50]))
    for gate in _gates:
        gate.go()
    await _acknowledged()


def run() -> Any:
    """Deliver the other entries; return the `Outcome` once all are acknowledged."""
    _loop.run_until_complete(_deliver())
    numbers = range(2, _workload.entries + 1) if _workload.rate else ()
    return msgspec.to_builtins(
        Outcome(
            took_s=max(max(gate.acked_at) for gate in _gates) - min(min(gate.sent_at[2:]) for gate in _gates),
            published=sum(gate.published for gate in _gates),
            entries=sum(gate.journal.head for gate in _gates),
            ended=sum(gate.journal.ended for gate in _gates),
            energised_ms=sum(gate.journal.energised_ms for gate in _gates),
            refused=sum(gate.journal.refused for gate in _gates),
            waits_s=[gate.acked_at[seq] - gate.sent_at[seq] for gate in _gates for seq in numbers],
            sent_at={f"{gate.journal.name}/{seq}": gate.sent_at[seq] for gate in _gates for seq in numbers},
        )
    )


async def _deliver() -> None:
    if _workload.rate:
        due = time.perf_counter()
        for entry in range((_workload.entries - 1) * len(_gates)):
            due += 1 / _workload.rate
            pause = due - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            _gates[entry % len(_gates)].write(1)
    else:
        for gate in _gates:
            gate.write(_workload.entries - 1)
    await _acknowledged()


async def _acknowledged() -> None:
    """Wait until everything that is written is acknowledged."""
    until_s = time.perf_counter() + GIVE_UP_S
    while not all(gate.delivery.mark == gate.delivery.head for gate in _gates):
        if time.perf_counter() > until_s:
            marks = [(gate.journal.gate, gate.delivery.mark, gate.delivery.head) for gate in _gates]
            raise TimeoutError(f"not all acknowledged after {GIVE_UP_S:.0f} s (gate, acknowledged, written): {marks}")
        await asyncio.sleep(0.002)
        for gate in _gates:
            if gate.delivery.due(_now_ms()):
                gate.pump()
