"""How do all open pages hear of a change soon, for the price of one?

One task a process looks at the highest pulse, for as long as anybody listens, and wakes every listener. Each sends its
page the kinds of things that changed since the last time, in one event, however many changes that were.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Final, TypeVar

from django.db import connections

from fabgate.collector.models import Pulse, SignIn

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_EVERY_S: Final = 0.1
#: Whoever was woken is not woken again sooner: no page asks more often, and many listeners cost as much as their pages.
WAKE_EVERY_S: Final = 0.25
#: A proxy drops a connection on which nothing comes.
KEEP_ALIVE_S: Final = 15.0
#: A revoked sign-in hears nothing more after so long.
CHECK_EVERY_S: Final = 5.0
#: Who missed more than so many asks for everything again.
MOST: Final = 200
EVERYTHING: Final = "*"
#: One sign-in listens so many times at once; a browser needs one for all its tabs.
MOST_LISTENERS: Final = 100


class Stream:
    """The listeners of one event loop, and the task that looks for them all."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._newest = 0
        self._sign_ins: dict[object, int] = {}
        self._revoked: set[int] = set()
        # One thread of its own, so that no slow page holds it back, and one connection that stays open.
        self._thread = ThreadPoolExecutor(1, "fabgate-pulse")
        self._task: asyncio.Task[None] | None = None
        #: The last event, and after which one it goes on: nearly all listeners wait for the same.
        self._told = (0, 0, b"")
        #: Two that come at the same time start one task.
        self._starting = asyncio.Lock()
        self._recent: list[tuple[int, str, str]] = []
        self.is_ended = False

    async def listen(self, after: int | None, sign_in: int) -> AsyncGenerator[bytes, None]:
        """Yield events until the sign-in is revoked or the server stops."""
        me = object()
        self._sign_ins[me] = sign_in
        try:
            async with self._starting:
                if self._task is None or self._task.done():
                    await self._look()
                    self._task = asyncio.create_task(self._watch())
            last = self._newest if after is None else after
            yield b"retry: 2000\n\n" + _event(last, [], [])
            while not self.is_ended and sign_in not in self._revoked:
                woken = self._woken
                if self._newest != last:
                    event, last = self._since(last), self._newest  # before it is sent: more may come meanwhile
                    yield event
                    continue
                try:
                    await asyncio.wait_for(woken.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            del self._sign_ins[me]

    def listeners(self, sign_in: int) -> int:
        """Return how many pages of a sign-in listen."""
        return list(self._sign_ins.values()).count(sign_in)

    def end(self) -> None:
        """End every stream."""
        self.is_ended = True
        self._wake()

    def _since(self, last: int) -> bytes:
        if self._told[:2] != (last, self._newest):
            self._told = (last, self._newest, self._changed_since(last))
        return self._told[2]

    def _changed_since(self, last: int) -> bytes:
        # Numbers that are lower than before belong to another database: a restored copy.
        known = last >= self._recent[0][0] - 1 if self._recent else False
        if not known or last > self._newest:
            return _event(self._newest, [EVERYTHING], [])
        fresh = [row for row in self._recent if row[0] > last]
        gates = {row[2] for row in fresh}
        # No names at all where one is missing: who heard of some would take it that there are no others.
        return _event(self._newest, sorted({row[1] for row in fresh}), [] if "" in gates else sorted(gates))

    @property
    def _is_wanted(self) -> bool:
        return bool(self._sign_ins) and not self.is_ended

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()

    async def _watch(self) -> None:
        """Look, for as long as anybody listens. An error of the database is said once, and then waited for."""
        checked, said = time.monotonic(), ""
        while True:
            while self._is_wanted:
                await asyncio.sleep(LOOK_EVERY_S)
                try:
                    before = self._newest
                    await self._look()
                    if before != self._newest:
                        self._wake()
                        await asyncio.sleep(WAKE_EVERY_S - LOOK_EVERY_S)
                    if time.monotonic() - checked >= CHECK_EVERY_S:
                        checked = time.monotonic()
                        await self._check()
                    said = ""
                except Exception as error:  # noqa: BLE001 (whatever it is, pages wait for it to pass)
                    if str(error) != said:
                        log.error("open pages hear of no changes: %s", error)
                    said = str(error)
                    await self._ask(connections.close_all)
                    await asyncio.sleep(1)
            await self._ask(connections.close_all)
            if not self._is_wanted:
                return
            # Who came while the connection was closed found this task at work, and started none.

    async def _look(self) -> None:
        self._newest, fresh = await self._ask(_pulses_after, self._newest)
        self._recent = [*self._recent, *fresh][-MOST:]

    async def _check(self) -> None:
        asked = set(self._sign_ins.values())
        self._revoked = asked - await self._ask(_holding, asked)
        if self._revoked:
            self._wake()

    async def _ask(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)


_streams: dict[asyncio.AbstractEventLoop, Stream] = {}


def listeners(sign_in: int) -> int:
    """Return how many pages of a sign-in listen in this process."""
    return sum(stream.listeners(sign_in) for stream in _streams.values())


async def listen(after: int | None, sign_in: int) -> AsyncGenerator[bytes, None]:
    """Yield what a page is to hear: see Stream.listen."""
    loop = asyncio.get_running_loop()
    stream = _streams.get(loop)
    if stream is None:
        for closed in [other for other in _streams if other.is_closed()]:
            del _streams[closed]
        stream = _streams[loop] = Stream()
    async with aclosing(stream.listen(after, sign_in)) as heard:  # whoever goes away is not counted any more
        async for event in heard:
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
    found = list(rows[:MOST] if last in (0, newest) or newest < last else rows.filter(id__gt=last)[:MOST])
    return (found[0][0] if found else newest), found[::-1]


def _holding(asked: set[int]) -> set[int]:
    return set(
        SignIn.objects.filter(pk__in=asked, revoked_at=None, account__is_active=True).values_list("pk", flat=True)
    )
