"""Many gates in one process, as a collector sees them: journals, windows, repeats; no disk and no rules.

``python -m bench.light_gates`` reads one line of JSON, a `Workload`, connects its gates and prints ``ready``. The next line
starts them; when everything is acknowledged it prints one line of JSON, an `Outcome`. The gate's own
fabgate.gate.uplink.delivery decides what is published when.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import time
from typing import Any

import msgspec

from bench import entries
from bench.light_mqtt import Client, publish
from bench.people import SITE
from fabgate import wire
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
    again: bool = True
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


class Gate:
    """One gate."""

    def __init__(self, journal: entries.Journal, *, again: bool, states: bool) -> None:
        self.journal = journal
        self.topics = wire.GateTopics(SITE, journal.gate)
        self.client: Client
        self.published = 0
        self.sent_at = [0.0] * (journal.head + 1)
        self.acked_at = [0.0] * (journal.head + 1)
        self._again = again
        self._packets = [
            publish(topic, body, {wire.PROP_JOURNAL: journal.name, wire.PROP_SEQ: str(seq)})
            for seq, (topic, body) in enumerate(zip(journal.topics, journal.bodies, strict=True), 1)
        ]
        topic = self.topics.topic("state")
        self._states = {seq: publish(topic, body, {}, retain=True) for seq, body in journal.states.items() if states}
        self._extra = 0
        self.delivery = Delivery(floor=1, head=1, mark=0)

    @property
    def is_done(self) -> bool:
        """Whether all its entries are acknowledged."""
        return self.delivery.mark == self.delivery.head

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
        self.delivery.ack(
            ack.seq, same_history=not ack.hash or ack.hash == self.journal.hash(ack.seq), now_ms=_now_ms()
        )
        for seq in range(before + 1, self.delivery.mark + 1):
            self.acked_at[seq] = now
        self.pump()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


async def run(workload: Workload) -> None:
    """Run the gates."""
    made = [
        Gate(
            entries.journal(f"{workload.prefix}-{n}", workload.entries, n), again=workload.again, states=workload.states
        )
        for n in range(workload.gates)
    ]
    for start in range(0, len(made), 50):  # Mosquitto's queue of new connections is short
        await asyncio.gather(*(gate.connect(workload.port) for gate in made[start : start + 50]))
    for gate in made:
        gate.go()
    await _acknowledged(made)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if workload.rate:
        await _pace(made, workload.rate)
    else:
        for gate in made:
            gate.write(gate.journal.head - 1)
    await _acknowledged(made)
    last = max(max(gate.acked_at) for gate in made) - min(min(gate.sent_at[2:]) for gate in made)
    print(json.dumps(msgspec.to_builtins(_outcome(made, last, workload))), flush=True)
    for gate in made:
        gate.client.close()


async def _acknowledged(made: list[Gate]) -> None:
    """Wait until all gates are done."""
    until_s = time.perf_counter() + GIVE_UP_S
    while not all(gate.is_done for gate in made):
        if time.perf_counter() > until_s:
            behind = {gate.journal.gate: (gate.delivery.mark, gate.delivery.head) for gate in made if not gate.is_done}
            sys.exit(f"not acknowledged after {GIVE_UP_S:.0f} s: {dict(list(behind.items())[:5])} and others")
        await asyncio.sleep(0.002)
        for gate in made:
            if gate.delivery.due(_now_ms()):
                gate.pump()


async def _pace(made: list[Gate], rate: float) -> None:
    due = time.perf_counter()
    for entry in range((made[0].journal.head - 1) * len(made)):
        due += 1 / rate
        pause = due - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        made[entry % len(made)].write(1)


def _outcome(made: list[Gate], took_s: float, workload: Workload) -> Outcome:
    outcome = Outcome(
        took_s=took_s,
        published=sum(gate.published for gate in made),
        entries=sum(gate.journal.head for gate in made),
        ended=sum(gate.journal.ended for gate in made),
        energised_ms=sum(gate.journal.energised_ms for gate in made),
        refused=sum(gate.journal.refused for gate in made),
    )
    if workload.rate:
        for gate in made:
            for seq in range(2, gate.journal.head + 1):
                outcome.waits_s.append(gate.acked_at[seq] - gate.sent_at[seq])
                outcome.sent_at[f"{gate.journal.name}/{seq}"] = gate.sent_at[seq]
    return outcome


def main() -> None:
    """Run until all is acknowledged."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536) if most > 0 else 65_536, most))
    workload: Any = msgspec.json.decode(sys.stdin.readline(), type=Workload)
    asyncio.run(run(workload))


if __name__ == "__main__":
    main()
