"""A machine's gates on its page: their keys, their archive, and the machine to which they belong."""

from __future__ import annotations

import base64
import html
import io
import re
import stat
import subprocess
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import override_settings

from fabgate.collector.ground.models import BrokerAccount, Change, Gate, Machine
from fabgate.collector.members.machines import enrol_gate, gate_archive
from fabgate.collector.recording.broker.accounts.passwords import Digest
from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from tests.collector.faces.pages.counter import text
from tests.collector.faces.pages.machines.rules_form import typed
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env", "told")


def test_a_gates_keys_are_made_and_shown_once(browse, env, saw):
    client = browse("manager")
    answer = client.post("/machines/saw/gates", {"gate": "saw-9"})
    page = text(answer)
    assert answer.status_code == 200
    folder = env.gate_directory("saw-9")
    for name in ("token", "seal.keys", "badge.keys"):
        secret = (folder / name).read_text().strip()
        assert secret in page.replace("&#x27;", "'")
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert secret not in text(client.get("/machines/saw"))
    assert "username: lyon/saw-9" in page
    token = (folder / "token").read_text().strip()
    assert Gate.by_token("saw-9", token) == Gate.objects.get(name="saw-9", machine=saw)
    assert served(Gate.objects.get()).gate == "saw-9"
    assert token not in str(list(Change.objects.values_list("before", "after")))


def unpacked(page: str, folder: Path) -> Path:
    """Unpack the archive that a page offers, and return its folder."""
    packed = re.search(r'href="data:application/gzip;base64,([^"]+)" download="fabgate-saw-9.tar.gz"', page)
    assert packed
    file = base64.b64decode(html.unescape(packed[1]))
    with tarfile.open(fileobj=io.BytesIO(file)) as archive:
        assert {(member.mode, member.uname, member.gname) for member in archive} == {(0o640, "root", "fabgate")}
    folder.mkdir()
    subprocess.run(["tar", "-xzf", "-", "--no-same-owner", "-C", folder], input=file, check=True)
    return folder


def test_a_new_gate_gets_one_archive_with_which_it_starts(browse, env, saw, tmp_path):
    with override_settings(ALLOWED_HOSTS=["collector.lan"], ENVIRONMENT=replace(env, https=True)):
        answer = browse("manager").post("/machines/saw/gates", {"gate": "saw-9"}, headers={"host": "collector.lan"})
    page = text(answer)
    folder = unpacked(page, tmp_path / "pi")
    assert {path.name for path in folder.iterdir()} == {
        "gate.yaml",
        "token",
        "seal.keys",
        "badge.keys",
        "mqtt.password",
    }
    for name in ("token", "seal.keys", "badge.keys"):
        assert (folder / name).read_text() == (env.gate_directory("saw-9") / name).read_text()
    config = gate_yaml.load(folder / "gate.yaml")
    assert (config.site, config.gate, config.machine.name, config.machine.limit_s) == ("lyon", "saw-9", "Bandsaw", 7200)
    assert config.roster.url == "https://collector.lan"
    assert config.mqtt is not None
    # The broker runs where the collector does: the Pi needs its name, and not 127.0.0.1.
    assert (config.mqtt.host, config.mqtt.username) == ("collector.lan", "lyon/saw-9")
    password = (folder / "mqtt.password").read_text().strip()
    assert f"mosquitto_passwd -b /etc/mosquitto/fabgate.passwd lyon/saw-9 {password}" in page
    assert "sudo tar -xzf fabgate-saw-9.tar.gz -C /etc/fabgate" in page
    # A gate may be a package or installed by hand, unlike this collector; both have the command in the path.
    assert "runuser -u fabgate -- fabgate check /etc/fabgate/gate.yaml" in page
    assert "/opt/" not in page
    assert not any(password in path.read_text(errors="replace") for path in env.data.rglob("*") if path.is_file())


def test_a_gate_gets_its_account_at_the_collectors_own_broker_with_its_keys(browse, env, saw, tmp_path):
    own = replace(env, broker_control=tmp_path / "socket", mqtt_username="lyon/collector")
    with override_settings(ENVIRONMENT=own):
        page = text(browse("manager").post("/machines/saw/gates", {"gate": "saw-9"}))
    folder = unpacked(page, tmp_path / "pi")
    password = (folder / "mqtt.password").read_text()
    assert password == (env.gate_directory("saw-9") / "mqtt.password").read_text()
    account = BrokerAccount.objects.get(gate__name="saw-9")
    assert Digest(account.salt, account.digest, account.iterations).is_of(password.strip())
    assert account.state == "awaited"
    assert "mosquitto" not in page
    assert "message broker</h2>" not in page
    assert "2. Install the archive" in page
    assert page.count(password.strip()) == 1, "among the files that are copied one by one"


def test_a_gate_of_a_broker_with_tls_gets_its_authority(browse, env, saw, tmp_path, monkeypatch):
    (tmp_path / "authority.pem").write_text("the authority")
    told = replace(env, mqtt_ca=tmp_path / "authority.pem", mqtt_host="broker.lan", mqtt_port=8885, mqtt_gate_port=8883)
    gate = enrol_gate.enrol("saw-9", "saw", actor="maya").gate
    found = gate_archive.gate_yaml(gate.name, gate.machine, told, "https://collector.lan")
    assert "host: broker.lan" in found
    assert "port: 8883" in found
    assert "tls: {ca: ca.crt}" in found
    assert 'roster: {url: "https://collector.lan", token_file: token, ca: ca.crt}' in found
    packed = gate_archive.pack(gate, told, {}, address="https://collector.lan")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        file = archive.extractfile("ca.crt")
        assert file is not None
        assert file.read() == b"the authority"
        # On a computer with a gate and the collector it replaces the collector's, which another account reads.
        assert archive.getmember("ca.crt").mode == 0o644


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("saw-1", "already exists"),
        ("Saw 1", "Use lowercase letters"),
        ("roster", "are reserved"),
        ("", "This field is required"),
    ],
)
def test_a_gate_that_cannot_be_let_in_gets_no_keys(browse, env, gate, name, said):
    answer = browse("manager").post("/machines/saw/gates", {"gate": name})
    assert answer.status_code == 400
    assert said in text(answer)
    assert not (env.data / "gates").exists()
    assert Gate.objects.get().token_hash == "x"


def test_a_gate_moves_and_the_lock_of_the_machine_before_does_not_hold_it(browse, saw, gate):
    old = saw.set_lock("idle", "Belt broken", "", by="maya", at=datetime.now(UTC))
    saw.save()
    Machine.objects.create(name="new-saw")
    answer = browse("maintainer").post("/machines/new-saw/gates/move", {"moved": gate.pk})
    assert answer.status_code == 303
    found = served(gate)
    assert gate.machine.name == "new-saw"
    assert found.machine.lock is None
    assert old.id in found.machine.lifted
    assert Change.objects.get(verb="gate.moved").key == "saw-1"


def test_a_gate_that_is_not_there_cannot_move(browse, saw):
    answer = browse("manager").post("/machines/saw/gates/move", {"moved": ""})
    assert answer.status_code == 400
    assert "Choose a gate" in text(answer)


def test_the_page_says_which_gates_know_what_was_saved(browse, saw, gate):
    client = browse("manager")
    client.post("/machines/saw/rules", typed(saw, limit_s="90"))
    assert "Not yet applied on the gate; Bandsaw has not reported yet" in text(client.get("/machines/saw"))
    gate.refresh_from_db()
    Gate.objects.update(reported_roster=gate.roster_version)
    assert "Applied on the gate" in text(client.get("/machines/saw"))


@pytest.mark.parametrize("name", ["new", "calendar"])
def test_no_command_makes_a_machine_whose_page_nobody_could_open(name):
    with pytest.raises(UsageError, match="is reserved for a page"):
        enrol_gate.enrol("saw-9", name, actor="cli:maya")
    assert not Machine.objects.exists()
