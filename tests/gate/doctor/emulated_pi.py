"""The files of a Raspberry Pi with a gate that runs: everything as docs/install-by-hand.md leaves it, until a test breaks it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

from fabgate import wire
from fabgate.doctor.finding import Finding
from fabgate.doctor.system import System
from fabgate.gate.doctor.examination import CHECKS, examine
from fabgate.gate.roster.directory import store
from tests.deploy.places import SYSTEMD

UNIT = "/etc/systemd/system/fabgate-gate.service"
TCP_HEAD = "  sl  local_address rem_address   st\n"
GATE_YAML = """\
site: lyon
gate: laser-1
state_dir: state
reader: {driver: mfrc522}
output: {driver: gpio, pin: 17, readback_pin: 27, readback_closed: high}
inputs: {stop_pin: 22}
roster: {file: members.yaml}
mqtt: {host: 127.0.0.1, port: PORT}
"""
MEMBERS = 'members:\n  - {id: m-1, name: Ada, badges: ["04:A1:B2:C3:D4:E5:F6"]}\n'


class EmulatedSystem(System):
    """A computer whose disk takes `write_ms` for each write."""

    write_ms = 5.0

    def sync_times_ms(self, folder: Path) -> list[float]:
        assert folder.is_dir()
        return [self.write_ms] * 12


class EmulatedPi:
    """A Pi below a folder. It listens on a port as its broker, and holds the lock of a running gate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.system = EmulatedSystem(self.root)
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.broker = socket.create_server(("127.0.0.1", 0))
        self._lock: Any = None
        self.configure(GATE_YAML)
        (folder / "members.yaml").write_text(MEMBERS)
        (folder / "members.yaml").chmod(0o640)
        self._boot()
        self._install()
        self.store_roster()
        self.report()
        self.start()

    def _boot(self) -> None:
        self.write("/proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        self.write("/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", "N\n")
        self.write("/boot/firmware/config.txt", "dtparam=spi=on\n[all]\ndtparam=strict_gpiod\n")
        self.write("/dev/spidev0.0", "")
        self.write("/sys/class/watchdog/watchdog0/state", "active\n")
        self.write("/sys/class/watchdog/watchdog0/timeout", "10\n")
        self.write("/sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
        self.write("/sys/class/net/lo/operstate", "unknown\n")
        self.write("/sys/class/net/wlan0/operstate", "up\n")
        self.write("/proc/mounts", "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n")
        self.write("/sys/block/mmcblk0/size", f"{32_000_000_000 // 512}\n")
        self.write("/sys/fs/ext4/mmcblk0p2/errors_count", "0\n")
        self.write("/sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes", "96000000\n")
        self.write("/proc/net/tcp", TCP_HEAD + self.listens("00000000", 22) + self.listens("0100007F", 631))

    def _install(self) -> None:
        self.write(UNIT, (SYSTEMD / "fabgate-gate.service").read_text())
        wanted = self.root / "etc/systemd/system/multi-user.target.wants/fabgate-gate.service"
        wanted.parent.mkdir()
        wanted.symlink_to(UNIT)
        self.write("/usr/lib/fabgate/line-off", (SYSTEMD / "line-off").read_text(), mode=0o755)
        self.write(
            "/etc/passwd",
            # The account of the gate is that of the tests, which make its files.
            "root:x:0:0:root:/root:/bin/bash\n"
            f"fabgate:x:{os.getuid()}:{os.getgid()}::/var/lib/fabgate:/usr/sbin/nologin\n",
        )
        self.write("/etc/group", "gpio:x:986:fabgate\nspi:x:989:fabgate\n")

    @staticmethod
    def listens(address: str, port: int) -> str:
        return f"   0: {address}:{port:04X} 00000000:0000 0A 00000000:00000000\n"

    # --- what a test changes ------------------------------------------------------------------------------------------

    def write(self, name: str, text: str, *, mode: int = 0o644) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def change(self, name: str, pattern: str, text: str) -> None:
        path = self.root / name.lstrip("/")
        changed, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
        assert count, f"{name} has no {pattern}"
        path.write_text(changed)

    def remove(self, name: str) -> None:
        (self.root / name.lstrip("/")).unlink()

    def configure(self, text: str) -> None:
        self.gate_yaml = text
        (self.folder / "gate.yaml").write_text(text.replace("PORT", str(self.broker.getsockname()[1])))

    def reconfigure(self, old: str, new: str) -> None:
        assert old in self.gate_yaml
        self.configure(self.gate_yaml.replace(old, new))

    def store_roster(self, **changes: Any) -> None:
        member = wire.Member(id="m-1", name="Ada", badges=["00" * 32])
        store(
            wire.Roster(version=1, site="lyon", gate="laser-1", members=[member], **changes), self.state / "roster.db"
        )

    def report(self, **changes: Any) -> None:
        """Write the status of the gate."""
        mqtt = {"configured": True, "connected": True, "problem": None}
        status = {"state": "idle", "pid": 1, "problems": [], "clock_synced": True, "mqtt": mqtt, **changes}
        (self.state / "status.json").write_text(json.dumps(status))

    def start(self) -> None:
        """Hold the lock, as the daemon does as long as it runs."""
        self._lock = (self.state / "lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def stop(self) -> None:
        self._lock.close()

    def close(self) -> None:
        self.stop()
        self.broker.close()

    # --- what the doctor says -----------------------------------------------------------------------------------------

    def findings(self) -> dict[str, Finding]:
        return {finding.id: finding for finding in examine(self.folder / "gate.yaml", self.system)}

    def finding(self, name: str) -> Finding:
        """Run one check alone."""
        found = examine(self.folder / "gate.yaml", self.system, only=[name])
        assert name in CHECKS
        return found[0]
