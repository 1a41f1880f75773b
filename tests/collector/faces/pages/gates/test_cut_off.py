"""Does a manager cut a gate off, and does its page say so only when the broker has confirmed it?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.utils import translation

from fabgate.collector.faces.pages.gates import health
from fabgate.collector.ground.models import BrokerAccount, Change, Gate, JoinCode, Pulse
from fabgate.collector.recording.broker.accounts import keeper
from tests.collector.join.joining import new_code
from tests.collector.rosters import add, fetch, token


@pytest.fixture
def own(env, tmp_path, monkeypatch, gate) -> Any:
    """A collector with a broker of its own, which does not run, and a gate that has an account there."""
    found = replace(env, broker_control=tmp_path / "socket", mqtt_username="lyon/collector")
    monkeypatch.setattr(settings, "ENVIRONMENT", found)
    add(new_token=True)
    return found


def connection() -> tuple[str, str]:
    (found,) = health.of(Gate.objects.all(), datetime.now(UTC))
    return found.connection.state, found.connection.text


def test_it_is_cut_off_only_when_the_broker_has_confirmed_it(own, browse):
    manager, old = browse("manager"), token(own)
    new_code("laser-1", "laser", replaces=True)
    assert "Cut this gate off" in manager.get("/gates/laser-1").content.decode()
    answer = manager.post("/gates/laser-1/cut-off")
    assert (answer.status_code, answer["Location"]) == (303, "/gates/laser-1#gate-cards")
    assert fetch(own, Authorization=f"Bearer {old}").status_code == 401
    assert not JoinCode.objects.exists()
    page = manager.get("/gates/laser-1").content.decode()
    assert "This gate is being cut off." in page
    assert "This gate is cut off." not in page
    assert "Cut this gate off" not in page
    assert connection() == ("warn", "Is being cut off")
    Pulse.objects.all().delete()
    keeper._confirm(BrokerAccount.objects.select_related("gate").get())
    assert list(Pulse.objects.values_list("topic", "gate")) == [(Pulse.FLOOR, "laser-1")]
    page = manager.get("/gates/laser-1").content.decode()
    assert "This gate is cut off." in page
    assert "This gate is being cut off." not in page
    assert connection() == ("silent", "Cut off")
    with translation.override("fr"):
        assert connection() == ("silent", "Coupée")


def test_what_a_gate_reported_before_it_was_cut_off_needs_no_attention(own, browse):
    now = datetime.now(UTC)
    gate = Gate.objects.get()
    Gate.objects.update(problems=["reader: unplugged"], seen_at=now, online=True, boot="b")
    manager, old = browse("manager"), token(own)
    assert "Blink" in manager.get("/gates/laser-1").content.decode()
    manager.post("/gates/laser-1/cut-off")
    keeper._confirm(BrokerAccount.objects.select_related("gate").get())
    (found,) = health.of(Gate.objects.all(), now)
    assert (found.is_ok, found.problems, found.silent_since) == (True, [], "")
    page = manager.get("/gates/laser-1").content.decode()
    assert "Blink" not in page
    assert "commands cannot reach it" not in page
    fetch(own, Authorization=f"Bearer {old}")
    gate.refresh_from_db()
    (found,) = health.of([gate], datetime.now(UTC))
    assert (found.is_ok, found.problems) == (False, [("Old keys were used, and refused", "")])


def test_who_did_it_is_in_the_log_and_on_the_page(own, browse, account):
    maya = account("manager")
    browse(maya).post("/gates/laser-1/cut-off")
    change = Change.objects.get(verb="gate.revoked")
    assert (change.actor, change.key) == (maya.name, "laser-1")
    page = browse("auditor").get("/gates/laser-1").content.decode()
    assert f"Cut off by {maya}," in page


def test_without_accounts_of_its_own_it_says_what_is_left_to_do(env, gate, browse):
    manager = browse("manager")
    manager.post("/gates/laser-1/cut-off")
    page = manager.get("/gates/laser-1").content.decode()
    assert "The token of this gate is no longer valid." in page
    assert "change it by hand" in page
    assert "This gate is cut off." not in page


def test_a_gate_that_was_let_in_again_or_never_was_is_not_called_cut_off(own, browse):
    manager = browse("manager")
    manager.post("/gates/laser-1/cut-off")
    add()
    page = manager.get("/gates/laser-1").content.decode()
    assert "Cut this gate off" in page
    assert "cut off." not in page.partition("Cut this gate off")[0].replace("It gets", "")
    Gate.objects.create(name="seen")
    page = manager.get("/gates/seen").content.decode()
    assert "Cut off by" not in page
    assert "Cut this gate off" not in page


@pytest.mark.parametrize("role", ["maintainer", "auditor", "desk", "member"])
def test_only_a_manager_cuts_a_gate_off(own, browse, role):
    client = browse(role)
    assert client.post("/gates/laser-1/cut-off").status_code == 403
    assert Gate.objects.get().token_hash
    assert "Cut this gate off" not in client.get("/gates/laser-1").content.decode()


def test_a_gate_that_is_not_there_is_not_found(own, browse):
    assert browse("manager").post("/gates/none/cut-off").status_code == 404
