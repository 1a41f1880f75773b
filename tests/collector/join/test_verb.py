"""Does ``fabgate join`` join a collector over the network, with any certificate?"""

from __future__ import annotations

import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from fabgate import cli
from fabgate.cli.arguments.shared import GATE_YAML
from fabgate.collector.ground.models import Gate, JoinCode
from fabgate.collector.members.machines import joins
from fabgate.gate.joining import requests
from fabgate.join import messages
from tests.collector.join.joining import new_code
from tests.collector.serving import serving
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.usefixtures("env", "told")


def run(typed: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "fabgate", "join", *map(str, arguments)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )


def check(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fabgate", "check", str(config)], capture_output=True, text=True, check=False
    )


def test_a_gate_joins_a_collector_and_its_gate_yaml_is_right(env, tmp_path):
    config = tmp_path / "etc" / "gate.yaml"
    with serving(env) as address:
        new_code(build="emulated", address=address)
        typed = joins.text_of(JoinCode.objects.get()).lower().replace("-", " ")
        done = run(f"{typed}\n", address, "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Code: This computer is now the gate lyon/saw-1, for saw.\n" in done.stdout
    assert "Still to do: make the account lyon/saw-1" in done.stdout
    assert Gate.objects.exclude(token_hash="").get().name == "saw-1"
    found = check(config)
    assert found.stdout.startswith(f"ok: {config} describes the gate lyon/saw-1"), found.stderr


def test_a_wrong_code_and_a_collector_that_is_away_are_one_line_each(env, tmp_path):
    config = tmp_path / "etc" / "gate.yaml"
    with serving(env) as address:
        made = new_code(build="emulated", address=address)
        done = run(f"{made.name}00000000\n", address, "--config", config)
        assert (done.returncode, done.stdout) == (2, "Code: ")
        assert done.stderr.startswith(
            f"error: the collector refuses: the code that begins with {made.name} was typed wrongly"
        )
        done = run("K7\n", address, "--config", config)
        assert done.stderr == "error: found a code of 2 characters, wanted 10, such as K7QF-2M9X-4T\n"
    done = run(f"{joins.text_of(made)}\n", address, "--config", config)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {address}/api/v1/join/begin: found no program on that port")
    assert "in the command" in done.stderr
    assert not config.exists()


@pytest.fixture
def of_nobody(certificate) -> Iterator[str]:
    """The address of a server whose certificate nobody trusts; it passes requests on to the collector, in this thread's turn."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                answer = Client().post(self.path, body, content_type="application/json")
            finally:
                connection.close()  # this thread's own
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_certificate_that_nobody_trusts_is_no_hindrance(of_nobody):
    post = requests.to(requests.address_of(of_nobody))
    with pytest.raises(requests.RefusedError, match="found no code that begins with K7"):
        requests.ask(post, messages.BEGIN, messages.Begin("K7", b""), messages.Begun)


# --- the service ------------------------------------------------------------------------------------------------------


def test_another_account_is_told_to_use_sudo(monkeypatch, capsys):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cli.main(["join", "collector.local"]) == 2
    assert capsys.readouterr().err.endswith("wanted root: sudo fabgate join collector.local\n")


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0, 0], 0), ([5, 0, 0], 0), ([0, 0, 1], 1), ([0, 1], 1), ([0, 0, None], 1)]
)
def test_the_service_is_enabled_and_started_again(monkeypatch, capsys, tmp_path, codes, code):
    from fabgate.cli import identity

    orders: list[list[str]] = []

    def systemctl(order: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        orders.append(order)
        if codes[len(orders) - 1] is None:
            raise subprocess.TimeoutExpired(order, 60)
        return subprocess.CompletedProcess(order, codes[len(orders) - 1])

    monkeypatch.setattr(identity.subprocess, "run", systemctl)
    monkeypatch.setattr(identity, "_SYSTEMD", tmp_path)
    assert identity._start() == code
    clock, *gate = [order[1:3] for order in orders]
    assert clock == ["try-restart", "systemd-timesyncd"], "before the gate checks a certificate"
    assert gate == [["enable", "fabgate-gate"], ["restart", "fabgate-gate"]][: len(codes) - 1]
    shown = capsys.readouterr()
    assert ("sudo fabgate doctor" in shown.out) == (code == 0)
    assert ("journalctl -u fabgate-gate" in shown.err) == (code == 1)


def test_without_systemd_the_gate_is_started_by_hand(monkeypatch, capsys, tmp_path):
    from fabgate.cli import identity

    monkeypatch.setattr(identity, "_SYSTEMD", tmp_path / "none")
    assert identity._start() == 0
    assert f"fabgate run --config {GATE_YAML}" in capsys.readouterr().out


def test_without_the_library_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "spake2", None)
    for name in ("fabgate.join.exchange", "fabgate.gate.joining.steps", "fabgate.gate.joining.files"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert cli.main(["join", "collector.local", "--config", "x/gate.yaml"]) == 2
    assert "pip install 'fabgate[join]'" in capsys.readouterr().err
