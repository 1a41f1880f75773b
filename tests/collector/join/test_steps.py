"""Does the gate's own program join, and go on after an interruption?"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import replace

import pytest
import yaml
from django.conf import settings

from fabgate import wire
from fabgate.collector.ground.models import Gate, JoinAttempt, JoinCode
from fabgate.collector.members.machines import enrol_gate, joins
from fabgate.collector.members.machines import gate_yaml as composing
from fabgate.errors import SealError, UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.joining import requests, steps
from fabgate.gate.joining.files import Files
from fabgate.gate.joining.requests import LaterError, RefusedError
from fabgate.gate.journal.writer import Journal
from fabgate.join import code, messages
from tests.collector.join.joining import Joining, new_code
from tests.collector.join.lines import CutError, Line

pytestmark = pytest.mark.usefixtures("env")
ADDRESS = "https://collector.lan"


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path / "pi" / "gate.yaml")


def join(files: Files, line: Line, typed: str | None = None, **more: object) -> messages.Identity:
    """Run the steps; without a code the gate may not ask for one."""

    def ask() -> code.Code:
        assert typed is not None, "the gate asked for the code again"
        return code.parse(typed)

    return steps.join(ADDRESS, line.post, files, ask_code=ask, **more)  # type: ignore[arg-type]


def text() -> str:
    return joins.text_of(JoinCode.objects.get())


def is_whole(files: Files) -> bool:
    """Return whether the gate that its gate.yaml describes is the one that the collector knows."""
    config = gate_yaml.load(files.config)
    assert config.roster.token_file is not None
    assert config.gate_key_file is not None
    token = (files.folder / config.roster.token_file).read_text().strip()
    keys = (settings.ENVIRONMENT.gate_directory(config.gate) / "seal.keys").read_text()
    is_known = Gate.by_token(config.gate, token) is not None
    return is_known and (files.folder / config.gate_key_file).read_text() == keys


def test_a_gate_joins_and_has_what_its_gate_yaml_names(files):
    new_code(build="emulated")
    line = Line()
    identity = join(files, line, text(), serial="10000000abcdef01")
    assert (identity.site, identity.gate, identity.machine) == ("lyon", "saw-1", "saw")
    assert is_whole(files)
    assert not files.pending.exists()
    (folder,) = (path for path in files.folder.iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {"token", "mqtt.password", "seal.keys", "badge.keys"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}
    assert JoinAttempt.objects.get().serial == "10000000abcdef01"
    assert "password" in identity.broker_step


def test_no_secret_is_on_the_line(files):
    made = new_code(build="emulated")
    line = Line()
    join(files, line, text())
    passed = b"".join(body for _path, body in (*line.requests, *line.answers))
    (folder,) = (path for path in files.folder.iterdir() if path.is_dir())
    for path in folder.iterdir():
        assert path.read_bytes().strip() not in passed
    assert made.secret.encode() not in passed


def test_the_authority_of_the_collector_comes_with_it(files, env, tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_text("the authority\n")
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(env, mqtt_ca=tmp_path / "ca.pem"))
    new_code(build="emulated")
    join(files, Line(), text())
    found = yaml.safe_load(files.config.read_text())
    assert (files.folder / found["mqtt"]["tls"]["ca"]).read_text() == "the authority\n"
    assert found["roster"]["ca"] == found["mqtt"]["tls"]["ca"]


def test_a_gate_behind_a_broker_of_its_own_gets_the_addresses_that_it_reaches(files, env, tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_text("the authority\n")
    own = replace(env, mqtt_ca=tmp_path / "ca.pem", mqtt_host="broker.lan", mqtt_port=8885, mqtt_gate_port=8883)
    monkeypatch.setattr(settings, "ENVIRONMENT", own)
    new_code(build="emulated")
    join(files, Line(), text())
    found = yaml.safe_load(files.config.read_text())
    assert (found["mqtt"]["host"], found["mqtt"]["port"], found["mqtt"]["username"]) == (
        "broker.lan",
        8883,
        "lyon/saw-1",
    )
    assert found["roster"]["url"] == "https://collector.lan"


def test_the_collector_keeps_what_it_needs_of_a_gate_and_nothing_else(files, env):
    enrol_gate.enrol("saw-1", "saw", actor="maya")
    assert {path.name for path in env.gate_directory("saw-1").iterdir()} == {"token", "seal.keys", "badge.keys"}
    new_code(build="emulated", replaces=True)
    join(files, Line(), text())
    (kept,) = env.gate_directory("saw-1").iterdir()
    assert kept.name == "seal.keys"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("has_packages", [True, False])
def test_apt_gets_later_versions_from_the_collector(env, tmp_path, monkeypatch, has_packages):
    pool = tmp_path / "apt" / "pool" / "trixie"
    pool.mkdir(parents=True)
    for name in ("fabgate-gate_1_all.deb", "fabgate-mfrc522_1_all.deb") if has_packages else ():
        (pool / name).touch()
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(env, web_apt=tmp_path / "apt"))
    source = tmp_path / "fabgate-gate.sources"
    source.write_text("URIs: http://another.lan/apt\n")
    new_code(build="emulated")
    join(Files(tmp_path / "pi" / "gate.yaml", source=source), Line(), text())
    if has_packages:
        assert "URIs: http://collector.lan/apt\n" in source.read_text()
        assert stat.S_IMODE(source.stat().st_mode) == 0o644
    else:
        assert not source.exists(), "apt would complain about a repository that is not there"


def test_the_clock_is_set_by_the_collector_first(tmp_path):
    servers = tmp_path / "timesyncd.conf.d" / "fabgate.conf"
    new_code(build="emulated")
    join(Files(tmp_path / "pi" / "gate.yaml", time=servers), Line(), text())
    (line,) = [line for line in servers.read_text().splitlines() if line.startswith("NTP=")]
    first, *others = line.removeprefix("NTP=").split()
    assert first == "collector.lan"
    assert others, "a collector without chrony does not answer, and NTP= replaces the servers of Debian"
    assert stat.S_IMODE(servers.stat().st_mode) == 0o644, "the account of systemd-timesyncd reads it"


def test_a_wrong_code_is_refused_and_the_next_try_asks_again(files):
    made = new_code(build="emulated")
    wrong = f"{made.name}{'0' * 8}"
    with pytest.raises(RefusedError, match="typed wrongly; 4 more attempts are left"):
        join(files, Line(), wrong)
    assert not files.pending.exists()
    assert not files.config.exists()
    join(files, Line(), text())
    assert is_whole(files)


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("request_", [1, 2, 3])
def test_a_cut_at_each_request_is_gone_on_from(files, request_, answered):
    new_code(build="emulated")
    line = Line()
    passed = [0]

    def cut() -> None:
        passed[0] += 1
        if passed[0] == request_:
            raise CutError("cut")

    setattr(line, "after" if answered else "before", cut)
    with pytest.raises(CutError):
        join(files, line, text())
    assert Gate.objects.exists() == (request_ == 3 and answered)
    assert files.config.exists() == (request_ == 3)
    # Before the gate has proved that it knows the code, a person types it again.
    join(files, Line(), text() if request_ == 1 else None)
    assert is_whole(files)
    assert not files.pending.exists()


def test_the_gate_yaml_of_another_gate_stays_unless_a_person_wants_it(files):
    files.folder.mkdir()
    files.config.write_text("site: lyon\ngate: mill-1\n")
    new_code(build="emulated")
    line = Line()
    with pytest.raises(UsageError, match=r"found the gate lyon/mill-1, wanted none, or lyon/saw-1.*--replace"):
        join(files, line, text())
    assert files.config.read_text() == "site: lyon\ngate: mill-1\n"
    assert not Gate.objects.exists()
    join(files, line, replaces=True)
    assert is_whole(files)
    assert files.before.read_text() == "site: lyon\ngate: mill-1\n"


def journal_of(files: Files, gate: str) -> None:
    """Give the computer a journal, where the gate.yaml that it gets says."""
    folder = files.folder / "state"
    folder.mkdir(parents=True)
    with contextlib.closing(Journal(folder / "journal.db", wire.GateTopics("lyon", gate))) as journal:
        journal.open()


def test_the_journal_of_another_gate_is_no_journal_of_this_one(files, monkeypatch):
    monkeypatch.setattr(composing, "_YAML", composing._YAML.replace("/var/lib/fabgate", "state"))
    new_code(build="emulated")
    journal_of(files, "mill-1")
    with pytest.raises(
        UsageError, match=r"found the journal of lyon/mill-1, wanted none, or that of lyon/saw-1"
    ) as raised:
        join(files, Line(), text(), replaces=True)
    assert f"mv {files.folder}/state {files.folder}/state-before" in str(raised.value)
    assert not files.config.exists()
    assert not Gate.objects.exists()
    (files.folder / "state").rename(files.folder / "state-before")
    join(files, Line())
    assert is_whole(files)


@pytest.mark.parametrize("damaged", [False, True])
def test_its_own_journal_and_one_that_cannot_be_read_are_left_to_the_gate(files, monkeypatch, damaged):
    monkeypatch.setattr(composing, "_YAML", composing._YAML.replace("/var/lib/fabgate", "state"))
    new_code(build="emulated")
    journal_of(files, "saw-1")
    if damaged:
        (files.folder / "state" / "journal.db").write_bytes(b"damaged")
    join(files, Line(), text())
    assert is_whole(files)


def test_the_same_gate_joins_again_and_keeps_what_a_person_wrote(files):
    new_code(build="emulated")
    join(files, Line(), text())
    JoinCode.objects.all().delete()
    files.config.write_text(files.config.read_text() + "lang: fr\n")
    new_code(build="emulated", replaces=True)
    join(files, Line(), text())
    assert is_whole(files)
    assert files.before.read_text().endswith("lang: fr\n")


def test_a_gate_yaml_that_cannot_be_read_is_that_of_another_gate(files):
    files.folder.mkdir()
    files.config.write_text("site: [")
    new_code(build="emulated")
    with pytest.raises(UsageError, match="--replace"):
        join(files, Line(), text())


def test_a_join_with_another_collector_is_not_mixed_with_this_one(files):
    new_code(build="emulated")
    line = Line()
    line.after = lambda: (_ for _ in ()).throw(CutError("cut")) if len(line.answers) == 2 else None
    with pytest.raises(CutError):
        join(files, line, text())
    with pytest.raises(UsageError, match=r"that is not finished: run fabgate join https://collector\.lan, or remove"):
        steps.join("https://other.lan", Line().post, files, ask_code=lambda: code.parse(text()))


def test_after_a_damaged_note_of_a_join_it_begins_again(files):
    files.folder.mkdir()
    files.pending.write_text("{")
    new_code(build="emulated")
    join(files, Line(), text())
    assert is_whole(files)


def test_a_false_end_of_the_join_is_noticed(files):
    """Somebody between both could otherwise let the gate believe that it has joined."""
    new_code(build="emulated")
    line = Line()

    def post(path: str, body: bytes) -> tuple[int, bytes]:
        if path == messages.FINISH:
            return 200, json.dumps({"proof": "0" * 64}).encode()
        return line.post(path, body)

    with pytest.raises(SealError, match="somebody who does not know the code"):
        steps.join(ADDRESS, post, files, ask_code=lambda: code.parse(text()))
    assert files.pending.exists()
    join(files, Line())
    assert is_whole(files)


def test_what_another_computer_writes_is_shown_without_its_control_characters(files):
    with pytest.raises(RefusedError) as raised:
        requests.ask(
            lambda _path, _body: (403, b"\x1b[2Jno" + b"x" * 1000),
            messages.BEGIN,
            messages.Begin("K7", b""),
            messages.Begun,
        )
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("status", [302, 429, 500, 503])
def test_what_may_pass_ends_no_join(files, status):
    with pytest.raises(LaterError, match=f"found HTTP {status}"):
        requests.ask(lambda _path, _body: (status, b"busy"), messages.BEGIN, messages.Begin("K7", b""), messages.Begun)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("collector.local", "https://collector.local"),
        ("192.168.1.5:8443", "https://192.168.1.5:8443"),
        ("https://collector.lan/", "https://collector.lan"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[fd00::1]", "https://[fd00::1]"),
    ],
)
def test_an_address_is_typed_in_short(typed, address):
    assert requests.address_of(typed) == address


@pytest.mark.parametrize(
    "typed", ["", "https://", "ftp://collector.lan", "collector.lan/gates", "me@collector.lan", "a:b"]
)
def test_another_address_is_refused(typed):
    with pytest.raises(UsageError, match="wanted the collector's"):
        requests.address_of(typed)


def test_the_serial_number_is_that_of_the_pi(tmp_path):
    assert steps.serial_number(tmp_path) == ""
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/serial-number").write_text("10000000abcdef01\0")
    assert steps.serial_number(tmp_path) == "10000000abcdef01"


def test_without_the_account_of_the_gate_nothing_is_written(tmp_path):
    with pytest.raises(UsageError, match="found no account nobody-at-all"):
        Files(tmp_path / "gate.yaml", account="nobody-at-all")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_files_belong_to_root_and_the_group_of_the_gate(tmp_path):
    new_code(build="emulated")
    files = Files(tmp_path / "pi" / "gate.yaml", account="daemon")
    join(files, Line(), text())
    for path in files.folder.rglob("*"):
        assert (path.owner(), path.group()) == ("root", "daemon"), path


def test_a_second_gate_is_told_who_has_the_code(files):
    new_code(build="emulated")
    Joining(text()).join()
    with pytest.raises(RefusedError, match=r"used for the gate saw-1 already, from 192\.168\.1\.20"):
        join(files, Line("192.168.1.21"), text())
    assert not files.folder.exists()
