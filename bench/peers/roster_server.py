"""Serves a roster as a collector does: sealed for the gate's nonce, gzipped, 304 for a known ETag.

The current content of the file is served; the ETag is the roster's version.
"""

from __future__ import annotations

import gzip
import re
import threading
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.gates.people import GATE, GATE_KEY, SITE
from fabgate import wire
from fabgate.seal import Keys

KEYS = Keys({"k1": GATE_KEY})
ACCOUNT = f"{SITE}/{GATE}"


def serve(file: str) -> int:
    """Serve a file from now on; return the port."""
    Page.file = Path(file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    _body(Page.file, Page.file.stat().st_mtime_ns)  # fills the cache
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


@lru_cache(maxsize=1)
def _body(path: Path, _changed_ns: int) -> tuple[bytes, bytes, int]:
    """Return the roster, the roster gzipped, and its version."""
    body = path.read_bytes()
    version = re.match(rb'{"version":(\d+)', body)
    assert version
    return body, gzip.compress(body, 5, mtime=0), int(version[1])


class Page(BaseHTTPRequestHandler):
    """The only page."""

    file: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer 200 or 304."""
        body, packed, version = _body(self.file, self.file.stat().st_mtime_ns)
        nonce = self.headers[wire.HEADER_NONCE]
        etag, date = f'"{version}"', self.date_time_string()
        same = self.headers.get("If-None-Match") == etag
        covered = wire.sealed_same(version, date, nonce) if same else wire.sealed_roster(body, nonce)
        purpose = wire.PURPOSE_ROSTER_SAME if same else wire.PURPOSE_ROSTER
        self.send_response_only(304 if same else 200)
        self.send_header("Date", date)
        self.send_header("ETag", etag)
        self.send_header(wire.HEADER_SEAL, KEYS.seal(purpose, ACCOUNT, covered))
        if not same:
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        if not same:
            self.wfile.write(packed)
