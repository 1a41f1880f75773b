"""Which authorities rosters name, and when a gate counts as one that knows them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings

from fabgate.collector.ground import authorities
from fabgate.collector.ground.models import Gate
from fabgate.collector.members.access import roster
from fabgate.collector.processes.worker import Worker
from fabgate.collector.recording.intake.store import Store
from fabgate.mqtt.authorities import certificates, fingerprint, pem
from tests.collector.gates import NOON, Journal
from tests.collector.rosters import own_roster, served

OLD, NEW = b"\x30\x01old", b"\x30\x01new"


class Site:
    """A collector whose broker and pages have one authority, and a gate that reports what it has."""

    def __init__(self, ca: Path) -> None:
        self.ca, self.journal, self.store = ca, Journal(), Store("lyon")
        self.worker = Worker()
        self.publish(OLD)

    def publish(self, *ders: bytes) -> None:
        self.ca.write_text(pem(ders))

    def turn(self) -> list[str]:
        """Let a minute of the worker pass; return the gates that have a new roster."""
        return [gate.name for gate in self.worker.turn(datetime.now(UTC))]

    def report(self, *ders: bytes, **more: Any) -> Gate:
        """Let the gate say that it has its newest roster, and these authorities."""
        gate = Gate.objects.get()
        reported = [fingerprint(der) for der in ders]
        said = {"roster": own_roster(version=gate.roster_version), "authorities": reported, **more}
        self.store.store([self.journal.status(**said)], NOON)
        return Gate.objects.get()

    def knows(self) -> bool:
        return roster.knows_authorities(Gate.objects.get())


@pytest.fixture
def site(gate, env, told, tmp_path, monkeypatch) -> Site:
    ca = tmp_path / "ca.crt"
    found = replace(env, mqtt_ca=ca, web_ca=ca, web_cert=tmp_path / "pages.pem")
    monkeypatch.setattr(settings, "ENVIRONMENT", found)
    site = Site(ca)
    site.turn()
    return site


def named() -> list[bytes]:
    return certificates(served(Gate.objects.get()).authorities)


def test_rosters_name_what_the_collector_trusts_and_gates_hear_of_a_change_within_a_minute(site: Site) -> None:
    assert named() == [OLD]
    assert site.turn() == []
    site.publish(OLD, NEW)
    assert site.turn() == ["laser-1"]
    assert named() == sorted([OLD, NEW])
    assert site.turn() == []
    site.publish(NEW, OLD)
    assert site.turn() == [], "the order says nothing"
    site.publish(NEW)
    assert site.turn() == ["laser-1"]
    assert named() == [NEW]
    with mock.patch.object(roster, "rebuild", side_effect=AssertionError):
        site.turn()  # nothing has changed, so no roster is compared


def test_a_key_that_somebody_put_into_the_file_goes_to_no_gate(site: Site) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    site.ca.write_text(f"{key}{pem([OLD])}a note\n")
    roster.rebuild()
    assert served(Gate.objects.get()).authorities == pem([OLD])


@pytest.mark.parametrize("change", ["web_cert", "web_ca", "mqtt_ca"])
def test_where_two_authorities_sign_or_a_proxy_does_rosters_name_none(
    site: Site, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = None if change == "web_cert" else tmp_path / "another.crt"
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, **{change: value}))
    roster.rebuild()
    assert served(Gate.objects.get()).authorities == ""


def test_while_the_file_cannot_be_read_rosters_name_none_and_gates_keep_theirs(site: Site) -> None:
    site.ca.unlink()
    roster.rebuild()
    assert served(Gate.objects.get()).authorities == ""


def test_a_gate_knows_a_new_authority_when_it_reports_the_roster_and_the_authority(site: Site) -> None:
    site.report(OLD)
    assert site.knows()
    site.publish(OLD, NEW)
    assert not site.knows(), "its roster does not name it yet"
    site.report(OLD)
    assert not site.knows()
    site.turn()
    assert not site.knows(), "it has not fetched it"
    site.report(OLD)
    assert not site.knows(), "it could not keep it"
    assert site.report(OLD, NEW).problems == []
    assert site.knows()
    Gate.objects.update(roster_version=Gate.objects.get().roster_version + 1)
    assert not site.knows(), "there is a newer roster"


def test_a_gate_of_0_1_0_and_one_that_was_taken_back_to_it_lack_it_and_a_last_will_says_nothing(site: Site) -> None:
    site.publish(OLD, NEW)
    site.turn()
    gate = site.report(problems=["reader: x"])
    assert gate.problems[0] == "reader: x"
    assert gate.problems[1].startswith(f"{authorities.MISSING}: ")
    assert not site.knows()
    site.report(OLD, NEW)
    assert site.knows()
    site.store.store([site.journal.status(online=False)], NOON)
    assert site.knows(), "it was switched off"
    site.report()
    assert not site.knows()


def test_with_one_authority_a_gate_that_reports_none_is_no_problem(site: Site) -> None:
    assert site.report().problems == []
    assert site.knows()


def test_a_gate_without_a_machine_gets_no_roster_and_so_knows_none(site: Site) -> None:
    site.report(OLD)
    Gate.objects.create(name="saw-1", roster_version=0)
    assert not roster.knows_authorities(Gate.objects.get(name="saw-1"))


def test_gates_says_who_knows_and_asks_nothing_of_one_that_was_revoked(site: Site, run: Any) -> None:
    site.report(OLD)
    Gate.objects.create(name="saw-1", token_hash="")
    rows = json.loads(run("gates", "--json"))
    assert {row["gate"]: row["has_authorities"] for row in rows} == {"laser-1": True, "saw-1": None}
    site.publish(OLD, NEW)
    assert json.loads(run("gates", "--json"))[0]["has_authorities"] is False
