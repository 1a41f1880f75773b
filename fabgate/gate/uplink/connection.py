"""How do entries reach the collector? Over MQTT 5, from the journal, again and again until it acknowledges them.

Two threads. *network* owns paho: it connects, drives it (fabgate/mqtt), and is its own watchdog, because paho has no
CONNACK timeout. Callbacks only queue. *uplink* takes that queue, asks ``Delivery`` what to send, reads it from
the journal and publishes the stored bytes.

Nothing here can switch a machine: what arrives is posted to the daemon's inbox.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.subscribeoptions import SubscribeOptions

from fabgate import wire
from fabgate.errors import FabgateError, UsageError
from fabgate.gate.clock import boottime_ms
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.config.keys import gate_keys
from fabgate.gate.journal.reader import Reader
from fabgate.gate.uplink.commands import Door
from fabgate.gate.uplink.delivery import Answer, Delivery
from fabgate.gate.uplink.disconnects import Endings
from fabgate.gate.uplink.forks import Forks
from fabgate.gate.uplink.retry_pauses import Pauses
from fabgate.mqtt import certificates
from fabgate.mqtt.client import connect, described, new_client, secret_client_id
from fabgate.mqtt.driver import Driver
from fabgate.mqtt.properties import packer
from fabgate.seal import Keys, from_text, to_text

log = logging.getLogger(__name__)

CONNACK_S: Final = 10.0
#: However much arrives, what is due (a heartbeat, entries) is done after so many events.
BATCH: Final = 200
#: Refused messages are told of at once, and again when so much time has passed: a flood fills neither log nor wire.
REFUSED_S: Final = 60
_RETAINED: Final[tuple[wire.Leaf, ...]] = ("status", "state")


class MarkMoved(msgspec.Struct, frozen=True):
    """The collector confirms everything up to `seq` of the journal that was read after so many ``Uplink.renewed``."""

    seq: int
    generation: int = 0


class LinkChanged(msgspec.Struct, frozen=True):
    """The connection to the broker came or went; `problem` says why not."""

    connected: bool
    problem: str = ""


class OwnCertificate(msgspec.Struct, frozen=True):
    """When the certificate ends with which the gate connects; None where that is unknown."""

    ends: datetime | None


class ForkFound(msgspec.Struct, frozen=True):
    """The collector has another history of this journal: a restored image, or a cloned card."""


class HistoryDiffers(msgspec.Struct, frozen=True):
    """The collector has another entry than this journal; `detail` says which, and when a fork follows."""

    detail: str


class HistoryAgrees(msgspec.Struct, frozen=True):
    """After one or more forks the collector confirms what this journal holds."""


class CommandArrived(msgspec.Struct, frozen=True):
    """The collector sent a command: its seal is good. Whether it may be obeyed is for the loop to say."""

    command: wire.Command


class CommandsRefused(msgspec.Struct, frozen=True):
    """Of what was sent as commands, `count` were refused unread since the start; `detail` says why the last one was."""

    count: int
    detail: str


class RosterNudged(msgspec.Struct, frozen=True):
    """The collector has a roster to fetch."""


@dataclass(slots=True)
class _Refusals:
    """How many messages of one topic were refused, of how many that was told, and when (boot milliseconds)."""

    count: int = 0
    told: int = 0
    told_ms: int = 0
    detail: str = ""


class _Connected(msgspec.Struct, frozen=True):
    client: paho.Client


class _Message(msgspec.Struct, frozen=True):
    topic: str
    payload: bytes
    seal: str | None = None


class _Puback(msgspec.Struct, frozen=True):
    mid: int
    reason: str = ""


def client_id(account: str, keys: Keys | None) -> str:
    """Return the name of a gate's connection in the broker.

    It is made with the gate's own key, where it has one: only a copy of this gate has it too, and a copy is meant to be found
    by it.
    """
    if keys is None:
        return account.replace("/", "-")
    key = next(iter(keys.by_id.values()))
    return secret_client_id(key, account)


class Uplink:
    """One gate's connection. `post` takes what is defined above; `boot_ms` is the gate's boot clock.

    `pause` waits so many seconds before the next attempt, or until the event that ends all is set.
    """

    def __init__(
        self,
        config: Config,
        journal: Reader,
        post: Callable[[object], None],
        *,
        boot_ms: Callable[[], int] = boottime_ms,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        assert config.mqtt is not None
        self._config = config.mqtt
        self._topics = config.topics
        self._journal = journal
        self._resend = config.uplink
        self._post = post
        self._boot_ms = boot_ms
        self._pause = pause
        self._delivery = self._new_delivery()
        self._collector: str | None = config.collector_id
        self._pinned = config.collector_id is not None
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._stop = threading.Event()
        self._client: paho.Client | None = None
        #: What drives the newest connection.
        self._driver: Driver | None = None
        self._status = wire.Status(online=True)
        self._state: wire.State | None = None
        self._beat_at = 0
        #: The floor of the last status.
        self._floor_told = 0
        self._early_ack: wire.Ack | None = None
        self._keys = gate_keys(config)
        self._door = Door(account=config.topics.account, keys=self._keys)
        #: Nudges posted, and nudges that the loop has taken; each is written by one thread.
        self._nudged = 0
        self._nudges_taken = 0
        self._refusals: dict[str, _Refusals] = {}
        #: The collector knows another history. Nothing of the old journal is published any more: the file becomes
        #: another one at a moment that this thread does not see.
        self._forking = False
        self._forks = Forks()
        #: The file holds another journal, which is not read yet.
        self._renewed = False
        #: How often that was said, and how often it had been said when the journal that is delivered was opened.
        self._renewals = 0
        self._generation = 0
        #: Whether the broker is to publish the last will when this ends; a gate that gives its name up leaves nothing.
        self._last_word = True
        #: What the broker said at the end of the newest connection, and whether it never let the gate in.
        self._refusal = ""
        self._turned_away = False
        #: As the loop was told last.
        self._own_certificate: OwnCertificate | None = None
        #: When the broker accepted the gate on the newest connection, in boot milliseconds.
        self._accepted_ms: int | None = None
        #: Message ids of entries on this connection that the broker has not confirmed; status and state have others.
        self._mids: set[int] = set()

    # --- called by the daemon -----------------------------------------------------------------------------------------

    def stored(self, head: int) -> None:
        """Say that the journal grew, or that entries may have been trimmed."""
        self._queue.put(head)

    def tell(self, message: wire.Status | wire.State) -> None:
        """Give the newest status or state; it is published when connected, and again with each heartbeat."""
        self._queue.put(message)

    def renewed(self) -> None:
        """Say that the file holds another journal now; it is delivered from its beginning."""
        self._queue.put(Reader)

    def taken(self, event: CommandArrived | RosterNudged) -> None:
        """Say that the loop has this in hand: the next one may be posted. Few wait in the inbox at any time."""
        if isinstance(event, CommandArrived):
            self._door.taken()
        else:
            self._nudges_taken += 1

    def reply(self, reply: wire.Reply) -> None:
        """Answer a command."""
        self._queue.put(reply)

    def clear_retained(self, *, timeout_s: float) -> bool:
        """Clear this name's retained topics, for a gate that gets another one; say whether the broker took it."""
        client = self._client
        if client is None:
            return False
        self._last_word = False
        cleared = [client.publish(self._topics.topic(leaf), b"", qos=1, retain=True) for leaf in _RETAINED]
        try:
            for info in cleared:
                info.wait_for_publish(timeout_s)
            return all(info.is_published() for info in cleared)
        except (RuntimeError, ValueError):  # paho's words for a connection that went meanwhile, and for a full queue
            return False

    def stop(self) -> None:
        """Ask both threads to end."""
        self._stop.set()
        if self._driver is not None:
            self._driver.wake()
        self._queue.put(None)

    # --- the network thread -------------------------------------------------------------------------------------------

    def run_network(self) -> None:
        """Keep a connection until told to stop."""
        pauses, endings = Pauses(), Endings(self._topics.account)
        while not self._stop.is_set():
            self._refusal, self._turned_away, self._accepted_ms = "", False, None
            error_text = ""
            try:
                self._one_connection()
            except (OSError, FabgateError, ValueError) as error:
                # A certificate that does not fit is a refusal too, by this side.
                self._turned_away |= isinstance(error, ssl.SSLCertVerificationError)
                error_text = described(error)
            lasted_ms = None if self._accepted_ms is None else self._boot_ms() - self._accepted_ms
            problem = endings.problem(self._refusal or error_text, lasted_ms=lasted_ms)
            self._queue.put(LinkChanged(connected=False, problem=problem))
            self._pause(self._stop, pauses.after(refused=self._turned_away))

    def _one_connection(self) -> None:
        """Connect and run until it breaks."""
        client = self._new_client()
        up = threading.Event()
        client.on_connect = lambda c, _u, _f, reason, _p: self._on_connect(c, reason, up)
        driver = self._driver = Driver(client)
        try:
            connect(client, self._config.host, self._config.port)  # the journal is the queue: the broker keeps nothing
            give_up_ms = self._boot_ms() + round(CONNACK_S * 1000)

            def goes_on() -> bool:
                if not up.is_set() and self._boot_ms() > give_up_ms:
                    self._refusal = f"the broker did not answer within {CONNACK_S:.0f} s"
                    return False
                return not self._stop.is_set()

            driver.run(goes_on)
            if self._stop.is_set():
                # Not a plain goodbye: the broker would then drop the last will, and the gate look online for ever.
                driver.say_goodbye("Disconnect with will message" if self._last_word else "Normal disconnection")
        finally:
            driver.close()

    def _new_client(self) -> paho.Client:
        client = new_client(client_id(self._topics.account, self._keys), self._tls())
        if self._config.username is not None:
            password = None
            if self._config.password_file is not None:
                password = self._config.password_file.read_text(encoding="utf-8").strip()
            client.username_pw_set(self._config.username, password)
        offline = wire.encode(wire.Status(online=False))
        client.will_set(self._topics.topic("status"), offline, qos=1, retain=True)
        client.max_inflight_messages_set(wire.PUBACK_WINDOW * 2)  # entries, and status and state beside them
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._config.tls
        if tls is None:
            return None
        context = ssl.create_default_context(cafile=str(tls.ca))
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
            self._queue.put(OwnCertificate(certificates.ends(tls.cert)))
        return context

    def _on_connect(self, client: paho.Client, reason: Any, up: threading.Event) -> None:
        if reason.is_failure:
            self._refusal, self._turned_away = f"the broker refused the connection: {reason}", True
            return
        up.set()
        self._accepted_ms = self._boot_ms()
        self._queue.put(_Connected(client))

    def _on_disconnect(self, _client: Any, _userdata: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._refusal = f"the broker ended the connection: {reason}"

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        found = dict(getattr(message.properties, "UserProperty", None) or ())
        self._queue.put(_Message(message.topic, bytes(message.payload), found.get(wire.PROP_SEAL)))

    def _on_publish(self, _client: Any, _userdata: Any, mid: int, reason: Any, _properties: Any) -> None:
        self._queue.put(_Puback(mid, str(reason) if reason.is_failure else ""))

    # --- the uplink thread --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Deliver until told to stop."""
        while not self._stop.is_set():
            try:
                event = self._queue.get(timeout=self._timeout_s())
            except Empty:
                event = None
            for _ in range(BATCH):  # entries then leave in batches, with one look into the journal for each
                if self._queue.empty():
                    break
                self._take(event)
                event = self._queue.get()
            self._turn(event)

    def _turn(self, event: object) -> None:
        """Take what happened, then do what is due."""
        self._take(event)
        if self._renewed:
            self._begin_journal()
        if self._forks.due(self._boot_ms()):
            self._forking = True
            self._post(ForkFound())
        mark = self._delivery.mark
        if self._delivery.due(self._boot_ms()):
            self._publish_status()
        if self._delivery.mark != mark:
            # Kept in the journal too: what a restored collector lacks is no longer acknowledged, nor trimmed.
            self._post(MarkMoved(self._delivery.mark, self._generation))
        if self._boot_ms() >= self._beat_at:
            self._beat()
        self._pump()

    def _timeout_s(self) -> float:
        if self._renewed:
            return 0.0
        soonest = min(
            self._delivery.deadline() or self._beat_at, self._forks.deadline() or self._beat_at, self._beat_at
        )
        return min(60.0, max(0.0, (soonest - self._boot_ms()) / 1000)) if self._client else 60.0

    def _take(self, event: object) -> None:  # noqa: C901 - one line an event, read as a table
        match event:
            case int(head):
                self._delivery.stored(head, self._boot_ms())
                if self._journal.bounds()[0] != self._floor_told:
                    self._publish_status()  # the collector passes over what was trimmed and never arrived
            case wire.Status():
                self._status = event
                self._publish_status()
            case wire.State():
                self._state = event
                self._publish_state()
            case _Connected(client):
                self._came_up(client)
            case OwnCertificate():
                if event != self._own_certificate:
                    self._own_certificate = event
                    self._post(event)
            case LinkChanged():
                self._client = None
                self._delivery.disconnect()
                self._post(event)
            case _Puback(mid, reason):
                if mid in self._mids:
                    self._mids.discard(mid)
                    self._delivery.puback()
                if reason:
                    log.error("the broker refused a message: %s; check its access list", reason)
            case wire.Reply():
                if self._client is not None:
                    self._client.publish(self._topics.topic("reply"), wire.encode(event), qos=1)
            case _ if event is Reader:
                self._renewed = self._forking = True
                self._renewals += 1
            case _Message():
                self._message(event)

    def _begin_journal(self) -> None:
        """Deliver what the file holds now. Opened here: the daemon's loop never waits for a disk.

        Where the file cannot be read this raises, which ends the thread; it is started again, and begins here.
        """
        fresh = type(self._journal)(self._journal.path)
        self._journal.close()
        self._journal = fresh
        self._delivery = self._new_delivery()
        self._forks.begin(self._delivery.head)
        self._generation = self._renewals
        self._renewed = self._forking = False
        self._mids.clear()
        if self._client is not None:
            self._delivery.connect(self._boot_ms())
            self._publish_status()

    def _came_up(self, client: paho.Client) -> None:
        self._client = client
        self._mids.clear()
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._subscriptions()])
        self._delivery.connect(self._boot_ms())
        self._post(LinkChanged(connected=True))
        self._beat()

    def _subscriptions(self) -> list[str]:
        own = [self._topics.topic(leaf) for leaf in ("ack", "command", "roster")]
        return [*own, wire.collector_status_topic(self._topics.site)]

    def _message(self, message: _Message) -> None:
        topic, payload = message.topic, message.payload
        try:
            if len(payload) > wire.MAX_MESSAGE_BYTES:
                raise UsageError(f"found {len(payload)} bytes, wanted at most {wire.MAX_MESSAGE_BYTES}")
            if topic == self._topics.topic("ack"):
                self._acknowledged(wire.decode(payload, wire.Ack))
            elif topic == wire.collector_status_topic(self._topics.site):
                self._collector_said(wire.decode(payload, wire.CollectorStatus))
            elif topic == self._topics.topic("roster"):
                if self._nudged == self._nudges_taken:  # one that waits is as good as two
                    self._nudged += 1
                    self._post(RosterNudged())
            elif topic == self._topics.topic("command"):
                self._post(CommandArrived(self._door.admit(payload, message.seal)))
        except FabgateError as error:
            self._refused(topic, str(error))

    def _refused(self, topic: str, detail: str) -> None:
        refusals = self._refusals.setdefault(topic, _Refusals())
        refusals.count += 1
        refusals.detail = detail
        if refusals.told == 0 or self._boot_ms() - refusals.told_ms >= REFUSED_S * 1000:
            self._tell_refused(topic, refusals)

    def _tell_refused(self, topic: str, refusals: _Refusals) -> None:
        refusals.told, refusals.told_ms = refusals.count, self._boot_ms()
        log.warning("refused a message on %s: %s (%d so far)", topic, refusals.detail, refusals.count)
        if topic == self._topics.topic("command"):
            self._post(CommandsRefused(refusals.count, refusals.detail))

    def _new_delivery(self) -> Delivery:
        floor, head, mark = self._journal.bounds()
        return Delivery(
            floor=floor,
            head=head,
            mark=mark,
            resend_ms=round(self._resend.resend_s * 1000),
            resend_max_ms=round(self._resend.resend_max_s * 1000),
        )

    def _collector_said(self, status: wire.CollectorStatus) -> None:
        if self._pinned and status.collector != self._collector:
            log.warning("refused the collector %s: gate.yaml obeys %s only", status.collector, self._collector)
            return
        if status.collector != self._collector and not status.online:
            log.info("not followed: the collector %s, which is announced as offline", status.collector)
            return  # the last will of one that ran before may be published after another one took over
        if status.collector != self._collector:
            log.info("the site's collector is %s", status.collector)
            self._collector = status.collector
            self._publish_status()  # it may know less than the one before: it answers with what it has
        early, self._early_ack = self._early_ack, None
        if early is not None:
            self._acknowledged(early)

    def _acknowledged(self, ack: wire.Ack) -> None:
        if ack.journal != self._journal.id or self._forking:
            return  # a mark that is said now would be taken for one of the new journal
        if ack.collector != self._collector:
            self._early_ack = ack  # its collector may announce itself in the next message
            return
        if not 0 <= ack.seq < 1 << 63:
            raise UsageError(f"found an acknowledgement of entry {ack.seq}, wanted a number of 63 bits")
        ours = self._journal.hash_at(ack.seq)
        self._delivery.trimmed(self._journal.bounds()[0])  # after the look: what went meanwhile is no other history
        mark = self._delivery.mark
        same = ours is not None and ours == from_text(ack.hash)
        answer = self._delivery.ack(ack.seq, same_history=same, now_ms=self._boot_ms())
        if answer is Answer.FORK:
            self._differs(ack)
        elif same and ack.seq and self._forks.agrees(ack.seq, self._boot_ms()):
            self._post(HistoryAgrees())
        if self._delivery.mark != mark:
            self._post(MarkMoved(self._delivery.mark, self._generation))

    def _differs(self, ack: wire.Ack) -> None:
        if not self._forks.differs(ack.seq, self._boot_ms()):
            return
        wait_min = self._forks.wait_ms // 60_000
        when = f"in {wait_min} min" if wait_min else "now"
        detail = (
            f"the collector has another entry {ack.seq} of journal {ack.journal}: the journal goes on under another id"
            f" {when} ({self._forks.count} times so far). That is right after an image of the card was put back; else the"
            " collector is at fault"
        )
        log.error("%s", detail)
        self._post(HistoryDiffers(detail))

    def _pump(self) -> None:
        room, beside = 0 if self._forking or self._forks.is_waiting else self._delivery.room(), packer(self._journal.id)
        while room > 0 and self._client is not None:
            entries = self._journal.after(self._delivery.next - 1, most=room)
            if not entries:
                return
            for entry in entries:
                topic, properties = self._topics.event(entry.type), beside(entry.seq)
                self._mids.add(self._client.publish(topic, entry.body, qos=1, properties=properties).mid)
                self._delivery.sent(entry.seq)
            room = self._delivery.room()

    def _beat(self) -> None:
        self._beat_at = self._boot_ms() + wire.HEARTBEAT_S * 1000
        for topic, refusals in self._refusals.items():
            if refusals.told < refusals.count:
                self._tell_refused(topic, refusals)
        self._publish_status()
        self._publish_state()

    def _publish_status(self) -> None:
        if self._client is None or self._forking:
            return
        floor, head, _ = self._journal.bounds()
        self._floor_told = floor
        self._delivery.trimmed(floor)
        mark = self._delivery.mark
        known = self._journal.hash_at(mark)
        fields = {name: getattr(self._status, name) for name in self._status.__struct_fields__}
        fields |= {
            "journal": self._journal.id,
            "floor": floor,
            "head": head,
            "mark": mark,
            "hash": None if known is None else to_text(known),
            "collector": self._collector,
        }
        self._client.publish(self._topics.topic("status"), wire.encode(wire.Status(**fields)), qos=1, retain=True)

    def _publish_state(self) -> None:
        if self._client is not None and self._state is not None:
            self._client.publish(self._topics.topic("state"), wire.encode(self._state), qos=1, retain=True)
