"""The smallest MQTT 5 client that a light gate needs: packets made beforehand, one socket, no thread.

paho takes longer to publish a message than the collector to store it: a thousand gates with it would measure paho.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from bench.peers.bare_client import send_at_once
from fabgate import wire

CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9
#: A light gate only counts its PUBACKs, but the broker tells packets apart by their identifiers: 1 to this, in turn.
IDS = 65_535


def packet(kind: int, body: bytes) -> bytes:
    """Return a packet with its length in front."""
    return bytes((kind,)) + _variable(len(body)) + body


def _variable(number: int) -> bytes:
    """Return a variable byte integer (MQTT 5, 1.5.5)."""
    packed = bytearray()
    while True:
        number, part = divmod(number, 128)
        packed.append(part | (128 if number else 0))
        if not number:
            return bytes(packed)


def text(value: str | bytes) -> bytes:
    """Return a text with its length in front."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def publish(topic: str, body: bytes, properties: dict[str, str], *, retain: bool = False) -> tuple[bytes, bytes]:
    """Return the parts of a publish with QoS 1 before and after its identifier."""
    packed = b"".join(b"\x26" + text(name) + text(value) for name, value in properties.items())
    if properties:
        packed = b"\x03" + text(wire.CONTENT_TYPE) + packed
    rest = _variable(len(packed)) + packed + body
    whole = packet(0x33 if retain else 0x32, text(topic) + b"\0\0" + rest)
    return whole[: -len(rest) - 2], rest


class Client(asyncio.Protocol):
    """One connection. `received` gets (topic, body) of each message, `confirmed` is called with each PUBACK."""

    def __init__(self, name: str, topic: str) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received: Callable[[str, bytes], None] = lambda _topic, _body: None
        self.confirmed: Callable[[], None] = lambda: None
        self._name, self._topic = name, topic
        self._rest = b""
        self._id = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect and subscribe."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        send_at_once(None, None, transport.get_extra_info("socket"))
        transport.write(packet(0x10, text("MQTT") + b"\x05\x02\0\0\0" + text(self._name)))
        transport.write(packet(0x82, b"\0\x01\0" + text(self._topic) + b"\0"))  # QoS 0: nothing to confirm

    def send(self, parts: tuple[bytes, bytes]) -> None:
        """Publish."""
        self._id = self._id % IDS + 1
        self._transport.write(parts[0] + struct.pack(">H", self._id) + parts[1])

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits for the connection."""
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("the broker hung up"))

    def data_received(self, data: bytes) -> None:
        """Handle the packets that are complete."""
        data, at = self._rest + data, 0
        while len(data) - at >= 2:
            start, shift, size = at + 1, 0, 0
            while start < len(data):
                size |= (data[start] & 127) << shift
                start, shift = start + 1, shift + 7
                if not data[start - 1] & 128:
                    break
            else:
                break
            if start + size > len(data):
                break
            self._take(data[at] >> 4, data[at], data[start : start + size])
            at = start + size
        self._rest = data[at:]

    def _take(self, kind: int, first: int, body: bytes) -> None:
        if kind == PUBACK:
            self.confirmed()
        elif kind == PUBLISH:
            end = 2 + int.from_bytes(body[:2], "big")
            after = end + (2 if first & 6 else 0)
            self.received(body[2:end].decode(), body[after + 1 + body[after] :])  # ours carry few properties, or none
        elif kind == CONNACK and body[1]:
            self.ready.set_exception(ConnectionError(f"the broker refused with {body[1]}"))
        elif kind == SUBACK and not self.ready.done():
            self.ready.set_result(None)
