"""What happens because time goes by, and that the gates hear of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client

from fabgate.collector.ground.models import (
    Account,
    Badge,
    Block,
    Change,
    Grant,
    Heartbeat,
    Member,
    Pulse,
    SignIn,
    Training,
)
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks
from fabgate.collector.members.people.import_list import uploads
from fabgate.collector.processes.worker import Worker
from tests.collector.grants import give_badge, grant
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env")


@pytest.fixture
def ada(gate, told) -> Member:
    member = Member.objects.create(id="m-1", name="Ada")
    member.machines.add(gate.machine)
    roster.rebuild()
    told.clear()
    return member


def test_a_loan_ends_by_itself_and_the_gates_are_told(ada, gate, told):
    worker, now = Worker(), datetime.now(UTC)
    row = give_badge(ada, kind="loan", until=now + timedelta(minutes=1))
    worker.turn(now)
    assert len(served(gate).members[0].badges) == 1
    told.clear()
    Badge.objects.update(until=now - timedelta(seconds=1))
    assert [changed.name for changed in worker.turn(now)] == ["laser-1"]
    assert served(gate).members[0].badges == []
    row.refresh_from_db()
    assert (row.end_reason, row.ended_by, row.ended_at) == ("over", "worker", now - timedelta(seconds=1))
    assert len(told) == 1
    assert Change.objects.filter(verb="badge.ended", key=str(row.pk)).count() == 1
    assert worker.turn(now) == []
    assert len(told) == 1


def test_on_a_new_day_a_training_that_expired_is_the_reason_that_is_shown(ada, gate):
    ada.machines.clear()
    give_badge(ada)
    laser = Training.objects.create(name="laser")
    laser.machines.add(gate.machine)
    grant(ada, laser)
    worker, now = Worker(), datetime.now(UTC)
    worker.turn(now)
    assert [member.id for member in served(gate).members] == ["m-1"]
    Grant.objects.update(until=blocks.today() - timedelta(days=1))
    assert worker.turn(now) == []  # the same day: nothing ends in the middle of one
    assert [changed.name for changed in worker.turn(now + timedelta(days=1))] == ["laser-1"]
    assert [refusal.reasons for refusal in served(gate).refusals] == [["training-expired"]]


def test_a_blocks_day_comes_though_no_gate_asks(ada, gate):
    worker, now = Worker(), datetime.now(UTC)
    Block.objects.create(member=ada, reason="banned", until=blocks.today(), actor="eve", at=now)
    assert [changed.name for changed in worker.turn(now)] == ["laser-1"]
    assert Block.objects.get().lifted_at is not None


def test_nothing_is_told_of_a_minute_in_which_nothing_ended(ada, told):
    worker, now = Worker(), datetime.now(UTC)
    worker.turn(now)
    told.clear()
    for minute in range(3):
        assert worker.turn(now + timedelta(minutes=minute)) == []
    assert told == []


def test_old_pulses_go(ada, monkeypatch):
    monkeypatch.setattr(Pulse, "KEPT", 2)
    Pulse.objects.bulk_create(Pulse(topic="floor", at=datetime.now(UTC)) for _ in range(9))
    Worker().turn(datetime.now(UTC))
    assert Pulse.objects.count() <= 2


def test_a_busy_database_is_tried_again_a_minute_later(ada, gate, monkeypatch):
    worker, now = Worker(), datetime.now(UTC)
    give_badge(ada, kind="loan", until=now - timedelta(seconds=1))
    build = roster.rebuild

    def busy(*_args, **_more):
        raise OperationalError("database is locked")

    monkeypatch.setattr(roster, "rebuild", busy)
    assert worker.turn(now) == []
    assert Badge.objects.get().ended_at is None  # all of it or nothing
    monkeypatch.setattr(roster, "rebuild", build)
    worker.turn(now)
    assert Badge.objects.get().ended_at is not None


def test_a_worker_says_that_it_lives_each_time_it_has_looked():
    now = datetime.now(UTC)
    Worker().turn(now)
    assert Heartbeat.objects.get(name="worker").at == now


# --- what was kept for a while only -----------------------------------------------------------------------------------


def browser_of(account: Account) -> Client:
    client = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
    client.force_login(account)
    return client


@pytest.fixture
def karim(gate) -> Account:
    return Account.objects.create(name="karim", role=Account.DESK)


def test_a_sign_in_that_is_over_leaves_nothing_behind(karim):
    begun = datetime.now(UTC)
    old, young = browser_of(karim), browser_of(karim)
    _first, second = SignIn.objects.order_by("pk")
    over = begun + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    Session.objects.filter(pk=young.session.session_key).update(expire_date=over + timedelta(days=1))
    SignIn.objects.filter(pk=second.pk).update(seen_at=over)
    Worker().turn(over - timedelta(minutes=1))
    assert (Session.objects.count(), SignIn.objects.count()) == (2, 2)
    Worker().turn(over + timedelta(minutes=1))
    assert [row.pk for row in Session.objects.all()] == [young.session.session_key]
    assert list(SignIn.objects.all()) == [second]
    assert old.get("/me").headers["Location"].startswith("/sign-in")
    assert young.get("/me").status_code == 200


@pytest.mark.parametrize("end", ["revoked", "another secret key"])
def test_a_sign_in_that_no_session_can_name_any_more_goes_too(karim, end):
    client, now = browser_of(karim), datetime.now(UTC)
    if end == "revoked":
        SignIn.revoke(karim)
        client.get("/me")  # which ends the session
    else:
        Session.objects.update(session_data="nobody can read it")
    Worker().turn(now + timedelta(days=13))
    assert SignIn.objects.count() == 1
    Worker().turn(now + timedelta(days=15))
    assert (Session.objects.count(), SignIn.objects.count()) == (0, 0)


def test_a_list_that_nobody_took_is_deleted_after_an_hour(gate):
    token = uploads.keep(b"id,name\nm-1,Ada King\n")
    file = settings.ENVIRONMENT.data / "uploads" / token
    Worker().turn(datetime.now(UTC))
    assert file.exists()
    old = file.stat().st_mtime - timedelta(hours=1, minutes=1).total_seconds()
    os.utime(file, (old, old))
    Worker().turn(datetime.now(UTC))
    assert not file.exists()


def test_uploads_that_cannot_be_deleted_keep_the_worker_from_nothing(gate, caplog):
    now = datetime.now(UTC)
    (settings.ENVIRONMENT.data / "uploads").write_text("no folder")
    Worker().turn(now)
    assert "old uploads are not deleted" in caplog.text
    assert Heartbeat.objects.get(name="worker").at == now
