"""Delivers the journal to the collector over MQTT 5, and receives acknowledgements, commands and roster nudges.

Two threads: ``network`` owns the connection and queues what arrives; ``uplink`` takes that queue, asks ``Delivery``
which entries to send, reads them from the journal and publishes the stored bytes, until the collector acknowledges them.

Nothing here can switch a machine: what arrives is posted to the daemon's inbox.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.subscribeoptions import SubscribeOptions

from fabgate import wire
from fabgate.errors import FabgateError, UsageError
from fabgate.gate.clock import boottime_ms
from fabgate.gate.config.authorities import Authorities
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.config.keys import gate_keys
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.uplink.commands import CommandFilter
from fabgate.gate.uplink.delivery import AckResult, Delivery
from fabgate.gate.uplink.events import (
    CommandArrived,
    CommandsRefused,
    Connected,
    DeliveryProblem,
    ForkFound,
    HistoryAgrees,
    HistoryDiffers,
    JournalGrew,
    JournalReplaced,
    LinkChanged,
    MarkMoved,
    MessageArrived,
    OwnCertificate,
    Puback,
    RosterNudged,
    Stop,
    SubscriptionRefused,
)
from fabgate.gate.uplink.forks import Forks
from fabgate.gate.uplink.network import Network
from fabgate.gate.uplink.refusals import Refusals
from fabgate.gate.uplink.watch import DEAD, Watch
from fabgate.mqtt.properties import packer
from fabgate.mqtt.silence import Remedy
from fabgate.seal import from_text, to_text

log = logging.getLogger(__name__)

#: After this many events, work that is due (a heartbeat, entries) is done, however many events wait.
BATCH: Final = 200
_RETAINED: Final[tuple[wire.Leaf, ...]] = ("status", "state")


class Uplink:
    """One gate's uplink. `post` takes the events of ``events`` that are for the loop; `boot_ms` is the boot clock.

    `pause` waits for some seconds before the next attempt to connect, or until the event is set.
    """

    def __init__(
        self,
        config: Config,
        journal: JournalReader,
        post: Callable[[object], None],
        *,
        authorities: Authorities | None = None,
        boot_ms: Callable[[], int] = boottime_ms,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        assert config.mqtt is not None
        self._topics = config.topics
        self._journal = journal
        self._resend = config.uplink
        self._post = post
        self._boot_ms = boot_ms
        self._delivery = self._new_delivery()
        self._collector: str | None = config.collector_id
        self._is_pinned = config.collector_id is not None
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._stop = threading.Event()
        keys = gate_keys(config)
        self._network = Network(
            config.mqtt,
            config.topics,
            keys,
            self._queue.put,
            authorities=authorities or Authorities(config),
            boot_ms=boot_ms,
            pause=pause,
        )
        self._commands = CommandFilter(account=config.topics.account, keys=keys)
        self._watch = Watch(config.topics.gate)
        #: The last one that was posted.
        self._delivery_problem = ""
        self._client: paho.Client | None = None
        self._status = wire.Status(online=True)
        self._state: wire.State | None = None
        self._heartbeat_ms = 0
        #: The floor in the last published status.
        self._published_floor = 0
        self._early_ack: wire.Ack | None = None
        #: Nudges posted, and nudges that the loop has handled; each is written by one thread.
        self._nudges_posted = 0
        self._nudges_handled = 0
        self._refusals: dict[str, Refusals] = {}
        #: The collector knows another history. Nothing of the old journal is published any more: the file becomes
        #: another journal at a moment that this thread does not see.
        self._is_forking = False
        self._forks = Forks()
        #: Whether the file holds another journal, which is not open here yet.
        self._is_replaced = False
        #: How many replacements were reported, now and when the journal that is delivered was opened.
        self._replacements = 0
        self._generation = 0
        #: The last one that was posted.
        self._own_certificate: OwnCertificate | None = None
        #: Message ids of entries on this connection that the broker has not confirmed; status and state have others.
        self._mids: set[int] = set()

    # --- called by the daemon -----------------------------------------------------------------------------------------

    def run_network(self) -> None:
        """Keep a connection until asked to stop; for a thread of its own."""
        self._network.run()

    def entries_stored(self, head: int) -> None:
        """Report that the journal grew, or that entries may have been trimmed."""
        self._queue.put(JournalGrew(head))

    def publish(self, message: wire.Status | wire.State) -> None:
        """Publish the newest status or state, now or once connected, and again with each heartbeat."""
        self._queue.put(message)

    def journal_replaced(self) -> None:
        """Report that the file holds another journal now; it is delivered from its beginning."""
        self._queue.put(JournalReplaced())

    def handled(self, event: CommandArrived | RosterNudged) -> None:
        """Report that the loop has handled this event: only a few may be in the inbox at a time."""
        if isinstance(event, CommandArrived):
            self._commands.handled()
        else:
            self._nudges_handled += 1

    def reply(self, reply: wire.Reply) -> None:
        """Answer a command."""
        self._queue.put(reply)

    def clear_retained(self, *, timeout_s: float) -> bool:
        """Clear the gate's retained topics before it gets another name; return whether the broker confirmed it."""
        client = self._client
        if client is None:
            return False
        self._network.drop_will()
        cleared = [client.publish(self._topics.topic(leaf), b"", qos=1, retain=True) for leaf in _RETAINED]
        try:
            for info in cleared:
                info.wait_for_publish(timeout_s)
            return all(info.is_published() for info in cleared)
        except (RuntimeError, ValueError):  # what paho raises for a lost connection, and for a full queue
            return False

    def stop(self) -> None:
        """Ask both threads to end."""
        self._stop.set()
        self._network.stop()
        self._queue.put(Stop())

    # --- the uplink thread --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Deliver until asked to stop."""
        while not self._stop.is_set():
            try:
                event = self._queue.get(timeout=self._timeout_s())
            except Empty:
                event = None
            for _ in range(BATCH):  # entries then leave in batches, with one query of the journal for each
                if self._queue.empty():
                    break
                self._handle(event)
                event = self._queue.get()
            self._turn(event)

    def _turn(self, event: object) -> None:
        """Handle an event, then do what is due."""
        self._handle(event)
        if self._is_replaced:
            self._open_journal()
        if self._forks.due(self._boot_ms()):
            self._is_forking = True
            self._post(ForkFound())
        mark = self._delivery.mark
        if self._delivery.due(self._boot_ms()):
            self._publish_status()
            self._watch.repeated()
        self._look()
        if self._delivery.mark != mark:
            # The journal needs the new mark too: entries that a restored collector lacks are unacknowledged again, and
            # not trimmed.
            self._post(MarkMoved(self._delivery.mark, self._generation))
        if self._boot_ms() >= self._heartbeat_ms:
            self._heartbeat()
        self._publish_entries()

    def _look(self) -> None:
        """Find out whether anything arrives, and report why entries wait."""
        if self._delivery.mark == self._delivery.head:
            self._watch.acknowledged()
        if self._client is not None:
            match self._watch.due(self._boot_ms()):
                case Remedy.ASK:  # the broker sends a retained message with each subscription
                    self._subscribe(self._client, [wire.collector_status_topic(self._topics.site)])
                case Remedy.RECONNECT:
                    log.error("%s: connecting again", DEAD)
                    self._network.reconnect(DEAD)
        problem = self._watch.problem(self._boot_ms())
        if problem != self._delivery_problem:
            self._delivery_problem = problem
            self._post(DeliveryProblem(problem))

    def _timeout_s(self) -> float:
        if self._is_replaced:
            return 0.0
        heartbeat_ms = self._heartbeat_ms
        others = (self._delivery.deadline(), self._forks.deadline(), self._watch.deadline())
        soonest = min([heartbeat_ms, *(ms for ms in others if ms is not None)])
        return min(60.0, max(0.0, (soonest - self._boot_ms()) / 1000)) if self._client else 60.0

    def _handle(self, event: object) -> None:  # noqa: C901 - one case an event, read as a table
        match event:
            case JournalGrew(head):
                self._delivery.stored(head, self._boot_ms())
                if self._journal.bounds()[0] != self._published_floor:
                    self._publish_status()  # the collector skips what was trimmed and never arrived
            case wire.Status():
                self._status = event
                self._publish_status()
            case wire.State():
                self._state = event
                self._publish_state()
            case Connected(client):
                self._connected(client)
            case OwnCertificate():
                if event != self._own_certificate:
                    self._own_certificate = event
                    self._post(event)
            case LinkChanged():
                self._client = None
                self._delivery.disconnect()
                self._post(event)
            case Puback(mid, reason):
                if mid in self._mids:
                    self._mids.discard(mid)
                    self._delivery.puback()
                if reason:
                    log.error("the broker refused a message: %s; check its access list", reason)
                    self._watch.refused(reason)
            case SubscriptionRefused(reason):
                log.error("the broker refused a subscription: %s; check its access list", reason)
                self._watch.refused_subscription(reason)
            case wire.Reply():
                if self._client is not None:
                    self._client.publish(self._topics.topic("reply"), wire.encode(event), qos=1)
            case JournalReplaced():
                self._is_replaced = self._is_forking = True
                self._replacements += 1
            case MessageArrived():
                if event.qos:
                    self._watch.heard()
                self._message(event)

    def _open_journal(self) -> None:
        """Deliver the journal that the file holds now.

        It is opened in this thread, because the loop never waits for a disk. Where the file cannot be read this raises
        and ends the thread, which is started again and comes back here.
        """
        journal = type(self._journal)(self._journal.path)
        self._journal.close()
        self._journal = journal
        self._delivery = self._new_delivery()
        self._forks.begin(self._delivery.head)
        self._generation = self._replacements
        self._is_replaced = self._is_forking = False
        self._mids.clear()
        if self._client is not None:
            self._delivery.connect(self._boot_ms())
            self._publish_status()

    def _connected(self, client: paho.Client) -> None:
        self._client = client
        self._mids.clear()
        self._watch.connected()
        self._subscribe(client, self._subscriptions())
        self._delivery.connect(self._boot_ms())
        self._post(LinkChanged(connected=True))
        self._heartbeat()

    def _subscribe(self, client: paho.Client, topics: list[str]) -> None:
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])

    def _subscriptions(self) -> list[str]:
        own = [self._topics.topic(leaf) for leaf in ("ack", "command", "roster")]
        return [*own, wire.collector_status_topic(self._topics.site)]

    def _new_delivery(self) -> Delivery:
        floor, head, mark = self._journal.bounds()
        return Delivery(
            floor=floor,
            head=head,
            mark=mark,
            resend_ms=round(self._resend.resend_s * 1000),
            resend_max_ms=round(self._resend.resend_max_s * 1000),
        )

    # --- what arrives -------------------------------------------------------------------------------------------------

    def _message(self, message: MessageArrived) -> None:
        topic, payload = message.topic, message.payload
        try:
            if len(payload) > wire.MAX_MESSAGE_BYTES:
                raise UsageError(f"found {len(payload)} bytes, wanted at most {wire.MAX_MESSAGE_BYTES}")
            if topic == self._topics.topic("ack"):
                self._acknowledged(wire.decode(payload, wire.Ack))
            elif topic == wire.collector_status_topic(self._topics.site):
                self._collector_status(wire.decode(payload, wire.CollectorStatus))
            elif topic == self._topics.topic("roster"):
                if self._nudges_posted == self._nudges_handled:  # a second one would change nothing
                    self._nudges_posted += 1
                    self._post(RosterNudged())
            elif topic == self._topics.topic("command"):
                self._post(CommandArrived(self._commands.admit(payload, message.seal)))
        except FabgateError as error:
            refusals = self._refusals.setdefault(topic, Refusals())
            if refusals.add(str(error), self._boot_ms()):
                self._report_refusals(topic, refusals)

    def _report_refusals(self, topic: str, refusals: Refusals) -> None:
        refusals.reported(self._boot_ms())
        log.warning("refused a message on %s: %s (%d so far)", topic, refusals.detail, refusals.count)
        if topic == self._topics.topic("command"):
            self._post(CommandsRefused(refusals.count, refusals.detail))

    def _collector_status(self, status: wire.CollectorStatus) -> None:
        if self._is_pinned and status.collector != self._collector:
            log.warning("refused the collector %s: gate.yaml allows only %s", status.collector, self._collector)
            return
        if status.collector != self._collector and not status.online:
            if self._collector is None:
                self._watch.collector_is(status)
            log.info("not followed: the collector %s, which is announced as offline", status.collector)
            return  # the last will of an earlier collector may be published after another one took over
        if status.collector != self._collector:
            log.info("the site's collector is %s", status.collector)
            self._collector = status.collector
            self._publish_status()  # it may know less than the one before: it answers with what it has
        self._watch.collector_is(status)
        early, self._early_ack = self._early_ack, None
        if early is not None:
            self._acknowledged(early)

    def _acknowledged(self, ack: wire.Ack) -> None:
        if ack.journal != self._journal.id or self._is_forking:
            return  # an acknowledgement passed on now would be applied to the new journal
        if ack.collector != self._collector:
            self._early_ack = ack  # its collector may announce itself in the next message
            return
        if not 0 <= ack.seq < 1 << 63:
            raise UsageError(f"found an acknowledgement of entry {ack.seq}, wanted a number of 63 bits")
        own_hash = self._journal.hash_at(ack.seq)
        self._delivery.trimmed(self._journal.bounds()[0])  # after the look-up: a trimmed entry is not another history
        mark = self._delivery.mark
        is_same = own_hash is not None and own_hash == from_text(ack.hash)
        result = self._delivery.ack(ack.seq, floor=ack.floor, same_history=is_same, now_ms=self._boot_ms())
        if result is AckResult.MOVED:
            self._watch.acknowledged()
        if result is AckResult.FORK:
            self._history_differs(ack)
        elif result is AckResult.PARTIAL:
            self._publish_status()  # it says what we have; the collector answers with what it has of that
        elif is_same and ack.seq and self._forks.agrees(ack.seq, self._boot_ms()):
            self._post(HistoryAgrees())
        if self._delivery.mark != mark:
            self._post(MarkMoved(self._delivery.mark, self._generation))

    def _history_differs(self, ack: wire.Ack) -> None:
        if not self._forks.differs(ack.seq, self._boot_ms()):
            return
        wait_min = self._forks.wait_ms // 60_000
        when = f"in {wait_min} min" if wait_min else "now"
        detail = (
            f"the collector has another entry {ack.seq} of journal {ack.journal}: the journal continues under another id"
            f" {when} ({self._forks.count} times so far). That is right after an image of the card was put back; otherwise"
            " the collector is at fault"
        )
        log.error("%s", detail)
        self._post(HistoryDiffers(detail))

    # --- what is published --------------------------------------------------------------------------------------------

    def _publish_entries(self) -> None:
        room = 0 if self._is_forking or self._forks.is_waiting else self._delivery.room()
        properties = packer(self._journal.id)
        while room > 0 and self._client is not None:
            entries = self._journal.after(self._delivery.next - 1, most=room)
            if not entries:
                return
            for entry in entries:
                topic = self._topics.event(entry.type)
                published = self._client.publish(topic, entry.body, qos=1, properties=properties(entry.seq))
                self._mids.add(published.mid)
                self._delivery.sent(entry.seq)
            room = self._delivery.room()

    def _heartbeat(self) -> None:
        self._heartbeat_ms = self._boot_ms() + wire.HEARTBEAT_S * 1000
        for topic, refusals in self._refusals.items():
            if refusals.has_unreported():
                self._report_refusals(topic, refusals)
        self._publish_status()
        self._publish_state()

    def _publish_status(self) -> None:
        if self._client is None or self._is_forking:
            return
        floor, head, _ = self._journal.bounds()
        self._published_floor = floor
        self._delivery.trimmed(floor)
        mark = self._delivery.mark
        mark_hash = self._journal.hash_at(mark)
        fields = {name: getattr(self._status, name) for name in self._status.__struct_fields__}
        fields |= {
            "journal": self._journal.id,
            "floor": floor,
            "head": head,
            "mark": mark,
            "hash": None if mark_hash is None else to_text(mark_hash),
            "collector": self._collector,
        }
        self._client.publish(self._topics.topic("status"), wire.encode(wire.Status(**fields)), qos=1, retain=True)

    def _publish_state(self) -> None:
        if self._client is not None and self._state is not None:
            self._client.publish(self._topics.topic("state"), wire.encode(self._state), qos=1, retain=True)
