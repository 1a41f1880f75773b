"""The events that pass between the uplink's two threads and the loop of the daemon."""

from __future__ import annotations

from datetime import datetime

import msgspec
import paho.mqtt.client as paho

from fabgate import wire

# --- to the loop ------------------------------------------------------------------------------------------------------


class LinkChanged(msgspec.Struct, frozen=True):
    """The connection to the broker came or went; `problem` says why there is none."""

    connected: bool
    problem: str = ""


class OwnCertificate(msgspec.Struct, frozen=True):
    """When the certificate with which the gate connects ends; None where that is unknown."""

    ends: datetime | None


class MarkMoved(msgspec.Struct, frozen=True):
    """The collector confirms all entries up to `seq`; `generation` counts the ``JournalReplaced`` before this journal."""

    seq: int
    generation: int = 0


class ForkFound(msgspec.Struct, frozen=True):
    """The collector has another history of this journal, because of a restored image or a cloned card."""


class HistoryDiffers(msgspec.Struct, frozen=True):
    """The collector has another entry than this journal; `detail` says which, and when a fork follows."""

    detail: str


class HistoryAgrees(msgspec.Struct, frozen=True):
    """After one or more forks the collector confirms the entries of this journal."""


class CommandArrived(msgspec.Struct, frozen=True):
    """The collector sent a command with a valid seal. The loop decides whether to execute it."""

    command: wire.Command


class CommandsRefused(msgspec.Struct, frozen=True):
    """`count` commands were refused unread since the start; `detail` says why the last one was."""

    count: int
    detail: str


class DeliveryProblem(msgspec.Struct, frozen=True):
    """Why entries wait for the collector although there is a connection; "" when they do not."""

    detail: str


class RosterNudged(msgspec.Struct, frozen=True):
    """The collector has a roster to fetch."""


# --- to the uplink thread ---------------------------------------------------------------------------------------------


class JournalGrew(msgspec.Struct, frozen=True):
    """The journal has entries up to `head`, or entries may have been trimmed."""

    head: int


class JournalReplaced(msgspec.Struct, frozen=True):
    """The file holds another journal now."""


class Connected(msgspec.Struct, frozen=True):
    """The broker accepted the connection of `client`."""

    client: paho.Client


class MessageArrived(msgspec.Struct, frozen=True):
    """A message came from the broker."""

    topic: str
    payload: bytes
    seal: str | None = None
    qos: int = 1


class Puback(msgspec.Struct, frozen=True):
    """The broker confirmed the message `mid`, or refused it for `reason`."""

    mid: int
    reason: str = ""


class SubscriptionRefused(msgspec.Struct, frozen=True):
    """The broker refused a subscription for `reason`."""

    reason: str


class Stop(msgspec.Struct, frozen=True):
    """Ends the uplink thread."""
