"""A site changes its badge key: gates hold both, and follow the roster that says which one it was made with."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate import badge, wire
from fabgate.gate.config.gate_yaml import RosterSource
from fabgate.gate.config.keys import OWN_KEY, badge_keys
from fabgate.gate.roster.source import RosterRefused
from tests.gate.fakes import CARDS
from tests.gate.roster.collector import Collector, Harness, Server, roster
from tests.gate.shell import BADGE_KEY, Bench, gate_config, wait

NEW_KEY = b"the badge key of next year's cards"


def both_keys(folder: Path) -> Path:
    path = folder / "badge-keys"
    path.write_text(
        "".join(f"{kid}:{base64.b64encode(key).decode()}\n" for kid, key in (("k1", BADGE_KEY), ("k2", NEW_KEY)))
    )
    path.chmod(0o600)
    return path


def under_the_new_key(version: int) -> wire.Roster:
    members = [
        wire.Member(id=f"m-{who}", badges=[badge.digest(badge.parse(card), NEW_KEY)]) for who, card in CARDS.items()
    ]
    return roster(version, members=members, badge_key_id="k2")


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector(current=roster(100, badge_key_id="k1"))
    server = Server(found)
    yield found
    server.close()


def test_a_roster_under_another_key_with_the_same_id_is_refused_and_the_earlier_one_stays(
    bench: Bench, collector: Collector
) -> None:
    collector.current = roster(101, badge_key_id="k1", badge_key_mark=badge.key_mark(NEW_KEY))
    bench.daemon._source.fetch_now()
    bench.wait_for_status(lambda found: "another key with the id 'k1'" in str(found["problems"]))
    assert bench.daemon._in_force.version == 100
    collector.current = roster(102, badge_key_id="k1", badge_key_mark=badge.key_mark(BADGE_KEY))
    bench.daemon._source.fetch_now()
    wait(lambda: bench.daemon._in_force.version == 102, "the roster under the gate's own key")


def test_the_mark_of_a_key_is_no_digest_of_a_badge_and_one_key_has_one() -> None:
    marks = {badge.key_mark(key) for key in (BADGE_KEY, NEW_KEY, BADGE_KEY + b"\0")}
    assert len(marks) == 3
    assert {len(mark) for mark in marks} == {16}
    assert not any(badge.digest(badge.parse(card), BADGE_KEY).startswith(tuple(marks)) for card in CARDS.values())


@pytest.fixture
def bench(collector: Collector, tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "token").write_text("the-token\n")
    source = RosterSource(url=f"http://127.0.0.1:{collector.port}/", token_file=tmp_path / "token", fetch_every_s=60)
    found = Bench(tmp_path, roster=source, badge_key_file=both_keys(tmp_path))
    found.start()
    wait(lambda: found.daemon._in_force.version == 100, "the roster")
    found.settle()
    yield found
    found.close()


def test_a_member_is_known_before_and_after_the_key_changed(bench: Bench, collector: Collector) -> None:
    bench.tap("ada")
    wait(lambda: bench.output.on, "power under the old key")
    bench.tap("ada")
    wait(lambda: not bench.output.on, "the end")
    collector.current = under_the_new_key(101)
    bench.daemon._source.fetch_now()
    wait(lambda: bench.daemon._in_force.badge_key_id == "k2", "the new roster")
    bench.settle()
    bench.see_empty_field()
    bench.reader.lay("ada")
    wait(lambda: bench.output.on, "power under the new key")


def test_a_session_goes_on_although_the_site_changes_its_key(bench: Bench, collector: Collector) -> None:
    bench.tap("ada")
    wait(lambda: bench.output.on, "power")
    collector.current = under_the_new_key(101)
    bench.daemon._source.fetch_now()
    wait(lambda: bench.daemon._in_force.badge_key_id == "k2", "the new roster")
    bench.settle()
    bench.advance(60_000)
    bench.settle()
    assert bench.output.on, "the member is the same, under whichever key"


def test_a_roster_under_a_key_that_the_gate_lacks_is_refused_and_the_last_one_stays(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    try:
        harness.source = harness.make(badge_keys={"k1": BADGE_KEY})
        harness.fetch()
        harness.collector.current = under_the_new_key(101)
        (refused,) = harness.fetch()
        assert isinstance(refused, RosterRefused)
        assert "under the key 'k2'; this gate has k1" in refused.reason
        assert harness.version == 100
    finally:
        harness.close()


def test_a_gate_with_a_roster_file_has_one_key_of_its_own(tmp_path: Path) -> None:
    config = gate_config(tmp_path, badge_key_file=None)
    config.state_dir.mkdir()
    assert list(badge_keys(config)) == [OWN_KEY]
    assert badge_keys(config) == badge_keys(config)
