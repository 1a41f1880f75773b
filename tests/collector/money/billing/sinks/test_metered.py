"""Does a meter always add up to what settled sessions are, whatever is corrected, restored or killed in between?"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models import F

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Collector, LedgerLine, Review, Sink, SinkLetter, UsageSession
from fabgate.collector.money.billing.sinks import decisions, engine, seconds
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector import postgresql
from tests.collector.faces.pages.used import NOON, Used
from tests.collector.money.billing.sinks.programs import LOST, WELL, LagoRecorder, OpenMeterRecorder
from tests.collector.money.billing.sinks.sent import Killed, Sent

pytestmark = pytest.mark.usefixtures("database")
LIVES = 50 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 3


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[OpenMeterRecorder]:
    Collector.get(settings.ENVIRONMENT.site)
    with OpenMeterRecorder(tmp_path).running() as found:
        yield found


@pytest.fixture
def sent(meter: OpenMeterRecorder) -> Sent:
    found = Sent(meter)
    found.clock.at = datetime.now(UTC)
    # a place for the month before, so that NOON may be early in its month
    found.program.configured = lambda _since, make=meter.configured: make("2020-01")  # type: ignore[method-assign]
    return found


def settled() -> dict[tuple[str, str], int]:
    """Return what all sessions come to: (payer, machine) -> milliseconds."""
    found: Counter[tuple[str, str]] = Counter()
    for row in UsageSession.objects.filter(reason__isnull=False, review=None, purpose__in=["own", "group"]):
        if not row.used_by.startswith("emergency:"):
            found[row.payer or row.used_by, row.machine_name] += row.counted_ms
    return {key: amount for key, amount in found.items() if amount}


def age(**how_long: int) -> None:
    """Make everything that has happened so much older."""
    LedgerLine.objects.update(at=F("at") - timedelta(**how_long))


def test_a_session_is_sent_once_it_is_settled_and_later_changes_name_the_first(sent, meter):
    shop = Used()
    shop.session("s-1", "m-1", NOON, 30)
    sent.turn()
    assert meter.effects == []
    corrections.correct("s-1", "time", "1200500", author="eve", reason="a test")
    age(days=3, minutes=1)
    sent.turn()
    assert meter.sums() == {("m-1", "bandsaw"): 1_200_500}
    assert len(meter.effects) == 1  # what it was before the correction was never told
    corrections.correct("s-1", "payer", "m-2", author="eve", reason="a test")
    sent.turn()
    assert len(meter.effects) == 1
    age(days=4)
    sent.turn()
    assert meter.sums() == {("m-2", "bandsaw"): 1_200_500}
    first, gone, new = meter.events.values()
    assert [event["data"].get("first") for event in (first, gone, new)] == [None, first["id"], first["id"]]
    assert (gone["data"]["reverses"], gone["data"]["counted_s"]) == (first["id"], "-1200.5")
    assert first["time"] != gone["time"] == new["time"]


def test_a_session_in_review_waits_and_one_that_is_not_billed_is_not_sent(sent, meter):
    shop = Used()
    shop.session("s-1", "m-1", NOON, 30, uncertainty_ms=90_000, reason="power-loss")
    shop.session("s-2", "emergency:fire", NOON - timedelta(hours=2), 30)
    age(days=4)
    sent.turn()
    assert meter.effects == []
    corrections.accept(Review.objects.get(session="s-1"), author="eve")
    age(days=4)
    sent.turn()
    assert meter.sums() == {("m-1", "bandsaw"): 1_800_000}
    corrections.correct("s-1", "purpose", "training", author="eve", reason="a test")
    age(days=4)
    sent.turn()
    assert meter.sums() == {}


def test_a_correction_that_is_the_last_of_a_batch_does_not_make_the_batch_too_long(tmp_path):
    """It is two events, and Lago refuses a batch of 101 as a whole."""
    Collector.get(settings.ENVIRONMENT.site)
    with LagoRecorder(tmp_path).running() as lago:
        made = lago.configured
        lago.configured = lambda _since: made("2020-01")  # type: ignore[method-assign]
        shop, sent = Used(), Sent(lago)
        sent.clock.at = datetime.now(UTC)
        shop.session("s-0", "m-1", NOON, 30)
        age(days=4)
        sent.turn()
        for number in range(1, 100):
            shop.session(f"s-{number}", "m-1", NOON - timedelta(hours=number), 30)
        corrections.correct("s-0", "time", "60000", author="eve", reason="a test")
        age(days=4)
        sent.turn()
        assert sent.row.trouble == ""
        assert lago.batches == [1, 100, 1]
        assert sum(amount for _key, amount in lago.effects) == 60_000 + 99 * 1_800_000


def test_only_chosen_categories_are_sent(sent, meter):
    Used().session("s-1", "m-1", NOON, 30)
    age(days=4)
    one = meter.configured("2020-01")
    options = type(one.options)(since="2020-01", url=meter.url, key_file=one.options.key_file, categories=["laser"])
    engine.deliver(engine.Configured(one.name, one.driver_name, one.driver, options), sent.clock)
    assert meter.effects == []
    assert Sink.objects.get().cursor


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0"), (90_500, "90.5"), (-1, "-0.001"), (60_000, "60"), (-1_200_050, "-1200.05")]
)
def test_seconds_are_exact(ms, text):
    assert seconds.seconds(ms) == text


class Life:
    """Three sessions that change again and again. Chance decides what happens next."""

    def __init__(self, seed: int, sent: Sent, meter: OpenMeterRecorder) -> None:
        self.chance, self.sent, self.meter = random.Random(seed), sent, meter
        self.copy: tuple[str, list[SinkLetter]] | None = None
        shop = Used()
        for number in range(3):
            shop.session(f"s-{number}", f"m-{1 + number % 2}", NOON - timedelta(hours=9 - 2 * number), 30)

    def step(self) -> None:
        acts = (
            [self.correct] * 4 + [self.send] * 3 + [self.age] * 3 + [self.contest, self.settle, self.keep, self.restore]
        )
        self.chance.choice(acts)()

    def name(self) -> str:
        return f"s-{self.chance.randrange(3)}"

    def correct(self) -> None:
        changes = [("time", "60000"), ("time", "1800000"), ("time", "0"), ("payer", "m-3"), ("payer", "m-1")]
        field, new = self.chance.choice([*changes, ("purpose", "training"), ("purpose", "own")])
        with suppress(UsageError):  # it may be so already
            corrections.correct(self.name(), field, new, author="eve", reason="a test")

    def contest(self) -> None:
        name = self.name()
        if not Review.objects.filter(session=name, settled_at=None).exists():
            corrections.contest(UsageSession.objects.get(pk=name), "not me", author="zoe")

    def settle(self) -> None:
        for review in Review.objects.filter(settled_at=None):
            corrections.accept(review, author="eve")

    def age(self) -> None:
        age(days=self.chance.choice([1, 4]))

    def send(self) -> None:
        def die() -> None:
            if self.chance.random() < 0.2:
                raise Killed

        self.meter.mood = self.chance.choice([WELL, WELL, LOST])
        self.sent.clock.hooks = [die]
        with suppress(Killed):
            self.sent.turn()
        self.sent.clock.hooks, self.meter.mood = [], WELL
        self.sent.wait(minutes=5)

    def keep(self) -> None:
        if (row := Sink.objects.first()) is not None:
            self.copy = row.cursor, list(SinkLetter.objects.order_by("pk"))

    def restore(self) -> None:
        """Put back what the copy knows of the sink; the sessions are as they are."""
        if self.copy is None:
            return
        SinkLetter.objects.all().delete()
        SinkLetter.objects.bulk_create(self.copy[1])
        Sink.objects.update(cursor=self.copy[0])
        audit.record(audit.START, audit.RESTORED, Collector.objects.get())
        decisions.reconcile(Sink.objects.get(), actor="eve", reason="a test")


@pytest.mark.chance
@pytest.mark.parametrize("seed", range(LIVES))
def test_after_any_changes_the_meter_has_the_time_of_the_sessions(sent, meter, seed):
    life = Life(seed, sent, meter)
    for _number in range(60):
        life.step()
    life.settle()
    age(days=40)
    sent.wait(hours=2)
    sent.turn()
    assert meter.sums() == settled()
