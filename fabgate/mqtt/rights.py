"""Tries what an account may publish and subscribe to: connects once, asks, and disconnects.

What is published is empty and not retained. On MQTT 5 the broker says in PUBACK and SUBACK what it refuses (on 3.1.1 it
acknowledges a refused publication).
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import paho.mqtt.client as paho

from fabgate.errors import FabgateError
from fabgate.mqtt.client import BROKER_PACKET_BYTES, MAX_PACKET_BYTES, certificate_ends, connect
from fabgate.mqtt.driver import Driver

#: How long the broker may take for all answers.
WITHIN_S: Final = 10.0


@dataclass(slots=True)
class Rights:
    """What the broker answered: for each topic or filter, why it refused, or "" where it did not."""

    published: dict[str, str] = field(default_factory=dict)
    subscribed: dict[str, str] = field(default_factory=dict)
    #: When the broker's certificate ends; None without TLS.
    certificate_ends: datetime | None = None
    #: The largest packet that the broker takes, in bytes; None for any size.
    packet_bytes: int | None = None

    @property
    def packet_trouble(self) -> str:
        """Return that the broker takes packets that our clients do not, or "".

        It would drop them on their way, and after a number of them deliver nothing more (MAX_PACKET_BYTES).
        """
        if self.packet_bytes is not None and self.packet_bytes <= BROKER_PACKET_BYTES:
            return ""
        found = "any size" if self.packet_bytes is None else f"{self.packet_bytes} bytes"
        return (
            f"the broker accepts packets of {found}: with packets above {MAX_PACKET_BYTES} bytes, one gate could"
            " silence all others"
        )


#: What to do about it.
SMALLER_PACKETS: Final = (
    f"set max_packet_size {BROKER_PACKET_BYTES} in /etc/mosquitto/mosquitto.conf (docs/install-by-hand.md), then run"
    " systemctl restart mosquitto"
)


def try_rights(
    client: paho.Client, host: str, port: int, *, publish: Collection[str], subscribe: Collection[str]
) -> Rights:
    """Connect `client`, which must have no last will, and try each topic and filter.

    Raises OSError when the broker cannot be reached, and FabgateError when it refuses the account or does not answer.
    """
    rights = Rights()
    asked: dict[int | None, tuple[dict[str, str], str]] = {}
    refusal: list[str] = []

    def on_connect(_c: Any, _u: Any, _f: Any, reason: Any, limits: Any) -> None:
        if reason.is_failure:
            refusal.append(str(reason))
            return
        rights.certificate_ends = certificate_ends(client)
        rights.packet_bytes = getattr(limits, "MaximumPacketSize", None)
        for topic in publish:
            asked[client.publish(topic, b"", qos=1).mid] = (rights.published, topic)
        for topic in subscribe:
            asked[client.subscribe(topic, qos=1)[1]] = (rights.subscribed, topic)

    def answered(mid: Any, reason: Any) -> None:
        if mid in asked:
            answers, topic = asked.pop(mid)
            answers[topic] = str(reason) if reason.is_failure else ""

    client.on_connect = on_connect
    client.on_publish = lambda _c, _u, mid, reason, _p: answered(mid, reason)
    client.on_subscribe = lambda _c, _u, mid, reasons, _p: answered(mid, reasons[0])
    driver = Driver(client)
    until, wanted = time.monotonic() + WITHIN_S, len(publish) + len(subscribe)

    def is_done() -> bool:
        return len(rights.published) + len(rights.subscribed) == wanted

    try:
        connect(client, host, port)
        driver.run(lambda: not refusal and not is_done() and time.monotonic() < until)
        if refusal:
            raise FabgateError(f"the broker refused the account: {refusal[0]}")
        if not is_done():
            raise FabgateError(f"the broker did not answer everything within {WITHIN_S:.0f} s")
        driver.say_goodbye()
    finally:
        driver.close()
    return rights
