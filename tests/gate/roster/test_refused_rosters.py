"""Which answers of the collector a gate refuses."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from fabgate import wire
from fabgate.gate.roster import http_source as module
from fabgate.gate.roster.source import RosterConfirmed, RosterStored
from fabgate.seal import Keys
from tests.gate.roster.collector import Harness, Server, member, roster
from tests.gate.shell import KEYS, digest


def test_an_old_answer_played_again_is_refused(harness: Harness) -> None:
    harness.fetch()
    harness.collector.current = roster(101)
    old = harness.collector.answered[0]
    harness.collector.tamper = lambda *_: old
    assert "seal of a roster for lyon/laser-1 is wrong" in harness.refused()
    harness.collector.tamper = None
    assert harness.fetch() == [RosterStored(101, 5)]
    harness.fetch()
    same = harness.collector.answered[-1]
    assert same[0] == 304
    harness.collector.tamper = lambda *_: same
    assert "seal of a roster-304 for lyon/laser-1 is wrong" in harness.refused()


@pytest.mark.parametrize("change", ["flip", "no seal", "another key", "another account", "wrong purpose"])
def test_an_answer_that_its_collector_did_not_seal_is_refused(harness: Harness, change: str) -> None:
    collector = harness.collector

    def tamper(status: int, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        if change == "flip":
            return status, body[:-5] + bytes([body[-5] ^ 1]) + body[-4:], headers
        if change == "no seal":
            return status, body, {}
        if change == "wrong purpose":
            return status, body, {**headers, wire.HEADER_SEAL: KEYS.seal("command", "lyon/laser-1", body)}
        return status, body, headers

    collector.tamper = tamper
    if change == "another key":
        collector.keys = Keys({"k1": b"the key of somebody else"})
    if change == "another account":
        collector.account = "lyon/saw"
    assert "seal" in harness.refused()
    assert not harness.stored.exists()


def test_another_gates_roster_is_refused_however_well_it_is_sealed(harness: Harness) -> None:
    harness.collector.current = roster(gate="saw")
    assert harness.refused() == "found the roster of lyon/saw, wanted that of lyon/laser-1"


def test_a_version_never_goes_back_and_never_means_something_else(harness: Harness) -> None:
    harness.fetch()
    harness.collector.current = roster(99)
    assert "found roster version 99, but version 100 is stored" in harness.refused()
    harness.collector.current = roster(100, ("ada",))
    harness.collector.tamper = lambda s, b, h: (s, b, h)
    harness.source = harness.make()
    harness.source._receipt = msgspec.structs.replace(harness.source._receipt, etag="")  # type: ignore[type-var]
    assert "found roster version 100" in harness.refused()
    assert len(harness.members()) == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503, 204])
def test_any_other_answer_is_refused_with_its_number(harness: Harness, status: int) -> None:
    harness.collector.tamper = lambda *_: (status, b"<html>oops", {})
    assert f"found HTTP {status}, wanted 200 or 304; check the token" in harness.refused()


def test_a_304_to_a_gate_that_has_no_roster_is_refused(harness: Harness) -> None:
    harness.collector.tamper = lambda *_: (304, b"", {})
    assert "found HTTP 304" in harness.refused()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": "x"}',
        b'{"version": 1}',
        b"\xff" * 50,
        b"[" * 100_000,
        b'{"version":' + b"9" * 5000,
    ],
)
def test_a_sealed_answer_that_is_no_roster_is_refused(harness: Harness, body: bytes) -> None:
    def tamper(status: int, _: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        nonce = harness.collector.asked[-1][wire.HEADER_NONCE]
        seal = KEYS.seal(wire.PURPOSE_ROSTER, "lyon/laser-1", wire.sealed_roster(body, nonce))
        return status, body, {**headers, wire.HEADER_SEAL: seal}

    harness.collector.tamper = tamper
    assert "not a valid Roster" in harness.refused()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"machine": wire.MachineRules(limit_s=-1)}, "limit_s"),
        ({"machine": wire.MachineRules(mode="dance")}, "mode"),
        ({"members": [wire.Member(id="m-1", badges=["zz"])]}, "wanted a digest"),
        ({"members": [member("ada"), wire.Member(id="m-2", badges=[digest("ada")])]}, "one badge to two people"),
        ({"version": 1 << 70}, "version"),
    ],
)
def test_a_roster_that_means_nothing_leaves_the_last_one(harness: Harness, changes: dict[str, Any], why: str) -> None:
    harness.fetch()
    harness.collector.current = roster(**{"version": 101, **changes})
    assert why in harness.refused()
    assert harness.version == 100


def test_a_huge_answer_is_given_up_on_the_way(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 200_000)
    harness.collector.packed = True
    harness.collector.current = roster(tz="x" * 300_000)
    assert "larger than 200000 bytes" in harness.refused()


def test_an_answer_that_breaks_off_is_refused(harness: Harness) -> None:
    harness.collector.tamper = lambda s, b, h: (s, b[:100], {**h, "Content-Length": str(len(b)), "Connection": "close"})
    assert harness.refused()


def test_a_packed_answer_that_is_not_packed_is_refused(harness: Harness) -> None:
    harness.collector.tamper = lambda s, b, h: (s, b, {**h, "Content-Encoding": "gzip"})
    assert harness.refused()


def test_a_collector_that_is_away_is_told_once(harness: Harness) -> None:
    harness.fetch()
    assert harness.server is not None
    harness.server.close()
    harness.server = None
    reason = harness.refused()
    assert "127.0.0.1" in reason
    harness.server = Server(harness.collector)
    assert harness.fetch() == [RosterConfirmed()]


def test_the_same_refusal_is_told_once_until_it_was_well_again(harness: Harness) -> None:
    harness.collector.tamper = lambda *_: (500, b"", {})
    assert len(harness.fetch()) == 1
    assert harness.fetch() == []
    harness.collector.tamper = None
    assert harness.fetch() == [RosterStored(100, 5)]
    harness.collector.tamper = lambda *_: (500, b"", {})
    assert len(harness.fetch()) == 1


def test_a_collector_that_never_answers_is_given_up(harness: Harness) -> None:
    harness.collector.silent = threading.Event()
    harness.source = harness.make(timeout_s=0.1)
    assert "found no answer after 0.1 s" in harness.refused()
    harness.collector.silent.set()


def test_a_token_file_that_is_missing_or_no_text_is_told(harness: Harness) -> None:
    harness.token.unlink()
    assert "token" in harness.refused()
    harness.token.write_bytes(b"\xff\xfe")
    assert "decode" in harness.refused()


def test_a_wrong_token_is_told(harness: Harness) -> None:
    harness.token.write_text("another")
    assert "found HTTP 401" in harness.refused()


def test_a_disk_that_does_not_take_the_roster_leaves_the_last_one_and_it_is_tried_again(harness: Harness) -> None:
    harness.fetch()
    harness.collector.current = roster(101)
    in_the_way = harness.stored.with_suffix(".new")
    in_the_way.mkdir()
    assert "could not be stored" in harness.refused()
    assert harness.version == 100
    in_the_way.rmdir()
    assert harness.fetch() == [RosterStored(101, 5)]
