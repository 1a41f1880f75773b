"""Do the blocks of install-by-hand.md for copies bring a collector back: on another computer, and on PostgreSQL?"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.deploy.places import DOCS, ROOT
from tests.support.mosquitto import MOSQUITTO
from tests.support.postgresql import cluster, programs

INSTALL = (DOCS / "install-by-hand.md").read_text("utf-8")
SETTINGS = {
    "etc/fabgate/ca.crt": 0o644,
    "etc/fabgate/collector.password": 0o640,
    "etc/mosquitto/mosquitto.conf": 0o644,
    "etc/mosquitto/fabgate.acl": 0o600,
    "etc/mosquitto/fabgate.passwd": 0o600,
    "etc/mosquitto/certs/broker.crt": 0o600,
    "etc/mosquitto/certs/broker.key": 0o600,
    "root/fabgate-ca/ca.crt": 0o600,
}


def blocks() -> list[str]:
    """Return the blocks of install-by-hand.md that this file runs, in the order of the page."""
    marked = re.split(r"<!-- tests/deploy/test_restore.py runs \w+ blocks? -->\n", INSTALL)[1:]
    first, *others = ([*re.findall(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL)] for part in marked)
    return [*first[:2], *(part[0] for part in others)]


@pytest.fixture
def sh(tmp_path: Path) -> Callable[..., str]:
    """Run lines of install-by-hand.md as if `tmp_path` were the root of the computer, without its accounts and systemd."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (stubs / "runuser").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    (stubs / "systemctl").write_text("#!/bin/sh\n")
    for stub in stubs.iterdir():
        stub.chmod(0o755)

    def run(lines: str, **more: str) -> str:
        lines = lines.replace("tar -C / ", f"tar -C {tmp_path} ")
        lines = re.sub(r"(?<![\w.])/(etc|root|usr|var)/", rf"{tmp_path}/\1/", lines)
        lines = re.sub(r" -[og] fabgate-collector\b", "", lines).replace("/opt/fabgate-src", str(ROOT))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
        path = f"{tmp_path}/usr/local/sbin:{stubs}:{more.pop('FIRST', stubs)}:{os.environ['PATH']}"
        ours = {
            "PATH": path,
            "FABGATE_COLLECTOR_ENV": f"{tmp_path}/etc/fabgate/collector.env",
            "FABGATE_BIN": str(Path(sys.executable).parent),
        }
        command = ["sh", "-euc", lines]
        done = subprocess.run(command, env=inherited | ours | more, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def collector(tmp_path: Path) -> Path:
    """A computer with the settings of a collector, and its wrapper."""
    data = tmp_path / "var/lib/fabgate-collector"
    data.mkdir(parents=True)
    (tmp_path / "usr/local/sbin").mkdir(parents=True)
    shutil.copy(ROOT / "systemd/collector-verb", tmp_path / "usr/local/sbin/fabgate-collector")
    for name, mode in SETTINGS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"what is in {name}\n")
        path.chmod(mode)
    (tmp_path / "root/fabgate-ca/ca.key").write_text("the key of the authority\n")
    (tmp_path / "etc/fabgate/collector.env").write_text(
        f"FABGATE_SITE=lyon\nFABGATE_DATA={data}\nFABGATE_MQTT_PORT=1\n"
    )
    return data


def secrets(data: Path) -> dict[str, str]:
    paths = [data / "badge.keys", *sorted((data / "gates").glob("*/*"))]
    return {str(path.relative_to(data)): path.read_text() for path in paths}


def test_a_collector_is_whole_again_on_another_computer(tmp_path, sh, collector):
    _, _, save, bring_back = blocks()
    sh("fabgate-collector gate-add laser-1 --machine laser-1")
    with closing(sqlite3.connect(collector / "collector.db")) as database, database:
        database.execute("UPDATE collector_collector SET rolled_tz = 'UTC'")  # as its first start does
    (collector / "sinks.yaml").write_text("books: {driver: files, from: 2027-01, folder: /srv/books}\n")
    sh(f"fabgate-collector backup {tmp_path}/root")
    sh(save)
    before = secrets(collector)
    assert len(before) == 4
    saved = [*(tmp_path / "root").glob("fabgate-*.tar.gz")]
    assert len(saved) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in saved} == {0o600}
    lost = tmp_path / "lost"
    lost.mkdir()
    for name in ("etc", "var", "usr", "root/fabgate-ca"):
        (tmp_path / name).rename(lost / name.replace("/", "-"))
    for name in ("etc", "var/lib", "usr/local/sbin"):  # as on any computer
        (tmp_path / name).mkdir(parents=True)
    assert "laser-1" in sh(bring_back)
    assert secrets(collector) == before
    assert (collector / "sinks.yaml").read_text().startswith("books: ")
    assert {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in SETTINGS} == SETTINGS
    assert (tmp_path / "etc/fabgate/collector.password").read_text() == "what is in etc/fabgate/collector.password\n"
    assert not (tmp_path / "root/fabgate-ca/ca.key").exists(), "it is on its USB stick"
    assert not [*collector.glob("*.tar.gz")]


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed here (Debian: postgresql)")
def test_the_lines_for_postgresql_restore_what_they_copied(tmp_path, sh, collector):
    copy, restore, _, _ = blocks()
    tools = programs()
    assert tools is not None
    with cluster(tools) as url:
        host = unquote(url.rpartition("@")[2])
        database = {"PGHOST": host, "PGUSER": "fabgate", "FIRST": str(tools)}
        sh("createdb --encoding=UTF8 --template=template0 fabgate", **database)
        env = tmp_path / "etc/fabgate/collector.env"
        env.write_text(f"{env.read_text()}FABGATE_DATABASE_URL={url}/fabgate\n")
        sh("fabgate-collector gate-add laser-1 --machine laser-1")
        before = secrets(collector)
        sh(copy, **database)
        sh("fabgate-collector gate-add saw-1 --machine saw-1")
        (collector / "gates/laser-1/token").unlink()
        sh(restore, **database)
        assert [row["gate"] for row in json.loads(sh("fabgate-collector gates --json 2>/dev/null"))] == ["laser-1"]
        assert before.items() <= secrets(collector).items()


@pytest.mark.skipif(os.geteuid() != 0 or not Path(MOSQUITTO).exists(), reason="wants root and Mosquitto's account")
def test_the_lines_for_the_account_of_a_gate_meet_no_warning_and_leave_the_file_to_the_broker(tmp_path, sh, collector):
    file = tmp_path / "etc/mosquitto/fabgate.passwd"
    file.write_text("")
    in_docs = re.findall(r"^chown root: .*\nchown mosquitto: .*$", INSTALL, re.MULTILINE)
    assert len(in_docs) == 2
    by_hand = [re.sub(r"mosquitto_passwd (\S+ \S+)", r"mosquitto_passwd -b \1 secret", lines) for lines in in_docs]
    for lines in by_hand:
        shutil.chown(file, "mosquitto", "mosquitto")
        assert sh(lines) == ""
        assert (file.owner(), file.group(), stat.S_IMODE(file.stat().st_mode)) == ("mosquitto", "mosquitto", 0o600)
        assert file.read_text().startswith("lyon/laser-1:$7$")
