"""A computer for setup: a root folder, a systemd that remembers, and a kill at any moment."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fabgate.collector.setup import paths
from fabgate.computer import Answer, Computer

#: When the first unit starts; each further one starts a second later, long before the files of a test are written.
FIRST = datetime(2001, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """The program was killed."""


class FakeComputer(Computer):
    """A Debian on which the package was installed, and nothing was set up.

    `kill_at` counts the changes of files and units, from 0: the program dies in the middle of that one.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.enabled = {"mosquitto.service", "chrony.service"}
        self.active: dict[str, datetime] = {}
        #: Port and program of what else listens.
        self.listeners: dict[int, str] = {}
        self.auto_installed = {"mosquitto"}
        self.drop_ins = ""
        self.broken: set[str] = set()
        self.commands: list[tuple[str, ...]] = []
        self.changes = 0
        self.starts = 0
        self.kill_at = -1
        self.doctor_code = 0
        #: What `gates` says.
        self.gates: list[dict[str, object]] = []
        self.gates_code = 0
        #: How far its clock is ahead.
        self.ahead = timedelta()
        for name in ("/usr/sbin/mosquitto", "/usr/sbin/chronyd", "/usr/sbin/nft", "/usr/sbin/avahi-daemon"):
            self.put(name, "")
        for name in ("collector.env", "fabgate.nft"):
            self.put(f"{paths.SHIPPED}/{name}", (Path(__file__).parents[3] / "config" / name).read_text("utf-8"))
        self._start("mosquitto.service")
        self._start("chrony.service")

    def put(self, name: str, text: str) -> None:
        """Let a file be there."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def is_root(self) -> bool:
        """Yes."""
        return True

    def group(self, name: str) -> int:
        """Return the group of this process for each one."""
        return os.getgid()

    def now(self) -> datetime:
        """Return the time of its clock."""
        return super().now() + self.ahead

    def pause(self, seconds: float) -> None:
        """Do not wait."""

    def write(self, name: str, text: str, mode: int = 0o644, group: str = "") -> None:
        """Write, unless killed before or after."""
        self._change()
        super().write(name, text, mode, group)
        self._change()

    def run(self, *command: str, account: str = "", shows: bool = False) -> Answer:
        """Do what the program would do."""
        self.commands.append(command)
        if command[0] == "systemctl":
            return self._systemctl(*command[1:])
        match command:
            case ("install", "-d", *_, name):
                self._change()
                self.path(name).mkdir(parents=True, exist_ok=True)
                return Answer(0, "", "")
            case ("ss", *_, port):
                program = self.listeners.get(int(port.rpartition(":")[2]))
                return Answer(0, f'LISTEN 0 511 *:80 *:* users:(("{program}",pid=1,fd=6))' if program else "", "")
            case ("journalctl", "-u", unit, *_):
                return Answer(0, f"the reason of {unit}", "")
            case ("apt-mark", "showauto", package):
                return Answer(0, package if package in self.auto_installed else "", "")
            case ("dpkg-query", *_):
                return Answer(0, "", "")
            case (paths.PROGRAM, "migrate"):
                self._change()
                self.put(f"{paths.DATA}/collector.db", "")
                return Answer(0, "", "")
            case (paths.PROGRAM, "gates", "--json"):
                return Answer(self.gates_code, json.dumps(self.gates), "")
            case (paths.PROGRAM, "doctor", *_):
                return Answer(self.doctor_code, "", "")
        raise AssertionError(command)

    def summary(self) -> dict[str, object]:
        """Return what setup is responsible for: the units, and the files, but for what chance made in them."""
        by_chance = ("/authority/", "/tls/", "/ca.crt")
        files = {
            str(path.relative_to(self.system.root)): ""
            if any(part in str(path) for part in by_chance)
            else path.read_text()
            for path in self.system.root.rglob("*")
            if path.is_file()
        }
        return {"enabled": self.enabled, "active": set(self.active), "files": files}

    def _systemctl(self, verb: str, *arguments: str) -> Answer:
        match verb:
            case "is-enabled":
                return Answer(0, "enabled" if arguments[0] in self.enabled else "disabled", "")
            case "is-active":
                return Answer(0, "active" if arguments[0] in self.active else "inactive", "")
            case "show":
                return Answer(0, self.drop_ins if "--value" in arguments else self._shown(arguments[0]), "")
        return self._change_units(verb, arguments)

    def _change_units(self, verb: str, arguments: tuple[str, ...]) -> Answer:
        now, units = "--now" in arguments, [one for one in arguments if one != "--now"]
        for unit in units:
            self._change()
            if unit == "fabgate-collector-backup.service":
                self.put(f"{paths.COPIES}/fabgate-lyon-20261203-033000.tar.gz", "")
            elif verb in ("start", "restart") or (verb == "enable" and now):
                if unit in self.broken:
                    return Answer(1, "", f"Job for {unit} failed.")
                self._start(unit)
            if verb == "enable":
                self.enabled.add(unit)
            if verb == "disable":
                self.enabled.discard(unit)
                self.active.pop(unit, None)
            self._change()
        return Answer(0, "", "")

    def _start(self, unit: str) -> None:
        """Let a unit be active, which has read each file that is there: those written since the last start become older."""
        self.starts += 1
        started = FIRST.timestamp() + self.starts
        for path in self.system.root.rglob("*"):
            if path.stat().st_mtime > started:
                os.utime(path, (started - 0.5, started - 0.5))
        self.active[unit] = datetime.fromtimestamp(started, UTC)
        if unit == paths.TARGET:
            self.active[paths.WEB] = self.active[unit]

    def _shown(self, unit: str) -> str:
        if unit not in self.active:
            return "ActiveState=inactive\nActiveEnterTimestamp=\n"
        return f"ActiveState=active\nActiveEnterTimestamp={self.active[unit]:%a %Y-%m-%d %H:%M:%S.%f} UTC\n"

    def _change(self) -> None:
        self.changes += 1
        if self.changes - 1 == self.kill_at:
            raise Killed
