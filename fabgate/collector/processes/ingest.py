"""``fabgate collector ingest``: moves messages from the broker to the database.

It takes up to 1,000 messages that have arrived, stores them in one transaction, and publishes the acks. Gates repeat
entries that were not acknowledged, so nothing is lost or stored twice, wherever ingest is killed.
"""

from __future__ import annotations

import logging
import queue
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from fabgate import wire
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import Collector, Gate, Heartbeat, Pulse
from fabgate.collector.recording.broker import deliveries
from fabgate.collector.recording.broker.deliveries import Deliveries
from fabgate.collector.recording.broker.floods import Floods
from fabgate.collector.recording.broker.inbox import Connected, Inbox, Lost, Posted
from fabgate.collector.recording.broker.link import Link
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.broker.publication import Publication
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import FabgateError
from fabgate.mqtt import certificates
from fabgate.mqtt.silence import Remedy

log = logging.getLogger(__name__)

MAX_BATCH: Final = 1_000
#: A batch is in memory several times while it is stored: as received, decoded, and as rows.
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
#: While a gate floods, batches are shorter, because other gates wait for the end of each.
FLOODED_BATCH: Final = 200
FLOODED_BATCH_BYTES: Final = 1024 * 1024
#: How long another collector's retained 'online' may take to arrive after the subscription, in seconds.
LISTEN_S: Final = 1.0
RETRY_S: Final = 1.0
#: From this batch size on, larger batches matter more than the delay of a message. Mosquitto's default queue is smaller
#: than this and drops the rest, so that with it ingest never waits.
CROWD: Final = 900
#: A batch that takes longer, in seconds, has waited for the disk or the database.
STORED_WITHIN_S: Final = 5.0
#: How long messages are read before each batch while a gate floods, in seconds.
FLOODED_READ_S: Final = 1.0
#: How long nothing is stored, so that the other thread can read what a flood left in the broker's queue: 20,000
#: messages.
DRAIN_S: Final = 3.0
#: How long the other thread reads before the queue is checked again: longer if more arrives.
READ_FIRST_S: Final = 0.001
READ_MOST_S: Final = 0.016
#: What gates are told; the error itself may name hosts and accounts.
NOT_WRITTEN: Final = "its database cannot be written; see /healthz and its log"
#: How often a heartbeat is written (faces/api/health.py waits six times as long before it reports a problem).
BEAT_S: Final = 10.0


def run(*, takeover: bool) -> None:
    """Run until SIGTERM or SIGINT; with `takeover` also while another collector is online at the site."""
    env: Environment = settings.ENVIRONMENT
    ingest = Ingest(env, takeover=takeover)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ingest.stop())
    ingest.run()


class Ingest:
    """The loop. It owns the database connection; the thread of the link only fills the inbox.

    `now_ms` is the clock by which silence is measured.
    """

    def __init__(
        self,
        env: Environment,
        *,
        takeover: bool = False,
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self._env = env
        self._takeover = takeover
        #: The identity of the open database file. Another file may get its name, and what is written to a nameless file
        #: is lost.
        self._file = data_folder.identity(env.database)
        self._store = Store(env.site)
        self._inbox = Inbox()
        self._link = Link(env, collector=self._store.collector, inbox=self._inbox)
        self._status_topic = wire.collector_status_topic(env.site)
        self._stopping = False
        #: Until when to wait for another collector's status (monotonic seconds); None: the wait is over.
        self._listen_until: float | None = None
        self._serving = False
        #: When to publish every gate's ack (monotonic seconds); None: they are published.
        self._greet_at: float | None = None
        #: Whether the last batch was large, so that storing messages one by one would be too slow.
        self._is_crowded = False
        self._floods = Floods()
        #: Why nothing can be stored now, as the status says it to gates; "" if it can.
        self._not_stored = ""
        self._now_ms = now_ms
        self._deliveries = Deliveries(now_ms())
        self._trouble = "it has just started"
        #: What is wrong with the dates of the broker's certificate, according to the last attempt to connect.
        self._certificate = ""
        self._beat_at = 0.0

    def stop(self) -> None:
        """Ask the loop to end; safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Store messages until stopped.

        Raises FabgateError if another collector serves the site, or the database is gone.
        """
        log.info("collector %s of %s: broker %s:%d", self._store.collector, self._env.site, *self._broker)
        self._link.start()
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._link.stop(orderly=self._serving)

    @property
    def _broker(self) -> tuple[str, int]:
        return self._env.mqtt_host, self._env.mqtt_port

    def _turn(self) -> None:
        messages = self._handle(self._take())
        self._is_crowded = len(messages) >= CROWD
        if messages:
            began_s, cpu_s = time.monotonic(), time.thread_time()
            self._publish(self._persist(messages))
            self._inbox.stored(messages, time.thread_time() - cpu_s)
            if time.monotonic() - began_s > STORED_WITHIN_S:
                self._inbox.refused()  # nothing was stored for a while, so healthy gates have repeated everything
        self._watch_floods()
        if self._listen_until is not None and time.monotonic() >= self._listen_until:
            self._listen_until = None
            self._serve()
        if self._greet_at is not None and time.monotonic() >= self._greet_at:
            self._greet_gates()
        if self._link.is_stuck:
            log.error("no connection to %s:%d for a while: starting a new one", *self._broker)
            self._replace_link()
        self._watch_deliveries()
        self._beat()

    def _replace_link(self, *, forget_session: bool = False) -> None:
        self._link.stop(orderly=False)
        self._link = Link(self._env, collector=self._store.collector, inbox=self._inbox, forget_session=forget_session)
        self._link.start()

    def _watch_deliveries(self) -> None:
        """Find out whether the broker delivers. If not, make a new connection, without what the broker has kept."""
        now_ms = self._now_ms()
        if not (self._serving and self._link.connected):
            self._deliveries.no_connection(now_ms)
            return
        match self._deliveries.look(self._link.arrived, now_ms):
            case Remedy.ASK:
                self._link.subscribe([self._status_topic])
            case Remedy.RECONNECT:
                log.error("%s; connecting again", deliveries.DEAD)
                self._replace_link(forget_session=True)

    def _delivery_trouble(self) -> str:
        """Return why nothing arrives from gates, or ""."""
        if why := self._link.refused_subscription:
            return f"the broker refuses a subscription ({why}): check its access list"
        return self._deliveries.trouble(self._now_ms(), online=Gate.count_online)

    def _watch_floods(self) -> None:
        """Unsubscribe from gates that flood.

        Their queued messages are read first, because those of other gates wait behind them.
        """
        refused = self._inbox.refused()
        if not (self._serving and self._link.connected):
            return
        if self._floods.look(refused, time.monotonic()):
            self._subscribe()
            self._say()
        if refused:
            self._name_loud(refused)
            self._read_on(DRAIN_S)

    def _name_loud(self, gates: set[str]) -> None:
        """Record which gates send too much, for the pages and /healthz."""
        try:
            with transaction.atomic():
                now = datetime.now(UTC)
                if Gate.objects.filter(name__in=gates).update(too_much_at=now):
                    pulse.notify({Pulse.FLOOR: gates}, now)
        except (DatabaseError, InterfaceError) as error:
            log.warning("cannot record that %s sends too much: %s", ", ".join(sorted(gates)), error)
            connection.close()

    def _read_on(self, most_s: float, *, or_refused: bool = False) -> None:
        """Wait until all messages that have arrived are read, or a gate was refused, to notice floods sooner."""
        until_s = time.monotonic() + most_s
        while self._link.has_more and time.monotonic() < until_s and not self._stopping:
            if or_refused and self._inbox.has_refused:
                return
            time.sleep(READ_MOST_S)

    def _beat(self) -> None:
        """Write the heartbeat regularly, and at once if the problem has changed."""
        trouble = ""
        if not (self._serving and self._link.connected):
            trouble = ": ".join(filter(None, (f"no connection to {self._broker[0]}", self._certificate)))
        if not trouble and self._link.is_refused:
            trouble = "the broker refuses what is published: check its access list"
        try:
            trouble = trouble or self._delivery_trouble()
        except (DatabaseError, InterfaceError):
            connection.close()  # writing the heartbeat fails, too, and says so
        if trouble == self._trouble and time.monotonic() < self._beat_at:
            return
        self._trouble, self._beat_at = trouble, time.monotonic() + BEAT_S
        self._check_file()
        try:
            trouble = trouble or Collector.zone_trouble(settings.ENVIRONMENT.tz)
            known = {"broker_until": self._link.certificate_ends} if self._link.connected else {}
            Heartbeat.beat(Heartbeat.INGEST, datetime.now(UTC), trouble, **known)
        except (DatabaseError, InterfaceError) as error:
            log.warning("the heartbeat cannot be written: %s", error)
            connection.close()

    def _take(self) -> list[Posted]:
        """Return up to MAX_BATCH messages.

        Waits only for the first one; if many gates send at once, also reads all that have arrived.
        """
        try:
            found = [self._inbox.get(timeout_s=0.2)]
        except queue.Empty:
            return []
        read_s = READ_FIRST_S
        while self._is_crowded and not self._is_batch_full() and self._link.has_more and not self._stopping:
            time.sleep(read_s)
            read_s = min(read_s * 2, READ_MOST_S)
        if self._inbox.is_flooded:
            self._read_on(FLOODED_READ_S, or_refused=True)
        most = (FLOODED_BATCH, FLOODED_BATCH_BYTES) if self._inbox.is_flooded else (MAX_BATCH, MAX_BATCH_BYTES)
        return [*found, *self._inbox.take(most[0] - 1, most[1])]

    def _is_batch_full(self) -> bool:
        return self._inbox.count >= MAX_BATCH or self._inbox.bytes >= MAX_BATCH_BYTES

    def _handle(self, posted: Sequence[Posted]) -> list[Received]:
        messages = []
        for item in posted:
            if isinstance(item, Connected):
                self._greet()
            elif isinstance(item, Lost):
                log.warning("no connection to %s:%d: %s", *self._broker, item.why)
                self._certificate = item.certificate
                self._listen_until = None
            elif item.topic == self._status_topic:
                self._follow_collector_status(item.body)
            elif self._serving:
                messages.append(item)
                self._deliveries.of_a_gate(self._now_ms())
            # Before we serve, a queued message is dropped; the gate repeats it.
        return messages

    def _greet(self) -> None:
        """Listen for another collector before serving: a second one for a site would take over its gates."""
        log.info("connected to %s:%d", *self._broker)
        self._certificate = ""
        if warning := certificates.ending(self._link.certificate_ends, datetime.now(UTC), "broker's"):
            log.warning("%s", warning)
        self._link.subscribe([self._status_topic])
        if self._serving:
            self._serve()
        else:
            self._listen_until = time.monotonic() + LISTEN_S

    def _serve(self) -> None:
        self._serving = True
        # In this order: the subscription brings the retained status, which must already be ours (--takeover).
        self._say()
        self._subscribe()
        self._greet_at = time.monotonic()
        log.info("serving %s", self._env.site)

    def _say(self) -> None:
        """Publish that we are online, and which gates wait in vain for an acknowledgement."""
        self._link.say_online(online=True, trouble=self._not_stored, refused=sorted(self._floods.shut))

    def _subscribe(self) -> None:
        """Subscribe to all gates with a wildcard; while some are shut out, to each of the other known gates.

        Old subscriptions are ended, because the broker keeps them, and MQTT cannot exclude a single gate.
        """
        site, shut = self._env.site, self._floods.shut
        try:
            known = Gate.objects.order_by("name").values_list("name", flat=True)
            single = {name: wire.gate_subscriptions(site, name) for name in known}
        except (DatabaseError, InterfaceError) as error:
            log.error("the list of gates cannot be read (%s)", error)
            connection.close()
            single = {name: wire.gate_subscriptions(site, name) for name in shut}
            shut = frozenset()
        everybody = wire.collector_subscriptions(site)
        if shut:
            log.error(
                "%s: more messages arrive than one gate may send; not listening for a while",
                ", ".join(sorted(shut)),
            )
            self._link.subscribe(
                [one for name, own in single.items() if name not in shut for one in own], retained=False
            )
            self._link.unsubscribe([*everybody, *(one for name in shut for one in wire.gate_subscriptions(site, name))])
        else:
            self._link.subscribe(everybody)
            self._link.unsubscribe([one for own in single.values() for one in own])

    def _greet_gates(self) -> None:
        """Publish the ack of each journal and the roster versions; later if the database is not available.

        Messages that arrive meanwhile wait in ``_persist`` for the same database, and are not acknowledged.
        """
        self._greet_at = None
        try:
            greetings = self._store.greetings()
        except (OperationalError, InterfaceError) as error:
            self._check_file()
            log.error("the state of journals cannot be read (%s); trying again", error)
            connection.close()
            self._greet_at = time.monotonic() + RETRY_S
            return
        self._publish(greetings)

    def _follow_collector_status(self, body: bytes) -> None:
        try:
            status = wire.decode(body, wire.CollectorStatus)
        except FabgateError as error:
            log.warning("an invalid status on %s is ignored: %s", self._status_topic, error)
            return
        is_own = status.collector == self._store.collector
        if self._serving and not status.online:
            self._say()  # the 'offline' comes from a lost connection or an earlier collector
        if is_own or not status.online or (self._takeover and not self._serving):
            return
        self._serving = False  # so that our 'offline' does not replace the other collector's 'online'
        raise FabgateError(
            f"another collector ({status.collector[:64]!r}) is online at the site {self._env.site}; stop it, or start"
            f" this one ({self._store.collector}) with --takeover"
        )

    def _persist(self, messages: list[Received]) -> list[Publication]:
        """Store the messages. While the database cannot be written, try again: nothing was acknowledged yet."""
        while not self._stopping:
            try:
                with self._alone():
                    stored = self._store.store(messages, datetime.now(UTC))
                self._is_stored(why_not="")
                return stored
            except (OperationalError, InterfaceError) as error:
                self._check_file()
                log.error("%d messages cannot be stored (%s); trying again", len(messages), error)
                self._is_stored(why_not=NOT_WRITTEN)
                connection.close()
                time.sleep(RETRY_S)
        return []

    def _is_stored(self, *, why_not: str) -> None:
        """Tell gates once that nothing is stored, and once that it is again."""
        if why_not != self._not_stored:
            self._not_stored = why_not
            if self._link.connected:
                self._say()

    def _alone(self) -> AbstractContextManager[None]:
        """In a crowd, pause the reader while SQLite computes in this process; a server has its own process."""
        is_ours = connection.vendor == "sqlite"
        return self._link.held_back() if self._is_crowded and is_ours else nullcontext()

    def _publish(self, publications: list[Publication]) -> None:
        if publications:
            self._check_file()
        for publication in publications:
            self._link.publish(publication.topic, publication.body)

    def _check_file(self) -> None:
        """Raise FabgateError if the open file was deleted or replaced: what is written to it would be lost."""
        if self._env.database_url:
            return  # a database server checks its own files
        found = data_folder.identity(self._env.database)
        if found is None or found != self._file:
            raise FabgateError(
                f"found {self._env.database} {'gone' if found is None else 'replaced by another file'} while it was in"
                " use, wanted the file that was opened: nothing more is acknowledged. Put it back, or restore a copy"
            )
