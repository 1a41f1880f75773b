"""A computer in a folder: files of both installations, a systemd that keeps its state, and the programs that a move calls.

It can be killed before, in the middle of and after each change, and it can be started again, as after a power cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import fabgate
from fabgate.by_hand import of_collector, use_package
from fabgate.by_hand.part import COLLECTOR, GATE, Part
from fabgate.by_hand.plan import BACKUPS
from fabgate.computer import Answer, Computer
from fabgate.errors import FabgateError
from tests.deploy.places import ROOT, SYSTEMD
from tools.packages import paths

ETC: Final = "/etc/systemd/system"
LIB: Final = "/usr/lib/systemd/system"
DATA: Final = "/var/lib/fabgate-collector"
DATABASE: Final = f"{DATA}/collector.db"
STATUS: Final = "/var/lib/fabgate/status.json"
GATE_UNIT: Final = "fabgate-gate.service"
UNITS: Final = {
    GATE: (GATE_UNIT,),
    COLLECTOR: (
        *("fabgate-collector.target", "fabgate-collector@.service"),
        *("fabgate-collector-backup.timer", "fabgate-collector-backup.service"),
        *("fabgate-collector-https.socket", "fabgate-collector-http.socket", "fabgate-firewall.service"),
    ),
}
SERVICES: Final = tuple(f"fabgate-collector@{name}.service" for name in ("ingest", "web", "worker"))
TIMER: Final = "fabgate-collector-backup.timer"
SOCKET: Final = "fabgate-collector-https.socket"
#: It is loaded once, and stays so when its unit is another file.
FIREWALL: Final = "fabgate-firewall.service"
ENABLED: Final = {GATE: (GATE_UNIT,), COLLECTOR: ("fabgate-collector.target", TIMER, SOCKET, FIREWALL)}
_WANTED_BY: Final = {
    GATE_UNIT: "multi-user.target",
    "fabgate-collector.target": "multi-user.target",
    TIMER: "timers.target",
    SOCKET: "fabgate-collector.target",
    FIREWALL: "multi-user.target",
}
#: What may fail besides a command: the services of the package do not run, or one of them starts again and again.
RUNS, RESTARTS = "package runs", "package restarts"
#: The tables of the two programs.
OLD, NEW = 1, 2
#: What a move may leave besides: its own folder, its lock, and the copy of `migrate`.
_OWN: Final = (BACKUPS[1:], "run", of_collector.COPIES[1:])


class KilledError(BaseException):
    """The process was killed, as by SIGKILL: no handler of the program runs."""


class Emulated(Computer):
    """A computer. `kill_at` is the number of the change at which it is killed, and `fails` the command that fails."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.kill_at: int | None = None
        self.changes = 0
        self.fails = ""
        self.by_hand_version = "fabgate 0.1.0"
        #: The tables of the package; the program by hand has `OLD`.
        self.tables = OLD
        self.variables: dict[str, str] = {}
        self.on_postgresql = False
        #: What `check`, `audit verify` and the doctor of the package say, where they do not say that all is well.
        self.answers: dict[str, Answer] = {}
        #: The units that systemd has read, and those that run: "by hand" or "package".
        self.loaded: dict[str, str] = {}
        self.running: dict[str, str] = {}
        self.restarts: dict[str, int] = {}
        self.states: dict[str, str] = {}
        self.history: list[str] = []
        #: The programs whose output the person reads.
        self.shown: list[tuple[str, ...]] = []
        #: What collectors recorded that ran after a start of the computer.
        self.rows_recorded: list[str] = []
        for folder in ("run", "etc/systemd/system", "usr/lib/systemd/system", "usr/local/bin", "var/backups"):
            (root / folder).mkdir(parents=True)

    # --- what a person did before -------------------------------------------------------------------------------------

    def put(self, name: str, text: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def install_by_hand(self, part: Part) -> None:
        """Install a part as docs/install-by-hand.md says, enable and start it."""
        for path in SYSTEMD.iterdir():
            self.put(f"/opt/fabgate/share/fabgate/systemd/{path.name}", path.read_text())
        for name in UNITS[part]:
            self.put(f"{ETC}/{name}", (SYSTEMD / name).read_text())
        link = self.path("/usr/local/bin/fabgate")
        if not link.is_symlink():
            link.symlink_to("/opt/fabgate/bin/fabgate")
        if part is GATE:
            self.put("/usr/lib/fabgate/line-off", (SYSTEMD / "line-off").read_text())
            name = "10-fabgate-watchdog.conf"
            self.put(f"/etc/systemd/system.conf.d/{name}", (SYSTEMD / name).read_text())
            self.put("/etc/fabgate/gate.yaml", (ROOT / "config/gate.yaml").read_text())
            self.put("/var/lib/fabgate/journal.db", "entries")
            self.use_machine(None)
        else:
            self.put("/usr/local/sbin/fabgate-collector", (SYSTEMD / "collector-verb").read_text())
            self.put(DATABASE, f"tables {OLD}\n")
        self.ask("systemctl", "daemon-reload")
        self.ask("systemctl", "enable", *ENABLED[part])
        self.ask("systemctl", "start", *ENABLED[part])

    def install_package(self, part: Part) -> None:
        """Install the package, which changes nothing of what runs."""
        for name in UNITS[part]:
            self.put(f"{LIB}/{name}", paths.adapted((SYSTEMD / name).read_text(), part.package))
        self.ask("systemctl", "daemon-reload")

    def use_machine(self, member: str | None) -> None:
        self.put(STATUS, json.dumps({"session": "s-1" if member else None, "member": member}))

    # --- what a test looks at -----------------------------------------------------------------------------------------

    def programs(self, part: Part) -> dict[str, str]:
        """Return which installation each unit of a part runs from."""
        return {unit: program for unit, program in self.running.items() if part.unit.fullmatch(unit)}

    def enabled(self, unit: str) -> list[str]:
        """Return where the links of `systemctl enable` for a unit lead to. Path.glob leaves out those that lead nowhere here."""
        return [str(path.readlink()) for path in self.system.found(f"{ETC}/*.wants/*") if path.name == unit]

    def files(self, *, but: tuple[str, ...] = _OWN) -> dict[str, str]:
        """Return each folder, and the content of each file and link, without those that a move may leave something in."""
        found = {}
        for path in sorted(self.system.root.rglob("*")):
            name = str(path.relative_to(self.system.root))
            if not name.startswith(but):
                is_folder = path.is_dir() and not path.is_symlink()
                text = f"link to {path.readlink()}" if path.is_symlink() else "" if is_folder else path.read_text()
                found[name] = "a folder" if is_folder else text
        return found

    def rows(self) -> list[str]:
        """Return what was recorded in the database."""
        return self.path(DATABASE).read_text().splitlines()[1:]

    def tables_of_database(self) -> int:
        return int(self.path(DATABASE).read_text().split()[1])

    def move(self, part: Part, *, ends_session: bool = False, ask: Callable[[str], bool] = lambda _: True) -> str:
        """Run the command, and return what it said. Raises what it raises."""
        said: list[str] = []
        code = use_package.run(self, part, ask=ask, say=said.append, ends_session=ends_session)
        assert code == (0 if ask("") else 1)
        return "\n".join(said)

    def move_with_kills(self, part: Part, kills: list[tuple[int, bool]], fails: str = "", fails_from: int = 0) -> str:
        """Run the command until it ends, and return its last words.

        At each of `kills` (after how many changes, and whether power fails) it is killed and run again. From the run number
        `fails_from` on the command `fails` fails.
        """
        for number, (changes, power) in enumerate([*kills, (None, False)]):
            self.changes, self.kill_at = 0, changes
            self.fails = fails if number >= fails_from else ""
            try:
                return self.move(part)
            except KilledError:
                if power:
                    self.start()
            except FabgateError as error:
                return str(error)
            finally:
                self.fails, self.kill_at = "", None
        raise AssertionError("killed by nobody")

    # --- systemd ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the computer after a power cut. A collector that runs then records something."""
        self.running, self.states, self.kill_at = {}, {}, None
        self._daemon_reload()
        for unit in [*ENABLED[GATE], *ENABLED[COLLECTOR]]:
            if any(self.path(target).is_file() for target in self.enabled(unit)):
                self._start(unit)
        if SERVICES[0] in self.running:
            self.rows_recorded.append(f"row {len(self.rows_recorded)}, {self.running[SERVICES[0]]}")
            with self.path(DATABASE).open("a") as file:
                file.write(f"{self.rows_recorded[-1]}\n")

    def _daemon_reload(self, *_names: str) -> int:
        names = {name for units in UNITS.values() for name in units}
        self.loaded = {
            name: program
            for program, folder in (("package", LIB), ("by hand", ETC))
            for name in names
            if self.is_there(f"{folder}/{name}")
        }
        return 0

    def _start(self, unit: str) -> int:
        program = self.loaded.get(unit) or self.loaded.get(unit.partition("@")[0] + "@.service")
        if not program:
            return 5
        self.states.pop(unit, None)
        if unit == FIREWALL:
            return 0
        self.running[unit] = program
        self.restarts.setdefault(unit, 0)
        if unit == "fabgate-collector.target":
            for service in SERVICES:
                self._start(service)
        if unit == GATE_UNIT:
            self.history.append(f"on, {program}")
        known = {"by hand": OLD, "package": self.tables}[program]
        if unit in SERVICES and ((self.fails == RUNS and program == "package") or self.tables_of_database() != known):
            del self.running[unit]
            self.states[unit] = "activating"
        return 0

    def _stop(self, unit: str) -> int:
        self.states.pop(unit, None)
        if self.running.pop(unit, "") and unit == GATE_UNIT:
            self.history.append("off")
        return 0

    def _enable(self, unit: str) -> int:
        text = next(
            (place for place in (f"{ETC}/{unit}", f"{LIB}/{unit}") if self.path(place).is_file()), None
        )  # systemctl reads the disk
        if text is None:
            return 1
        link = self.path(f"{ETC}/{_WANTED_BY[unit]}.wants/{unit}")
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(text)
        return 0

    # --- programs -----------------------------------------------------------------------------------------------------

    def run(self, *command: str, account: str = "", shows: bool = False) -> Answer:
        changes = command[:2] != ("systemctl", "is-active") and command[1] in (
            *("stop", "start", "enable", "daemon-reload", "migrate"),
        )
        if changes:
            self._tick()
        answer = self.ask(*command)
        if changes:
            self._tick()
        if shows:
            self.shown.append(command)
        return answer

    def ask(self, *command: str) -> Answer:
        """Carry out a command."""
        shown = " ".join(command)
        if self.fails and shown.startswith(self.fails):
            return Answer(1, "", "error: it fails")
        if shown in self.answers:
            return self.answers[shown]
        match command:
            case "systemctl", "is-active", unit:
                state = self.states.get(unit, "active" if unit in self.running else "inactive")
                return Answer(0 if state == "active" else 3, f"{state}\n", "")
            case "systemctl", "show", "-p", "NRestarts", "--value", unit:
                return Answer(0, f"{self.restarts.get(unit, 0)}\n", "")
            case "systemctl", verb, *units:
                does = {"start": self._start, "stop": self._stop, "enable": self._enable}.get(verb)
                codes = [does(unit) for unit in units] if does else [self._daemon_reload()]
                return Answer(max(codes, default=0), "", f"{shown} failed")
            case "/opt/fabgate/bin/fabgate", "--version":
                return Answer(0, f"{self.by_hand_version}\n", "")
            case COLLECTOR.program, "migrate":
                return self._migrate()
            case COLLECTOR.program, "doctor", "--json":
                return Answer(0, json.dumps({"findings": [self._tables()]}), "")
            case (("install" | "pg_dump" | GATE.program | COLLECTOR.program), *_):
                return Answer(0, "", "")
        raise AssertionError(f"no such program: {shown}")

    def _tables(self) -> dict[str, str]:
        if self.tables_of_database() == self.tables:
            return {"id": "migrations", "outcome": "ok", "text": "all 1 are applied", "next": ""}
        text = "1 migrations are missing, from 0002_x on"
        return {"id": "migrations", "outcome": "fail", "text": text, "next": "fabgate-collector migrate"}

    def _migrate(self) -> Answer:
        assert not any(unit in self.running for unit in SERVICES), "other processes use the database"
        path = self.path(DATABASE)
        if self.tables_of_database() != self.tables:
            self.put(f"{of_collector.COPIES}/before-update/copy", path.read_text())
            self.put(f"{DATA}/.updating", "copy\n")
            self._tick()
            path.write_text(path.read_text().replace(f"tables {OLD}", f"tables {self.tables}"))
            self._tick()
        self.put(f"{DATA}/.used-by", fabgate.__version__)
        self.path(f"{DATA}/.updating").unlink(missing_ok=True)
        return Answer(0, "", "")

    # --- changes, and kills -------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.changes += 1
        if self.changes == self.kill_at:
            raise KilledError

    def _put(self, fresh: Path, target: Path) -> None:
        self._tick()  # the file is written, and not yet at its place
        super()._put(fresh, target)
        self._tick()

    def remove(self, name: str) -> None:
        self._tick()
        super().remove(name)
        self._tick()

    def environment(self) -> Mapping[str, str]:
        url = {"FABGATE_DATABASE_URL": "postgresql://"} if self.on_postgresql else {}
        return self.variables | url

    def sync(self, path: Path) -> None:
        assert path.exists()  # waiting for the disk takes long, and shows nothing here

    def is_root(self) -> bool:
        return True

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        if self.fails == RESTARTS:
            self.restarts[SERVICES[1]] += 1
