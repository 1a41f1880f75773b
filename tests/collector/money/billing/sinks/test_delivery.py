"""Does each sink get everything once, in order and to the cent, also after a failure of it or of its program?"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import (
    Collector,
    Sink,
    SinkLetter,
)
from fabgate.collector.money.billing.sinks import config, decisions, engine, feeds, http, status
from fabgate.collector.money.billing.sinks.contract import USAGE, Later
from fabgate.errors import UsageError
from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.booked import FIRST
from tests.collector.money.billing.sinks import programs
from tests.collector.money.billing.sinks.programs import BUSY, DOWN, LOST, SLOW, WELL, WRONG_KEY, Program
from tests.collector.money.billing.sinks.sent import NOW, Killed, Sent
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.usefixtures("database")
#: One for each way in which the engine treats drivers: keys, a search, batches, and the errors of an SDK.
ANSWERING = [
    programs.WebhookReceiver,
    programs.KeylessProgram,
    programs.OpenMeterRecorder,
    programs.StripeRecorder,
]


@pytest.fixture(params=[*programs.ANSWERING, *programs.FOLDERS], ids=lambda kind: kind.__name__)
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Program]:
    with request.param(tmp_path).running() as found:
        yield found


@pytest.fixture(params=ANSWERING, ids=lambda kind: kind.__name__)
def answering(request: pytest.FixtureRequest, tmp_path: Path, books: Used) -> Iterator[Sent]:
    """A sink whose program answers over HTTP."""
    with request.param(tmp_path).running() as found:
        yield Sent(found)


@pytest.fixture
def sent(program: Program, books: Used) -> Sent:
    return Sent(program)


def test_everything_arrives_once_and_in_order_though_the_program_is_away_and_the_process_is_killed(sent):
    sent.program.mood = DOWN
    for _minute in range(30):
        sent.turn()
        sent.wait(minutes=2)
    assert sent.program.requests <= 12
    assert sent.row.failures >= 6
    assert sent.program.effects == []
    assert not SinkLetter.objects.exists()
    is_folder = isinstance(sent.program, programs.Folder)
    assert ("mount its disk" if is_folder else "503 ") in sent.row.trouble
    sent.program.mood = WELL
    sent.wait(hours=1)

    def die() -> None:
        """Die between sending and the cursor: the clock is asked after each batch, before anything is stored."""
        if sent.program.effects:
            raise Killed

    sent.clock.hooks = [die]
    with pytest.raises(Killed):
        sent.turn()
    letters = SinkLetter.objects.all()  # but for months without usage, which come before
    assert not (letters.exclude(amount=0) if isinstance(sent.program, programs.UsageFolder) else letters).exists()
    sent.clock.hooks.clear()
    sent.turn()
    sent.check()
    effects = list(sent.program.effects)
    sent.wait(days=1)
    sent.turn()
    assert sent.program.effects == effects
    if sent.configured.feed == USAGE and not is_folder:
        positions = [int(key.partition(".")[0]) for key, _amount in effects]
        assert positions == sorted(positions)


def test_what_is_sent_again_by_hand_or_after_a_restore_has_one_effect(sent):
    sent.turn()
    sent.check()
    decisions.replay(sent.row, FIRST, None, actor="eve", reason="a test")
    sent.turn()
    sent.check()
    effects, requests = list(sent.program.effects), sent.program.requests
    SinkLetter.objects.all().delete()
    Sink.objects.update(cursor="")
    audit.record(audit.START, audit.RESTORED, Collector.objects.get())
    sent.wait(days=1)
    sent.turn()
    assert (sent.program.requests, Sink.objects.get().cursor) == (requests, "")
    assert status.of(sent.configured).state == status.RESTORED
    decisions.reconcile(sent.row, actor="eve", reason="the disk failed")
    sent.turn()
    assert sent.program.effects == effects
    sent.check()
    with pytest.raises(UsageError, match="is not paused"):
        decisions.reconcile(sent.row, actor="eve", reason="again")


def test_an_answer_that_is_lost_has_one_effect_and_what_is_refused_is_a_dead_letter(answering):
    sent = answering
    sent.program.mood = LOST
    sent.turn()
    first = len(sent.program.effects)
    assert first == min(sent.configured.driver.most, len(sent.wanted()))
    assert sent.row.trouble.startswith("no answer: ")
    one, row = sent.configured, sent.row
    items, _place = feeds.of(one.driver, row, one.options, config.site_of()).after("", 100, NOW)
    sent.program.refused = {items[-1].key} - dict(sent.program.effects).keys()
    sent.program.mood = WELL
    sent.turn()
    assert len(sent.program.effects) == first  # it waits
    sent.wait(seconds=6)
    sent.turn()
    dead = decisions.left(sent.row, SinkLetter.DEAD)
    assert {letter.key for letter in dead} == sent.program.refused
    assert len(sent.program.effects) == len(sent.wanted()) - len(dead)
    if dead:
        assert dead[0].why
        sent.program.refused.clear()
        assert decisions.retry(sent.row, actor="eve", reason="put right there") == 1
        sent.turn()
        with pytest.raises(UsageError, match="has no refused items"):
            decisions.retry(sent.row, actor="eve", reason="again")
    sent.check()


def test_one_item_of_a_batch_that_is_refused_is_found(tmp_path, books):
    with programs.LagoRecorder(tmp_path).running() as program:
        sent = Sent(program)
        one = sent.configured
        items, _place = feeds.of(one.driver, engine.row_of(one), one.options, config.site_of()).after("", 100, NOW)
        program.refused = {items[1].key}
        sent.turn()
        (dead,) = decisions.left(sent.row, SinkLetter.DEAD)
        assert dead.key == items[1].key
        assert len(program.effects) == len(items) - 1


#: One sink reads answers with our own code, the other with the SDK of its program.
WAYS = [programs.WebhookReceiver, programs.StripeRecorder]


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize(
    ("mood", "answer", "wait_s"), [(BUSY, "429", 600), (WRONG_KEY, "401", 5), (SLOW, http.TIMED_OUT, 5)]
)
def test_what_no_item_is_to_blame_for_stops_everything_and_refuses_nothing(
    tmp_path, books, monkeypatch, kind, mood, answer, wait_s
):
    with kind(tmp_path).running() as program:
        sent = Sent(program)
        program.mood = mood
        if mood == SLOW:
            monkeypatch.setattr(http, "TIMEOUT_S", (5.0, 0.2))
        sent.turn()
        monkeypatch.undo()
        assert program.requests == 1
        assert sent.row.trouble.startswith(answer)
        assert sent.row.next_at == NOW + timedelta(seconds=wait_s)
        assert not SinkLetter.objects.exists()
        program.mood = WELL
        sent.wait(hours=1)
        sent.turn()
        sent.check()


@pytest.mark.parametrize("kind", [programs.WebhookReceiver, programs.KeylessProgram])
def test_what_a_program_has_lost_is_there_again_after_a_replay(tmp_path, books, kind):
    with kind(tmp_path).running() as program:
        sent = Sent(program)
        sent.turn()
        del program.effects[1:3]
        decisions.replay(sent.row, FIRST, None, actor="eve", reason="their disk failed")
        sent.turn()
        sent.check()


def test_an_answer_that_drips_stops_the_sink(monkeypatch):
    """The answer announces more bytes than it has: a client that reads all of them waits as long as the program wants."""
    monkeypatch.setattr(http, "LONGEST_S", -1)
    monkeypatch.setattr(http, "TIMEOUT_S", (HANGS_S, 2))

    def drip() -> None:
        client, _address = server.accept()
        with client:
            client.recv(65_536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 20)
            client.recv(1)  # until the other side has given up

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(Later, match=http.TOO_LONG):
            http.Program(f"http://127.0.0.1:{server.getsockname()[1]}", {}).post("", b"", {})
        thread.join(HANGS_S)


@pytest.mark.parametrize(("most_bytes", "longest_s"), [(1, 60), (1_000, -1)])
def test_an_answer_that_is_too_long_or_does_not_end_stops_the_sink(tmp_path, books, monkeypatch, most_bytes, longest_s):
    monkeypatch.setattr(http, "MOST_BYTES", most_bytes)
    monkeypatch.setattr(http, "LONGEST_S", longest_s)
    with programs.WebhookReceiver(tmp_path).running() as program:
        sent = Sent(program)
        sent.turn()
        assert sent.row.trouble == http.TOO_LONG
