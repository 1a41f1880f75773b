"""What a gate and a collector of November 2026 sent each other; see tests/recorded/README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fabgate import wire
from fabgate.seal import Keys

FOLDER = Path(__file__).parent.parent / "recorded"
TOPICS = wire.GateTopics("demo", "laser-1")


class Message(msgspec.Struct, frozen=True):
    """One recorded MQTT message."""

    topic: str
    retain: bool
    properties: dict[str, str]
    payload: str

    @property
    def body(self) -> bytes:
        return self.payload.encode()


def messages(leaf: str = "") -> Iterator[Message]:
    """Yield the gate's and the collector's messages in order; with `leaf`, only those of ``…/laser-1/<leaf>``."""
    for line in (FOLDER / "stream.jsonl").read_bytes().splitlines():
        message = msgspec.json.decode(line, type=Message)
        if message.topic.startswith(f"{TOPICS.base}/{leaf}" if leaf else f"{wire.ROOT}/"):
            yield message


def keys() -> Keys:
    return Keys.load(FOLDER / "gate.key")


def badge_key() -> bytes:
    (key,) = Keys.load(FOLDER / "badge.key").by_id.values()
    return key


def roster() -> tuple[bytes, dict[str, str]]:
    """Return the body of the recorded roster, and the headers it came with."""
    headers: dict[str, str] = json.loads((FOLDER / "roster-headers.json").read_text())
    return (FOLDER / "roster.json").read_bytes(), headers


def sessions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "sessions.json").read_text())
    return found
