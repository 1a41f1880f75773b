"""A change on a page, until gates decide by it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import requests

from bench.collector.home import empty, ingest, web
from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.gates.config import write_config
from bench.peers import journals
from bench.peers.broker import broker
from bench.process import BenchError, Process, calling, wait_for
from bench.run import Run
from fabgate.demo.processes.ports import free_port

GATES, CHANGES = 50, 4
WHO = 3


@measures(
    Figure("click to the decision of 50 gates, p99", "s", 2, note="all of them on this computer"),
    Figure("click to the decision, p50", "s"),
    Figure("the page answers, the slowest", "s"),
)
def roster_push(run: Run) -> Passes:
    """How soon do fifty gates decide by a change made on a page? From the click to the roster on each disk.

    A person is blocked and unblocked on their page, in turn. The first gate is the gate's own source and store, the others
    read what they fetch (peers/followers.py): on a nudge over MQTT they fetch the sealed roster, check it, and look the badge
    up in it.
    """
    home, web_port = empty(run), free_port()
    names = [f"push-{number}" for number in range(GATES)]
    with home.calling("manager", FABGATE_WEB_PORT=web_port) as manager:
        folders = map(Path, manager.call("gates", names))
        (cookie,), token = manager.call("cookies", 1)
    configs = [str(_config(run, name, keys, web_port)) for name, keys in zip(names, folders, strict=True)]
    run.log("fifty gates are added")
    page = Page(web_port, cookie, token)
    with broker(run) as port, ingest(home, port), web(home, port, web_port), calling("bench.peers.followers") as gates:
        gates.call("follow", port, configs)
        run.log("all have their rosters")
        gates.call("watch", journals.digest(WHO))
        for _ in range(PASSES):
            waits_s: list[float] = []
            clicks_s: list[float] = []
            for change in range(CHANGES):
                is_block = change % 2 == 0
                began, began_s = time.time(), time.perf_counter()
                (page.block if is_block else page.lift)()
                clicks_s.append(time.perf_counter() - began_s)
                waits_s += [at - began for at in _decided(gates, is_block=is_block)]
            yield percentile(waits_s, 0.99), percentile(waits_s, 0.5), max(clicks_s)


class Page:
    """A person's page in a manager's browser."""

    def __init__(self, port: int, cookie: str, token: str) -> None:
        self._session = requests.Session()
        origin = f"http://127.0.0.1:{port}"
        self._session.headers.update({"Cookie": cookie, "Referer": origin})
        self._token = token
        self._address = f"{origin}/people/{journals.member(WHO)}"

    def block(self) -> None:
        """Block the person from every machine."""
        self._post("block", reason="payment-due")

    def lift(self) -> None:
        """Lift the block."""
        page = self._session.get(self._address, timeout=30).text
        self._post("lift", block=page.partition('name="block" value="')[2].partition('"')[0])

    def _post(self, act: str, **fields: str) -> None:
        fields["csrfmiddlewaretoken"] = self._token
        answer = self._session.post(f"{self._address}/{act}", data=fields, allow_redirects=False, timeout=30)
        if answer.status_code != 303:
            raise BenchError(f"{act} was answered with {answer.status_code}: {answer.text[:500]}")


def _decided(gates: Process, *, is_block: bool) -> list[float]:
    """Wait until every gate decides so; return the moments at which each began to."""
    found: dict[str, float] = {}

    def all_know() -> bool:
        recorded: list[Any] = gates.call("decided")
        for gate, at, is_refused in recorded:
            if is_refused is is_block:
                found.setdefault(gate, at)
        return len(found) == GATES

    wait_for("every gate to decide by the change", all_know, look_s=0.02)
    return list(found.values())


def _config(run: Run, name: str, keys: Path, web_port: int) -> Path:
    roster = {"url": f"http://127.0.0.1:{web_port}", "token_file": str(keys / "token"), "fetch_every_s": 3600}
    return write_config(
        run.fresh("gate"),
        run.socket(),
        gate=name,
        roster=roster,
        gate_key_file=str(keys / "seal.keys"),
        badge_key_file=str(keys / "badge.keys"),
    )
