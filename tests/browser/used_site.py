"""A site after two months of use: a broker and a collector as real processes on ports of their own, without gates."""

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

from fabgate.demo.processes import broker
from fabgate.demo.processes.child import Process
from fabgate.demo.processes.ports import free_port
from fabgate.demo.waiting import wait_for
from tests.browser.feed import FREE

#: Seconds to wait for anything; the computer that runs the tests may be busy.
PATIENCE_S = 120


def _evening() -> str:
    """Return a time zone in which it is about six in the evening, so that no test runs at midnight."""
    ahead = (18 - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}"  # these names have the sign reversed


EVENING = _evening()
#: The file in the data folder with the addresses and names that sample_data printed.
_FOUND = "found.json"


def make_sample_data(folder: Path, *options: str) -> None:
    """Fill `folder` with the data of such a collector. It takes seconds, so several sites copy one folder."""
    made = subprocess.run(
        [sys.executable, "-m", "tests.browser.sample_data", *options],
        env={**os.environ, **_environment(folder), "FABGATE_MQTT_PORT": "1"},  # no broker
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (folder / _FOUND).write_text(made.stdout, encoding="utf-8")


def _environment(folder: Path) -> dict[str, str]:
    return {"FABGATE_SITE": "lyon", "FABGATE_TZ": EVENING, "FABGATE_DATA": str(folder)}


class UsedSite:
    """A running collector on a copy of `sample_data`. `pages` are the addresses to check: route, path and account."""

    def __init__(self, folder: Path, sample_data: Path) -> None:
        data = folder / "collector"
        shutil.copytree(sample_data, data)
        self._broker, mqtt_port = broker.start(folder)
        self.environment = {
            **_environment(data),
            "FABGATE_MQTT_PORT": str(mqtt_port),
            "FABGATE_WEB_PORT": str(free_port()),
        }
        found = json.loads((data / _FOUND).read_text(encoding="utf-8"))
        self.pages: list[dict[str, str]] = found["pages"]
        #: By route, the addresses that show no page.
        self.no_pages: dict[str, str] = found["no_pages"]
        #: Names that people chose, which belong to no language.
        self.names: list[str] = found["names"]
        self.password: str = found["password"]
        self.web = Process(["collector", "web"], folder / "web.log", self.environment)
        self.web.start()
        wait_for("the site's web server", self._answers, timeout_s=PATIENCE_S)
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

    def starts(self, member: str) -> None:
        """Let a member start at the CNC mill."""
        _end(self._feed("--once", member))

    def stops(self) -> None:
        """Let nobody use the CNC mill."""
        _end(self._feed("--once", FREE))

    def charge(self, month: str) -> None:
        """Charge what is not charged yet. No worker runs here; a verb that reads charges does its work first."""
        verb = [sys.executable, "-m", "fabgate.collector", "bill-month", month]
        subprocess.run(verb, env={**os.environ, **self.environment}, check=True, stdout=subprocess.DEVNULL)

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
        assert self.web.running, self.web.last_lines()
        return answers(self.address)


def _end(feed: subprocess.Popen[bytes]) -> None:
    """Close the feed's input, which ends it."""
    feed.communicate()
    assert feed.returncode == 0


def answers(address: str) -> bool:
    """Whether a collector answers at this address."""
    try:
        urllib.request.urlopen(f"{address}/healthz", timeout=PATIENCE_S).close()
    except urllib.error.HTTPError:
        return True  # it answers; another part of it may start later
    except OSError:
        return False
    return True
