"""Many gates as far as their rosters go: on a nudge over MQTT they fetch, check the seal, and look a badge up.

The first one is the gate's own source with its store on disk. The others, which would each be on a computer of their own,
only read what they fetched: fifty stores on one computer would measure that computer.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho

from bench.gates.people import SITE
from bench.peers.bare_client import connected
from fabgate import wire
from fabgate.gate.config import gate_yaml
from fabgate.gate.roster import lazy_roster
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.source import RosterRefused, RosterStored
from fabgate.rules.vocabulary import Member, Now
from fabgate.seal import Keys

WAIT_S = 60.0
#: The badge whose decisions are recorded, and (gate, moment, whether it is refused) for each roster.
_watched = ""
_decisions: list[tuple[str, float, bool]] = []
_has_one: dict[str, threading.Event] = {}


def follow(port: int, configs: Sequence[str]) -> None:
    """Let the gates of these configurations follow; return when each has a roster and listens for nudges."""
    nudges: dict[str, Callable[[], None]] = {}
    for number, path in enumerate(configs):
        config = gate_yaml.load(Path(path))
        _has_one[config.gate] = threading.Event()
        nudges[config.gate] = _light(config) if number else _own_source(config)
    for gate, event in _has_one.items():
        if not event.wait(WAIT_S):
            raise TimeoutError(f"{gate} got no roster within {WAIT_S:.0f} s")

    def nudged(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        gate = message.topic.split("/")[3]
        if gate in nudges and not message.retain:
            nudges[gate]()

    connected(port, f"{wire.ROOT}/{SITE}/+/roster", nudged)


def watch(badge: str) -> None:
    """Record from now on how the gates decide about this badge."""
    global _watched
    _watched = badge
    _decisions.clear()


def decided() -> list[tuple[str, float, bool]]:
    """Return what was recorded since the last call."""
    found = list(_decisions)
    del _decisions[: len(found)]
    return found


def _decide(gate: str, *, is_refused: bool) -> None:
    _decisions.append((gate, time.time(), is_refused))
    _has_one[gate].set()


def _own_source(config: gate_yaml.Config) -> Callable[[], None]:
    """Let the gate's own source follow; return what makes it fetch at once."""
    stored = config.state_dir / "roster.db"

    def take(event: object) -> None:
        if isinstance(event, RosterRefused):
            print(f"{config.gate} refused a roster: {event.reason}", file=sys.stderr, flush=True)
            os._exit(1)  # from whichever thread this is
        if isinstance(event, RosterStored):
            with contextlib.closing(Directory(stored)) as directory:
                found = directory.find(_watched) if _watched else None
            _decide(config.gate, is_refused=not isinstance(found, Member))

    source = HttpSource(config, stored, take, boot="bench", now=_now)
    threading.Thread(target=source.run, daemon=True).start()
    return source.fetch_now


def _light(config: gate_yaml.Config) -> Callable[[], None]:
    """Let a gate without a store follow; return what makes it fetch at once."""
    assert config.gate_key_file is not None
    keys = Keys.load(config.gate_key_file)
    wanted = threading.Event()
    wanted.set()

    def run() -> None:
        while wanted.wait():
            wanted.clear()
            admitted = any(_watched in member.badges for member in _fetch(config, keys).members)
            _decide(config.gate, is_refused=not admitted)

    threading.Thread(target=run, daemon=True).start()
    return wanted.set


def _fetch(config: gate_yaml.Config, keys: Keys) -> wire.Roster:
    assert config.roster.url is not None
    assert config.roster.token_file is not None
    nonce, token = secrets.token_urlsafe(16), config.roster.token_file.read_text(encoding="utf-8").strip()
    headers = {"Authorization": f"Bearer {token}", wire.HEADER_NONCE: nonce, "Accept-Encoding": "gzip"}
    with contextlib.closing(http.client.HTTPConnection(urlsplit(config.roster.url).netloc, timeout=30)) as asking:
        asking.request("GET", f"/api/v1/gates/{config.gate}/roster", headers=headers)
        answer = asking.getresponse()
        body = gzip.decompress(answer.read())
    seal = answer.headers.get(wire.HEADER_SEAL)
    keys.verify(seal, wire.PURPOSE_ROSTER, config.topics.account, wire.sealed_roster(body, nonce))
    return lazy_roster.decode(body)


def _now() -> Now:
    return Now(boot_ms=time.monotonic_ns() // 1_000_000, local=datetime.now(UTC), synced=True)
