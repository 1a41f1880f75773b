"""The sink against the contract, with a till that keeps its entries while a test runs."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from till import TillSink

from fabgate.testing.sinks import SinkContract


class Till(HTTPServer):
    """What the till's maker says about it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Entries)
        self.entries, self.refused, self.asked = {}, set(), 0
        #: A status with which it answers everything, or LOST.
        self.says = None


LOST = "lost"


class Entries(BaseHTTPRequestHandler):
    def do_POST(self):
        till = self.server
        till.asked += 1
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if till.says in (None, LOST):
            assert (self.path, self.headers["Authorization"]) == ("/entries", "Bearer word-1")
            status = 422 if any(one["id"] in till.refused for one in sent) else 204
            if status == 204:
                for one in sent:
                    till.entries.setdefault(one["id"], one["cents"])
            if till.says == LOST:
                return
        else:
            status = till.says
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


class TestTill(SinkContract):
    sink = TillSink
    references = ("ada", "bob", "cid")

    @pytest.fixture(autouse=True)
    def bench(self, tmp_path):
        self.token = tmp_path / "token"
        self.token.write_text("word-1\n")
        with Till() as self.till:
            thread = threading.Thread(target=self.till.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield
            self.till.shutdown()
            thread.join()

    def options(self):
        return TillSink.Options(since="2027-01", url=f"http://127.0.0.1:{self.till.server_port}", token_file=self.token)

    def stored(self):
        return list(self.till.entries.items())

    def stop(self):
        self.till.says = 503

    def start(self):
        self.till.says = None

    def lock_out(self):
        self.till.says = 401

    def lose_answers(self):
        self.till.says = LOST

    def redirect(self):
        self.till.says = 307

    def refuse(self, key):
        self.till.refused.add(key)

    def requests(self):
        return self.till.asked
