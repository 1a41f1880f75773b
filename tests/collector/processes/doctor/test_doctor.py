"""Each finding of ``fabgate collector doctor``, on a collector that a test breaks."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.conf import settings
from django.db import connection, transaction

from fabgate import installed
from fabgate.collector.ground import migrations
from fabgate.collector.ground.models import Collector, Gate, Heartbeat, Machine, Verification
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.processes.doctor import judging
from fabgate.collector.processes.doctor.examination import CHECKS, examine
from fabgate.collector.processes.doctor.facts import Facts
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.names import Names
from fabgate.doctor.finding import Finding, Outcome
from fabgate.doctor.system import System
from tests.collector.running import environment, run
from tests.deploy.places import SYSTEMD
from tests.support.certificates import make_certificates, sign
from tests.support.mosquitto import MOSQUITTO, Mosquitto

OK, WARN, FAIL, NOT_CHECKED = Outcome.OK, Outcome.WARN, Outcome.FAIL, Outcome.NOT_CHECKED
UNIT = "/etc/systemd/system/fabgate-collector@.service"
LISTENING = "  sl  local_address rem_address   st\n 0: 00000000:{:04X} 00000000:0000 0A x\n"


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


class AskedSystem(System):
    """A computer whose programs and disk answer what the test wrote down."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.answers = {"timedatectl": "yes"}
        self.write_ms = 5.0

    def ask(self, *command: str) -> str | None:
        return self.answers.get(command[0])

    def sync_times_ms(self, folder: Path) -> list[float]:
        assert folder.is_dir()
        return [self.write_ms] * 12


class Bench:
    """A collector that runs, on a computer below a folder: all as docs/install-by-hand.md leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.copies = folder / "copies"
        self.copies.mkdir()
        #: Other accounts may enter it, as /etc/fabgate and unlike the folders of pytest.
        self._open = TemporaryDirectory()
        self.open_folder = Path(self._open.name)
        self.open_folder.chmod(0o755)
        self.web, self.broker = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        self.variables = {
            "FABGATE_SITE": "lyon",
            "FABGATE_DATA": str(folder),
            "FABGATE_WEB_PORT": str(self.web.getsockname()[1]),
            "FABGATE_MQTT_PORT": str(self.broker.getsockname()[1]),
        }
        for name in ("fabgate-collector.target", "fabgate-collector@.service", "fabgate-collector-backup.service"):
            self.write(f"/etc/systemd/system/{name}", (SYSTEMD / name).read_text())
        self.write("/proc/mounts", "/dev/sda1 / ext4 rw 0 0\n")
        self.write("/proc/net/tcp", LISTENING.format(443))
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        self.write("/usr/share/zoneinfo/tzdata.zi", f"# version {ago().year}b\n")
        self.system = AskedSystem(self.root)
        for name in ("collector.db", "secret.key", "badge.keys"):
            (folder / name).touch()
            (folder / name).chmod(0o600)
        self.copy_made(ago())
        for name in (Heartbeat.INGEST, Heartbeat.WORKER):
            Heartbeat.beat(name, ago())
        Verification.objects.create(began_at=ago(), ended_at=ago())

    def close(self) -> None:
        self.web.close()
        self.broker.close()
        self._open.cleanup()

    def write(self, name: str, text: str) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.root / name.lstrip("/")).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def copy_made(self, at: datetime) -> None:
        path = self.copies / "fabgate-lyon-20261125-033000.tar.gz"
        path.touch()
        os.utime(path, (at.timestamp(), at.timestamp()))

    def facts(self) -> Facts:
        return Facts(self.variables, self.system, self.copies)

    def finding(self, name: str) -> Finding:
        (found,) = examine(self.facts(), only=[name])
        return found


@pytest.fixture
def bench(database, tmp_path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


@pytest.mark.sqlite
def test_a_collector_as_installed_has_nothing_to_put_right(bench):
    bench.broker.close()  # it would not answer; the rights are tried below
    findings = {finding.id: finding.outcome for finding in examine(bench.facts())}
    assert list(findings) == list(CHECKS)
    others = {name: outcome for name, outcome in findings.items() if outcome is not OK}
    assert others == {
        "broker": FAIL,
        **dict.fromkeys(("pages", "broker-rights", "broker-accounts", "certificate", "authority", "mail"), NOT_CHECKED),
    }


def unset(name: str) -> Callable[[Bench], object]:
    return lambda bench: bench.variables.pop(name)


def given(**variables: str) -> Callable[[Bench], object]:
    return lambda bench: bench.variables.update(variables)


def written(name: str, text: str) -> Callable[[Bench], object]:
    return lambda bench: bench.write(name, text)


def verified(**changes: object) -> Callable[[Bench], object]:
    return lambda _bench: Verification.objects.update(**changes)


def of_an_earlier_commit(_bench: Bench) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET name = '0001_initial' WHERE app = 'collector'")


def of_a_newer_version(_bench: Bench) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('collector', '9999_later', CURRENT_TIMESTAMP)"
        )


def with_a_wrong_clock(_bench: Bench) -> None:
    Gate.objects.create(name="saw-1", machine=Machine.objects.create(name="saw"), clock_off_ms=60_000)


def with_a_clone(_bench: Bench) -> None:
    gate = Gate.objects.create(name="saw-1", token_hash="x")
    for boot, hours in (("a", 2), ("b", 1), ("a", 0)):
        clones.fetched(gate, boot, "192.168.1.20", ago(hours=hours))


def with_an_old_card(_bench: Bench) -> None:
    gate = Gate.objects.create(name="saw-1")
    with transaction.atomic():
        clones.keys_ended(gate, Gate.hash_of("old"), ago())
    clones.refused("saw-1", "old", "192.168.1.66", ago())


def with_an_open_password(bench: Bench) -> None:
    path = bench.open_folder / "password"
    path.write_text("secret")
    path.chmod(0o644)
    bench.variables |= {"FABGATE_MQTT_USERNAME": "lyon/collector", "FABGATE_MQTT_PASSWORD_FILE": str(path)}


def with_another_zone(_bench: Bench) -> None:
    Collector.objects.create(id=1, collector="c", site="lyon", rolled_tz="Asia/Tokyo")


FAULTS: list[tuple[str, Callable[[Bench], object], Outcome, str]] = [
    ("environment", unset("FABGATE_SITE"), FAIL, "FABGATE_SITE"),
    ("broker", unset("FABGATE_SITE"), NOT_CHECKED, "the environment has mistakes"),
    ("database", lambda bench: (bench.folder / "collector.db").unlink(), FAIL, "there is no"),
    ("worker", lambda bench: (bench.folder / "collector.db").unlink(), NOT_CHECKED, "does not answer"),
    ("migrations", of_an_earlier_commit, FAIL, "from before fabgate 0.1.0"),
    ("migrations", of_a_newer_version, FAIL, "a newer version (9999_later)"),
    ("ingest", of_a_newer_version, NOT_CHECKED, "not one of this version"),
    (
        "units",
        lambda bench: bench.change(UNIT, "Restart=always", "Restart=no"),
        FAIL,
        "Restart: found no in place of always",
    ),
    ("units", lambda bench: (bench.root / UNIT[1:]).unlink(), FAIL, "is not installed"),
    ("ingest", lambda _: Heartbeat.beat("ingest", ago(), "no connection to broker.lan"), FAIL, "broker.lan"),
    ("worker", lambda _: Heartbeat.beat("worker", ago(hours=1)), FAIL, "last heartbeat of worker"),
    ("web", lambda bench: bench.web.close(), FAIL, "refuses the connection"),
    ("pages", given(FABGATE_HTTPS="1", FABGATE_ALLOWED_HOSTS="collector.invalid"), FAIL, "unknown here"),
    ("broker", lambda bench: bench.broker.close(), FAIL, "refuses the connection"),
    ("units", given(FABGATE_BROKER_CONTROL="/run/x/socket"), FAIL, "fabgate-broker.service is not installed"),
    ("broker-accounts", given(FABGATE_BROKER_CONTROL="/run/x/socket"), FAIL, "the broker cannot be reached over"),
    ("gates", with_a_wrong_clock, WARN, "the clock of 1 gate is wrong"),
    ("gates", with_a_clone, WARN, "two devices use the keys of 1 gate"),
    ("gates", with_an_old_card, WARN, "a device used old keys of 1 gate"),
    ("books", verified(findings=2), FAIL, "the books were altered"),
    ("books", verified(ended_at=ago(days=9)), WARN, "not been verified for days"),
    ("books", lambda _: Verification.objects.all().delete(), NOT_CHECKED, "never verified"),
    ("copies", lambda bench: bench.copy_made(ago(days=3)), WARN, "3 days old"),
    ("copies", lambda bench: bench.copy_made(ago(days=30)), FAIL, "30 days old"),
    ("copies", lambda bench: setattr(bench, "copies", bench.folder / "nowhere"), FAIL, "no copy"),
    ("copies", given(FABGATE_DATABASE_URL="postgresql://db.lan/fabgate"), NOT_CHECKED, "pg_dump"),
    ("clock", lambda bench: bench.system.answers.update(timedatectl="no"), FAIL, "timedatectl"),
    ("clock", lambda bench: bench.system.answers.clear(), NOT_CHECKED, "timedatectl"),
    ("time-zone", with_another_zone, FAIL, "Asia/Tokyo"),
    ("time-zone", written("/usr/share/zoneinfo/tzdata.zi", "# version 2019a\n"), WARN, "apt install tzdata"),
    ("disk-kind", written("/proc/mounts", "tmpfs / tmpfs rw 0 0\n"), FAIL, "in memory"),
    ("secret-files", with_an_open_password, FAIL, "chmod o-rwx"),
    ("open-ports", written("/proc/net/tcp", LISTENING.format(5432)), WARN, "5432"),
]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("name", "fault", "outcome", "told"), FAULTS, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(FAULTS)]
)
def test_a_fault_is_found_and_its_next_step_is_told(bench, name, fault, outcome, told):
    fault(bench)
    finding = bench.finding(name)
    assert finding.outcome is outcome, finding
    assert told in f"{finding.text} {finding.next_step}"
    assert finding.next_step or outcome is NOT_CHECKED


def test_units_of_a_package_come_back_with_the_package(bench, monkeypatch):
    monkeypatch.setattr(installed, "package", lambda: installed.COLLECTOR)
    bench.change(UNIT, "RestartSec=5", "RestartSec=50")
    found = bench.finding("units")
    assert found.outcome is FAIL
    assert found.next_step.startswith(f"remove {UNIT}, which hides the unit of the package")
    for path in (bench.root / "etc/systemd/system").glob("fabgate-collector*"):
        path.unlink()
    found = bench.finding("units")
    assert (found.outcome, found.next_step) == (FAIL, "install it again: apt install --reinstall fabgate-collector")


def test_the_accounts_of_a_broker_of_our_own_are_those_of_the_database():
    assert judging.broker_accounts([], [], 3).outcome is OK
    others = judging.broker_accounts(["lyon/saw-1"], ["laser-1"], 3)
    assert others.outcome is FAIL
    assert "lyon/saw-1" in others.text
    without = judging.broker_accounts([], ["laser-1"], 3)
    assert without.outcome is WARN
    assert "laser-1" in without.text


def test_the_authority_is_named_in_time_and_the_gates_that_lack_the_next_one():
    year = timedelta(days=365)
    old, new = ago(days=-400), ago(days=-3650)
    now = ago()

    def judged(ends: list[datetime], lacking: list[str], at: datetime = now) -> tuple[Outcome, str]:
        found = judging.authority("/etc/fabgate/ca.crt", ends, lacking, at)
        return found.outcome, f"{found.text} {found.next_step}"

    assert judged([old], [])[0] is OK
    outcome, text = judged([old], [], now + year)
    assert (outcome, "authority-turn" in text, f"{old:%Y-%m-%d}" in text) == (WARN, True, True)
    outcome, text = judged([old, new], ["saw-1", "laser-1"])
    assert (outcome, "these gates do not report it: saw-1, laser-1" in text) == (WARN, True)
    outcome, text = judged([old, new], [])
    assert (outcome, "each gate knows it" in text) == (WARN, True)
    assert judged([new, old], ["saw-1"], now + year)[0] is OK, "the new one signs"
    assert judged([], [])[0] is FAIL


def test_the_authority_of_a_collector_and_its_gates_are_looked_at(bench, monkeypatch, tmp_path):
    papers = make_certificates(tmp_path)
    assert bench.finding("authority").outcome is NOT_CHECKED
    ca = papers / "ca.pem"
    more = {"WEB_CERT": papers / "broker.pem", "WEB_KEY": papers / "broker.key", "WEB_CA": ca, "MQTT_CA": ca}
    bench.variables |= {f"FABGATE_{name}": str(path) for name, path in more.items()}
    monkeypatch.setattr(settings, "ENVIRONMENT", bench.facts().environment)
    Gate.objects.create(name="laser-1", token_hash="x")
    Gate.objects.create(name="saw-1", token_hash="")
    found = bench.finding("authority")
    assert (found.outcome, "valid until" in found.text) == (OK, True)
    later = authority.make("lyon", Names(("workshop.local",)), ago())
    ca.write_text(f"{ca.read_text()}{later.certificate_pem.decode()}")
    found = bench.finding("authority")
    assert (found.outcome, found.text) == (
        WARN,
        "a new authority waits, because these gates do not report it: laser-1",
    )


def test_a_server_that_may_lose_what_it_confirmed_is_no_good_database():
    finding = judging.database("", "PostgreSQL 17", {"fsync": "off"})
    assert finding.outcome is FAIL
    assert "fsync = off" in finding.text


@pytest.mark.postgresql
def test_postgresql_tells_its_version_and_its_settings(bench):
    bench.variables["FABGATE_DATABASE_URL"] = "postgresql://db.lan/fabgate"
    finding = bench.finding("database")
    assert "PostgreSQL 1" in finding.text
    assert finding.outcome in (OK, FAIL)


@pytest.mark.sqlite
def test_keys_of_a_gate_that_cannot_be_read_are_named_although_there_are_copies(bench):
    (bench.folder / "collector.db").unlink()
    with closing(sqlite3.connect(bench.folder / "collector.db")) as made, made:
        made.execute("CREATE TABLE collector_gate (name text, token_hash text)")
        made.execute("INSERT INTO collector_gate VALUES ('saw-1', 'x')")
    found = bench.finding("copies")
    assert found.outcome is FAIL
    assert "gates/saw-1/seal.keys (No such file or directory)" in found.text
    assert "--new-token" in found.next_step


def test_a_database_that_lacks_migrations_is_named_with_the_first_one():
    found = judging.migrations(
        applied=["0001_release"], missing=["0002_shelf", "0003_box"], newer=[], is_before_release=False
    )
    assert (found.outcome, found.text) == (FAIL, "2 migrations are missing, from 0002_shelf on")


def test_an_installation_of_two_versions_is_named_and_nothing_is_said_of_its_books(bench, monkeypatch):
    monkeypatch.setattr(migrations, "KNOWN", migrations.KNOWN[:-1])
    found = bench.finding("migrations")
    assert found.outcome is FAIL
    assert "found the files of two versions" in found.text
    assert bench.finding("books").outcome is NOT_CHECKED


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("days", "key", "outcome", "told"),
    [
        (300, "collector.key", OK, "the collector's own certificate is valid until"),
        (300, "gate.key", FAIL, "do not belong together"),
        (300, "locked.key", FAIL, "locked.key"),
        (10, "collector.key", WARN, "FABGATE_MQTT_CERT"),
        (-1, "collector.key", FAIL, "expired"),
    ],
)
def test_the_collectors_own_certificate_and_key_are_judged(bench, tmp_path, days, key, outcome, told):
    (tmp_path / "papers").mkdir()
    papers = make_certificates(tmp_path / "papers")
    sign(papers, "collector", days=days)
    names = {"CA": "ca.pem", "CERT": "collector.pem", "KEY": key}
    bench.variables |= {f"FABGATE_MQTT_{name}": str(papers / file) for name, file in names.items()}
    finding = bench.finding("certificate")
    assert finding.outcome is outcome, finding
    assert told in f"{finding.text} {finding.next_step}"


# --- mail and broker --------------------------------------------------------------------------------------------------


@pytest.mark.sqlite
@pytest.mark.parametrize(("password", "outcome"), [("secret", OK), ("wrong", FAIL)])
def test_the_account_at_the_mail_server_is_tried(bench, mail_server, password, outcome):
    server = mail_server()
    server.account = "desk:secret"
    bench.variables |= {"FABGATE_SMTP_URL": server.url(f"desk:{password}"), "FABGATE_MAIL_FROM": "desk@lyon.example"}
    assert bench.finding("mail").outcome is outcome
    assert not server.taken


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[Mosquitto]:
    """A broker with an account that has its rights, one that may do everything, and one that may do nothing."""
    if not Path(MOSQUITTO).exists():
        pytest.skip("Mosquitto is not installed here (Debian: mosquitto)")
    home = tmp_path_factory.mktemp("broker")
    passwords, acl = home / "passwd", home / "acl"
    passwords.touch(0o600)
    for name in ("good", "loose", "poor"):
        subprocess.run(["mosquitto_passwd", "-b", passwords, name, "secret"], check=True)
    rights = "".join(f"topic write fabgate/v1/lyon/+/{leaf}\n" for leaf in ("ack", "command", "roster"))
    acl.write_text(f"user good\n{rights}user loose\ntopic readwrite #\n")
    found = Mosquitto(home, password_file=passwords, acl_file=acl, lines=("max_packet_size 69632",))
    found.start()
    yield found
    found.stop()


@pytest.mark.sqlite
@pytest.mark.broker
@pytest.mark.parametrize(
    ("account", "password", "outcome", "told"),
    [
        ("good", "secret", OK, "and not more"),
        ("loose", "secret", WARN, "no access list"),
        ("poor", "secret", FAIL, "refuses what the collector needs: fabgate/v1/lyon/roster/ack"),
        ("good", "wrong", FAIL, "Not authorized"),
    ],
)
def test_what_the_account_may_do_is_tried(bench, broker, account, password, outcome, told):
    (bench.folder / "password").write_text(password)
    bench.variables |= {
        "FABGATE_MQTT_PORT": str(broker.port),
        "FABGATE_MQTT_USERNAME": account,
        "FABGATE_MQTT_PASSWORD_FILE": str(bench.folder / "password"),
    }
    finding = bench.finding("broker-rights")
    assert finding.outcome is outcome, finding
    assert told in finding.text


# --- the verb ---------------------------------------------------------------------------------------------------------


def test_the_verb_makes_nothing_and_fails_where_there_is_no_collector(tmp_path):
    done = run(environment(tmp_path), "doctor", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    outcomes = {finding["id"]: finding["outcome"] for finding in json.loads(done.stdout)["findings"]}
    assert (outcomes["environment"], outcomes["database"], outcomes["ingest"]) == ("ok", "fail", "not-checked")
    assert not list(tmp_path.iterdir())


def test_a_root_that_is_not_there_is_refused(tmp_path):
    done = run(environment(tmp_path), "doctor", "--root", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (2, "")
