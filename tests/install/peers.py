"""Clients of the broker of a root, which run outside it: in its network, with the libraries of this project.

A program reads what to do as JSON, and writes what it saw. `ask` starts one.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import wire
from tests.collector.gates import Journal
from tests.install.roots import Root
from tests.support.mqtt_connection import Client
from tests.support.patience import HANGS_S

HOST: Final = "localhost"
SITE: Final = "lyon"
GATES, COLLECTOR = 8883, 8885
#: An MQTT 5 CONNECT without account (OASIS MQTT 5.0, 3.1), and the first byte of the answer to it, CONNACK.
_CONNECT: Final = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x"
_CONNACK: Final = b"\x20"
#: The pause of a gate between two sessions.
_PAUSE_S: Final = 0.5


def ask(root: Root, program: str, **words: Any) -> Any:
    """Run a program to its end, and return what it saw."""
    with begin(root, program, **words) as end:
        return end()


@contextmanager
def begin(root: Root, program: str, **words: Any) -> Iterator[Callable[[], Any]]:
    """Run a program beside what is in the `with`, and give the function that ends it and returns what it saw."""
    words["ca"] = str(root.path / "etc/fabgate/ca.crt")
    inside = ["nsenter", "--target", str(root.leader), "--net", sys.executable, "-m", "tests.install.peers"]
    with subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([program, words]) + "\n")
        process.stdin.flush()
        started = process.stdout.readline()

        def end() -> Any:
            seen, _ = process.communicate("end\n", timeout=HANGS_S)
            assert process.returncode == 0, seen
            return json.loads(seen)

        try:
            assert started == "started\n", started
            yield end
        finally:
            process.kill()


# --- the programs -----------------------------------------------------------------------------------------------------


def rights(
    ca: str, version: int, gates: dict[str, str], collector: str, topics: list[str], filters: list[str]
) -> dict[str, Any]:
    """Try topics and filters as the first of two gates. The second gate and the collector note what reaches them."""
    mine, other = gates
    trusted = Path(ca)
    names = wire.GateTopics(SITE, mine), wire.GateTopics(SITE, other)
    reader = Client(COLLECTOR, f"{SITE}/collector", collector, client_id="witness", ca=trusted, host=HOST)
    victim = Client(GATES, names[1].account, gates[other], ca=trusted, host=HOST)
    granted = [reader.subscribe(topic) for topic in wire.collector_subscriptions(SITE)]
    attacker = Client(GATES, names[0].account, gates[mine], ca=trusted, host=HOST, version=version)
    status = wire.collector_status_topic(SITE)
    for gate, own in zip((attacker, victim), names, strict=True):
        granted += [gate.subscribe(topic) for topic in (*map(own.topic, ("ack", "command", "roster")), status)]
    assert all(answer.startswith("Granted") for answer in granted), granted
    limits = {name: getattr(attacker.limits, name, None) for name in ("MaximumQoS", "MaximumPacketSize")}
    _begun()
    published = {topic: attacker.publish(topic, b"forged", retain=True) for topic in topics}
    subscribed = {topic: attacker.subscribe(topic) for topic in filters}
    # What it may do arrives, after all that it tried before.
    attacker.publish(names[0].topic("state"), b"mine")
    arrived = [reader.received.get(timeout=HANGS_S)]
    while arrived[-1][1] != b"mine":
        arrived.append(reader.received.get(timeout=HANGS_S))
    for gate in (attacker, victim):
        gate.subscribe(status)  # its answer comes after all that the broker has sent
    arrived += [client.received.get() for client in (victim, attacker) for _ in range(client.received.qsize())]
    forged = [topic for topic, payload in arrived if payload == b"forged"]
    lost = attacker.lost + victim.lost
    for client in (reader, victim, attacker):
        client.close()
    return {"published": published, "subscribed": subscribed, "forged": forged, "limits": limits, "lost": lost}


def refusals(ca: str, accounts: list[tuple[str, str]], ports: list[int]) -> dict[str, str]:
    """Try to connect with each account and password, then without TLS and with TLS 1.2; return the answers."""
    _begun()
    answers = {}
    for account, password in accounts:
        client = Client(GATES, account, password, ca=Path(ca), host=HOST)
        answers[f"{account} {password}"] = client.greeting
        client.close()
    for port in ports:
        answers[f"plain text to {port}"] = _plainly(port)
        answers[f"TLS 1.2 to {port}"] = _with_old_tls(port, ca)
    return answers


def deliver(ca: str, gates: dict[str, str]) -> dict[str, Any]:
    """Let gates deliver sessions until the end; return how many entries were confirmed, and the connections that ended."""
    end = threading.Event()
    # An address each, as in a workshop: the firewall lets in 50 connections of one (config/fabgate.nft).
    numbered = enumerate(gates.items(), 1)
    running = [_Gate(name, password, Path(ca), f"127.1.0.{number}", end) for number, (name, password) in numbered]
    for gate in running:
        gate.start()
    _begun()
    sys.stdin.readline()
    end.set()
    for gate in running:
        gate.join()
    lost = [f"{gate.name}: {reason}" for gate in running for reason in gate.client.lost]
    for gate in running:
        gate.client.close()
    return {
        "written": sum(gate.journal.head for gate in running),
        "marks": {g.name: g.mark for g in running},
        "lost": lost,
    }


class _Gate(threading.Thread):
    """Writes a session in three entries, waits for their ack, and begins again."""

    def __init__(self, name: str, password: str, ca: Path, source: str, end: threading.Event) -> None:
        super().__init__(name=name)
        self.journal = Journal(gate=name, site=SITE)
        self.mark = 0
        self._end = end
        self.client = Client(GATES, self.journal.topics.account, password, ca=ca, host=HOST, source=source)
        assert self.client.greeting == "Success", f"{name}: {self.client.greeting}"
        assert self.client.subscribe(self.journal.topics.topic("ack")).startswith("Granted")

    def run(self) -> None:
        while not self._end.is_set():
            session = f"{self.name}-{self.journal.head}"
            first = self.journal.head + 1
            self.journal.start(session)
            self.journal.progress(session, 500)
            self.journal.end(session, 1_000)
            for message in self.journal.messages(first):
                named = Properties(PacketTypes.PUBLISH)
                named.UserProperty = [(wire.PROP_JOURNAL, message.journal), (wire.PROP_SEQ, message.seq)]
                assert self.client.publish(message.topic, message.body, properties=named) == "Success"
            status = self.journal.status(mark=self.mark)
            assert self.client.publish(status.topic, status.body, retain=True) == "Success"
            while self.mark < self.journal.head:
                _, body = self.client.received.get(timeout=HANGS_S)
                self.mark = max(self.mark, wire.decode(body, wire.Ack).seq)
            self._end.wait(_PAUSE_S)


def _plainly(port: int) -> str:
    """Return what a broker answers to CONNECT without TLS."""
    with socket.create_connection((HOST, port), timeout=HANGS_S) as plain:
        plain.sendall(_CONNECT)
        try:
            answer = plain.recv(1)
        except OSError:
            answer = b""
    return "Success" if answer == _CONNACK else "refused"


def _with_old_tls(port: int, ca: str) -> str:
    old = ssl.create_default_context(cafile=ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with (
            socket.create_connection((HOST, port), timeout=HANGS_S) as plain,
            old.wrap_socket(plain, server_hostname=HOST),
        ):
            return "Success"
    except OSError:
        return "refused"


def _begun() -> None:
    sys.stdout.write("started\n")
    sys.stdout.flush()


def main() -> None:
    """Run the program that standard input names."""
    name, words = json.loads(sys.stdin.readline())
    seen = {one.__name__: one for one in (rights, refusals, deliver)}[name](**words)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
