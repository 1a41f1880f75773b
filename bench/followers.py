"""Many gates as far as their rosters go: on a nudge over MQTT they fetch, check the seal, and look a badge up.

The first one is the gate's own source with its store on disk. The others, which would each be on a computer of their own,
only read what they fetched: fifty stores on one computer would measure that computer.

``python -m bench.followers PORT CONFIG…`` prints ``ready`` when every gate has a roster. ``watch DIGEST`` chooses a badge;
``noted`` is answered with (gate, moment, whether that badge is refused) for each roster since.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import secrets
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.people import SITE
from fabgate import wire
from fabgate.gate.config import gate_yaml as gate_config
from fabgate.gate.roster import lazy_roster
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.source import RosterRefused, RosterStored
from fabgate.rules.vocabulary import Member, Now
from fabgate.seal import Keys


class Decisions:
    """What all gates would decide, and since when."""

    watched = ""

    def __init__(self) -> None:
        self._rows: list[tuple[str, float, bool]] = []
        self._lock = threading.Lock()

    def add(self, gate: str, *, is_refused: bool) -> None:
        """Record how a gate decides from now on."""
        with self._lock:
            self._rows.append((gate, time.time(), is_refused))

    def take(self) -> list[tuple[str, float, bool]]:
        """Return and forget the records."""
        with self._lock:
            rows, self._rows = self._rows, []
        return rows


class Follower:
    """The gate's own source, and its store."""

    def __init__(self, config: gate_config.Config, decisions: Decisions) -> None:
        self.gate = config.gate
        self.has_one = threading.Event()
        self._decisions = decisions
        self._stored = config.state_dir / "roster.db"
        self._source = HttpSource(config, self._stored, self._take, boot="bench", now=_now)
        threading.Thread(target=self._source.run, daemon=True).start()

    def nudge(self) -> None:
        """Fetch at once."""
        self._source.fetch_now()

    def _take(self, event: object) -> None:
        if isinstance(event, RosterRefused):
            print(f"{self.gate} refused a roster: {event.reason}", file=sys.stderr, flush=True)
            os._exit(1)  # from whichever thread this is
        if isinstance(event, RosterStored):
            with contextlib.closing(Directory(self._stored)) as directory:
                found = directory.find(self._decisions.watched) if self._decisions.watched else None
            self._decisions.add(self.gate, is_refused=not isinstance(found, Member))
            self.has_one.set()


class LightFollower:
    """The same without a store."""

    def __init__(self, config: gate_config.Config, decisions: Decisions) -> None:
        assert config.roster.url is not None
        assert config.roster.token_file is not None
        assert config.gate_key_file is not None
        self.gate = config.gate
        self.has_one = threading.Event()
        self._decisions = decisions
        self._host = urlsplit(config.roster.url).netloc
        self._account = config.topics.account
        self._token = config.roster.token_file.read_text(encoding="utf-8").strip()
        self._keys = Keys.load(config.gate_key_file)
        self._wanted = threading.Event()
        self.nudge()
        threading.Thread(target=self._run, daemon=True).start()

    def nudge(self) -> None:
        """Fetch at once."""
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            roster = self._fetch()
            admitted = any(self._decisions.watched in member.badges for member in roster.members)
            self._decisions.add(self.gate, is_refused=not admitted)
            self.has_one.set()

    def _fetch(self) -> wire.Roster:
        nonce = secrets.token_urlsafe(16)
        headers = {"Authorization": f"Bearer {self._token}", wire.HEADER_NONCE: nonce, "Accept-Encoding": "gzip"}
        with contextlib.closing(http.client.HTTPConnection(self._host, timeout=30)) as asking:
            asking.request("GET", f"/api/v1/gates/{self.gate}/roster", headers=headers)
            answer = asking.getresponse()
            body = gzip.decompress(answer.read())
        seal = answer.headers.get(wire.HEADER_SEAL)
        self._keys.verify(seal, wire.PURPOSE_ROSTER, self._account, wire.sealed_roster(body, nonce))
        return lazy_roster.decode(body)


def _now() -> Now:
    return Now(boot_ms=time.monotonic_ns() // 1_000_000, local=datetime.now(UTC), synced=True)


def main() -> None:
    """Follow until stdin ends."""
    decisions = Decisions()
    configs = [gate_config.load(Path(path)) for path in sys.argv[2:]]
    followers: dict[str, Follower | LightFollower] = {
        config.gate: LightFollower(config, decisions) if number else Follower(config, decisions)
        for number, config in enumerate(configs)
    }
    for one in followers.values():
        if not one.has_one.wait(60):
            sys.exit(f"{one.gate} got no roster in a minute")
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)

    def nudged(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        gate = message.topic.split("/")[3]
        if gate in followers and not message.retain:
            followers[gate].nudge()

    client.on_message = nudged
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_connect = lambda client, *_: client.subscribe(f"{wire.ROOT}/{SITE}/+/roster", qos=1)
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_start()
    for line in sys.stdin:
        verb, *arguments = line.split()
        if verb == "watch":
            decisions.watched = arguments[0]
        print(json.dumps(decisions.take()), flush=True)


if __name__ == "__main__":
    main()
