"""Publishes the messages of a verb or a page, over a connection of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from paho.mqtt.packettypes import PacketTypes

from fabgate import wire
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.recording.broker.client import client_of
from fabgate.errors import FabgateError
from fabgate.mqtt.client import certificate_trouble, connect, new_properties
from fabgate.mqtt.driver import Driver


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that a verb publishes: retained state, or a command that expires."""

    topic: str
    body: bytes
    retain: bool = False
    expiry_s: int | None = None
    seal: str | None = None

    def properties(self) -> Any:
        """Return the MQTT properties."""
        found = new_properties(PacketTypes.PUBLISH)
        if self.expiry_s is not None:
            found.MessageExpiryInterval = self.expiry_s
        if self.seal is not None:
            found.UserProperty = (wire.PROP_SEAL, self.seal)
        return found


def publish_once(env: Environment, messages: list[Outgoing], *, timeout_s: float = 5.0) -> None:
    """Publish messages of a verb, over a connection of its own. Raises FabgateError if that fails."""
    client = client_of(env, "")
    client.connect_timeout = timeout_s
    refusals: dict[int, str] = {}
    turned_away: list[str] = []

    def connected(_client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            turned_away.append(str(reason))

    def answered(_client: Any, _userdata: Any, mid: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            refusals[mid] = str(reason)

    client.on_connect = connected
    client.on_publish = answered  # called before a message counts as published
    driver = Driver(client)
    deadline = time.monotonic() + timeout_s
    try:
        connect(client, env.mqtt_host, env.mqtt_port)
        sent = [client.publish(m.topic, m.body, qos=1, retain=m.retain, properties=m.properties()) for m in messages]
        driver.run(
            lambda: time.monotonic() < deadline and not all(info.is_published() for info in sent), turn_s=timeout_s / 10
        )
        if turned_away:
            raise FabgateError(f"the broker refused the connection ({turned_away[0]}): check its accounts")
        for message, info in zip(messages, sent, strict=True):
            if not info.is_published():
                raise FabgateError(f"the broker did not accept a message within {timeout_s:g} s")
            if why := refusals.get(info.mid):
                raise FabgateError(f"the broker refused {message.topic} ({why}): check its access list")
        driver.say_goodbye()
    except (OSError, ValueError, RuntimeError) as error:
        why = certificate_trouble(error) or str(error)
        raise FabgateError(f"the broker {env.mqtt_host}:{env.mqtt_port} cannot be reached ({why})") from error
    finally:
        driver.close()
