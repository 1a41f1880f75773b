"""A collector that serves rosters over HTTP, and a gate's source that fetches them."""

from __future__ import annotations

import contextlib
import gzip
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fabgate import wire
from fabgate.gate.config.gate_yaml import RosterSource
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.source import RosterRefused
from fabgate.seal import Keys
from tests.gate.fakes import CARDS, Time
from tests.gate.shell import KEYS, LEVELS, digest, gate_config
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
    fields: dict[str, Any] = {
        "site": "lyon",
        "gate": "laser-1",
        "collector": "a",
        "members": [member(who) for who in people],
    }
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
