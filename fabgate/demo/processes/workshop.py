"""The processes of a demo: broker, collector and gates, each as it would be installed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from fabgate import wire
from fabgate.collector.ground.base import roster_gzip
from fabgate.collector.ground.base.local_times import zone_of_computer
from fabgate.demo.furnishing.past import days
from fabgate.demo.furnishing.people import NAMES, members_file
from fabgate.demo.furnishing.places import Made, Wanted, Workplace
from fabgate.demo.processes import broker
from fabgate.demo.processes.child import Process
from fabgate.demo.processes.gate import SITE, SimulatedGate
from fabgate.demo.processes.network import Cable
from fabgate.demo.processes.ports import free_port
from fabgate.demo.waiting import DemoError, wait_for


class Workshop:
    """Broker, collector and gates in one folder.

    With `port`, they use the broker on that port instead of an embedded one.
    """

    def __init__(self, folder: Path, *, port: int | None = None, lang: str | None = None) -> None:
        self.folder = folder
        #: The language of displays and machines. Without `lang`, pages use the browser's.
        self.lang = lang or "en"
        self._page_lang = lang or ""
        self.broker = None
        if port is None:
            self.broker, port = broker.start(folder)
        self.port = port
        self.web_port = free_port()
        #: The socket of the process that serves the wall of badges: see wall.py.
        self.wall_socket = folder / "wall.sock"
        self.environment = {
            "FABGATE_SITE": SITE,
            "FABGATE_TZ": os.environ.get("FABGATE_TZ") or zone_of_computer(os.environ),
            "FABGATE_LANG": self.lang,
            "FABGATE_DATA": str(folder / "collector"),
            "FABGATE_MQTT_PORT": str(self.port),
            "FABGATE_WEB_PORT": str(self.web_port),
            "FABGATE_SIMULATED": "1",
            "FABGATE_WALL_SOCKET": str(self.wall_socket),
        }
        self.ingest = Process(["collector", "ingest"], folder / "collector.log", self.environment)
        self.web = Process(["collector", "web"], folder / "web.log", self.environment)
        self.worker = Process(["collector", "worker"], folder / "worker.log", self.environment)
        self.gates: list[SimulatedGate] = []
        #: The modes of the machines, by gate.
        self.modes: dict[str, str] = {}

    def today(self) -> date:
        """Return today's date in the workshop's time zone."""
        return datetime.now(ZoneInfo(self.environment["FABGATE_TZ"])).date()

    @property
    def address(self) -> str:
        """Return the address of the pages."""
        return f"http://127.0.0.1:{self.web_port}"

    # --- gates and people -------------------------------------------------------------------------------------------------

    def add_gate(self, name: str, machine: dict[str, Any], roster: list[Any]) -> SimulatedGate:
        """Prepare a gate with a roster file of its own; ``start`` starts it."""
        file = self.folder / f"{name}.roster.json"
        file.write_text(json.dumps({"members": roster}, indent=1), encoding="utf-8")
        return self._gate(name, machine, Cable(self.port), {"roster": {"file": str(file)}})

    def let_in(self, name: str, machine: str, title: str, **rules: object) -> SimulatedGate:
        """Register a gate with the collector, which serves its roster; ``start`` starts it."""
        made = msgspec.json.decode(self.collector("gate-add", name, "--machine", machine, "--json"), type=Made)
        pairs = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in rules.items()]
        self.collector("machine-set", machine, *pairs, "--title", title)
        return self.served(name, title, made)

    def furnish(self, places: Sequence[Workplace], *, today: date | None = None) -> None:
        """Register these gates and the demo's people with the collector, all at once. The collector must not run yet.

        With `today`, it also gets a history of ten weeks that ends on the day before.
        """
        if today is None:
            members = members_file(self.folder)
        else:
            members = members_file(self.folder, people=days.members_on(today), machines=frozenset())
        wanted = Wanted(tuple(places), str(members), self._page_lang, str(self.folder), today)
        printed = self._run("fabgate.demo.furnishing.collector", given=msgspec.json.encode(wanted).decode())
        made = msgspec.json.decode(printed, type=dict[str, Made])
        for place in places:
            self.served(place.gate, place.title, made[place.gate], place.panels, place.fobs, on_plug=place.on_plug)
            self.modes[place.gate] = str(place.rules.get("mode", wire.MachineRules().mode))

    def served(
        self, name: str, title: str, made: Made, panels: Sequence[str] = (), fobs: str = "", *, on_plug: bool = False
    ) -> SimulatedGate:
        """Prepare a gate that gets its roster from the collector, through the same cable as everything else."""
        cable = Cable(self.port)
        source = {
            "roster": {
                "url": f"http://127.0.0.1:{cable.lead_to(self.web_port)}",
                "token_file": made.token_file,
                "fetch_every_s": 5,
            },
            "gate_key_file": made.gate_key_file,
            "badge_key_file": made.badge_key_file,
        }
        gate = self._gate(name, {"name": title}, cable, source, panels, fobs, on_plug=on_plug)
        gate.past = made.head
        return gate

    def _gate(
        self,
        name: str,
        machine: dict[str, Any],
        cable: Cable,
        source: dict[str, Any],
        panels: Sequence[str] = (),
        fobs: str = "",
        *,
        on_plug: bool = False,
    ) -> SimulatedGate:
        gate = SimulatedGate(self.folder, name, cable, machine, source, self.lang, panels, fobs, on_plug=on_plug)
        self.gates.append(gate)
        return gate

    # --- the collector ------------------------------------------------------------------------------------------------

    def collector(self, *arguments: str) -> str:
        """Run a verb of ``fabgate collector``; return what it prints."""
        return self._run("fabgate", "collector", *arguments)

    def _run(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **self.environment},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"'{' '.join(arguments)}' failed: {done.stderr.strip()}")
        return done.stdout

    def start_collector(self) -> None:
        """Start ingest and web, and wait until the web server answers."""
        self.ingest.start()
        self.web.start()
        self.await_web()

    def await_web(self) -> None:
        """Wait until the web server answers."""
        wait_for("the collector's web server", self._web_answers)

    def _web_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/healthz", timeout=1):
                return True
        except urllib.error.HTTPError:
            return True  # it answers; the other processes may start later
        except OSError:
            if not self.web.running:
                raise DemoError(f"the collector's web server did not start:\n{self.web.last_lines()}") from None
            return False

    def sessions(self) -> list[dict[str, Any]]:
        """Return the collector's sessions, without those of the history."""
        past = {gate.name: gate.past for gate in self.gates}
        rows = self._query(
            "SELECT gate.name, opened_seq, used.id, member, used.energised_ms, uncertainty_ms, reason"
            " FROM collector_usagesession used JOIN collector_gate gate ON gate.id = used.gate_id"
        )
        names = ("session", "member", "energised_ms", "uncertainty_ms", "reason")
        return [dict(zip(names, row, strict=True)) for gate, seq, *row in rows if seq > past.get(gate, 0)]

    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the names of machines by gate, and of people by id, as the pages show them now."""
        titles, names = {}, dict(NAMES)
        rows = self._query(
            "SELECT gate.name, machine.title, roster.body FROM collector_gate gate"
            " JOIN collector_machine machine ON machine.id = gate.machine_id"
            " LEFT JOIN collector_servedroster roster ON roster.gate_id = gate.id"
        )
        for gate, title, body in rows:
            titles[gate] = title
            if body:
                names |= {
                    one.id: one.name for one in wire.decode(roster_gzip.unpack(body), wire.Roster).members if one.name
                }
        return titles, names

    def _query(self, query: str) -> list[tuple[Any, ...]]:
        """Query the collector's database, read only."""
        path = self.folder / "collector" / "collector.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def usage(self, *arguments: str) -> str:
        """Return what ``fabgate collector usage`` prints."""
        return self.collector("usage", *arguments)

    # --- the end ------------------------------------------------------------------------------------------------------

    @property
    def processes(self) -> list[Process]:
        """Return every process in the order of ending: the collector still receives the gates' last entries."""
        return [*(gate.process for gate in self.gates), self.worker, self.ingest, self.web]

    def end(self) -> None:
        """End all processes in order: the gates, then the collector, which stores their last entries."""
        for process in self.processes:
            if process.running:
                process.end()

    def close(self) -> None:
        """Kill everything at once."""
        for process in self.processes:
            if process.running:
                process.end(signal.SIGKILL)
        for gate in self.gates:
            gate.close()
        if self.broker is not None:
            self.broker.stop()
