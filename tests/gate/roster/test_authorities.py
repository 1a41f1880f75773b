"""Which authorities a gate trusts after a roster has named others: it always reaches its collector."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.gate.config.authorities import Authorities
from fabgate.gate.roster.http_source import Receipt
from fabgate.gate.roster.source import RosterConfirmed, RosterStored
from tests.conftest import SOAK
from tests.gate.roster import tls
from tests.gate.roster.tls import TlsHarness, fingerprints, named, pem


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[TlsHarness]:
    with tls.harness(tmp_path) as found:
        assert found.fetch()
        yield found


# --- a turn, step by step ---------------------------------------------------------------------------------------------


def test_a_gate_takes_a_new_authority_at_once_and_drops_the_old_one_when_it_works_without(gate: TlsHarness) -> None:
    gate.publish("a", "b")
    assert gate.fetch()
    assert gate.trusted == fingerprints("a", "b")
    gate.pages.sign("b")
    gate.broker_tls.sign("b")
    gate.publish("b")
    assert gate.fetch(), "the certificate of the pages changed while it ran"
    assert gate.trusted == fingerprints("b")
    assert gate.authorities.problem == ""
    gate.restart()
    assert gate.trusted == fingerprints("b")
    assert gate.fetch()
    gate.pages.sign("a")
    assert not gate.fetch(), "the old authority is trusted no more"


def test_what_gate_yaml_names_is_enough_while_the_collector_names_the_same(gate: TlsHarness) -> None:
    assert gate.trusted == fingerprints("a")
    assert not (gate.config().state_dir / "authorities.pem").exists()
    assert gate.authorities.file(gate.ca) == gate.ca


@pytest.mark.parametrize("server", ["pages", "broker"])
def test_an_authority_stays_while_collector_or_broker_is_known_by_it_alone(gate: TlsHarness, server: str) -> None:
    late, early = (gate.pages, gate.broker_tls) if server == "pages" else (gate.broker_tls, gate.pages)
    gate.publish("a", "b")
    gate.fetch()
    early.sign("b")
    gate.publish("b")
    assert gate.fetch(), "the roster is in force all the same"
    assert gate.version == 102
    assert gate.trusted == fingerprints("a", "b")
    assert "without which this gate does not reach it: " in gate.authorities.problem
    # It tries again at each fetch, and for that it needs the whole roster.
    assert gate.fetch()
    assert gate.asked_in_full()
    assert gate.posted == [RosterConfirmed()]
    gate.restart()
    assert gate.fetch()
    assert gate.asked_in_full()
    late.sign("b")
    assert gate.fetch()
    assert (gate.trusted, gate.authorities.problem) == (fingerprints("b"), "")
    assert gate.fetch()
    assert not gate.asked_in_full()


def test_an_authority_stays_while_the_broker_does_not_answer(gate: TlsHarness) -> None:
    gate.publish("a", "b")
    gate.fetch()
    gate.pages.sign("b")
    gate.broker.is_up = False
    gate.publish("b")
    assert gate.fetch()
    assert gate.trusted == fingerprints("a", "b")
    gate.broker.is_up = True
    gate.broker_tls.sign("b")
    assert gate.fetch()
    assert gate.trusted == fingerprints("b")


def test_while_it_waits_it_warns_once_and_writes_nothing_new(
    gate: TlsHarness, caplog: pytest.LogCaptureFixture
) -> None:
    gate.publish("b")
    gate.fetch()
    kept = gate.config().state_dir / "authorities.pem"
    before = kept.stat().st_mtime_ns
    for _ in range(3):
        gate.fetch()
    assert kept.stat().st_mtime_ns == before
    assert len([one for one in caplog.records if "has dropped an authority" in one.message]) == 1


# --- who may say so ---------------------------------------------------------------------------------------------------


def test_an_old_roster_a_foreign_one_and_one_with_a_wrong_seal_change_nothing(gate: TlsHarness) -> None:
    gate.publish("a", "b", version=99)
    assert not gate.fetch()
    gate.collector.current = msgspec.structs.replace(gate.collector.current, version=200, collector="another")
    assert not gate.fetch()
    gate.publish("a", "b", version=201)
    gate.collector.account = "lyon/saw-1"
    assert not gate.fetch()
    assert gate.trusted == fingerprints("a")


def test_a_person_who_changes_the_file_of_gate_yaml_has_the_last_word(gate: TlsHarness) -> None:
    gate.publish("a", "b")
    gate.fetch()
    gate.ca.write_text(pem("c"))
    gate.restart()
    assert gate.trusted == fingerprints("c")
    assert gate.authorities.file(gate.ca) == gate.ca
    gate.ca.write_text(pem("a"))
    gate.restart()
    assert gate.trusted == fingerprints("a", "b"), "the file is what it was"


@pytest.mark.parametrize("content", ["", "# some text\n", "{first}", "{first}-----BEGIN CERTIFICATE-----\n"])
def test_a_damaged_file_is_as_none(gate: TlsHarness, content: str) -> None:
    gate.publish("a", "b")
    gate.fetch()
    kept = gate.config().state_dir / "authorities.pem"
    first, _, _ = kept.read_text().partition("-----BEGIN")
    kept.write_text(content.format(first=first))
    gate.restart()
    assert gate.trusted == fingerprints("a")
    assert gate.authorities.file(gate.ca) == gate.ca
    gate.publish("a", "b")
    assert gate.fetch()
    assert gate.trusted == fingerprints("a", "b")


@pytest.mark.parametrize("text", ["", "no certificate", pem("a", *"bcdefghi")])
def test_a_roster_without_authorities_or_with_too_many_changes_none(gate: TlsHarness, text: str) -> None:
    gate.collector.current = msgspec.structs.replace(gate.collector.current, version=101, authorities=text)
    assert gate.fetch()
    assert gate.version == 101
    assert gate.trusted == fingerprints("a")


def test_a_gate_that_came_from_the_version_before_reads_the_authorities_of_its_roster(gate: TlsHarness) -> None:
    """The roster is on its disk, and the collector has no newer one: it would answer that nothing has changed."""
    gate.publish("a", "b")
    gate.fetch()
    (gate.config().state_dir / "authorities.pem").unlink()
    path = gate.stored.with_suffix(".json")
    fields = msgspec.json.decode(path.read_bytes())
    del fields["authorities"]
    path.write_bytes(msgspec.json.encode(fields))
    assert msgspec.json.decode(path.read_bytes(), type=Receipt).authorities == ""
    gate.restart()
    assert gate.fetch()
    assert gate.trusted == fingerprints("a", "b")


@pytest.mark.parametrize("lost", ["the file", "its place"])
def test_a_gate_that_lost_them_reads_the_roster_again_although_there_is_no_newer_one(
    gate: TlsHarness, lost: str
) -> None:
    gate.publish("a", "b")
    gate.fetch()
    if lost == "the file":
        (gate.config().state_dir / "authorities.pem").unlink()
    else:
        gate.ca.write_text(pem("c", "a"))
    gate.restart()
    assert gate.fetch()
    assert gate.trusted == fingerprints("a", "b")
    assert gate.fetch()
    assert not gate.asked_in_full()


def test_a_gate_reports_what_both_of_its_files_have_in_common(gate: TlsHarness) -> None:
    config = gate.config()
    other = gate.folder / "other.crt"
    other.write_text(pem("b", "a"))
    assert config.mqtt is not None
    assert config.mqtt.tls is not None
    tls_ = msgspec.structs.replace(config.mqtt.tls, ca=other)
    config = msgspec.structs.replace(config, mqtt=msgspec.structs.replace(config.mqtt, tls=tls_))
    assert set(Authorities(config).fingerprints) == fingerprints("a")
    plain = msgspec.structs.replace(config, mqtt=None, roster=msgspec.structs.replace(config.roster, ca=None))
    assert Authorities(plain).fingerprints == ()
    Authorities(plain).take(pem("a", "b"), lambda _: None)
    assert not (plain.state_dir / "authorities.pem").exists(), "it needs none"


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_on_a_full_disk_the_roster_is_not_in_force_either(gate: TlsHarness) -> None:
    gate.publish("a", "b")
    with disk_ends_at(1, OSError(errno.ENOSPC, "No space left on device")):
        assert not gate.fetch()
    assert gate.version == 100
    assert gate.trusted == fingerprints("a")
    assert not (gate.config().state_dir / "authorities.new").exists(), "it would keep the room that the roster needs"
    assert gate.fetch()
    assert gate.posted == [RosterStored(101, 5)]
    assert gate.trusted == fingerprints("a", "b")


def test_the_authorities_are_on_disk_before_the_roster_is(gate: TlsHarness) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def fsync_(fd: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        fsync(fd)

    def replace_(self: Path, target: Path) -> Path:
        done.append(f"rename {target.name}")
        return replace(self, target)

    gate.publish("a", "b")
    with mock.patch.object(os, "fsync", fsync_), mock.patch.object(Path, "replace", replace_):
        gate.fetch()
    assert done[:3] == ["fsync authorities.new", "rename authorities.pem", "fsync state"]
    assert "rename roster.db" in done[3:]


class Killed(BaseException):
    """The gate was killed."""


@contextmanager
def disk_ends_at(place: int, error: BaseException) -> Iterator[None]:
    """Raise an error at the n-th time that a file is synchronised or renamed."""
    left = place

    def counted(function: Any) -> Any:
        def around(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise error
            return function(*arguments)

        return around

    with mock.patch.object(os, "fsync", counted(os.fsync)), mock.patch.object(Path, "replace", counted(Path.replace)):
        yield


# --- any order --------------------------------------------------------------------------------------------------------

SOME = st.sets(st.sampled_from("abc"), min_size=1).map(sorted)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("publish", "publish and fetch")), SOME),
        st.tuples(st.sampled_from(("sign pages", "sign broker")), st.sampled_from("abc")),
        st.tuples(st.sampled_from(("killed", "full")), st.integers(1, 12)),
        st.tuples(st.sampled_from(("fetch", "restart", "replay", "broker off", "broker on", "forget")), st.none()),
    ),
    min_size=1,
    max_size=20,
)


class World:
    """A collector that does anything but one: it signs only by an authority that the gate has confirmed."""

    def __init__(self, gate: TlsHarness) -> None:
        self.gate = gate
        self.rosters = [gate.collector.current]

    def step(self, what: str, more: Any) -> None:
        gate = self.gate
        match what:
            case "publish" | "publish and fetch":
                gate.collector.current = self.rosters[-1]
                gate.publish(*more)
                self.rosters.append(gate.collector.current)
                if what != "publish":
                    gate.fetch()
            case "sign pages" if fingerprints(more) <= gate.trusted:
                gate.pages.sign(more)
            case "sign broker" if fingerprints(more) <= gate.trusted:
                gate.broker_tls.sign(more)
            case "broker off" | "broker on":
                gate.broker.is_up = what == "broker on"
            case _:
                self.at_the_gate(what, more)
        self.check()

    def at_the_gate(self, what: str, more: Any) -> None:
        gate = self.gate
        match what:
            case "fetch":
                gate.fetch()
            case "restart":
                gate.restart()
            case "killed":
                with suppress(Killed), disk_ends_at(more, Killed()):
                    gate.fetch()
                gate.restart()
            case "full":
                with disk_ends_at(more, OSError(errno.ENOSPC, "No space left on device")):
                    gate.fetch()
            case "replay":  # what a collector that was put back would serve, before it builds its rosters anew
                gate.collector.current = self.rosters[len(self.rosters) // 2]
                gate.fetch()
                gate.collector.current = self.rosters[-1]
            case "forget":
                gate.stored.with_suffix(".json").unlink(missing_ok=True)
                gate.restart()

    def check(self) -> None:
        gate = self.gate
        assert gate.reaches(gate.collector.port), "the gate reaches its collector"
        gate.broker.is_up, was_up = True, gate.broker.is_up
        assert gate.reaches(gate.broker.port), "the gate reaches its broker"
        gate.broker.is_up = was_up
        if gate.version:
            in_force = next(one for one in self.rosters if one.version == gate.version)
            assert named(in_force) <= gate.trusted, "it has the authorities of the roster that it reports"

    def end(self) -> None:
        """Let the collector do what authority-turn does at last: it signs by what it names, and everything is on."""
        gate, last = self.gate, self.rosters[-1]
        gate.broker.is_up = True
        assert gate.fetch()
        name = next(one for one in "abc" if fingerprints(one) <= named(last))
        gate.pages.sign(name)
        gate.broker_tls.sign(name)
        assert gate.fetch()
        assert gate.version == last.version
        assert gate.trusted == named(last)
        assert gate.authorities.problem == ""


@pytest.mark.chance
@settings(
    max_examples=400 if SOAK else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_happens_in_whatever_order_the_gate_reaches_its_collector(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder, tls.harness(Path(folder)) as gate:
        world = World(gate)
        for what, more in steps:
            world.step(what, more)
        world.end()
