"""What Prometheus reads, and who may."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fabgate.collector.faces.api.metrics import Workshop
from fabgate.collector.ground.models import Gate, Heartbeat, Machine, Member, UsageSession
from fabgate.collector.money.billing import closing
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.sinks import config
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.gates import NOON, Journal

REFERENCE = Path(__file__).parents[4] / "docs" / "reference.md"
pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def without_sinks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(config, "path", lambda: tmp_path / "sinks.yaml")


def read(**headers: str):
    return Client(REMOTE_ADDR=headers.pop("address", "127.0.0.1")).get(
        "/metrics", headers={"host": "localhost:8000", **headers}
    )


def numbers(now: datetime = NOON) -> dict[tuple[str, ...], float]:
    """Return each value by its name and the values of its labels."""
    registry = CollectorRegistry()
    registry.register(Workshop(now))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert all(family.documentation.endswith(".") for family in families)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.fixture
def used() -> Journal:
    """A gate that was used by ada, and at which a stranger was refused."""
    saw = Machine.objects.create(name="saw")
    Gate.objects.create(name="laser-1", machine=saw, roster_version=5)
    Member.objects.create(id="m-ada", name="Ada")
    journal = Journal()
    journal.start("s1", "m-ada")
    journal.write("session.ended", time=NOON, session="s1", member="m-ada", badge="digest-of-ada", reason="badge",
                  energised_ms=90_000, running_ms=0)  # fmt: skip
    journal.write("access.refused", time=NOON, badge="digest-of-a-stranger", reasons=["unknown-badge", "expired"])
    journal.start("s2", "m-ada")
    store = Store("lyon")
    store.store([journal.status(head=7), *journal.messages()], NOON)
    return journal


def test_the_workshop_is_shown_in_numbers(used):
    found = numbers()
    assert found["fabgate_gate_online", "laser-1"] == 1
    assert found["fabgate_gate_heard_seconds", "laser-1"] == 0
    assert found["fabgate_gate_entries_waiting", "laser-1"] == 3
    assert found["fabgate_gate_roster_known", "laser-1"] == 0
    assert found["fabgate_machine_locked", "saw"] == 0
    assert found["fabgate_entries_stored",] == 4
    assert found["fabgate_entries_missing",] == 0
    assert found["fabgate_sessions_open",] == 1
    assert found["fabgate_today_sessions", "saw"] == 1
    assert found["fabgate_today_on_seconds", "saw"] == 90
    assert found["fabgate_lately_refusals", "unknown-badge"] == 1
    assert ("fabgate_lately_refusals", "expired") not in found


def test_a_gate_without_heartbeats_is_offline_and_its_machine_not_in_use(used):
    Store("lyon").store([used.state(state="active", session="s2", member="m-ada")], NOON)
    for minutes, there in ((0, 1), (10, 0)):
        found = numbers(NOON + timedelta(minutes=minutes))
        assert (found["fabgate_gate_online", "laser-1"], found["fabgate_gate_in_use", "laser-1"]) == (there, there)


def test_what_is_charged_is_shown_once_billing_was_started(used):
    assert not [key for key in numbers() if key[0].startswith("fabgate_charges")]
    billing.start(first=NOON.date().replace(day=1))
    billing.rule("price=1.00", since=NOON.date().replace(day=1))
    late = NOON + timedelta(seconds=40)
    soon = datetime.now(UTC) + timedelta(seconds=40)
    assert numbers(soon)["fabgate_charges_behind_seconds",] >= 40
    refresh.refresh_all()
    names = ("provisional", "in_review", "behind_seconds")
    found = numbers(late)
    assert [found[f"fabgate_charges_{name}",] for name in names] == [1, 0, 0]
    assert found["fabgate_charges_provisional_minor", "EUR"] == 150
    corrections.contest(UsageSession.objects.get(pk="s1"), "it was not me", author="m-ada")
    refresh.refresh_all()
    found = numbers(late)
    assert [found[f"fabgate_charges_{name}",] for name in names] == [1, 1, 0]
    assert found["fabgate_charges_provisional_minor", "EUR"] == 0
    closing.close(NOON.date().replace(day=1), NOON + timedelta(days=40), actor="eve", reason="a test")
    assert numbers(late)["fabgate_charges_provisional",] == 0


def test_they_identify_nobody(used):
    text = read().content.decode()
    assert "laser-1" in text
    for person in ("m-ada", "Ada", "digest-of", "s1"):
        assert person not in text


def test_the_health_is_among_them():
    assert numbers()["fabgate_healthy",] == 0
    for name in ("ingest", "worker"):
        Heartbeat.beat(name, NOON - timedelta(seconds=5))
    found = numbers()
    assert found["fabgate_healthy",] == 1
    assert found["fabgate_process_heard_seconds", "worker"] == 5


@pytest.fixture
def token(monkeypatch) -> str:
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, metrics_token="abc"))
    return "abc"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"address": "127.0.0.1"}, 200),
        ({"address": "::1", "host": "[::1]:8000"}, 200),
        ({"address": "192.168.1.7"}, 401),
        ({"address": "192.168.1.7", "host": "localhost"}, 401),
        ({"address": "127.0.0.1", "host": "collector.lan"}, 401),  # through a proxy that says nothing
        ({"address": "127.0.0.1", "x_forwarded_for": "192.168.1.7"}, 401),  # and one that puts its own name there
        ({"address": "192.168.1.7", "authorization": "Bearer "}, 401),
        ({"address": "192.168.1.7", "authorization": "Bearer abc"}, 401),
    ],
)
def test_without_a_token_only_this_computer_reads_them(asked, status):
    answer = read(**asked)
    assert answer.status_code == status
    assert ("fabgate_build" in answer.content.decode()) == (status == 200)


@pytest.mark.parametrize(("given", "status"), [("Bearer abc", 200), ("bearer abc", 200), ("Bearer abd", 401), ("abc", 401), ("Bearer é", 401)])  # fmt: skip
def test_clients_with_the_token_read_them_from_anywhere(token, given, status):
    asked = {"address": "192.168.1.7", "host": "collector.lan", "authorization": given}
    assert read(**asked).status_code == status
    assert read().status_code == 200


def test_only_reading_is_possible():
    assert Client().post("/metrics").status_code == 405


def test_the_reference_names_each_with_its_labels_and_no_other():
    section = REFERENCE.read_text("utf-8").partition("## Monitoring\n")[2].partition("\n## ")[0]
    told = [tuple(re.split(r" \| ", line.strip("| "))) for line in section.splitlines() if line.startswith("| `")]
    wanted = []
    billing.start()
    for family in Workshop(NOON).collect():
        labels = ", ".join(f"`{name}`" for name in family._labelnames) or "none"
        text = family.documentation
        wanted.append((f"`{family.name}`", labels, text[0].lower() + text[1:].rstrip(".")))
    assert told == wanted
