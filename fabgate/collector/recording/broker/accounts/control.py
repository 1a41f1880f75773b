"""Changes accounts of a running broker, over a socket of this computer and the topic of Mosquitto's plugin."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

import paho.mqtt.client as paho

from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.recording.broker.accounts import rights
from fabgate.collector.recording.broker.accounts.wanted import control_password, read_password
from fabgate.errors import FabgateError
from fabgate.mqtt.client import connect, new_client
from fabgate.mqtt.driver import Driver

#: How long the broker may take for one answer, in seconds; it takes some milliseconds.
WITHIN_S: Final = 10.0
_TURN_S: Final = 0.2
#: paho wants a port also for a socket that has none.
_NO_PORT: Final = 1
#: How many accounts, or roles with all their rights, one answer has at most: it is shorter than `MAX_PACKET_BYTES`.
_CLIENTS: Final = 100
_ROLES: Final = 10


class RefusedError(FabgateError):
    """The broker does not carry out a command."""


class Control:
    """One connection as the account that changes the others, for a ``with`` block.

    Everything raises FabgateError if the broker cannot be reached, refuses the account, or does not answer. With a `client_id`
    it takes the place of that client, and asks nothing.
    """

    def __init__(self, env: Environment, *, client_id: str = "") -> None:
        assert env.broker_control is not None
        self._socket = env.broker_control
        self._is_for_answers = not client_id
        self._client = new_client(client_id, is_local=True)
        self._driver = Driver(self._client)
        #: The password of this connection, which is another one after each start of the broker.
        self.password = ""
        self._reason: Any = None
        self._confirmed: dict[int, Any] = {}
        self._answers: list[dict[str, Any]] = []
        self._retained: list[str] = []
        self._client.on_connect = self._on_connect
        self._client.on_publish = lambda _c, _u, mid, reason, _p: self._confirmed.__setitem__(mid, reason)
        self._client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._confirmed.__setitem__(mid, reasons[0])
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        """Connect."""
        try:
            self.password = read_password(control_password(self._socket))
            self._client.username_pw_set(rights.CONTROL, self.password)
            self._connect()
        except BaseException as error:
            self._driver.close()
            if isinstance(error, (OSError, ValueError)):
                raise FabgateError(f"the broker cannot be reached over {self._socket} ({error})") from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._driver.say_goodbye()
        self._driver.close()

    def _connect(self) -> None:
        connect(self._client, str(self._socket), _NO_PORT)
        self._until(lambda: self._reason is not None, "accept the connection")
        if self._reason.is_failure:
            raise FabgateError(f"the broker refused the account {rights.CONTROL}: {self._reason}")
        if self._is_for_answers:
            self._subscribe(rights.ANSWERS)

    def ask(self, *commands: dict[str, Any]) -> list[dict[str, Any]]:
        """Send commands, which the broker carries out in their order, and return its answer to each.

        A command that failed has an `error`, which only some callers expect.
        """
        self._answers.clear()
        self._publish(rights.COMMANDS, json.dumps({"commands": commands}).encode())
        self._until(lambda: len(self._answers) >= len(commands), "answer a command")
        return self._answers[:]

    def do(self, *commands: dict[str, Any], except_for: str = "") -> None:
        """Send commands. Raises RefusedError if one failed, unless for the reason `except_for`."""
        for answer in self.ask(*commands):
            error = answer.get("error", "")
            if error and error != except_for:
                raise RefusedError(f"the broker refused {answer.get('command')}: {error}")

    def clients(self) -> dict[str, dict[str, Any]]:
        """Return all accounts that the broker has, by name."""
        return {found["username"]: found for found in self._list("listClients", "clients", _CLIENTS)}

    def roles(self) -> dict[str, dict[str, Any]]:
        """Return all roles that the broker has, by name."""
        return {found["rolename"]: found for found in self._list("listRoles", "roles", _ROLES)}

    def delete_retained(self, filter_: str) -> None:
        """Delete all retained messages on topics that match."""
        self._retained.clear()
        self._subscribe(filter_)
        self.ask({"command": "getDefaultACLAccess"})  # its answer comes after the retained messages
        self._client.unsubscribe(filter_)
        for topic in self._retained[:]:
            self._publish(topic, b"", retain=True)

    def _list(self, command: str, kind: str, count: int) -> Iterator[dict[str, Any]]:
        offset, total = 0, 1
        while offset < total:
            (answer,) = self.ask({"command": command, "verbose": True, "count": count, "offset": offset})
            if "data" not in answer:
                raise FabgateError(f"the broker refused {command}: {answer.get('error', 'it sent no data')}")
            total = answer["data"]["totalCount"]
            yield from answer["data"][kind]
            offset += count

    def _publish(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        self._confirm(self._client.publish(topic, body, qos=1, retain=retain).mid, f"take a message on {topic}")

    def _subscribe(self, filter_: str) -> None:
        # QoS 0, so that retained messages come at once, without waiting for confirmations.
        self._confirm(self._client.subscribe(filter_, qos=0)[1], f"take a subscription of {filter_}")

    def _confirm(self, number: int | None, what: str) -> None:
        assert number is not None
        self._until(lambda: number in self._confirmed, what)
        if (reason := self._confirmed.pop(number)).is_failure:
            raise FabgateError(f"the broker did not {what}: {reason}")

    def _until(self, is_done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + WITHIN_S
        self._driver.run(lambda: not is_done() and time.monotonic() < until, turn_s=_TURN_S)
        if not is_done():
            raise FabgateError(f"the broker did not {what} within {WITHIN_S:.0f} s, or ended the connection")

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._reason = reason

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == rights.ANSWERS:
            self._answers += json.loads(message.payload)["responses"]
        elif message.retain:
            self._retained.append(message.topic)


def end_session(env: Environment, name: str) -> None:
    """End the session of an account that is not connected, with the messages that wait in it.

    A connection with its id and a clean start does that (MQTT 5, 3.1.2.4).
    """
    with Control(env, client_id=name):
        pass
