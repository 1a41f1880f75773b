"""Limits how many requests are processed at once, so that one kind cannot block the others.

Each request in progress has a thread and a database connection. Gates and monitors have a lane of their own. So do
password checks, which take a processor and 100 MB for a moment, and which anyone can request. A request whose lane is
full, or that waits too long, gets 503 with the time of the next try.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections import Counter, deque
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.core.handlers.asgi import ASGIRequest

from fabgate.collector.faces.pages import errors
from fabgate.collector.ground.base import logs
from fabgate.collector.members.accounts import sign_in

_refused = logs.Seldom(logging.getLogger(__name__))

#: How long a request waits for its turn, in seconds, and after which time a refused one may try again.
PATIENCE_S: Final = 10.0
RETRY_AFTER_S: Final = 5
#: The largest body that is read before the turn, in bytes: a form without a file.
SMALL_BYTES: Final = 64 * 1024
#: The largest answer that is read into memory, in bytes. A roster of 20,000 members has 2.5 MB; larger ones are files.
COMPLETE_BYTES: Final = 4 * 1024 * 1024


class FullError(Exception):
    """The lane is full."""


class Lane:
    """Limits the requests in progress, the requests that wait for their turn, and the sum of both for one address.

    Addresses with waiting requests get turns alternately: one with a hundred of them delays the others by one turn.
    """

    def __init__(self, name: str, at_once: int, waiting: int, from_address: int) -> None:
        self.name = name
        self._at_once, self._waiting, self._from_address = at_once, waiting, from_address
        #: The requests that wait, by address. The first address is next.
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._of: Counter[str] = Counter()
        self.busy = 0

    async def turn(self, address: str) -> Turn:
        """Wait for a turn. Raises FullError if there are too many requests."""
        is_full = self.busy >= self._at_once and sum(map(len, self._queues.values())) >= self._waiting
        if is_full or self._of[address] >= self._from_address:
            raise FullError
        self._of[address] += 1
        try:
            await self._wait(address)
        except BaseException:  # including a cancellation
            self.forget(address)
            raise
        return Turn(self, address)

    def forget(self, address: str) -> None:
        """Count one request less for an address."""
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]

    async def _wait(self, address: str) -> None:
        if self.busy < self._at_once:
            self.busy += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(address, deque()).append(turn)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await turn
        except BaseException as error:  # including a cancellation: the turn may have come at the same moment
            if turn.done() and not turn.cancelled():
                self.release()
            else:
                self._leave(address, turn)
            if isinstance(error, TimeoutError):
                raise FullError from None
            raise

    def _leave(self, address: str, turn: asyncio.Future[None]) -> None:
        """Remove a request that waits no longer, if it is still there."""
        queue = self._queues.get(address, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[address]

    def release(self) -> None:
        """Give a turn to the next waiting request."""
        while self._queues:
            address = next(iter(self._queues))
            queue = self._queues.pop(address)
            following = queue.popleft()
            if queue:
                self._queues[address] = queue  # at the end
            if not following.done():
                following.set_result(None)
                return
        self.busy -= 1


class Turn:
    """A turn of one request, which is released once and ends once."""

    def __init__(self, lane: Lane, address: str) -> None:
        self._lane, self._address = lane, address
        self._is_held = self._lasts = True

    def release(self) -> None:
        """Let another request work; this one still counts for its address. A second call does nothing."""
        if self._is_held:
            self._is_held = False
            self._lane.release()

    def end(self) -> None:
        """End the turn; a second call does nothing."""
        if self._lasts:
            self._lasts = False
            self._lane.forget(self._address)
            self.release()


class Lanes:
    """The lanes of one event loop."""

    def __init__(self) -> None:
        # Rosters and health checks take milliseconds; all gates of a workshop may come from one address.
        self.machines = Lane("machines", 4, 500, 100)
        # Two at once, as many passwords as are checked at once (members/accounts/sign_in.py): in another lane, requests
        # that wait for a check would occupy its threads.
        self.passwords = Lane("passwords", 2, 60, 30)
        self.files = Lane("files", 2, 20, 4)
        self.people = Lane("people", 16, 200, 100)

    def of(self, scope: Any, *, is_large: bool) -> Lane:
        """Return the lane of a request."""
        if is_large:
            return self.files
        if scope["path"].startswith(("/api/v1/gates/", "/api/v1/join/", "/healthz", "/metrics")):
            return self.machines
        if scope["method"] == "POST" and scope["path"].startswith(("/sign-in", "/welcome/", "/me/password")):
            return self.passwords
        return self.people


_lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, Lanes] = WeakKeyDictionary()


def current_lanes() -> Lanes:
    """Return the lanes of the running event loop."""
    return _lanes.setdefault(asyncio.get_running_loop(), Lanes())


def limited(app: Any) -> Any:
    """Return an app that gives each request to `app`, and so a thread, only when it has its turn.

    Answers up to COMPLETE_BYTES are sent after the turn. Otherwise a few clients that do not read theirs would block a
    lane.
    """

    async def call(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        first, is_large = await _first_messages(receive)
        if first and first[-1]["type"] == "http.disconnect":
            return
        lane, request = current_lanes().of(scope, is_large=is_large), ASGIRequest(scope, io.BytesIO())
        try:
            turn = await lane.turn(sign_in.counted_as(request))
        except FullError:
            address = sign_in.address_of(request)
            _refused("a request of %s from %s was refused: too many ask at once", lane.name, address)
            await _send(errors.busy(request, RETRY_AFTER_S), send)
            return

        async def receive_again() -> Any:
            return first.pop(0) if first else await receive()

        complete: list[Any] = []

        async def send_on(message: Any) -> None:
            if complete or _fits(message):
                complete.append(message)
                return
            if _is_stream(message):
                turn.end()  # a stream lasts as long as its page is open, and needs no thread any more
            await send(message)

        try:
            await app(scope, receive_again, send_on)
            turn.release()
            for message in complete:
                await send(message)
        finally:
            turn.end()

    return call


async def _first_messages(receive: Any) -> tuple[list[Any], bool]:
    """Return the first messages of a request, up to the size of a small body, and whether the body is larger."""
    messages, so_far = [], 0
    while so_far <= SMALL_BYTES:
        message = await receive()
        messages.append(message)
        so_far += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return messages, False
    return messages, True


def _is_stream(message: Any) -> bool:
    return message["type"] == "http.response.start" and any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message.get("headers", ())
    )


def _fits(message: Any) -> bool:
    """Return whether a message begins an answer of at most COMPLETE_BYTES."""
    return message["type"] == "http.response.start" and any(
        name.lower() == b"content-length" and int(value) <= COMPLETE_BYTES for name, value in message.get("headers", ())
    )


async def _send(response: Any, send: Any) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
