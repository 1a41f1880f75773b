"""Which answers of the collector a gate accepts as a roster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.gate.roster import http_source as module
from fabgate.gate.roster.source import RosterConfirmed, RosterStored
from tests.gate.roster.collector import Harness, roster


def test_a_sealed_roster_is_stored(harness: Harness) -> None:
    assert harness.fetch() == [RosterStored(100, 5)]
    assert harness.version == 100
    assert harness.collector.asked[0]["Authorization"] == "Bearer the-token"
    assert len(harness.collector.asked[0][wire.HEADER_NONCE]) >= 20


def test_each_request_names_the_boot(harness):
    harness.fetch()
    harness.fetch()
    assert [asked[wire.HEADER_BOOT] for asked in harness.collector.asked] == [harness.time.boot] * 2


def test_an_unchanged_roster_is_confirmed_without_being_sent(harness: Harness) -> None:
    harness.fetch()
    assert harness.fetch() == [RosterConfirmed()]
    assert harness.collector.asked[1]["If-None-Match"] == '"100"'
    assert harness.collector.answered[1][0] == 304
    nonces = {asked[wire.HEADER_NONCE] for asked in harness.collector.asked}
    assert len(nonces) == 2


def test_a_packed_roster_is_sealed_over_what_was_packed(harness: Harness) -> None:
    harness.collector.packed = True
    assert harness.fetch() == [RosterStored(100, 5)]
    assert "gzip" in harness.collector.asked[0]["Accept-Encoding"]


def test_a_collector_without_etags_confirms_by_sending_the_same(harness: Harness) -> None:
    harness.collector.tamper = lambda status, body, headers: (
        status,
        body,
        {k: v for k, v in headers.items() if k != "ETag"},
    )
    assert harness.fetch() == [RosterStored(100, 5)]
    assert harness.fetch() == [RosterConfirmed()]
    assert "If-None-Match" not in harness.collector.asked[1]


def test_what_was_stored_is_known_after_a_restart(harness: Harness) -> None:
    harness.fetch()
    harness.source = harness.make()
    assert harness.fetch() == [RosterConfirmed()]


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, b"{}", b"\xff\xfe"])
def test_a_damaged_receipt_neither_forgets_the_version_nor_blocks_the_roster(harness: Harness, content: bytes) -> None:
    harness.fetch()
    harness.stored.with_suffix(".json").write_bytes(content)
    harness.source = harness.make()
    assert harness.age_ms() is None
    harness.collector.current = roster(99)
    assert "an older roster never replaces a newer one" in harness.refused()
    harness.collector.current = roster(100)
    assert harness.fetch() == [RosterStored(100, 5)]
    assert harness.fetch() == [RosterConfirmed()]


def test_what_is_known_of_the_roster_is_on_disk_before_it_takes_the_place_of_what_was(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.fetch()
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def fsync_(fd: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        fsync(fd)

    def replace_(self: Path, target: Path) -> Path:
        done.append(f"rename {self.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync_)
    monkeypatch.setattr(Path, "replace", replace_)
    harness.time.ms += module.RECEIPT_EVERY_MS
    assert harness.fetch() == [RosterConfirmed()]
    fresh = harness.stored.with_suffix(".new").name
    assert done == [f"fsync {fresh}", f"rename {fresh}", f"fsync {harness.stored.parent.name}"]
