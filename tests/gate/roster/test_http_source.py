"""The roster over HTTP, from a small real server that seals: what is believed, what is refused, and how it ages."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fabgate import wire
from fabgate.gate.config.gate_yaml import Mqtt, RosterSource
from fabgate.gate.roster import file as roster_file
from fabgate.gate.roster import http_source as module
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource, Receipt, age_ms
from fabgate.gate.roster.source import FileSource, RosterConfirmed, RosterRefused, RosterStored
from fabgate.gate.uplink.events import RosterNudged
from fabgate.rules import vocabulary as w
from fabgate.seal import Keys
from tests.gate.shell import BADGE_KEY, CARDS, KEYS, LEVELS, NOON, Bench, Time, digest, gate_config, wait, write_roster
from tests.support.patience import HANGS_S

WEEK_MS = 7 * 86_400_000


def member(who: str) -> wire.Member:
    return wire.Member(id=f"m-{who}", badges=[digest(who)], level=LEVELS.get(who, "user"))


def everybody() -> list[wire.Member]:
    return [member(who) for who in CARDS]


def many() -> list[wire.Member]:
    """Return as many members more as it takes to make those who vanish more than a few."""
    return [wire.Member(id=f"m-{who}", badges=[]) for who in "abc"]


def roster(version: int = 100, people: tuple[str, ...] = tuple(CARDS), **changes: Any) -> wire.Roster:
    fields: dict[str, Any] = {"site": "lyon", "gate": "laser-1", "members": [member(who) for who in people]}
    return wire.Roster(version=version, **{**fields, **changes})


@dataclass
class Collector:
    """What the server serves. `tamper` may change an answer's (status, body, headers) on its way out."""

    current: wire.Roster = field(default_factory=roster)
    keys: Keys = KEYS
    account: str = "lyon/laser-1"
    packed: bool = False
    tamper: Callable[[int, bytes, dict[str, str]], tuple[int, bytes, dict[str, str]]] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    answered: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    silent: threading.Event | None = None
    port: int = 0

    def answer(self, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        nonce = headers[wire.HEADER_NONCE]
        date = "Tue, 24 Nov 2026 12:00:00 GMT"
        etag = f'"{self.current.version}"'
        if headers.get("Authorization") != "Bearer the-token":
            return 401, b"who are you?", {}
        if headers.get("If-None-Match") == etag:
            covered = wire.sealed_same(self.current.version, date, nonce)
            seal = self.keys.seal(wire.PURPOSE_ROSTER_SAME, self.account, covered)
            return 304, b"", {"Date": date, "ETag": etag, wire.HEADER_SEAL: seal}
        body = wire.encode(self.current)
        seal = self.keys.seal(wire.PURPOSE_ROSTER, self.account, wire.sealed_roster(body, nonce))
        found = {"Date": date, "ETag": etag, wire.HEADER_SEAL: seal}
        if self.packed:
            return 200, gzip.compress(body), {**found, "Content-Encoding": "gzip"}
        return 200, body, found


class Server:
    """One collector's web server on a free port."""

    def __init__(self, collector: Collector, tls: ssl.SSLContext | None = None) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = dict(self.headers.items())
                assert self.path == "/api/v1/gates/laser-1/roster"
                collector.asked.append(asked)
                if collector.silent is not None:
                    collector.silent.wait(HANGS_S)
                    return
                status, body, headers = collector.answer(asked)
                if collector.tamper is not None:
                    status, body, headers = collector.tamper(status, body, headers)
                collector.answered.append((status, body, headers))
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 304 and "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", collector.port), Handler)
        self.http.daemon_threads = True
        if tls is not None:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        collector.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


class Harness:
    """A gate's source, its collector, and what it posted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collector = Collector()
        self.server: Server | None = Server(self.collector)
        self.time = Time()
        self.posted: list[object] = []
        self.token = folder / "token"
        self.token.write_text("the-token\n")
        self.stored = folder / "roster.db"
        self.source = self.make()

    def config(self, every_s: int = 60) -> Any:
        url = f"http://127.0.0.1:{self.collector.port}/"
        source = RosterSource(url=url, token_file=self.token, fetch_every_s=every_s)
        return gate_config(self.folder, roster=source)

    def make(self, **changes: Any) -> HttpSource:
        """Make the source anew, as a restart does."""
        clock = self.time.clock()
        options: dict[str, Any] = {"boot": self.time.boot, "now": clock.now, "timeout_s": 20.0}
        return HttpSource(self.config(), self.stored, self.posted.append, **{**options, **changes})

    def fetch(self) -> list[object]:
        self.posted.clear()
        self.source.fetch()
        return list(self.posted)

    def refused(self) -> str:
        (found,) = self.fetch()
        assert isinstance(found, RosterRefused)
        return found.reason

    @property
    def version(self) -> int:
        with contextlib.closing(Directory(self.stored)) as directory:
            return directory.version

    def members(self) -> set[str]:
        with contextlib.closing(Directory(self.stored)) as directory:
            return directory.member_ids()

    def age_ms(self) -> int | None:
        return self.source.age_ms(self.time.clock().now())

    def close(self) -> None:
        if self.server is not None:
            self.server.close()


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    found = Harness(tmp_path)
    yield found
    found.close()


# --- what is believed -------------------------------------------------------------------------------------------------


def test_a_sealed_roster_is_stored(harness: Harness) -> None:
    assert harness.fetch() == [RosterStored(100, 5)]
    assert harness.version == 100
    assert harness.collector.asked[0]["Authorization"] == "Bearer the-token"
    assert len(harness.collector.asked[0][wire.HEADER_NONCE]) >= 20


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


# --- what is refused --------------------------------------------------------------------------------------------------


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
    assert "timed out" in harness.refused().lower()
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


# --- the guard --------------------------------------------------------------------------------------------------------


def test_when_too_many_vanish_without_a_word_they_stay_and_all_else_applies(harness: Harness) -> None:
    harness.collector.current = roster(members=[*everybody(), *many()])
    harness.fetch()
    harness.collector.current = roster(
        101,
        ("ada",),
        refusals=[wire.Refusal(badges=[digest("eve")], reasons=["blocked"], id="m-eve")],
        machine=wire.MachineRules(lock=wire.Lock(id="l-1", when="now", reason="x")),
    )
    stored, refused = harness.fetch()
    assert stored == RosterStored(101, 1)
    assert isinstance(refused, RosterRefused)
    assert refused.version == 101
    assert "6 of 8 members are missing without a reason (m-a, m-b, m-bob…)" in refused.reason
    assert "run 'fabgate roster adopt' on this gate; otherwise add them at the collector again" in refused.reason
    assert harness.members() == {"m-ada", "m-bob", "m-max", "m-sue", "m-a", "m-b", "m-c"}
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("eve")) == w.Barred(("blocked",), "m-eve")
        assert directory.machine.lock is not None
    assert harness.fetch() == [RosterConfirmed()]


def test_a_collector_that_says_that_they_are_meant_to_vanish_is_believed(harness: Harness) -> None:
    harness.fetch()
    harness.collector.current = roster(101, ("ada",), shrink_confirmed=True)
    assert harness.fetch() == [RosterStored(101, 1)]
    assert harness.members() == {"m-ada"}


def test_one_of_four_blocked_is_no_shrunken_roster(harness: Harness) -> None:
    harness.collector.current = roster(100, ("ada", "bob", "max", "sue"))
    harness.fetch()
    refusal = wire.Refusal(badges=[digest("bob")], reasons=["blocked"], id="m-bob")
    harness.collector.current = roster(101, ("ada", "max", "sue"), refusals=[refusal])
    assert harness.fetch() == [RosterStored(101, 3)]


def test_a_kept_member_loses_the_badge_that_somebody_else_got(harness: Harness) -> None:
    harness.collector.current = roster(members=[*everybody(), *many()])
    harness.fetch()
    harness.collector.current = roster(101, members=[wire.Member(id="m-new", badges=[digest("bob")])])
    harness.fetch()
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("bob")).id == "m-new"  # type: ignore[union-attr]
        assert directory.find(digest("ada")).id == "m-ada"  # type: ignore[union-attr]


def test_a_damaged_stored_roster_is_replaced(harness: Harness) -> None:
    harness.fetch()
    whole = harness.stored.read_bytes()
    harness.stored.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    harness.collector.current = roster(101, ("ada",))
    assert harness.fetch() == [RosterStored(101, 1)]


def test_a_stored_roster_that_turns_out_to_be_damaged_is_fetched_anew_though_nothing_changed(harness: Harness) -> None:
    harness.fetch()
    whole = harness.stored.read_bytes()
    harness.stored.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    harness.source = harness.make()
    assert harness.fetch() == [RosterConfirmed()], "what says which one it is is whole"
    harness.source.replace_damaged()
    assert harness.fetch() == [RosterStored(100, 5)]
    assert harness.members() == {f"m-{who}" for who in CARDS}
    assert harness.fetch() == [RosterConfirmed()]
    assert harness.collector.answered[-1][0] == 304


def test_a_roster_is_in_force_though_its_receipt_cannot_be_written(harness: Harness) -> None:
    harness.fetch()
    receipt = harness.stored.with_suffix(".json")
    before = receipt.read_bytes()
    receipt.unlink()
    receipt.mkdir()
    harness.collector.current = roster(101, ("ada", "bob", "max", "sue"))
    stored, refused = harness.fetch()
    assert stored == RosterStored(101, 4)
    assert isinstance(refused, RosterRefused)
    assert "Is a directory" in refused.reason
    assert harness.age_ms() == 0
    assert harness.fetch() == [], "it is told once"
    receipt.rmdir()
    receipt.write_bytes(before)
    harness.source = harness.make()
    harness.collector.current = roster(100)
    assert "found roster version 100, but version 101 is stored" in harness.refused(), (
        "the receipt was that of another one"
    )


def test_a_damaged_roster_is_no_reason_to_take_an_older_one(harness: Harness) -> None:
    harness.fetch()
    harness.source.replace_damaged()
    harness.collector.current = roster(99)
    assert "an older roster never replaces a newer one" in harness.refused()
    harness.collector.current = roster(100)
    assert harness.fetch() == [RosterStored(100, 5)], "what was wanted anew still is"


def test_a_collector_that_stays_away_is_told_once_however_the_system_says_so(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = iter(
        f"Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7fc687a{n}>: no route to host')"
        for n in range(3)
    )

    def refuse(_limit_s: float) -> object:
        raise OSError(next(away))

    monkeypatch.setattr("fabgate.gate.roster.http_session.session", refuse)
    assert "urllib3.connection.HTTPConnection: no route" in harness.refused()
    assert harness.fetch() == harness.fetch() == []


# --- age --------------------------------------------------------------------------------------------------------------


def test_age_counts_from_the_last_confirmation(harness: Harness) -> None:
    assert harness.age_ms() is None
    harness.fetch()
    harness.time.ms += 5_000
    assert harness.age_ms() == 5_000
    harness.fetch()
    assert harness.age_ms() == 0


def test_age_survives_a_restart_by_the_boot_clock_and_a_reboot_by_the_wall_clock(harness: Harness) -> None:
    harness.fetch()
    harness.time.ms += 1_000
    harness.source = harness.make()
    assert harness.age_ms() == 1_000
    harness.time.reboot(off_s=3_600)
    harness.source = harness.make()
    assert harness.age_ms() == 3_601_000
    harness.time.wall -= 10_000
    assert harness.age_ms() is None, "a confirmation from the future says nothing of its age"


class Receipts:
    """The receipt on disk, and how often it was written."""

    def __init__(self, harness: Harness) -> None:
        self._path = harness.stored.with_suffix(".json")
        self._last = self._inode()
        self.written = 0

    def _inode(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_mtime_ns

    def look(self) -> int:
        now = self._inode()
        self.written += now != self._last
        self._last = now
        return self.written


def test_a_day_of_confirmations_writes_a_receipt_each_quarter_of_an_hour(harness: Harness) -> None:
    harness.fetch()
    receipts = Receipts(harness)
    for _ in range(120):
        harness.time.ms += 60_000
        assert harness.fetch() == [RosterConfirmed()]
        assert harness.age_ms() == 0, "what this process knows is exact"
        receipts.look()
    assert receipts.written == 8


def test_after_a_power_cut_the_age_errs_towards_old_and_by_a_quarter_of_an_hour_at_most(harness: Harness) -> None:
    harness.fetch()
    for minutes in range(1, 40):
        harness.time.ms += 60_000
        harness.fetch()
        left = harness.make()  # as after a kill: nothing was written at the end
        age_ms = left.age_ms(harness.time.clock().now())
        assert age_ms == minutes % 15 * 60_000


def test_an_orderly_end_leaves_the_last_confirmation(harness: Harness) -> None:
    harness.fetch()
    harness.time.ms += 60_000
    thread = threading.Thread(target=harness.source.run)
    thread.start()
    wait(lambda: RosterConfirmed() in harness.posted, "the confirmation")
    harness.source.stop()
    thread.join()
    assert harness.make().age_ms(harness.time.clock().now()) == 0


def test_an_end_on_a_full_disk_is_an_end(harness: Harness) -> None:
    harness.fetch()
    harness.time.ms += 60_000
    harness.fetch()
    harness.stored.with_suffix(".new").mkdir()
    harness.source.stop()
    harness.source.run()


def test_without_any_time_nobody_knows_the_age() -> None:
    now = w.Now(1, NOON, synced=True)
    assert age_ms(None, now, "b") is None
    assert age_ms(Receipt(version=1, hash="", boot="a", wall_ms=None), now, "b") is None
    assert age_ms(Receipt(version=1, hash="", boot="a", wall_ms=5), w.Now(1, None), "b") is None


# --- through the whole gate -------------------------------------------------------------------------------------------


@pytest.fixture
def bench(harness: Harness, tmp_path: Path) -> Iterator[Bench]:
    source = harness.config(every_s=3_600).roster
    found = Bench(tmp_path, roster=source, mqtt=Mqtt(host="127.0.0.1", port=1))
    found.start()
    wait(lambda: found.daemon._in_force.version == 100, "the roster")
    found.settle()
    yield found
    found.close()


def confirm(harness: Harness, bench: Bench) -> None:
    """Let the gate ask once and hear the answer."""
    answered = len(harness.collector.answered)
    bench.post(RosterNudged())
    wait(lambda: len(harness.collector.answered) > answered, "the answer")
    wait(lambda: bench.daemon._in_force.info(bench.time.clock().now()).age_s == 0, "the confirmation")  # type: ignore[union-attr]
    bench.settle()


def test_seven_days_without_a_change_but_confirmed_are_never_stale_and_then_cut_it_is_when_it_says(
    harness: Harness, bench: Bench
) -> None:
    for _ in range(8):
        bench.advance(86_400_000)
        confirm(harness, bench)
        assert bench.causes == []
    assert bench.of("roster.replaced")[0].version == 100
    bench.advance(WEEK_MS)
    assert not bench.daemon._in_force.is_stale(bench.time.clock().now())
    bench.advance(1)
    found = bench.wait_for_status(lambda status: status["roster"].get("stale"))
    assert "age_s" not in found["roster"], "it would change the file each minute; whoever shows it computes it"
    assert bench.daemon._in_force.info(bench.time.clock().now()).age_s == 604_800  # type: ignore[union-attr]
    bench.use("ada")
    assert bench.of("session.started")[-1].basis.stale_roster is True


def test_while_only_its_age_changes_the_status_is_not_written_again(harness: Harness, bench: Bench) -> None:
    status = bench.config.state_dir / "status.json"
    bench.wait_for_status(lambda found: "source" in found["roster"] or found["roster"]["version"] == 100)
    bench.settle()
    told: list[object] = []
    bench.daemon._status_file.write = lambda *_: told.append(_)  # type: ignore[method-assign,assignment]
    for _ in range(30):
        bench.advance(60_000)
    assert told == []
    bench.advance(WEEK_MS)
    wait(lambda: told, "the status that says that it is stale")
    assert status.exists()


def test_a_machine_that_denies_when_stale_blocks_until_the_collector_confirms(harness: Harness, bench: Bench) -> None:
    harness.collector.current = roster(101, machine=wire.MachineRules(on_stale="deny"))
    bench.post(RosterNudged())
    wait(lambda: bench.daemon._in_force.version == 101, "the roster")
    bench.settle()
    bench.advance(WEEK_MS + 1)
    assert bench.causes == ["stale"]
    bench.tap("ada")
    bench.written()
    assert bench.of("access.refused")[-1].reasons == ["blocked-stale"]
    bench.post(RosterNudged())
    wait(lambda: bench.causes == [], "the all-clear")
    bench.use("ada")


def test_a_member_who_was_blocked_is_refused_right_after_the_nudge(harness: Harness, bench: Bench) -> None:
    refusal = wire.Refusal(badges=[digest("ada")], reasons=["payment", "training-missing"], id="m-ada")
    harness.collector.current = roster(101, ("bob", "max", "sue", "eve"), refusals=[refusal])
    bench.post(RosterNudged())
    wait(lambda: bench.daemon._in_force.version == 101, "the roster")
    bench.settle()
    bench.tap("ada")
    bench.written()
    assert bench.levels == []
    assert bench.of("access.refused")[-1].reasons == ["payment", "training-missing"]


def test_a_shrunken_roster_is_a_problem_until_a_whole_one_comes(harness: Harness, bench: Bench) -> None:
    harness.collector.current = roster(101, members=[*everybody(), *many()])
    bench.post(RosterNudged())
    wait(lambda: bench.daemon._in_force.version == 101, "the roster")
    harness.collector.current = roster(102, ("ada",))
    bench.post(RosterNudged())
    assert "are missing without a reason" in bench.wait_for_entries("roster.rejected")[0].reason
    bench.wait_for_status(lambda found: any("roster-members: " in line for line in found["problems"]))
    confirm(harness, bench)
    assert any("are missing without a reason" in line for line in bench.status()["problems"]), (
        "a 304 confirms no vanished member"
    )
    harness.collector.tamper = lambda *_: (500, b"", {})
    bench.post(RosterNudged())
    bench.wait_for_status(lambda found: len(found["problems"]) == 2)
    harness.collector.tamper = None
    harness.collector.current = roster(103, ("ada",), shrink_confirmed=True)
    bench.post(RosterNudged())
    bench.wait_for_status(lambda found: not found["problems"])
    bench.tap("bob")
    assert bench.levels == []


def test_after_a_failure_it_asks_again_soon_and_a_stop_ends_the_waiting(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.01)
    harness.fetch()
    harness.collector.tamper = lambda *_: (500, b"", {})
    thread = threading.Thread(target=harness.source.run)
    thread.start()
    wait(lambda: len(harness.collector.answered) >= 4, "tries")
    harness.collector.tamper = None
    wait(lambda: RosterConfirmed() in harness.posted, "the confirmation")
    asked = len(harness.collector.asked)
    harness.source.fetch_now()
    wait(lambda: len(harness.collector.asked) == asked + 1, "the fetch that was asked for")
    harness.source.stop()
    thread.join()


class Hasty(threading.Event):
    """An event that remembers how long somebody wanted to wait for it, and keeps nobody for so long."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        return super().wait(0.005)


def test_whoever_asks_for_a_fetch_after_a_long_outage_makes_it_try_soon_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ADOPTION_EVERY_S", 3600.0)  # each pause is one wait
    harness.collector.tamper = lambda *_: (502, b"", {})  # the broker is back before the web server is
    pauses = Hasty()
    harness.source._fetch_wanted = pauses
    thread = threading.Thread(target=harness.source.run)
    thread.start()
    try:
        wait(lambda: len(pauses.pauses) >= 8, "a long outage")
        assert pauses.pauses[:7] == [2, 4, 8, 16, 32, 60, 60]
        harness.source.fetch_now()
        wait(lambda: pauses.pauses.count(2) == 2, "the first of the short pauses")
    finally:
        harness.source.stop()
        thread.join()


# --- a file -----------------------------------------------------------------------------------------------------------


class FileDesk:
    def __init__(self, folder: Path) -> None:
        self.path, self.stored = folder / "people.json", folder / "roster.db"
        self.posted: list[object] = []
        self.source = self.make()

    def make(self, **changes: Any) -> FileSource:
        """Make the source anew, as a restart does."""
        options: dict[str, Any] = {
            "badge_key": BADGE_KEY,
            "topics": wire.GateTopics("lyon", "laser-1"),
            "fallback": wire.MachineRules(),
        }
        return FileSource(self.path, self.stored, self.posted.append, **{**options, **changes})

    def look(self) -> list[object]:
        self.posted.clear()
        self.source.poll()
        return list(self.posted)

    def read(self) -> list[object]:
        """Look twice, as it takes to believe a file."""
        assert self.look() == []
        return self.look()

    def write(self, count: int, **rest: Any) -> None:
        """Write a file of so many members."""
        rows = [{"id": f"m-{number}", "badges": [f"04A1B2{number:02X}"]} for number in range(count)]
        self.path.write_text(json.dumps({"members": rows, **rest}))


def test_a_roster_file_is_read_when_it_changes(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    (stored,) = harness.read()
    assert isinstance(stored, RosterStored)
    assert harness.look() == []
    write_roster(harness.path, people=("ada", "bob", "max", "sue"))
    assert len(harness.read()) == 1


def test_a_roster_file_is_not_read_while_somebody_writes_it(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.path = tmp_path / "people.csv"
    harness.source = harness.make()
    with harness.path.open("w") as file:
        for part in ("id,badges,reasons\n", "m-ada,04A1B2C3,\n", "m-bob,04A1B2C4", ",", "suspended"):
            file.write(part)
            file.flush()
            assert harness.look() == [], "m-bob would be admitted, were it read before the end"
    assert harness.look() == [RosterStored(harness.path.stat().st_mtime_ns // 1_000_000, 1)]
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("bob")) == w.Barred(("suspended",), "m-bob")


@pytest.mark.parametrize("text", ["id,badges\nm-bob,04A1B2C4\n", "id,badges\nm-bob,what\n"])
def test_a_roster_file_that_changed_while_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    harness = FileDesk(tmp_path)
    harness.path = tmp_path / "people.csv"
    harness.source = harness.make()
    harness.path.write_text(text)
    read = roster_file.read

    def read_and_write(*args: Any, **options: Any) -> wire.Roster:
        try:
            return read(*args, **options)
        finally:
            harness.path.write_text("id,badges,reasons\nm-bob,04A1B2C4,suspended\n")

    with monkeypatch.context() as patch:
        patch.setattr(roster_file, "read", read_and_write)
        assert harness.read() == []
    assert not harness.stored.exists()
    assert len(harness.read()) == 1
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("bob")) == w.Barred(("suspended",), "m-bob")


def test_a_roster_file_of_the_same_size_and_time_is_another_one(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.write(2)
    harness.read()
    before = harness.path.stat()
    harness.path.write_text(harness.path.read_text().replace("04A1B201", "04A1B20F"))
    os.utime(harness.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert harness.path.stat().st_size == before.st_size
    assert isinstance(harness.read()[0], RosterStored)


def test_a_roster_file_that_did_not_change_is_no_news_after_a_restart(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    harness.read()
    harness.source = harness.make()
    assert harness.read() == [RosterConfirmed()]
    assert harness.look() == []
    for changes in ({"fallback": wire.MachineRules(limit_s=60)}, {"badge_key": b"another key of a workshop......."}):
        harness.source = harness.make(**changes)
        assert isinstance(harness.read()[0], RosterStored), "what gate.yaml adds to it did"
        harness.source = harness.make()
        harness.read()


def test_the_collector_of_cycles_is_back_once_a_file_is_read(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.path.write_text("{")
    assert len(harness.read()) == 1
    assert gc.isenabled()


def test_a_roster_file_with_a_mistake_is_told_once_and_one_that_is_missing_too(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    assert harness.read() == [], "not there yet, and never was"
    harness.path.write_text("{")
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert harness.look() == []
    harness.path.write_text("[]")
    assert len(harness.read()) == 1
    write_roster(harness.path)
    assert isinstance(harness.read()[0], RosterStored)
    harness.path.unlink()
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert "cannot be read" in refused.detail
    assert harness.look() == []


def test_a_pipe_in_the_place_of_a_roster_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    harness.read()
    harness.path.unlink()
    os.mkfifo(harness.path)
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert "found a named pipe, wanted a regular file" in refused.detail
    harness.path.unlink()
    write_roster(harness.path, limit_s=60)
    assert isinstance(harness.read()[0], RosterStored)


def test_a_mistake_that_is_taken_back_is_no_problem_any_more(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    harness.read()
    good = tmp_path / "good.json"
    harness.path.rename(good)
    harness.path.write_text("{")
    harness.read()
    good.replace(harness.path)
    assert harness.read() == [RosterConfirmed()]


def test_a_roster_file_that_shrank_keeps_those_who_vanished(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.write(10)
    harness.read()
    harness.write(4)
    stored, refused = harness.read()
    assert isinstance(stored, RosterStored)
    assert isinstance(refused, RosterRefused)
    assert "6 of 10 members are missing" in refused.reason
    assert "remove at most 5 at a time, or run 'fabgate roster adopt' on this gate" in refused.reason
    harness.source = harness.make()
    assert harness.read() == [RosterConfirmed(), refused], "after a restart it still is a problem, and no news"


def test_one_of_four_members_may_leave_a_roster_file(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.write(4)
    harness.read()
    harness.write(3)
    (stored,) = harness.read()
    assert isinstance(stored, RosterStored)
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.member_ids() == {"m-0", "m-1", "m-2"}


def test_a_roster_file_that_the_disk_did_not_take_is_tried_again_and_told_once(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    in_the_way = harness.stored.with_suffix(".new")
    in_the_way.mkdir()
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert "could not be stored" in refused.reason
    assert harness.look() == []
    in_the_way.rmdir()
    assert isinstance(harness.look()[0], RosterStored)


def test_what_leaves_the_gate_of_a_broken_roster_file_quotes_no_badge(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.path.write_text('[{"id": "m-1", "badges": [], "valid_until": "04:A1:B2:C3", "level": "ada@example.org"}]')
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert refused.reason == "people.json: 1 mistake; the gate's log names them"
    assert "04:A1:B2:C3" in refused.detail


def test_a_roster_file_with_text_that_nothing_can_encode_is_refused_and_told(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.path.write_text('[{"id": "m-1", "badges": [], "\\ud800x": 1}]')
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert refused.reason.encode()
    assert "\\ud800x" in refused.detail
