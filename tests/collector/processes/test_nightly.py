"""The books are verified once in each night, by a process of its own, which ends with the worker."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings

from fabgate.collector.ground.models import Verification
from fabgate.collector.processes import nightly
from fabgate.collector.processes.nightly import Nightly

pytestmark = pytest.mark.usefixtures("database")
#: 03:00 in Paris.
NIGHT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
NOON = NIGHT + timedelta(hours=10)


@pytest.fixture(autouse=True)
def paris(monkeypatch) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, tz="Europe/Paris"))


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """A verification that leaves a line in a file each time; return how many there were."""
    file = tmp_path / "runs"
    file.touch()
    code = f"open({str(file)!r}, 'a').write('run\\n')"
    monkeypatch.setattr(nightly, "COMMAND", (sys.executable, "-c", code))
    return lambda: len(file.read_text().splitlines())


def turn(night: Nightly, now: datetime) -> None:
    """Take a turn, and wait until the process that it started has ended."""
    night.turn(now)
    if night._process is not None:
        night._process.wait()


def done(at: datetime, **values) -> None:
    Verification.objects.update_or_create(id=1, defaults={"began_at": at, "ended_at": at, **values})


def test_it_begins_once_in_each_night_and_never_by_day(runs):
    night, begun = Nightly(), []
    for hours in range(-12, 60):
        before, now = runs(), NIGHT + timedelta(hours=hours)
        turn(night, now)
        if runs() > before:
            begun.append(now)
            done(now)
    assert begun == [NIGHT - timedelta(hours=1) + timedelta(days=days) for days in range(3)]  # at 02:00 in Paris


def test_a_night_that_fails_is_not_repeated_each_minute_but_by_the_next_worker(runs):
    night = Nightly()
    for minutes in range(5):
        turn(night, NIGHT + timedelta(minutes=minutes))
    assert runs() == 1
    turn(Nightly(), NIGHT + timedelta(minutes=6))
    assert runs() == 2
    done(NIGHT)
    turn(Nightly(), NIGHT + timedelta(minutes=7))
    assert runs() == 2


def test_a_collector_that_is_off_at_night_verifies_by_day(runs):
    done(NOON - timedelta(hours=30))
    night = Nightly()
    turn(night, NOON)
    assert runs() == 0
    done(NOON - timedelta(hours=37))
    turn(night, NOON + timedelta(minutes=1))
    assert runs() == 0  # the worker has only just started
    turn(night, NOON + timedelta(hours=13))  # 02:00
    assert runs() == 1


def test_a_worker_that_never_sees_a_night_verifies_after_a_day_and_a_half(runs, monkeypatch):
    monkeypatch.setattr(nightly, "HOURS", range(0))
    night = Nightly()
    turn(night, NOON)
    turn(night, NOON + nightly.OVERDUE)
    assert runs() == 0
    turn(night, NOON + nightly.OVERDUE + timedelta(minutes=1))
    assert runs() == 1


def test_it_ends_with_the_worker_and_is_not_started_twice(monkeypatch):
    monkeypatch.setattr(nightly, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    night = Nightly()
    night.turn(NIGHT)
    process = night._process
    night.turn(NIGHT + timedelta(minutes=1))
    assert night._process is process
    night.stop()
    assert process.poll() is not None
    night.stop()  # and nothing more


def test_how_it_ended_is_logged(monkeypatch, caplog):
    monkeypatch.setattr(nightly, "COMMAND", (sys.executable, "-c", "raise SystemExit(6)"))
    night = Nightly()
    turn(night, NIGHT)
    night.turn(NIGHT + timedelta(minutes=1))
    assert "the verification of the books ended with 6" in caplog.text


def test_a_night_without_a_result_is_stored_as_such(monkeypatch):
    """The page showed the result of the night before as the last one, for four days."""
    done(NIGHT - timedelta(days=1), findings=0)
    monkeypatch.setattr(nightly, "COMMAND", (sys.executable, "-c", "raise ValueError"))
    night = Nightly()
    turn(night, NIGHT)
    night.turn(NIGHT + timedelta(minutes=1))
    last = Verification.last()
    assert last.trouble == "the verification ended with 1, without a result: see the log"
    assert (last.began_at, last.ended_at) == (NIGHT, NIGHT + timedelta(minutes=1))


def test_a_night_that_stored_its_own_result_keeps_it(monkeypatch):
    monkeypatch.setattr(nightly, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    night = Nightly()
    turn(night, NIGHT)
    done(NIGHT + timedelta(seconds=1), trouble="the secret.key is another one")
    night.turn(NIGHT + timedelta(minutes=1))
    assert Verification.last().trouble == "the secret.key is another one"
    done(NIGHT + timedelta(hours=1), trouble="")
    monkeypatch.setattr(nightly, "COMMAND", (sys.executable, "-c", "raise SystemExit(6)"))
    turn(night, NIGHT + timedelta(days=1))
    night.turn(NIGHT + timedelta(days=1, minutes=1))
    assert Verification.last().trouble == ""
