"""Whether the collector is well, as a monitor hears it."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction
from django.test import Client

from fabgate.collector.faces.api import health
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.key_files import new_key, write_secret
from fabgate.collector.ground.models import Collector, FetchingBoot, FormerToken, Gate, Heartbeat, Machine, Verification
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.processes.ingest import Ingest
from fabgate.collector.processes.worker import Worker
from tests.collector.faces.pages import billing, used

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def well():
    """Both processes were heard just now."""
    for name in health.HEARD_WITHIN_S:
        Heartbeat.beat(name, datetime.now(UTC))


def test_all_is_well_while_its_processes_are_heard_and_the_database_answers(well):
    answer = Client().get("/healthz")
    found = answer.json()
    assert (answer.status_code, found["ok"], found["troubles"]) == (200, True, [])
    assert (found["database"], found["gates"]) == (
        {"ok": True},
        {"too_much": 0, "cloned": 0, "old_keys": 0, "known": 0, "silent": 0, "wrong_clock": 0},
    )
    assert (found["ingest"]["heard_s"] < 60, found["ingest"]["within_s"]) == (True, 60)
    assert found["disk"]["free_bytes"] > 0


@pytest.mark.parametrize(("name", "age_s"), [("ingest", 61), ("worker", 181)])
def test_a_process_without_heartbeats_is_named(well, name, age_s):
    now = datetime.now(UTC)
    Heartbeat.beat(name, now - timedelta(seconds=age_s - 1))
    assert health.look(now).troubles == ()
    Heartbeat.beat(name, now - timedelta(seconds=age_s))
    assert health.look(now).troubles == (f"the last heartbeat of {name} was {age_s} s ago",)


def test_the_problem_of_a_process_is_reported(well):
    Heartbeat.beat("ingest", datetime.now(UTC), "no connection to broker.lan")
    answer = Client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["troubles"] == ["ingest: no connection to broker.lan"]


def test_a_process_with_another_time_zone_than_the_database_is_reported(well, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, data=tmp_path))
    write_secret(settings.ENVIRONMENT.badge_key_file, new_key("b1"))
    ours = settings.ENVIRONMENT.tz
    Collector.objects.create(id=1, collector="c", site="lyon", rolled_tz=ours)
    Worker().turn(datetime.now(UTC))
    assert health.look(datetime.now(UTC)).troubles == ()
    Collector.objects.update(rolled_tz="Asia/Tokyo")  # as a service on another computer does
    Worker().turn(datetime.now(UTC))
    said = f"its time zone is {ours}, but the collector's is Asia/Tokyo: set one FABGATE_TZ for all, and restart them"
    assert health.look(datetime.now(UTC)).troubles == (f"web: {said}", f"worker: {said}")


def test_charges_that_a_worker_cannot_make_are_reported_after_a_quarter_of_an_hour(well):
    shop = used.Used()
    billing.start()
    billing.rule("price=0.10")
    refresh.refresh_all()
    assert health.look(datetime.now(UTC)).found["charges"] == {"not_charged_since": None}
    shop.session("s-1", "m-1", billing.NOON, 30)
    for name in health.HEARD_WITHIN_S:
        Heartbeat.beat(name, shop.now + timedelta(minutes=15))
    assert health.look(shop.now + timedelta(minutes=15)).troubles == ()
    (trouble,) = health.look(shop.now + timedelta(minutes=15, seconds=1)).troubles
    assert trouble == f"changes since {shop.now:%Y-%m-%d %H:%M} UTC are not charged: see the log of worker"
    refresh.refresh_all()
    assert health.look(shop.now + timedelta(minutes=16)).troubles == ()


def test_processes_that_never_ran_are_reported():
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
    assert answer.json()["troubles"] == ["ingest has never run: start it", "worker has never run: start it"]


def test_an_unreachable_database_is_reported_without_its_error(well, monkeypatch):
    def broken(*_):
        raise DatabaseError("password of ada at db.lan refused")

    monkeypatch.setattr(Heartbeat.objects, "all", broken)
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["database"]) == (503, {"ok": False})
    assert "ada" not in answer.content.decode()


def test_the_age_of_the_last_copy_is_known_and_a_late_one_is_reported(well, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, data=tmp_path))
    now = datetime.now(UTC)
    assert health.look(now).found["copy"] == {"made": None}
    assert "\nfabgate_copy_seconds " not in Client().get("/metrics", headers={"host": "localhost"}).content.decode()
    data_folder.note_copied(tmp_path)
    assert health.look(now + timedelta(days=2)).parts["copy"] == ""
    late = health.look(now + timedelta(days=3, hours=1))
    assert late.parts["copy"] == "the last copy of the collector was made 3 days ago"
    assert late.found["copy"] == {"made": data_folder.last_copied(tmp_path).isoformat()}
    assert "\nfabgate_copy_seconds " in Client().get("/metrics", headers={"host": "localhost"}).content.decode()
    (tmp_path / ".copied").write_text("yesterday")
    assert health.look(now).found["copy"] == {"made": None}


def test_a_nearly_full_disk_is_reported(well, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=health.DISK_BYTES - 1))
    assert health.look(datetime.now(UTC)).troubles == ("only 268 MB are free in FABGATE_DATA",)


def test_offline_gates_are_counted_but_are_no_problem_except_of_retired_machines(well):
    saw, old = Machine.objects.create(name="saw"), Machine.objects.create(name="old", retired_at=datetime.now(UTC))
    Gate.objects.create(name="saw-1", machine=saw, online=True)
    Gate.objects.create(name="saw-2", machine=saw)
    Gate.objects.create(name="old-1", machine=old)
    Gate.objects.create(name="spare")
    found = health.look(datetime.now(UTC))
    counts = {"too_much": 0, "cloned": 0, "old_keys": 0, "known": 2, "silent": 1, "wrong_clock": 0}
    assert (found.found["gates"], found.is_well) == (counts, True)


def test_only_reading_is_possible(well):
    assert Client().post("/healthz").status_code == 405


def test_an_ingest_says_at_once_when_its_broker_comes_and_goes():
    ingest = Ingest(replace(settings.ENVIRONMENT, mqtt_host="broker.lan"))
    told = lambda: Heartbeat.objects.get(name="ingest").trouble  # noqa: E731
    ingest._beat()
    assert told() == "no connection to broker.lan"
    ingest._serving = ingest._link.connected = True
    ingest._beat()
    assert told() == ""
    Heartbeat.objects.all().delete()
    ingest._beat()
    assert not Heartbeat.objects.exists(), "the same again is said only now and then"
    ingest._link._refused_at = time.monotonic()
    ingest._beat()
    assert told() == "the broker refuses what is published: check its access list"
    ingest._link._refused_at -= 1_000
    ingest._link.refused_subscription = "Not authorized"
    ingest._beat()
    assert told() == "the broker refuses a subscription (Not authorized): check its access list"
    ingest._link.connected = False
    ingest._beat()
    assert told() == "no connection to broker.lan"


def test_an_ingest_that_cannot_write_its_heartbeat_goes_on(monkeypatch, caplog):
    def broken(*_, **_known):
        raise DatabaseError("locked")

    monkeypatch.setattr(Heartbeat, "beat", broken)
    Ingest(settings.ENVIRONMENT)._beat()
    assert "the heartbeat cannot be written: locked" in caplog.text


def test_a_wrong_clock_is_a_problem_without_naming_the_gate(well):
    Gate.objects.create(name="saw", machine=Machine.objects.create(name="saw"), online=True, clock_off_ms=-3_600_000)
    found = health.look(datetime.now(UTC))
    assert found.found["gates"]["wrong_clock"] == 1
    assert found.troubles == ("the clock of 1 gate is wrong: the page Gates shows by how much",)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["mad"], "1 gate sends more than a gate may: the page Gates shows which"),
        (["mad", "saw"], "2 gates send more than a gate may: the page Gates shows which"),
    ],
)
def test_a_gate_that_sends_too_much_is_a_problem_for_an_hour(well, names, said):
    now = datetime.now(UTC)
    for name in names:
        Gate.objects.create(name=name, too_much_at=now)
    assert health.look(now).troubles == (said,)
    Gate.objects.update(too_much_at=now - timedelta(hours=1))
    assert health.look(now).troubles == ()


def test_a_clone_is_a_problem_until_the_gate_has_new_keys(well):
    now = datetime.now(UTC)
    gate = Gate.objects.create(name="saw", token_hash="x")
    for boot in ("a", "b"):
        clones.fetched(gate, boot, "192.168.1.20", now - timedelta(hours=1))
    assert health.look(now).troubles == ()
    clones.fetched(gate, "a", "192.168.1.20", now)
    assert health.look(now).troubles == ("two devices use the keys of 1 gate: the page Gates shows which",)
    with transaction.atomic():
        clones.keys_ended(gate, "x", now)
    assert health.look(now).troubles == ()


def test_an_old_card_is_a_problem_for_a_day_unless_the_gate_waits_for_its_new_keys(well):
    now = datetime.now(UTC)
    gate = Gate.objects.create(name="saw", token_hash="x")
    with transaction.atomic():
        clones.keys_ended(gate, Gate.hash_of("old"), now)
    clones.refused("saw", "old", "192.168.1.66", now)
    assert health.look(now).troubles == ()
    clones.fetched(gate, "a", "192.168.1.20", now)
    said = "a device used old keys of 1 gate, and was refused: the page Gates shows which"
    assert health.look(now).troubles == (said,)
    assert health.look(now + FormerToken.SHOWN - timedelta(seconds=1)).parts["old_keys"] == said
    assert health.look(now + FormerToken.SHOWN).parts["old_keys"] == ""
    Gate.objects.update(token_hash="")
    FetchingBoot.objects.all().delete()
    assert health.look(now).troubles == (said,), "of a gate that was cut off nobody may have keys"


def test_altered_books_are_a_problem_and_so_are_books_that_are_not_checked(well):
    now = datetime.now(UTC)
    assert health.look(now).found["verification"] == {"ended": None, "findings": None}
    for values, trouble in (
        ({}, None),
        ({"findings": 2}, "the books were altered: the page Completeness shows what"),
        ({"trouble": "another key"}, "the books cannot be verified: the page Completeness says why"),
        ({"ended_at": now - timedelta(days=5)}, "the books have not been verified for days: see the log of worker"),
    ):
        row = {"began_at": now, "ended_at": now, "findings": 0, "trouble": "", **values}
        Verification.objects.update_or_create(id=1, defaults=row)
        assert health.look(now).troubles == ((trouble,) if trouble else ())
    assert "another key" not in str(health.look(now))
