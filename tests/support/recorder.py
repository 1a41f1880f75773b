"""Records what a gate and a collector of this version say and keep: ``python -m tests.support.recorder``.

It writes ``tests/recorded/<version>`` once, before the release of a version. Every later version is tried with it. The README
there says what happens in a recording; recording.py reads it.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import paho.mqtt.client as paho

from fabgate import __version__, wire
from fabgate.demo.furnishing.people import CARDS, members_file
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.script import refused
from fabgate.demo.taps import BETWEEN_TAPS_S, hold
from fabgate.demo.waiting import wait_for
from tests.support.mosquitto import Mosquitto, mosquitto
from tests.support.patience import wait
from tests.support.recording import FOLDER, TOPICS, Message, Recording
from tools import schema

#: Long enough for the gate to report the session before it is killed, in seconds.
BEFORE_KILL_S = 3
NONCE = "bm9uY2Utb2YtdGhlLXJlY29yZGluZy4u"
HEADERS = (wire.HEADER_SEAL, wire.HEADER_VERSION, "Content-Type", "Date", "ETag")


def record(folder: Path) -> None:
    """Play the scenario with real processes, and write the recording to `folder`.

    Raises FileExistsError if there is one, and DemoError if a process does not do what it should.
    """
    if folder.exists():
        raise FileExistsError(folder)
    with tempfile.TemporaryDirectory() as temporary:
        site, made = Path(temporary), Path(temporary) / "recording"
        made.mkdir()
        with mosquitto(site / "broker") as broker, _listening(broker) as heard:
            workshop = Workshop(site, port=broker.port)
            try:
                _play(workshop, made)
            finally:
                workshop.close()
        (made / "stream.jsonl").write_bytes(b"".join(msgspec.json.encode(message) + b"\n" for message in heard))
        with tarfile.open(made / "site.tar.gz", "w:gz") as archive:
            for part in Recording.SITE_PARTS:
                archive.add(site / part, part)
        (made / "schema").mkdir()
        for name, text in schema.schemas().items():
            (made / "schema" / name).write_text(text, encoding="utf-8")
        shutil.copytree(made, folder)


@contextmanager
def _listening(broker: Mosquitto) -> Iterator[list[Message]]:
    """Give the list of all messages that the broker receives during the block."""
    heard: list[Message] = []

    def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        beside = dict(getattr(message.properties, "UserProperty", ()))
        heard.append(Message(message.topic, beside, message.payload.decode()))

    with broker.client() as client:
        client.on_message = on_message
        granted: list[object] = []
        client.on_subscribe = lambda *_: granted.append(True)
        client.subscribe(f"{wire.ROOT}/#", qos=1)
        wait(lambda: granted, "the subscription")
        yield heard


def _play(workshop: Workshop, folder: Path) -> None:
    """Let the workshop do what the README of the recordings says, and write down what the broker does not see."""
    gate = workshop.let_in(TOPICS.gate, "laser", "Laser 1", limit_s=600)
    workshop.collector("import-members", str(members_file(workshop.folder, machines=frozenset({"laser"}))))
    today = workshop.today()
    workshop.collector("bill-start", "--currency", "EUR", "--vat", "included", "--from", f"{today:%Y-%m}")
    workshop.collector("bill-rule", "--from", f"{today}", "price=0.10")
    config = json.loads(gate.config.read_text())
    for name in ("gate.key", "badge.key"):
        shutil.copy(config[f"{name.replace('.', '_')}_file"], folder / name)
    workshop.start_collector()
    gate.start()

    _use(gate, "bob")
    hold(gate.socket, CARDS["stranger"], "the refusal", lambda: refused(gate, "unknown-badge"))
    workshop.collector("lock", gate.name, "--when", "now", "--reason", "Broken belt")
    wait_for("the lock", lambda: "lock-now" in gate.status().get("causes", []))
    hold(gate.socket, CARDS["ada"], "the refusal", lambda: refused(gate, "blocked-lock-now"))
    _fetch_roster(config["roster"], folder)
    workshop.collector("unlock", gate.name)
    wait_for("the end of the lock", lambda: not gate.status().get("causes"))
    hold(gate.socket, CARDS["bob"], "power", lambda: gate.observer.on)
    time.sleep(BEFORE_KILL_S)
    gate.process.end(signal.SIGKILL)
    gate.start()
    time.sleep(BETWEEN_TAPS_S)
    _use(gate, "ada")

    wait_for("every entry to be confirmed", gate.settled)
    sessions = workshop.sessions()
    (folder / "sessions.json").write_text(json.dumps(sessions, indent=1) + "\n", encoding="utf-8")
    workshop.end()


def _use(gate: SimulatedGate, who: str) -> None:
    hold(gate.socket, CARDS[who], "power", lambda: gate.observer.on)
    time.sleep(BETWEEN_TAPS_S)
    hold(gate.socket, CARDS[who], "the end", lambda: not gate.observer.on and gate.status()["state"] == "idle")


def _fetch_roster(source: dict[str, str], folder: Path) -> None:
    """Ask for the gate's roster as a gate does."""
    token = Path(source["token_file"]).read_text(encoding="utf-8").strip()
    address = f"{source['url']}/api/v1/gates/{TOPICS.gate}/roster"
    asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}", wire.HEADER_NONCE: NONCE})
    with urllib.request.urlopen(asked) as answer:
        (folder / "roster.json").write_bytes(answer.read())
        headers = {name: answer.headers[name] for name in HEADERS}
    text = json.dumps({**headers, "nonce": NONCE}, indent=1)
    (folder / "roster-headers.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Record this version."""
    try:
        record(FOLDER / __version__)
    except FileExistsError:
        sys.exit(
            f"found a recording of version {__version__}, wanted none: that of a released version never changes. If this"
            " version is not released yet, delete its folder in tests/recorded and try again"
        )


if __name__ == "__main__":
    main()
