"""Do open pages hear of a change soon, once, and for the price of one question?"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import threading
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from fabgate.collector.faces.pages.events import stream, views
from fabgate.collector.ground.models import ApiKey, Pulse, SignIn
from tests.support.patience import HANGS_S


def pulse(topic: str = "floor", gate: str = "saw") -> int:
    return Pulse.objects.create(topic=topic, gate=gate, at=datetime.now(UTC)).pk


async def aside(function, *args):
    """Run in a thread of its own, as a view does, and leave no connection behind."""

    def run():
        from django.db import connection

        try:
            return function(*args)
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(None, run)


def told(event: bytes) -> tuple[int, str, dict]:
    fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if ": " in line)
    return int(fields["id"]), fields["event"], json.loads(fields["data"])


async def to_its_end(heard) -> None:
    async with asyncio.timeout(HANGS_S):
        async for _event in heard:
            pass


@asynccontextmanager
async def listening(after, sign_in):
    heard = stream.listen(after, sign_in)

    async def following():
        async with asyncio.timeout(HANGS_S):
            async for event in heard:
                if b"event:" in event:
                    return told(event)
        raise AssertionError("the stream has ended")

    try:
        yield following
    finally:
        await heard.aclose()


@pytest.fixture
def sign_in(account) -> stream.Listener:
    return stream.Listener(SignIn, SignIn.objects.create(account=account("desk")).pk)


async def until_quiet() -> None:
    """Wait for the task that looks, which ends once nobody listens."""
    own = stream._streams.pop(asyncio.get_running_loop(), None)
    if own and own._task:
        await asyncio.wait_for(own._task, HANGS_S)


def run(story) -> None:
    async def told_to_the_end():
        try:
            await story()
        finally:
            await until_quiet()

    asyncio.run(told_to_the_end())


def test_a_page_hears_what_kind_of_thing_changed_and_where(sign_in):
    async def story():
        async with listening(None, sign_in) as following:
            start, kind, _ = await following()
            assert kind == "hello"
            last = await aside(pulse, "lock", "saw")
            assert await following() == (last, "pulse", {"topics": ["lock"], "gates": ["saw"]})
            assert last > start

    run(story)


def test_all_pages_hear_of_one_change_by_one_question(sign_in, monkeypatch):
    asked = []
    pulses_after = stream._pulses_after
    monkeypatch.setattr(stream, "_pulses_after", lambda last: asked.append(threading.get_ident()) or pulses_after(last))

    async def story():
        async with listening(0, sign_in) as a, listening(0, sign_in) as b, listening(0, sign_in) as c:
            for following in (a, b, c):
                await following()
            last = await aside(pulse)
            assert {(await following())[0] for following in (a, b, c)} == {last}
            assert len(stream._streams) >= 1
            assert len(set(asked)) == 1

    run(story)


def test_who_comes_while_the_last_one_is_let_go_hears_all_the_same(sign_in, monkeypatch):
    closing, go_on = threading.Event(), threading.Event()
    close_all = stream.connections.close_all

    def slow():
        closing.set()
        assert go_on.wait(HANGS_S)
        close_all()

    async def story():
        async with listening(None, sign_in) as following:
            await following()
            monkeypatch.setattr(stream.connections, "close_all", slow)
        assert await asyncio.to_thread(closing.wait, HANGS_S), "the task that looks does not end"
        async with listening(None, sign_in) as following:
            await following()
            go_on.set()
            last = await aside(pulse)
            assert (await following())[0] == last

    run(story)


def test_two_who_come_first_at_the_same_time_start_one_task(sign_in):
    async def story():
        async with listening(None, sign_in) as a, listening(None, sign_in) as b:
            await asyncio.gather(a(), b())
            looking = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_watch"]
            assert len(looking) == 1

    run(story)


def test_what_happened_while_a_browser_was_away_is_told_when_it_comes_back(sign_in):
    before = pulse("floor")
    pulse("refusal", "laser")
    last = pulse("lock", "saw")

    async def story():
        async with listening(before, sign_in) as following:
            await following()
            assert await following() == (last, "pulse", {"topics": ["lock", "refusal"], "gates": ["laser", "saw"]})

    run(story)


def test_where_one_change_is_at_no_gate_or_at_many_none_is_named(sign_in):
    before = pulse("floor", "saw")
    pulse("floor", "laser")
    last = pulse("floor", "")

    async def story():
        async with listening(before, sign_in) as following:
            await following()
            assert await following() == (last, "pulse", {"topics": ["floor"], "gates": []})

    run(story)


def test_what_changes_while_an_event_is_sent_is_told_by_the_next_one(sign_in):
    async def story():
        async with listening(None, sign_in) as slow, listening(None, sign_in) as quick:
            await slow()
            await quick()
            first = await aside(pulse, "lock", "saw")
            assert (await slow())[0] == first  # and is still being sent, while more is heard of
            assert (await quick())[0] == first
            last = await aside(pulse, "floor", "laser")
            assert (await quick())[0] == last
            assert await slow() == (last, "pulse", {"topics": ["floor"], "gates": ["laser"]})

    run(story)


def test_nobody_is_woken_again_at_once(sign_in, monkeypatch):
    looks = []
    pulses_after = stream._pulses_after

    def noted(last):
        found = pulses_after(last)
        looks.append((time.monotonic(), found[0]))
        return found

    monkeypatch.setattr(stream, "_pulses_after", noted)

    async def story():
        async with listening(None, sign_in) as following:
            for _ in range(3):
                await following()
                await aside(pulse)
            await following()

    run(story)
    told = [at for (_, before), (at, newest) in itertools.pairwise(looks) if newest != before]
    assert len(told) == 3
    assert all(later - earlier >= stream.WAKE_EVERY_S for earlier, later in itertools.pairwise(told))


def test_who_missed_too_much_or_comes_from_another_database_asks_for_everything(sign_in):
    for _ in range(stream.MAX_PULSES + 5):
        last = pulse()

    async def story():
        for after in (1, last + 1_000):
            async with listening(after, sign_in) as following:
                await following()
                assert await following() == (last, "pulse", {"topics": ["*"], "gates": []})

    run(story)


def test_a_revoked_sign_in_hears_nothing_more(sign_in, monkeypatch):
    monkeypatch.setattr(stream, "CHECK_EVERY_S", 0.0)

    async def story():
        heard = stream.listen(None, sign_in)
        await anext(heard)
        await aside(lambda: SignIn.objects.update(revoked_at=timezone.now()))
        await to_its_end(heard)

    run(story)


def test_a_big_display_hears_of_what_it_shows_only_and_not_where(sign_in):
    topics = frozenset({"floor", "lock"})

    async def story():
        key, _token = await aside(lambda: ApiKey.make("Entrance", ApiKey.DISPLAY, made_by=None, expires_at=None))
        heard = stream.listen(None, stream.Listener(ApiKey, key.pk, topics))
        assert told((await anext(heard)).removeprefix(b"retry: 2000\n\n"))[1] == "hello"
        async with listening(None, sign_in) as following:
            await following()
            await aside(pulse, "refusal", "saw")
            assert (await following())[2]["topics"] == ["refusal"]
            assert await anext(heard) == b": still here\n\n"
            last = await aside(pulse, "lock", "saw")
            assert await following() == (last, "pulse", {"topics": ["lock"], "gates": ["saw"]})
            assert told(await anext(heard)) == (last, "pulse", {"topics": ["lock"], "gates": []})
        await heard.aclose()

    run(story)


def test_a_big_display_whose_link_is_revoked_hears_nothing_more_and_others_do(sign_in, monkeypatch):
    monkeypatch.setattr(stream, "CHECK_EVERY_S", 0.0)

    async def story():
        made = [
            await aside(lambda name=name: ApiKey.make(name, ApiKey.DISPLAY, made_by=None, expires_at=None))
            for name in "ab"
        ]
        heard, other = (
            stream.listen(None, stream.Listener(ApiKey, key.pk, frozenset({"lock"}))) for key, _token in made
        )
        await anext(heard)
        await anext(other)
        async with listening(None, sign_in) as following:
            await following()
            await aside(lambda: ApiKey.objects.filter(name="a").update(revoked_at=timezone.now()))
            await to_its_end(heard)
            last = await aside(pulse, "lock", "saw")
            assert (await following())[0] == last
            assert told(await anext(other))[0] == last
        await other.aclose()

    run(story)


def test_the_end_of_the_server_ends_every_stream(sign_in):
    async def story():
        heard = stream.listen(None, sign_in)
        await anext(heard)
        stream.end_all()
        await to_its_end(heard)

    run(story)


def test_a_quiet_stream_is_kept_alive(sign_in, monkeypatch):
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 0.01)

    async def story():
        heard = stream.listen(None, sign_in)
        await anext(heard)
        assert (await asyncio.wait_for(anext(heard), HANGS_S)).startswith(b": ")
        await heard.aclose()

    run(story)


def test_a_database_that_fails_is_said_once_and_waited_for(sign_in, monkeypatch, caplog):
    answers = iter([RuntimeError("locked"), None])
    pulses_after = stream._pulses_after

    def failing(last):
        error = next(answers, None) if started else None
        if error:
            raise error
        return pulses_after(last)

    started = []
    monkeypatch.setattr(stream, "_pulses_after", failing)

    async def story():
        async with listening(None, sign_in) as following:
            await following()
            started.append(True)
            last = await aside(pulse)
            assert (await following())[0] == last

    run(story)
    assert caplog.text.count("open pages get no updates: locked") == 1


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30, "0" * 20 + "1" * 5000, "²"])
def test_a_number_that_is_none_is_refused(browse, after):
    assert browse("desk").get("/floor/events", {"after": after}).status_code == 400


def test_the_stream_is_one_for_browsers_and_proxies(browse):
    response = browse("desk").get("/floor/events")
    response.close()
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"


@pytest.mark.parametrize("path", ["/floor/events", "/use/export.csv?what=sessions", "/use/export.xlsx?what=sessions"])
def test_head_of_what_is_streamed_ends_and_tells_what_get_does(browse, path):
    client = browse("accountant")
    told, head = client.get(path), client.head(path)
    told.close()
    assert not head.streaming
    assert (head.status_code, head.content) == (200, b"")
    # A workbook holds the second of its making, which packs into a byte more or less.
    assert ("Content-Length" in head.headers) is ("Content-Length" in told.headers)
    assert without_length(head.headers) == without_length(told.headers)


def without_length(headers):
    return {name: value for name, value in headers.items() if name != "Content-Length"}


def test_one_sign_in_keeps_no_more_connections_than_a_few_browsers_need(browse, monkeypatch):
    client = browse("desk")
    assert client.get("/me").status_code == 200
    own = stream.Listener(SignIn, SignIn.objects.get().pk)
    asked = []
    monkeypatch.setattr(stream, "listeners", lambda listener: asked.append(listener) or stream.MAX_LISTENERS)
    assert client.get("/floor/events").status_code == 429
    assert asked == [own]


def test_streams_count_before_they_send_anything_and_no_longer_once_they_are_dropped(sign_in):
    def burst(most: int, size: int) -> list[HttpResponse]:
        return [views.streamed(RequestFactory().get("/floor/events"), sign_in, most) for _request in range(size)]

    gc.collect()  # streams that earlier tests have dropped
    answers = burst(20, 45)
    assert [answer.status_code for answer in answers] == 20 * [200] + 25 * [429]
    assert stream.listeners(sign_in) == 20
    del answers
    assert stream.listeners(sign_in) == 0
    assert [answer.status_code for answer in burst(2, 3)] == [200, 200, 429]


def test_listeners_are_counted_by_sign_in(sign_in):
    async def story():
        others = [stream.Listener(SignIn, sign_in.pk + 1), stream.Listener(ApiKey, sign_in.pk)]
        async with listening(None, sign_in) as following, listening(None, others[0]) as other:
            await following()
            await other()
            assert [stream.listeners(one) for one in (sign_in, *others)] == [1, 1, 0]
        assert stream.listeners(sign_in) == 0

    run(story)
