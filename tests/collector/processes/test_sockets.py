"""Does the web process take the sockets that systemd has opened, and only those?"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from fabgate.collector.processes import web
from fabgate.collector.processes.listening import sockets
from fabgate.errors import UsageError
from tests.collector.tls_serving import with_tls
from tests.support.certificates import make_certificates
from tests.support.mosquitto import free_port
from tests.support.patience import HANGS_S

#: Does what systemd does: puts sockets at 3 and after, says whose they are, and becomes the program.
LIKE_SYSTEMD = """
import json, os, socket, sys

opened = [socket.socket(fileno=int(number)) for number in json.loads(sys.argv[1])]
kept = [os.dup(one.fileno()) for one in opened]
high = [os.dup2(number, 100 + place) for place, number in enumerate(kept)]
for place, number in enumerate(high):
    os.dup2(number, 3 + place, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high)), "LISTEN_FDNAMES": sys.argv[2]}
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""
TELLS = """
import json, os
from fabgate.collector.processes.listening import sockets
found = sockets.handed_over()
print(json.dumps({name: [one.getsockname()[1] for one in those] for name, those in found.items()}))
print(json.dumps([name for name in os.environ if name.startswith("LISTEN_")]))
"""


def handed(opened: list[socket.socket], names: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    numbers = json.dumps([one.fileno() for one in opened])
    command = [sys.executable, "-c", LIKE_SYSTEMD, numbers, names, *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")} | more
    return subprocess.Popen(
        command, env=env, pass_fds=json.loads(numbers), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def listening(host: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((host, 0))


def test_each_socket_is_taken_by_its_name_once():
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(listening()) for _ in range(3)]
        out, errors = handed(opened, "https:http:https", "-c", TELLS).communicate(timeout=HANGS_S)
        first, second, third = (one.getsockname()[1] for one in opened)
    assert [json.loads(line) for line in out.splitlines()] == [{"https": [first, third], "http": [second]}, []], errors


@pytest.mark.parametrize("process", ["", "1", "x"])
def test_sockets_of_another_process_are_not_touched(process):
    environ = {"LISTEN_PID": process, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "https"}
    assert sockets.handed_over(environ) == {}
    assert environ == {}


def test_a_socket_with_another_name_is_a_mistake():
    with listening() as opened:
        _, errors = handed([opened], "unknown", "-c", TELLS).communicate(timeout=HANGS_S)
    assert "wanted 'https' or 'http'; set FileDescriptorName= in its unit" in errors


def test_a_socket_for_tls_without_a_certificate_is_refused(env, monkeypatch):
    with listening() as opened:
        monkeypatch.setattr(sockets, "handed_over", lambda: {"https": [opened]})
        with pytest.raises(UsageError, match="FABGATE_WEB_CERT is not set"):
            web.opened(env)


def test_a_port_that_links_would_not_name_is_told(env, tmp_path, monkeypatch, caplog):
    found = with_tls(env, tmp_path)
    with listening() as opened:
        monkeypatch.setattr(sockets, "handed_over", lambda: {"https": [opened]})
        assert web.opened(found) == {"https": [opened]}
        assert "FABGATE_WEB_PORT" in caplog.text


def fetched(url: str, made: Path, **headers: str) -> str:
    handler = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=made / "ca.pem"))
    opener = urllib.request.build_opener(handler)
    with opener.open(urllib.request.Request(url, headers=headers), timeout=HANGS_S) as answer:
        return str(answer.headers) + answer.read().decode()


def test_connections_wait_while_the_process_restarts_and_an_ipv4_address_stays_one(tmp_path):
    made = make_certificates(tmp_path)
    with contextlib.ExitStack() as stack:
        both = stack.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
        plain = stack.enter_context(listening())
        port = both.getsockname()[1]
        settings = {
            "FABGATE_SITE": "lyon",
            "FABGATE_DATA": str(tmp_path / "data"),
            "FABGATE_MQTT_PORT": str(free_port()),
            "FABGATE_WEB_PORT": str(port),
            "FABGATE_WEB_CERT": str(made / "broker.pem"),
            "FABGATE_WEB_KEY": str(made / "broker.key"),
            "FABGATE_WEB_CA": str(made / "ca.pem"),
        }
        for _ in range(2):
            waiting = stack.enter_context(socket.create_connection(("127.0.0.1", port), HANGS_S))
            running = handed([both, plain], "https:http", "-m", "fabgate.collector", "web", **settings)
            stack.callback(running.kill)
            page = fetched(f"https://127.0.0.1:{port}/sign-in", made)  # waits until the process serves
            assert "; Secure" in page
            assert "Strict-Transport-Security" not in page
            # only this computer may read it without a token
            assert "fabgate_" in fetched(f"https://127.0.0.1:{port}/metrics", made)
            assert "Trust this workshop" in fetched(f"http://127.0.0.1:{plain.getsockname()[1]}/", made)
            waiting.sendall(b"\x16")  # it was not refused
            running.terminate()
            _, errors = running.communicate(timeout=HANGS_S)
            assert running.returncode == 0, errors
