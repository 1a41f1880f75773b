"""Does a crowd wait in turn, and is nobody stopped by a crowd that asks for something else?"""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.members.accounts import sign_in as signing_in
from fabgate.collector.processes import lanes
from fabgate.collector.processes.lanes import FullError, Lane
from tests.collector.serving import serving
from tests.support.patience import HANGS_S

# --- one lane ---------------------------------------------------------------------------------------------------------


class Crowd:
    """Requests that come and go as they are told to, and what became of each."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.inside: dict[int, asyncio.Event] = {}
        self.refused: list[int] = []
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def come(self, number: int, address: str) -> None:
        self.tasks[number] = asyncio.create_task(self._ask(number, address))
        await self.settle()

    async def go(self, number: int) -> None:
        self.inside.pop(number).set()
        await self.settle()

    async def give_up(self, number: int) -> None:
        self.tasks[number].cancel()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):  # a turn is passed on within a few rounds of the loop
            await asyncio.sleep(0)

    async def _ask(self, number: int, address: str) -> None:
        try:
            turn = await self.lane.turn(address)
        except FullError:
            self.refused.append(number)
            return
        left = self.inside[number] = asyncio.Event()
        try:
            await left.wait()
        finally:
            self.inside.pop(number, None)
            turn.end()
            turn.end()  # which changes nothing


def test_so_many_at_once_then_in_the_order_in_which_they_came():
    async def scene() -> None:
        crowd = Crowd(Lane("a", 2, 2, 9))
        for number in range(5):
            await crowd.come(number, "a")
        assert (sorted(crowd.inside), crowd.refused) == ([0, 1], [4])
        await crowd.go(1)
        assert sorted(crowd.inside) == [0, 2]
        await crowd.go(0)
        assert sorted(crowd.inside) == [2, 3]

    asyncio.run(scene())


def test_one_address_leaves_room_for_others():
    async def scene() -> None:
        crowd = Crowd(Lane("a", 2, 9, 3))
        for number in range(5):
            await crowd.come(number, "a")
        await crowd.come(5, "b")
        assert crowd.refused == [3, 4]
        await crowd.go(0)
        await crowd.come(6, "a")
        assert crowd.refused == [3, 4]
        await crowd.go(1)
        assert sorted(crowd.inside) == [2, 5]

    asyncio.run(scene())


def test_addresses_that_wait_get_their_turns_alternately():
    async def scene() -> None:
        crowd = Crowd(Lane("a", 1, 9, 9))
        for number, address in enumerate("aaaabbc"):
            await crowd.come(number, address)
        order = []
        while crowd.inside:
            (number,) = crowd.inside
            order.append(number)
            await crowd.go(number)
        assert order == [0, 1, 4, 6, 2, 5, 3]

    asyncio.run(scene())


def test_who_waits_too_long_is_refused_and_takes_no_turn(monkeypatch):
    async def scene() -> None:
        crowd = Crowd(Lane("a", 1, 9, 9))
        for number in range(3):
            await crowd.come(number, "a")
        await asyncio.wait([crowd.tasks[1], crowd.tasks[2]])
        assert crowd.refused == [1, 2]
        await crowd.go(0)
        await crowd.come(3, "a")
        assert list(crowd.inside) == [3]

    monkeypatch.setattr(lanes, "PATIENCE_S", 0.01)
    asyncio.run(scene())


@given(st.lists(st.tuples(st.sampled_from(["come", "go", "give up"]), st.integers(0, 9), st.sampled_from("ab"))))
def test_no_turn_is_lost_and_none_is_given_twice(moves):
    async def scene() -> None:
        crowd = Crowd(Lane("a", 2, 3, 4))
        for count, (move, which, address) in enumerate(moves):
            waiting = [number for number, task in crowd.tasks.items() if not task.done()]
            if move == "come":
                await crowd.come(count, address)
            elif move == "go" and crowd.inside:
                await crowd.go(sorted(crowd.inside)[which % len(crowd.inside)])
            elif move == "give up" and waiting:
                await crowd.give_up(waiting[which % len(waiting)])
            there = sum(not task.done() for task in crowd.tasks.values())
            assert len(crowd.inside) == crowd.lane.busy == min(2, there)
        for task in crowd.tasks.values():
            task.cancel()
        await crowd.settle()
        assert crowd.lane.busy == 0

    asyncio.run(scene())


def test_who_does_not_read_an_answer_keeps_no_turn_and_is_one_of_its_address():
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    unread: list[Any] = []
    all_wait = asyncio.Event()

    async def never(message: Any) -> None:
        unread.append(message)
        if len(unread) == 100:
            all_wait.set()
        await asyncio.Event().wait()

    async def scene() -> None:
        def ask(address: str, send: Any) -> asyncio.Task[None]:
            scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": [], "client": (address, 1)}
            return asyncio.create_task(lanes.limited(app)(scope, receive, send))

        async def answer(address: str) -> list[Any]:
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message.get("status", message.get("body")))

            await asyncio.wait_for(ask(address, send), HANGS_S)
            return sent

        clients = [ask("192.168.1.7", never) for _ in range(100)]
        await asyncio.wait_for(all_wait.wait(), HANGS_S)
        assert await answer("192.168.1.8") == [200, b"ok"]
        assert (await answer("192.168.1.7"))[0] == 503
        for client in clients:
            client.cancel()
        await asyncio.wait(clients)
        assert await answer("192.168.1.7") == [200, b"ok"]

    asyncio.run(scene())


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture
def looked_at(monkeypatch) -> Iterator[threading.Event]:
    """Passwords are looked at once this is set."""
    release = threading.Event()

    def authenticate(*_args: Any, **_named: Any) -> None:
        assert release.wait(HANGS_S)

    monkeypatch.setattr(signing_in, "authenticate", authenticate)
    yield release
    release.set()


def asked(address: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any, str]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=HANGS_S)
    with closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


@pytest.mark.parametrize("path", ["/api/v1/gates/laser-1/roster", "/api/v1/join/begin", "/healthz", "/metrics"])
def test_gates_and_monitors_have_a_lane_of_their_own(path):
    found = lanes.Lanes()
    assert found.of({"path": path, "method": "POST"}, is_large=False) is found.machines
    assert found.of({"path": "/sign-in", "method": "POST"}, is_large=False) is found.passwords


def test_four_hundred_who_sign_in_at_once_break_nothing_and_stop_neither_gates_nor_pages(env, looked_at):
    with serving(env) as address:
        _status, headers, page = asked(address, "GET", "/sign-in")
        cookie = headers["Set-Cookie"].partition(";")[0]
        token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = urlencode({"csrfmiddlewaretoken": token, "name": "karim", "password": "wrong"})
        more = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "Accept-Language": "fr"}

        def sign_in(_number: int) -> tuple[int, Any, str]:
            return asked(address, "POST", "/sign-in", form, **more)

        with ThreadPoolExecutor(400) as crowd:
            answers = [crowd.submit(sign_in, number) for number in range(400)]
            assert asked(address, "GET", "/healthz")[0] in {200, 503}
            assert json.loads(asked(address, "GET", "/healthz")[2])["troubles"]
            assert asked(address, "GET", "/api/v1/gates/laser-1/roster")[0] == 401
            assert asked(address, "GET", "/sign-in")[0] == 200
            list(islice(as_completed(answers, HANGS_S), 370))  # for thirty there is room
            looked_at.set()
            found = [answer.result(HANGS_S) for answer in answers]
    statuses = {status for status, _, _ in found}
    assert statuses <= {200, 400, 403, 429, 503}, statuses
    busy = [(headers, text) for status, headers, text in found if status == 503]
    assert len(busy) >= 370
    assert all(headers["Retry-After"] == "5" for headers, _ in busy)
    assert "<h1>Le collecteur est occupé</h1>" in busy[0][1]
