"""Is the end of the broker's certificate noticed 30 days ahead, and an expired certificate named?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from fabgate.collector.faces.api import health
from fabgate.collector.ground.models import Heartbeat
from fabgate.collector.processes.ingest import Ingest
from fabgate.collector.recording.broker import once
from fabgate.errors import FabgateError
from tests.support.certificates import make_certificates, sign
from tests.support.mosquitto import MOSQUITTO, Mosquitto, mosquitto
from tests.support.patience import wait

pytestmark = [
    pytest.mark.usefixtures("database"),
    # paho forgets to close the socket of a handshake that failed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Certificates of one test, which may sign the broker's again."""
    if not Path(MOSQUITTO).exists():
        pytest.skip("no mosquitto here: apt install mosquitto")
    folder = tmp_path / "papers"
    folder.mkdir()
    return make_certificates(folder)


def env_of(broker: Mosquitto) -> Any:
    return replace(settings.ENVIRONMENT, mqtt_host="127.0.0.1", mqtt_port=broker.port, mqtt_ca=broker.ca)


@contextmanager
def turning(broker: Mosquitto) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Give a function that lets an ingest of `broker` work until something is so."""
    ingest = Ingest(env_of(broker))
    ingest._link.start()

    def until(is_so: Callable[[], bool]) -> None:
        def turn() -> bool:
            ingest._turn()
            return is_so()

        wait(turn, "the ingest")

    try:
        yield until
    finally:
        ingest._link.stop(orderly=False)


def row() -> Heartbeat | None:
    return Heartbeat.objects.filter(name=Heartbeat.INGEST).first()


def is_serving() -> bool:
    found = row()
    return found is not None and not found.trouble


@pytest.mark.broker
@pytest.mark.parametrize(("days", "warns"), [(10, True), (365, False)])
def test_a_certificate_that_expires_soon_causes_a_warning_and_its_end_is_shown(tmp_path, own, days, warns):
    sign(own, "broker", days=days)
    Heartbeat.beat(Heartbeat.WORKER, datetime.now(UTC))
    with mosquitto(tmp_path / "broker", papers=own) as broker, turning(broker) as until:
        until(is_serving)
    answer = Client().get("/healthz")
    ends = datetime.fromisoformat(answer.json()["broker_certificate"]["ends"])
    assert timedelta(days=days - 1) < ends - datetime.now(UTC) <= timedelta(days=days)
    assert (answer.status_code, bool(answer.json()["troubles"])) == ((503, True) if warns else (200, False))
    if warns:
        (trouble,) = answer.json()["troubles"]
        assert trouble.startswith(
            f"the broker's certificate expires on {ends:%Y-%m-%d}, in {days - 1} days: renew the certificate"
        )


@pytest.mark.broker
def test_an_expired_certificate_is_named_by_log_and_healthz_until_there_is_a_new_one(tmp_path, own, caplog):
    caplog.set_level(logging.WARNING)
    sign(own, "broker", days=-1)
    expired = "no connection to 127.0.0.1: the broker's certificate has expired: renew the certificate"
    with mosquitto(tmp_path / "broker", papers=own) as broker, turning(broker) as until:
        until(lambda: (found := row()) is not None and expired in found.trouble)
        assert "the broker's certificate has expired: renew the certificate" in caplog.text
        assert any(f"ingest: {expired}" in one for one in Client().get("/healthz").json()["troubles"])
        broker.stop()
        sign(own, "broker", days=365)
        broker.start()
        until(is_serving)


@pytest.mark.broker
@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ({"days": -1}, "the broker's certificate has expired: renew the certificate"),
        ({"days": 9, "in_days": 2}, "the broker's certificate is not valid yet: check the clock"),
    ],
)
def test_a_command_names_a_certificate_whose_dates_are_not_now(tmp_path, own, dates, said):
    sign(own, "broker", **dates)
    with (
        mosquitto(tmp_path / "broker", papers=own) as broker,
        pytest.raises(FabgateError, match=said),
    ):
        once.publish_once(env_of(broker), [once.Outgoing("t", b"")])


@pytest.mark.broker
def test_a_broker_without_tls_has_no_certificate_that_ends(tmp_path):
    if not Path(MOSQUITTO).exists():
        pytest.skip("no mosquitto here: apt install mosquitto")
    Heartbeat.beat(Heartbeat.INGEST, datetime.now(UTC), "starting", broker_until=datetime.now(UTC))
    with mosquitto(tmp_path / "broker") as broker, turning(broker) as until:
        until(is_serving)
    assert health.look(datetime.now(UTC)).found["broker_certificate"] == {"ends": None}


def test_the_end_of_a_certificate_is_still_known_after_a_restart():
    Heartbeat.beat(Heartbeat.INGEST, NOW, broker_until=NOW + timedelta(days=3))
    Ingest(settings.ENVIRONMENT)._beat()
    assert row().broker_until == NOW + timedelta(days=3)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=30, seconds=1), None),
        (timedelta(days=30), "the broker's certificate expires on 2026-03-31, in 30 days: renew the certificate"),
        (timedelta(hours=47), "the broker's certificate expires on 2026-03-03, in 1 day: renew the certificate"),
        (
            timedelta(hours=5),
            "the broker's certificate expires on 2026-03-01, in less than a day: renew the certificate",
        ),
        (timedelta(0), "the broker's certificate expired on 2026-03-01: renew the certificate"),
        (timedelta(days=-9), "the broker's certificate expired on 2026-02-20: renew the certificate"),
    ],
)
def test_a_warning_comes_30_days_ahead(left, said):
    for name in health.HEARD_WITHIN_S:
        Heartbeat.beat(name, NOW)
    Heartbeat.beat(Heartbeat.INGEST, NOW, broker_until=NOW + left)
    troubles = health.look(NOW).troubles
    assert len(troubles) == (said is not None)
    assert all(one.startswith(said) for one in troubles)
