"""A collector that people have used for two months, on a port of its own: real processes, a broker, no gates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fabgate.demo import broker
from fabgate.demo.ports import free_port
from fabgate.demo.process import Process, wait_for

#: The machine that runs this may be busy; whoever waits for something waits so long.
PATIENCE_S = 120


def _evening() -> str:
    """Return a time zone in which it is about six in the evening: no test of ours is run at midnight."""
    ahead = (18 - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}"  # where the signs are the other way round


EVENING = _evening()
#: What there is to see in a furnished house, beside what the collector keeps there.
_FOUND = "found.json"


def furnish(folder: Path) -> None:
    """Fill `folder` with what such a collector keeps. It takes seconds: whoever opens several houses copies one."""
    made = subprocess.run(
        [sys.executable, "-m", "tests.browser.furnish"],
        env={**os.environ, **_environment(folder), "FABGATE_MQTT_PORT": "1"},  # nobody is to be told
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (folder / _FOUND).write_text(made.stdout, encoding="utf-8")


def _environment(folder: Path) -> dict[str, str]:
    return {"FABGATE_SITE": "lyon", "FABGATE_TZ": EVENING, "FABGATE_DATA": str(folder)}


class House:
    """A copy of what is `furnished`, and open. `pages` are the addresses to look at: route, path and who opens it."""

    def __init__(self, folder: Path, furnished: Path) -> None:
        data = folder / "collector"
        shutil.copytree(furnished, data)
        self._broker, mqtt_port = broker.start(folder)
        self.environment = {
            **_environment(data),
            "FABGATE_MQTT_PORT": str(mqtt_port),
            "FABGATE_WEB_PORT": str(free_port()),
        }
        found = json.loads((data / _FOUND).read_text(encoding="utf-8"))
        self.pages: list[dict[str, str]] = found["pages"]
        #: By route, what is said to show no page.
        self.no_pages: dict[str, str] = found["no_pages"]
        #: What people called things; it is in no language.
        self.names: list[str] = found["names"]
        self.password: str = found["password"]
        self.web = Process(["collector", "web"], folder / "web.log", self.environment)
        self.web.start()
        wait_for("the house's web server", self._answers, timeout_s=PATIENCE_S)
        self._gates = self._feed()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.environment['FABGATE_WEB_PORT']}"

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let two machines change all the time."""
        feed = self._feed("--busy")
        try:
            yield
        finally:
            _end(feed)

    def happens(self, member: str) -> None:
        """Let a member begin at the CNC mill."""
        _end(self._feed("--once", member))

    def close(self) -> None:
        _end(self._gates)
        self.web.end()
        self._broker.stop()

    def _feed(self, *how: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.browser.feed", *how]
        pipe = subprocess.PIPE
        feed = subprocess.Popen(command, env={**os.environ, **self.environment}, stdin=pipe, stdout=pipe)
        assert feed.stdout is not None
        assert feed.stdout.readline() == b"feeding\n"
        return feed

    def _answers(self) -> bool:
        assert self.web.running, self.web.words()
        return answers(self.address)


def _end(feed: subprocess.Popen[bytes]) -> None:
    """It ends when its input does."""
    feed.communicate()
    assert feed.returncode == 0


def answers(address: str) -> bool:
    """Whether a collector's pages can be opened there."""
    try:
        urllib.request.urlopen(f"{address}/healthz", timeout=PATIENCE_S).close()
    except urllib.error.HTTPError:
        return True  # it answers; what it misses may start later
    except OSError:
        return False
    return True
