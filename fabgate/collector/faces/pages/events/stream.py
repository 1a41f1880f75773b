"""Notifies all open pages of changes, with one query for all of them.

While any page is open, one task for each process polls for the highest pulse and wakes the listeners. Each sends its
page one event with all kinds of changes since the last one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar
from weakref import WeakSet

from django.db import connections, models

from fabgate.collector.ground.models import ApiKey, Pulse, SignIn

log = logging.getLogger(__name__)
T = TypeVar("T")

POLL_EVERY_S: Final = 0.1
#: Listeners are not woken more often, because no page reloads more often either.
WAKE_EVERY_S: Final = 0.25
#: Proxies drop idle connections.
KEEP_ALIVE_S: Final = 15.0
#: A revoked sign-in or link gets no more events after this time at the latest.
CHECK_EVERY_S: Final = 5.0
#: A page that missed more pulses than this reloads everything.
MAX_PULSES: Final = 200
EVERYTHING: Final = "*"
#: A comment, which browsers ignore.
_STILL_HERE: Final = b": still here\n\n"
#: The most streams of one sign-in; a browser needs one for all its tabs.
MAX_LISTENERS: Final = 100


@dataclass(frozen=True, slots=True)
class Listener:
    """Who may have a stream open until it is revoked: a sign-in, or the key in the link of a big display."""

    kind: type[SignIn | ApiKey]
    pk: int
    #: The kinds of changes that it is notified of; None: all of them, and at which gates.
    topics: frozenset[str] | None = None


class Stream:
    """The listeners of one event loop, and the task that polls for all of them."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._newest = 0
        self._listeners: dict[object, Listener] = {}
        self._revoked: set[Listener] = set()
        # Its own thread, so that slow pages do not delay it, with one open connection.
        self._thread = ThreadPoolExecutor(1, "fabgate-pulse")
        self._task: asyncio.Task[None] | None = None
        #: (last id, newest id, event): nearly all listeners need the same event.
        self._cached_event = (0, 0, b"")
        #: Keeps simultaneous listeners from starting two tasks.
        self._starting = asyncio.Lock()
        self._recent: list[tuple[int, str, str]] = []
        self.is_ended = False

    async def listen(self, after: int | None, listener: Listener) -> AsyncGenerator[bytes, None]:
        """Yield events with changes after the pulse `after`, until the listener is revoked or the server stops."""
        me = object()
        self._listeners[me] = listener
        try:
            async with self._starting:
                if self._task is None or self._task.done():
                    await self._poll()
                    self._task = asyncio.create_task(self._watch())
            last = self._newest if after is None else after
            yield b"retry: 2000\n\n" + _event(last, [], [])
            while not self.is_ended and listener not in self._revoked:
                woken = self._woken
                if self._newest != last:
                    # before sending, as more may arrive meanwhile
                    event, last = self._since(last, listener.topics), self._newest
                    yield event
                    continue
                try:
                    await asyncio.wait_for(woken.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield _STILL_HERE
        finally:
            del self._listeners[me]

    def end(self) -> None:
        """End every stream."""
        self.is_ended = True
        self._wake()

    def _since(self, last: int, topics: frozenset[str] | None) -> bytes:
        if topics is not None:
            found = {topic for topic, _gate in self._changes_since(last)} & {*topics, EVERYTHING}
            return _event(self._newest, sorted(found), []) if found else _STILL_HERE
        if self._cached_event[:2] != (last, self._newest):
            changes = self._changes_since(last)
            gates = {gate for _topic, gate in changes}
            # If one pulse names no gate, the event names none: otherwise a page would reload only the named ones.
            topics_changed = sorted({topic for topic, _gate in changes})
            event = _event(self._newest, topics_changed, [] if "" in gates else sorted(gates))
            self._cached_event = (last, self._newest, event)
        return self._cached_event[2]

    def _changes_since(self, last: int) -> list[tuple[str, str]]:
        """Return the topic and the gate of each change."""
        # lower ids than before mean another database: a restored backup
        known = last >= self._recent[0][0] - 1 if self._recent else False
        if not known or last > self._newest:
            return [(EVERYTHING, "")]
        return [(topic, gate) for pk, topic, gate in self._recent if pk > last]

    @property
    def _is_wanted(self) -> bool:
        return bool(self._listeners) and not self.is_ended

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()

    async def _watch(self) -> None:
        """Poll while anyone listens. A database error is logged once; polling continues."""
        checked, logged = time.monotonic(), ""
        while True:
            while self._is_wanted:
                await asyncio.sleep(POLL_EVERY_S)
                try:
                    before = self._newest
                    await self._poll()
                    if before != self._newest:
                        self._wake()
                        await asyncio.sleep(WAKE_EVERY_S - POLL_EVERY_S)
                    if time.monotonic() - checked >= CHECK_EVERY_S:
                        checked = time.monotonic()
                        await self._check()
                    logged = ""
                except Exception as error:  # noqa: BLE001 (whatever failed, it is retried)
                    if str(error) != logged:
                        log.error("open pages get no updates: %s", error)
                    logged = str(error)
                    await self._run(connections.close_all)
                    await asyncio.sleep(1)
            await self._run(connections.close_all)
            if not self._is_wanted:
                return
            # a listener that came while the connection was being closed has not started another task

    async def _poll(self) -> None:
        self._newest, fresh = await self._run(_pulses_after, self._newest)
        self._recent = [*self._recent, *fresh][-MAX_PULSES:]

    async def _check(self) -> None:
        listening = set(self._listeners.values())
        self._revoked = listening - await self._run(_valid, listening)
        if self._revoked:
            self._wake()

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)


class _Place:
    """The place of one stream among those of its listener. Only the stream refers to it."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener


_streams: dict[asyncio.AbstractEventLoop, Stream] = {}
#: Weak references, so that a place is free again if its stream ends, or is dropped before anything was sent.
_places: WeakSet[_Place] = WeakSet()


def listeners(listener: Listener) -> int:
    """Return the number of streams of a listener in this process, with those that send nothing yet."""
    return [place.listener for place in _places].count(listener)


def listen(after: int | None, listener: Listener) -> AsyncGenerator[bytes, None]:
    """Return the events for a page: see Stream.listen. It counts at once, so that no burst of requests exceeds a limit."""
    place = _Place(listener)
    _places.add(place)
    return _events(after, place)


async def _events(after: int | None, place: _Place) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    stream = _streams.get(loop)
    if stream is None:
        for closed in [other for other in _streams if other.is_closed()]:
            del _streams[closed]
        stream = _streams[loop] = Stream()
    async with aclosing(stream.listen(after, place.listener)) as events:  # a closed page no longer counts as a listener
        async for event in events:
            yield event


def end_all() -> None:
    """End every stream of this process; safe to call in a signal handler."""
    for loop, stream in list(_streams.items()):
        if not loop.is_closed():
            loop.call_soon_threadsafe(stream.end)


def _event(newest: int, topics: list[str], gates: list[str]) -> bytes:
    data = json.dumps({"topics": topics, "gates": gates}, separators=(",", ":"))
    return f"id: {newest}\nevent: {'pulse' if topics else 'hello'}\ndata: {data}\n\n".encode()


def _pulses_after(last: int) -> tuple[int, list[tuple[int, str, str]]]:
    newest = Pulse.newest()
    if newest == last:
        return newest, []
    rows = Pulse.objects.order_by("-id").values_list("id", "topic", "gate")
    pulses = list(rows[:MAX_PULSES] if last in (0, newest) or newest < last else rows.filter(id__gt=last)[:MAX_PULSES])
    return (pulses[0][0] if pulses else newest), pulses[::-1]


def _valid(listeners: set[Listener]) -> set[Listener]:
    rows: dict[type[models.Model], models.QuerySet[SignIn] | models.QuerySet[ApiKey]] = {
        SignIn: SignIn.objects.filter(revoked_at=None, account__is_active=True),
        ApiKey: ApiKey.valid(),
    }
    found = set()
    for kind in {listener.kind for listener in listeners}:
        wanted = {listener.pk for listener in listeners if listener.kind is kind}
        found |= {(kind, pk) for pk in rows[kind].filter(pk__in=wanted).values_list("pk", flat=True)}
    return {listener for listener in listeners if (listener.kind, listener.pk) in found}
