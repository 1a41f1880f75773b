"""How soon do fifty gates decide by a change made on a page? From the click to the roster on each disk.

A person is blocked and unblocked on their page, in turn. The first gate is the gate's own source and store, the others read
what they fetch (followers.py): on a nudge over MQTT they fetch the sealed roster, check it, and look the badge up in it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import requests

from bench import entries
from bench.collector import Child, broker, empty, ingest, web
from bench.gates import BenchError, write_config
from bench.harness import PASSES, Figure, Run, percentile
from fabgate.demo.processes.ports import free_port

GATES, CHANGES = 50, 4
WHO = 3
WAIT_S = 30.0


def measure(run: Run) -> list[Figure]:
    home, web_port = empty(run), free_port()
    names = [f"push-{number}" for number in range(GATES)]
    manager = Child("bench.manager", home, FABGATE_WEB_PORT=web_port)
    manager.ready()
    folders = manager.ask(f"gates {' '.join(names)}")
    signed_in = manager.ask("cookies 1")
    manager.kill()
    configs = [
        _config(run.fresh("gate"), name, Path(folder), web_port, run.socket())
        for name, folder in zip(names, folders, strict=True)
    ]
    run.log("fifty gates are added")
    with broker(run) as port, ingest(home, port), web(home, port, web_port):
        followers = Child("bench.followers", None, str(port), *map(str, configs))
        try:
            followers.ready()
            run.log("all have their rosters")
            page = Page(web_port, signed_in["cookies"][0], signed_in["token"])
            followers.ask(f"watch {entries.digest(WHO)}")
            return _figures(run, page, followers)
        finally:
            followers.kill()


class Page:
    """A person's page in a manager's browser."""

    def __init__(self, port: int, cookie: str, token: str) -> None:
        self._session = requests.Session()
        self._origin = f"http://127.0.0.1:{port}"
        self._session.headers.update({"Cookie": cookie, "Referer": self._origin})
        self._token = token
        self._address = f"{self._origin}/people/{entries.member(WHO)}"

    def block(self) -> None:
        """Block the person from every machine."""
        self._post("block", reason="payment-due")

    def lift(self) -> None:
        """Lift the block."""
        page = self._session.get(self._address, timeout=30).text
        _, _, rest = page.partition('name="block" value="')
        self._post("lift", block=rest.partition('"')[0])

    def _post(self, act: str, **fields: str) -> None:
        fields["csrfmiddlewaretoken"] = self._token
        answer = self._session.post(f"{self._address}/{act}", data=fields, allow_redirects=False, timeout=30)
        if answer.status_code != 303:
            raise BenchError(f"{act} was answered with {answer.status_code}: {answer.text[:500]}")


def _figures(run: Run, page: Page, followers: Child) -> list[Figure]:
    p50s, p99s, clicks = [], [], []
    for number in range(1, PASSES + 1):
        waits: list[float] = []
        took: list[float] = []
        for change in range(CHANGES):
            is_block = change % 2 == 0
            began, began_s = time.time(), time.perf_counter()
            (page.block if is_block else page.lift)()
            took.append(time.perf_counter() - began_s)
            waits += [at - began for at in _decided(followers, is_block=is_block)]
        p50s.append(percentile(waits, 0.5))
        p99s.append(percentile(waits, 0.99))
        clicks.append(max(took))
        run.log(f"pass {number}: p50 {p50s[-1]:.2f} s, p99 {p99s[-1]:.2f} s; the page within {clicks[-1]:.2f} s")
    return [
        run.figure("click to the decision of 50 gates, p99", "s", p99s, 2, note="all of them on this computer"),
        run.figure("click to the decision, p50", "s", p50s),
        run.figure("the page answers, the slowest", "s", clicks),
    ]


def _decided(followers: Child, *, is_block: bool) -> list[float]:
    """Wait until every gate decides so; return the moments at which each began to."""
    found: dict[str, float] = {}
    until = time.monotonic() + WAIT_S
    while len(found) < GATES:
        noted: list[Any] = followers.ask("noted")
        for gate, at, is_refused in noted:
            if is_refused is is_block:
                found.setdefault(gate, at)
        if time.monotonic() > until:
            raise BenchError(f"{GATES - len(found)} of {GATES} gates do not know it after {WAIT_S:.0f} s")
        time.sleep(0.02)
    return list(found.values())


def _config(folder: Path, name: str, keys: Path, web_port: int, socket: str) -> Path:
    return write_config(
        folder,
        socket,
        gate=name,
        gate_key_file=str(keys / "seal.keys"),
        badge_key_file=str(keys / "badge.keys"),
        roster={
            "url": f"http://127.0.0.1:{web_port}",
            "token_file": str(keys / "token"),
            "fetch_every_s": 3600,
        },
    )
