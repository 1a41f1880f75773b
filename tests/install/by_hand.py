"""Installs fabgate in a root by hand: by the very lines that the page of that commit has."""

from __future__ import annotations

import re
import subprocess
from typing import Final

from tests.install import computer
from tests.install.computer import BADGE, COLLECTOR, GATE, ROW
from tests.install.images import ROOT
from tests.install.roots import Root
from tests.support.patience import wait

SOURCE: Final = "/opt/fabgate-src"
#: What a person may have changed in the unit of the gate, and a drop-in of their own.
CHANGED: Final = "MemoryMax=222M"
DROP_IN: Final = "/etc/systemd/system/fabgate-gate.service.d/30-ours.conf"
_PASSWORD: Final = "correct-horse-battery"
_GATE_YAML: Final = f"""\
site: lyon
gate: {ROW}
state_dir: /var/lib/fabgate
demo: true
machine: {{name: Laser 1, limit_s: 7200}}
reader: {{driver: simulated, control_socket: /run/fabgate/reader.sock}}
output: {{driver: memory}}
clock: {{source: assume-synced}}
"""


def commit_of(subject: str) -> str:
    """Return the commit with a subject, "" where this clone does not have it."""
    asked = ["git", "-C", str(ROOT), "log", "--format=%H", "-1", f"--grep=^{subject}$"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


class Manual:
    """The page of a commit that says how to install by hand; its source is in the root."""

    def __init__(self, root: Root, commit: str) -> None:
        self._root = root
        source = root.path / SOURCE[1:]
        if not source.exists():
            root.run("apt-get update -q && apt-get install -y -q git", online=True)
            subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", "--no-checkout", ROOT, source], check=True)
            subprocess.run(["git", "-C", source, "checkout", "--quiet", "--detach", commit], check=True)
            root.run(f"chown -R root: {SOURCE}")
        pages = [source / "docs" / name for name in ("install-by-hand.md", "install.md")]  # the second one until 0.1.0
        self._text = next(page for page in pages if page.exists()).read_text("utf-8")

    def block(self, contains: str, language: str = "sh") -> str:
        """Return the block of a language that contains a text."""
        found = re.findall(rf"^```{language}\n(.*?)^```", self._text, re.MULTILINE | re.DOTALL)
        (block,) = [one for one in found if contains in one]
        return str(block)

    def run(self, contains: str, *, but: str = "", online: bool = False) -> None:
        """Run the block that contains a text, without lines that begin with one of the words `but`, which need a person or a Pi."""
        lines = [line for line in self.block(contains).splitlines() if not line.startswith(tuple(but.split()) or "\0")]
        text = "\n".join(lines).replace(" python3-lgpio", "")  # which Debian has for a Pi only
        # A person types the password twice.
        text = text.replace("mosquitto_passwd -c", "mosquitto_passwd -b -c")
        text = re.sub(r"(mosquitto_passwd .*fabgate\.passwd \S+)", rf"\1 {_PASSWORD}", text)
        text = text.replace("&& mosquitto_passwd /", "&& mosquitto_passwd -b /")
        self._root.run(f"set -e\n{text}", online=online, hangs_s=1200)


def install(root: Root, commit: str, *packages: str, changes_unit: bool = False) -> None:
    """Install a gate, a collector or both without a broker: the lines of program, account and units, with short settings."""
    manual = Manual(root, commit)
    if GATE in packages:
        _program_of_gate(root, manual)
        root.write("/etc/fabgate/gate.yaml", _GATE_YAML + "roster: {file: /etc/fabgate/members.yaml}\n")
        members = f'members:\n  - {{id: m-1, name: Ada, badges: ["{BADGE}"]}}\n'
        root.write("/etc/fabgate/members.yaml", members)
        if changes_unit:
            root.run(f"sed -i 's/^MemoryMax=.*/{CHANGED}/' /etc/systemd/system/fabgate-gate.service")
            root.write(DROP_IN, "[Service]\nEnvironment=OWN=1\n")
            root.run("systemctl daemon-reload")
        _start_gate(root, manual)
        computer.tap(root)
        computer.tap(root)
    if COLLECTOR in packages:
        _program_of_collector(manual)
        env = "FABGATE_SITE=lyon\nFABGATE_TZ=Europe/Paris\n"
        root.write("/etc/fabgate/collector.env", env, mode=0o640, owner="root:fabgate-collector")
        _start_collector(root, manual)
        computer.add_row(root)


def install_on_postgresql(root: Root, commit: str) -> None:
    """Install a collector with PostgreSQL."""
    manual = Manual(root, commit)
    _program_of_collector(manual)
    text = manual.block("createuser --pwprompt").replace("createuser --pwprompt fabgate", "createuser fabgate")
    root.run(f"set -e\n{text}", online=True, hangs_s=1200)
    root.run("runuser -u postgres -- psql -q -c \"ALTER ROLE fabgate PASSWORD 'secret'\"")
    root.run("echo postgresql://fabgate:secret@127.0.0.1/fabgate > /etc/fabgate/database.url")
    env = "FABGATE_SITE=lyon\nFABGATE_TZ=Europe/Paris\nFABGATE_DATABASE_URL_FILE=/etc/fabgate/database.url\n"
    root.write("/etc/fabgate/collector.env", env, mode=0o640, owner="root:fabgate-collector")
    _start_collector(root, manual)
    root.run("systemctl disable --now fabgate-collector-backup.timer")
    computer.add_row(root)


def install_whole(root: Root, commit: str) -> None:
    """Install a collector with broker, certificates and proxy, and a gate of it on the same computer, and deliver a session."""
    manual = Manual(root, commit)
    root.run("echo 127.0.0.1 collector.lan >> /etc/hosts")
    _program_of_collector(manual)
    manual.run("openssl req -x509 -newkey")
    manual.run("mosquitto_passwd -c /etc")
    manual.run("install -m 640 -g fabgate-collector /dev/null /etc/fabgate/collector.password", but="nano")
    root.run(f"echo {_PASSWORD} > /etc/fabgate/collector.password")
    root.run("cat > /etc/fabgate/collector.env", answers=manual.block("FABGATE_MQTT_GATE_PORT", "ini"))
    _start_collector(root, manual)
    root.run("cat > /etc/nginx/sites-available/default", answers=manual.block("listen 443", "nginx"))
    manual.run("nginx -t")
    manual.run("systemctl start fabgate-collector-backup.service && ls")
    manual.run(f"gate-add {ROW} --machine {ROW} --title")
    _program_of_gate(root, manual)
    root.run(
        f"cd /var/lib/fabgate-collector/gates/{ROW} && install -m 640 -g fabgate token seal.keys badge.keys -t /etc/fabgate"
    )
    root.write("/etc/fabgate/mqtt.password", f"{_PASSWORD}\n", mode=0o640, owner="root:fabgate")
    root.write("/etc/fabgate/gate.yaml", _GATE_YAML + manual.block("gate_key_file:", "yaml"))
    members = "/var/lib/fabgate-collector/members.csv"
    root.write(members, f"id,name,badges,machines\nm-1,Ada,{BADGE},{ROW}\n", owner="fabgate-collector:root")
    root.run(f"fabgate-collector import-members {members} && rm {members}")
    _start_gate(root, manual)
    computer.tap(root)
    computer.tap(root)
    wait(lambda: sessions(root) == 1, "a first session at the collector")


def sessions(root: Root) -> int:
    """Return how many sessions the collector has."""
    listed = root.says("fabgate-collector sessions --from 2020-01-01 --to 2100-01-01 --json")
    return sum(line.startswith("{") for line in listed.splitlines())


def _program_of_gate(root: Root, manual: Manual) -> None:
    # Raspberry Pi OS has these groups, and it is a Pi that is started again.
    root.run("groupadd -f --system gpio && groupadd -f --system spi")
    manual.run("10-fabgate-watchdog.conf -t", but="raspi-config reboot", online=True)
    manual.run("pip install --no-deps mfrc522", online=True)


def _program_of_collector(manual: Manual) -> None:
    manual.run("apt install -y python3-venv mosquitto nginx openssl curl", online=True)


def _start_gate(root: Root, manual: Manual) -> None:
    manual.run("/usr/lib/fabgate/line-off\nsystemctl enable --now fabgate-gate")
    computer.idle(root)


def _start_collector(root: Root, manual: Manual) -> None:
    manual.run("install -m 755 collector-verb /usr/local/sbin/fabgate-collector\ninstall -d")
    wait(lambda: computer.page(root), "a page of the collector")
    if "FABGATE_DATABASE_URL" not in root.says("cat /etc/fabgate/collector.env"):  # only SQLite is copied at night
        manual.run("systemctl start fabgate-collector-backup.service && ls")
