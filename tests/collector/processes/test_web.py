"""Is the server a good citizen: rosters, pages, static files, a taken port, and an end when it is told to?"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from fabgate import wire
from fabgate.collector.ground.models import Account, Gate
from fabgate.collector.members.access import roster
from fabgate.collector.processes import web
from fabgate.errors import FabgateError, UsageError
from tests.collector.rosters import add
from tests.collector.serving import serving
from tests.support.mosquitto import free_port
from tests.support.patience import HANGS_S, wait

NONCE = "0123456789abcdef"


@pytest.fixture
def address(env) -> Iterator[str]:
    with serving(env) as found:
        yield found


def fetch(url: str, **headers: str) -> Any:
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=HANGS_S)


def test_a_roster_is_served_and_its_sealed_date_is_the_only_one(env, address):
    add()
    gate = Gate.objects.get()
    token = (env.gate_directory("laser-1") / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", wire.HEADER_NONCE: NONCE}
    url = f"{address}/api/v1/gates/laser-1/roster"
    with fetch(url, **headers) as answer:
        body, etag, length = answer.read(), answer.headers["ETag"], answer.headers["Content-Length"]
        assert len(answer.headers.get_all("Date")) == 1
        assert answer.headers["Set-Cookie"] is None
    assert (wire.decode(body, wire.Roster).gate, int(length)) == ("laser-1", len(body))
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(url, **headers, **{"If-None-Match": etag})
    with caught.value as same:
        assert same.code == 304
        (said,) = same.headers.get_all("Date")
        roster.gate_keys(env, "laser-1").verify(
            same.headers[wire.HEADER_SEAL],
            wire.PURPOSE_ROSTER_SAME,
            "lyon/laser-1",
            wire.sealed_same(gate.roster_version, said, NONCE),
        )


def test_static_files_need_no_collecting_and_may_be_kept(address):
    with fetch(f"{address}/sign-in") as page:
        text = page.read().decode()
    styles = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
    assert len(styles) >= 4
    for style in styles:
        with fetch(address + style) as answer:
            assert answer.read()
            assert "max-age=31536000" in answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(f"{address}/static/../settings.py")


def test_an_answer_has_a_length_and_says_nothing_of_its_server(address):
    with fetch(f"{address}/sign-in") as answer:
        assert answer.headers["Content-Length"] == str(len(answer.read()))
        assert answer.headers["Date"]
        assert answer.headers["Server"] is None


@pytest.mark.parametrize(("accept", "said"), [("text/html", "<h1>Trop volumineux</h1>"), ("*/*", "at most 5 MB")])
def test_what_is_too_large_is_answered_with_a_page_or_a_line(address, accept, said):
    sent = urllib.request.Request(
        f"{address}/people/import",
        b"x" * (7 * 1024 * 1024),
        {"Accept": accept, "Accept-Language": "fr", "Content-Type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(sent, timeout=HANGS_S)
    if not isinstance(caught.value, urllib.error.HTTPError):
        assert accept == "*/*"  # it is not listened to, and may hear nothing
        return
    with caught.value as answer:
        assert (answer.code, said in answer.read().decode()) == (413, True)


def test_after_a_head_of_the_event_stream_the_connection_goes_on(env, address):
    client = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
    client.force_login(Account.objects.create(name="karim", role=Account.DESK))
    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=HANGS_S)
    cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}
    with contextlib.closing(connection):
        connection.request("HEAD", "/floor/events", headers=cookie)
        head = connection.getresponse()
        assert (head.status, head.headers["Content-Type"], head.read()) == (200, "text/event-stream", b"")
        connection.request("GET", "/me", headers=cookie)
        assert connection.getresponse().status == 200


def test_a_port_that_is_taken_is_told_with_what_to_do_and_may_be_free_later(env):
    with (
        contextlib.closing(web.listen(env)) as taken,
        pytest.raises(FabgateError, match=r"FABGATE_WEB_PORT.*stop the program that uses it") as found,
    ):
        web.listen(replace(env, web_port=taken.getsockname()[1]))
    assert found.value.exit_code != UsageError.exit_code, "`run` would stop all processes"


def test_an_address_that_is_none_ends_for_good(env):
    with pytest.raises(UsageError, match="FABGATE_WEB_HOST"):
        web.listen(replace(env, web_host="no address"))


def process(data: Path, port: int, verb: str = "web") -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
    env |= {"FABGATE_SITE": "lyon", "FABGATE_DATA": str(data), "FABGATE_MQTT_PORT": "1", "FABGATE_WEB_PORT": str(port)}
    command = [sys.executable, "-m", "fabgate.collector", verb]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def read_until(running: subprocess.Popen[str], words: str) -> str:
    return next(line.strip() for line in running.stderr if words in line)


@pytest.mark.parametrize("moment", ["making a new collector", "rosters built", "serving http"])
def test_it_ends_when_told_to_at_each_moment_of_its_start(tmp_path, moment):
    with process(tmp_path, free_port()) as running:
        read_until(running, moment)
        running.terminate()
        try:
            _, errors = running.communicate(timeout=HANGS_S)
        finally:
            running.kill()
    assert running.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in errors


def test_when_run_is_killed_while_its_pages_start_the_port_is_free_again_and_the_next_run_serves(tmp_path):
    port = free_port()
    with process(tmp_path, port, "run") as first:
        read_until(first, "serving http")
        first.kill()
    with process(tmp_path, port, "run") as second:
        try:
            read_until(second, "serving http")
            wait(lambda: answers(port))
        finally:
            second.terminate()
            second.communicate(timeout=HANGS_S)
    assert second.returncode == 0


def test_run_waits_for_a_port_that_another_program_still_has(tmp_path):
    port = free_port()
    taken = socket.create_server(("127.0.0.1", port))
    with contextlib.closing(taken), process(tmp_path, port, "run") as running:
        try:
            read_until(running, "is not available")
            taken.close()
            read_until(running, "serving http")
        finally:
            running.terminate()
            running.communicate(timeout=HANGS_S)
    assert running.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_the_first_link_and_ends_well_when_told_to_although_a_page_listens(tmp_path, number):
    port = free_port()
    running = process(tmp_path, port)
    try:
        link = read_until(running, "/welcome/")
        assert link.startswith(f"http://127.0.0.1:{port}/welcome/")
        wait(lambda: answers(port))
        opener = signed_in(link)
        with opener.open(f"http://127.0.0.1:{port}/floor/events", timeout=HANGS_S) as stream:
            assert stream.readline() == b"retry: 2000\n"
            running.send_signal(number)
            rest = stream.read()  # ends with the server
        assert b"event: hello" in rest
        _, errors = running.communicate(timeout=HANGS_S)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0, errors
    assert "Traceback" not in errors


def signed_in(link: str) -> urllib.request.OpenerDirector:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(link, timeout=HANGS_S) as page:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())[1]
    fields = {"csrfmiddlewaretoken": token, "name": "ada", "password": "three green chairs"}
    with opener.open(link, urllib.parse.urlencode(fields).encode(), timeout=HANGS_S) as page:
        assert not page.url.endswith("/sign-in")
    return opener


def answers(port: int) -> bool:
    try:
        fetch(f"http://127.0.0.1:{port}/sign-in").close()
    except OSError:
        return False
    return True
