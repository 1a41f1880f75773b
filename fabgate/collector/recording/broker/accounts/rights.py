"""What each account may publish and read, as roles of Mosquitto's plugin. Everything else is forbidden.

config/mosquitto.acl says the same for a broker whose accounts are made by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fabgate import wire

#: The topic of the plugin's commands, and that of its answers.
COMMANDS: Final = "$CONTROL/dynamic-security/v1"
ANSWERS: Final = f"{COMMANDS}/response"
#: The account of the worker, which changes the others; also its role. No gate has this name: theirs have a "/".
CONTROL: Final = "control"
#: What the plugin forbids without a role.
NOTHING: Final = dict.fromkeys(("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), False)
_SEND: Final = ("publishClientSend",)
_READ: Final = ("publishClientReceive", "subscribeLiteral", "unsubscribeLiteral")
_READ_ANY: Final = ("publishClientReceive", "subscribePattern", "unsubscribePattern")


def of_gate(topics: wire.GateTopics) -> dict[str, Any]:
    """Return the role of one gate, with each topic in full: with a wildcard it could fill the broker's memory."""
    sent = [topics.topic("status"), topics.topic("state"), topics.topic("reply"), *map(topics.event, wire.ENTRY_TYPES)]
    read = [topics.topic("ack"), topics.topic("command"), topics.topic("roster")]
    # The status names the collector to obey.
    rights = [*_rights(_SEND, *sent), *_rights(_READ, *read, wire.collector_status_topic(topics.site))]
    return {"rolename": topics.account, "acls": rights}


def of_collector(site: str) -> dict[str, Any]:
    """Return the role of the collector of a site. It cannot publish as a gate."""
    every, status = wire.GateTopics(site, "+"), wire.collector_status_topic(site)
    sent = [every.topic("ack"), every.topic("command"), every.topic("roster"), status]
    rights = [*_rights(_SEND, *sent), *_rights(_READ_ANY, *wire.collector_subscriptions(site)), *_rights(_READ, status)]
    return {"rolename": wire.GateTopics(site, "collector").account, "acls": rights}


def of_control(site: str) -> dict[str, Any]:
    """Return the role of the worker, which also deletes the retained messages of a gate that was cut off."""
    left = f"{wire.GateTopics(site, '+').base}/#"
    rights = [*_rights(_SEND, COMMANDS, left), *_rights(_READ, ANSWERS), *_rights(_READ_ANY, left)]
    return {"rolename": CONTROL, "acls": rights}


def _rights(kinds: tuple[str, ...], *topics: str) -> Iterator[dict[str, Any]]:
    for kind in kinds:
        for topic in topics:
            yield {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
