"""Time zone and language at the first start: asked in a terminal, taken from the computer elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabgate.collector.cli import first_start
from fabgate.collector.ground.base import environ
from tests.support.patience import HANGS_S, wait


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Let a person answer; return what they read."""

    def typed(text: str) -> io.StringIO:
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return typed


def start(*, asks: bool = True, **variables: str) -> tuple[str, str]:
    found = environ.read({"TZ": "Europe/Paris", **variables}, need_site=False)
    complete = first_start.complete(found, asks=asks)
    return complete.tz, complete.lang


def test_enter_takes_the_zone_of_the_computer_and_the_language_of_the_terminal(terminal, monkeypatch):
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    shown = terminal("\n\n")
    assert start() == ("Europe/Paris", "fr")
    assert "Time zone of the workshop" in shown.getvalue()
    assert "[Europe/Paris]" in shown.getvalue()
    assert "[fr]" in shown.getvalue()


def test_a_wrong_answer_is_asked_for_again(terminal):
    shown = terminal("Lyon\nAsia/Tokyo\nde\nFR\n")
    assert start() == ("Asia/Tokyo", "fr")
    assert "found 'Lyon', wanted the name of a time zone" in shown.getvalue()
    assert "found 'de', wanted en or fr" in shown.getvalue()


def test_an_input_that_ends_answers_as_enter_does(terminal):
    terminal("")
    assert start() == ("Europe/Paris", "en")


def test_what_the_environment_says_is_not_asked_for(terminal):
    shown = terminal("")
    assert start(FABGATE_TZ="Asia/Tokyo", FABGATE_LANG="fr") == ("Asia/Tokyo", "fr")
    assert shown.getvalue() == ""


def test_a_service_takes_the_zone_of_the_computer_and_says_so(terminal):
    shown = terminal("Asia/Tokyo\nfr\n")
    assert start(asks=False) == ("Europe/Paris", "en")
    assert shown.getvalue() == (
        "note: the time zone is Europe/Paris, as on this computer; set FABGATE_TZ to choose another one\n"
    )


def test_nobody_is_asked_through_a_pipe(terminal, monkeypatch):
    terminal("Asia/Tokyo\nfr\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("Asia/Tokyo\nfr\n"))
    assert start() == ("Europe/Paris", "en")


# --- as processes -----------------------------------------------------------------------------------------------------


def environment(home: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
    ours = {"FABGATE_SITE": "lyon", "FABGATE_DATA": str(home), "FABGATE_MQTT_PORT": "1", "FABGATE_WEB_PORT": "1"}
    return {**inherited, "TZ": "America/Montreal", "LANG": "C.UTF-8", **ours, **more}


def settled(home: Path) -> tuple[str, str]:
    """Return the zone and the language that the database keeps, once it has both."""

    def kept() -> tuple[str, str] | None:
        with contextlib.suppress(sqlite3.Error), sqlite3.connect(f"file:{home}/collector.db?mode=ro", uri=True) as db:
            for tz, lang in db.execute("SELECT rolled_tz, lang FROM collector_collector"):
                if tz.removeprefix("-") and lang:
                    return tz.removeprefix("-"), lang
        return None

    return wait(kept, "a zone and a language in the database")


def test_run_asks_in_a_terminal_and_the_database_keeps_the_answers(tmp_path):
    home = tmp_path / "data"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "fabgate.collector", "run"], environment(home))
    shown = ""
    try:
        for question, answer in (("Time zone of the workshop", "Asia/Tokyo"), ("Language of machines", "fr")):
            end = time.monotonic() + HANGS_S
            while question not in shown:
                assert time.monotonic() < end, shown
                if select.select([terminal], [], [], 0.5)[0]:
                    shown += os.read(terminal, 65536).decode()
            os.write(terminal, f"{answer}\n".encode())
        assert settled(home) == ("Asia/Tokyo", "fr")
    finally:
        os.kill(pid, signal.SIGTERM)
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            with contextlib.suppress(OSError):
                if select.select([terminal], [], [], 0.1)[0]:
                    os.read(terminal, 65536)
        os.close(terminal)
    later = "import django; from fabgate.collector.processes import start; found = start.prepare(make=False)"
    done = subprocess.run(
        [sys.executable, "-c", f"{later}; print(found.tz, found.lang)"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Asia/Tokyo fr\n"


def test_a_service_never_asks_and_names_the_zone_that_it_takes(tmp_path):
    home = tmp_path / "data"
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "fabgate.collector", "run"],
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        assert settled(home) == ("America/Montreal", "en")
    finally:
        process.terminate()
        process.wait(HANGS_S)
    assert log.read_text().count("the time zone is America/Montreal, as on this computer") == 1
