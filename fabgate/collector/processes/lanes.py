"""How many requests are worked on at once, and who waits? Bounded, so that no crowd stops the others.

Each request that is worked on has a thread and a connection to the database. Gates and monitors have a lane of their own,
and so has what looks at a password, which takes a processor and 100 MB for a moment: anybody may ask for that. Whoever
finds a lane full, or waits in it for too long, hears 503 and when to try again.

Nothing waits for a body within a lane but a large one, of which there are few at once.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections import Counter, deque
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.core.handlers.asgi import ASGIRequest

from fabgate.collector.accounts import sign_in
from fabgate.collector.base import logs
from fabgate.collector.pages import errors

_refused = logs.Seldom(logging.getLogger(__name__))

#: So long somebody waits for their turn, in seconds; and so long they are asked to stay away where that was in vain.
PATIENCE_S: Final = 10.0
RETRY_AFTER_S: Final = 5
#: The largest form without a file; of what is larger the rest is read in its turn.
SMALL_BYTES: Final = 64 * 1024


class FullError(Exception):
    """There is no turn for this request."""


class Lane:
    """So many at once; so many more wait, in the order in which they came; so many of both from one address."""

    def __init__(self, name: str, at_once: int, waiting: int, from_address: int) -> None:
        self.name = name
        self._at_once, self._waiting, self._from_address = at_once, waiting, from_address
        self._queue: deque[asyncio.Future[None]] = deque()
        self._of: Counter[str] = Counter()
        self.busy = 0

    async def turn(self, address: str) -> Turn:
        """Wait for a turn. Raises FullError."""
        is_full = self.busy >= self._at_once and len(self._queue) >= self._waiting
        if is_full or self._of[address] >= self._from_address:
            raise FullError
        self._of[address] += 1
        try:
            await self._wait()
        except BaseException:  # a cancellation too
            self._forget(address)
            raise
        return Turn(self, address)

    def end(self, address: str) -> None:
        """Take a turn back, and give it to the next who waits."""
        self._forget(address)
        self._pass_on()

    def _forget(self, address: str) -> None:
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]

    async def _wait(self) -> None:
        if self.busy < self._at_once:
            self.busy += 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._queue.append(mine)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await mine
        except BaseException as error:  # a cancellation too: its turn may have come in the same moment
            if mine.done() and not mine.cancelled():
                self._pass_on()
            elif mine in self._queue:
                self._queue.remove(mine)
            if isinstance(error, TimeoutError):
                raise FullError from None
            raise

    def _pass_on(self) -> None:
        """Give a turn that ended to the next who waits."""
        while self._queue:
            following = self._queue.popleft()
            if not following.done():
                following.set_result(None)
                return
        self.busy -= 1


class Turn:
    """What lasts until it is ended, once."""

    def __init__(self, lane: Lane, address: str) -> None:
        self._lane, self._address = lane, address
        self._lasts = True

    def end(self) -> None:
        """Let the next one begin; again, nothing happens."""
        if self._lasts:
            self._lasts = False
            self._lane.end(self._address)


class Lanes:
    """The lanes of one event loop."""

    def __init__(self) -> None:
        # A roster and a look at the health take milliseconds; all gates of a workshop may come from one address.
        self.machines = Lane("machines", 4, 500, 100)
        # Two, as many passwords as are looked at at once (accounts/sign_in.py): in another lane they would hold its threads.
        self.passwords = Lane("passwords", 2, 60, 30)
        self.files = Lane("files", 2, 20, 4)
        self.people = Lane("people", 16, 200, 100)

    def of(self, scope: Any, *, is_large: bool) -> Lane:
        """Return the lane of a request."""
        if is_large:
            return self.files
        if scope["path"].startswith(("/api/v1/gates/", "/healthz", "/metrics")):
            return self.machines
        if scope["method"] == "POST" and scope["path"].startswith(("/sign-in", "/welcome/", "/me/password")):
            return self.passwords
        return self.people


_lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, Lanes] = WeakKeyDictionary()


def here() -> Lanes:
    """Return the lanes of the event loop that runs."""
    return _lanes.setdefault(asyncio.get_running_loop(), Lanes())


def in_turn(app: Any) -> Any:
    """Let each request wait for its turn before the app hears of it: from then on it has a thread."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun, is_large = await _beginning(receive)
        if begun and begun[-1]["type"] == "http.disconnect":
            return
        lane, request = here().of(scope, is_large=is_large), ASGIRequest(scope, io.BytesIO())
        try:
            turn = await lane.turn(sign_in.counted_as(request))
        except FullError:
            address = sign_in.address_of(request)
            _refused("a request of %s from %s was refused: too many ask at once", lane.name, address)
            await _say(errors.busy(request, RETRY_AFTER_S), send)
            return

        async def receive_again() -> Any:
            return begun.pop(0) if begun else await receive()

        async def send_on(message: Any) -> None:
            if _is_stream(message):
                turn.end()  # it lasts as long as its page is open, and needs no thread any more
            await send(message)

        try:
            await app(scope, receive_again, send_on)
        finally:
            turn.end()

    return call


async def _beginning(receive: Any) -> tuple[list[Any], bool]:
    """Return what came of a body, up to what a form is at most, and whether it is larger than that."""
    begun, so_far = [], 0
    while so_far <= SMALL_BYTES:
        message = await receive()
        begun.append(message)
        so_far += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return begun, False
    return begun, True


def _is_stream(message: Any) -> bool:
    return message["type"] == "http.response.start" and any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message.get("headers", ())
    )


async def _say(response: Any, send: Any) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
