"""What is different where the database is on PostgreSQL: several write at once, and it may be away."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import Sum

from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Entry, Gate, Machine, Pulse, Quarantine, UsageDay, UsageSession
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.members.access import roster
from fabgate.collector.recording.intake.store import Store
from fabgate.demo.processes.ports import free_port
from tests.collector import postgresql
from tests.collector.gates import NOON, Journal
from tests.collector.ground.db.together import together
from tests.collector.processes.uplink import uplink
from tests.collector.running import children, environment, run, until_healthy
from tests.support.mosquitto import mosquitto
from tests.support.patience import HANGS_S, wait

pytestmark = pytest.mark.usefixtures("env")


def test_an_unreachable_server_is_reported_without_the_password(tmp_path):
    url = "postgresql://ada:verysecret@127.0.0.1:1/fabgate"
    done = run(environment(tmp_path, FABGATE_DATABASE_URL=url), "migrate")
    assert done.returncode == 1, "2 is for what no later attempt can mend: `run` would end for good"
    assert done.stderr.startswith("error: FABGATE_DATABASE_URL: the database on 127.0.0.1 cannot be used (")
    assert len(done.stderr.splitlines()) == 1
    assert "verysecret" not in done.stderr


def test_a_missing_library_is_reported_with_what_to_install(tmp_path):
    wanted = environment(tmp_path, FABGATE_DATABASE_URL="postgresql://127.0.0.1:1/fabgate")
    program = "import sys; sys.modules['psycopg'] = None; from fabgate.collector.cli.verbs import main; sys.exit(main(['migrate']))"
    done = subprocess.run([sys.executable, "-c", program], env=wanted, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'fabgate[collector,postgresql]'" in done.stderr


@pytest.fixture
def url() -> str:
    """An empty database of this test's own."""
    return postgresql.make(f"own_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}")


@pytest.mark.postgresql
def test_a_verb_that_would_have_nothing_to_look_at_makes_no_tables(tmp_path, url):
    done = run(environment(tmp_path, FABGATE_DATABASE_URL=url), "gates")
    assert done.returncode == 2
    assert "found no collector in the database on /tmp" in done.stderr
    import psycopg

    with psycopg.connect(url) as direct:
        assert direct.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.mark.postgresql
def test_ids_made_after_a_restore_are_new(tmp_path, url):
    import psycopg

    ours = environment(tmp_path, FABGATE_DATABASE_URL=url)
    assert run(ours, "migrate").returncode == 0
    group = "INSERT INTO collector_group (name, kind, note, folded) VALUES (gen_random_uuid(), 'class', '', '') RETURNING id"
    grants = "SELECT nextval(pg_get_serial_sequence('collector_grant', 'id'))"
    with psycopg.connect(url, autocommit=True) as direct:
        for _ in range(2):
            lost = [(direct.execute(group).fetchone()[0], direct.execute(grants).fetchone()[0]) for _ in range(5)]
            for table in ("grant", "group"):  # as pg_restore does
                direct.execute(f"SELECT setval(pg_get_serial_sequence('collector_{table}', 'id'), 1, false)")
            direct.execute("DELETE FROM collector_group")
            assert run(ours, "migrate", "--restored").returncode == 0
            assert direct.execute(group).fetchone()[0] > max(number for number, _ in lost)
            assert direct.execute(grants).fetchone()[0] > max(number for _, number in lost)


@pytest.mark.postgresql
def test_processes_that_start_at_once_with_folders_of_their_own_wait_for_each_other(tmp_path, url):
    command = [sys.executable, "-W", "error", "-m", "fabgate.collector", "migrate"]
    started = [
        subprocess.Popen(
            command, env=environment(tmp_path / str(n), FABGATE_DATABASE_URL=url), stderr=subprocess.PIPE, text=True
        )
        for n in range(3)
    ]
    ended = [(process.communicate(timeout=HANGS_S)[1], process.returncode) for process in started]
    assert sorted(lines.count("note: making a new collector") for lines, _ in ended) == [0, 0, 1], ended
    assert {code for _, code in ended} == {0}


@pytest.mark.postgresql
def test_a_database_that_cannot_hold_every_name_is_refused(tmp_path, url):
    import psycopg

    with psycopg.connect(f"{postgresql.SERVER}/postgres", autocommit=True) as direct:
        direct.execute("DROP DATABASE IF EXISTS ascii WITH (FORCE)")
        direct.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    done = run(environment(tmp_path, FABGATE_DATABASE_URL=f"{postgresql.SERVER}/ascii"), "migrate")
    assert done.returncode == 2
    assert "found the encoding SQL_ASCII, wanted UTF8" in done.stderr


@pytest.mark.postgresql
def test_a_restored_dump_ends_all_sign_ins_and_a_mere_start_ends_none(tmp_path, url):
    import psycopg

    home = environment(tmp_path / "data", FABGATE_DATABASE_URL=url)

    told_of_it = "the database was restored, or moved: everybody has to sign in again, one-time links are closed"

    def open_now() -> tuple[int, int]:
        with psycopg.connect(url) as direct:
            links = "SELECT count(*) FROM collector_onetimelink WHERE used_at IS NULL AND expires_at > now()"
            return direct.execute(f"SELECT ({links}), (SELECT count(*) FROM django_session)").fetchone()

    assert run(home, "account-add", "ada", "--role", "manager").returncode == 2  # nothing there yet
    assert run(home, "migrate").returncode == 0
    assert run(home, "account-add", "ada", "--role", "manager").returncode == 0
    with psycopg.connect(url) as direct:
        direct.execute("INSERT INTO django_session VALUES ('k', 'd', now() + interval '1 day')")
    assert run(home, "accounts").returncode == 0
    assert open_now() == (1, 1)
    dump = str(tmp_path / "fabgate.dump")
    subprocess.run(["pg_dump", "--format=custom", f"--file={dump}", url], check=True)
    with psycopg.connect(url) as direct:
        direct.execute("UPDATE collector_onetimelink SET used_at = now()")
        direct.execute("DELETE FROM django_session")
    subprocess.run(["pg_restore", "--clean", f"--dbname={url}", dump], check=True)
    assert open_now() == (1, 1)
    done = run(home, "accounts")
    assert told_of_it in done.stderr
    assert (done.returncode, open_now()) == (0, (0, 0))
    assert run(home, "account-link", "ada").returncode == 0
    assert told_of_it not in run(home, "accounts").stderr
    assert open_now() == (1, 0)


@pytest.mark.postgresql
@pytest.mark.usefixtures("database")
def test_two_that_store_the_same_at_once_store_it_once():
    journals = [Journal(gate=f"gate-{n}") for n in range(4)]
    for journal in journals:
        for n in range(6):
            journal.start(f"{journal.gate}-{n}")
            journal.progress(f"{journal.gate}-{n}", 500)
            journal.end(f"{journal.gate}-{n}", 1_000)
    store = Store("lyon")
    store.store([journal.status() for journal in journals], NOON)

    def deliver(seed: int):
        def work() -> None:
            own, chance = Store("lyon"), random.Random(seed)
            left = [message for journal in journals for message in journal.messages()]
            chance.shuffle(left)
            while left:
                try:
                    own.store(left[:7], NOON)
                except OperationalError:  # as ingest does: nothing was promised
                    continue
                left = left[7:]

        return work

    assert together(deliver(1), deliver(2), deliver(3)) == []
    store.store([message for journal in journals for message in journal.messages()], NOON)
    assert Entry.objects.count() == sum(journal.head for journal in journals)
    assert {row.name: row.ack_seq for row in Row.objects.all()} == {j.name: j.head for j in journals}
    assert set(UsageSession.objects.values_list("counted_ms", "reason")) == {(1_000, "badge")}
    assert sum(UsageDay.objects.values_list("sessions", flat=True)) == UsageSession.objects.count() == 24
    assert sum(UsageDay.objects.values_list("counted_ms", flat=True)) == 24_000
    assert not Quarantine.objects.exists()


@pytest.mark.postgresql
@pytest.mark.usefixtures("database")
def test_readers_of_the_newest_pulse_miss_none_that_is_committed_later():
    begun, seen = threading.Event(), []

    def slow() -> None:
        with transaction.atomic():
            pulse.notify({Pulse.FLOOR: {"a"}}, NOON)
            begun.set()
            connection.cursor().execute("SELECT pg_sleep(0.3)")

    def quick() -> None:
        begun.wait(HANGS_S)
        with transaction.atomic():
            pulse.notify({Pulse.FLOOR: {"b"}}, NOON)
        seen.extend(Pulse.objects.order_by("id").values_list("gate", flat=True))

    assert together(slow, quick) == []
    assert seen == ["a", "b"]


@pytest.mark.postgresql
def test_rosters_are_built_beside_an_ingest_without_either_standing_in_the_others_way(env, told):
    machine = Machine.objects.create(name="laser")
    # Their names run against their rows: whoever went by name would meet the ingest half-way.
    names = [f"gate-{n}" for n in range(9, 0, -1)]
    for name in names:
        Gate.objects.create(name=name, machine=machine)
    journals = [Journal(gate=name) for name in names]
    for journal in journals:
        for _ in range(20):
            journal.write("access.refused", badge="d9", reasons=["unknown-badge"])

    def ingest() -> None:
        own = Store("lyon")
        for turn in range(15):
            # One gate says what it does, while another one's new rows refer to it.
            one, other = journals[turn % 9], journals[-1 - turn % 9]
            state = one.state(state="idle" if turn % 2 else "active")
            own.store([state, *other.messages()[: turn + 1]], datetime.now(UTC))

    def build() -> None:
        for turn in range(15):
            with audit.change("ada", "machine.updated", machine) as change:
                machine.title = f"Laser {turn}"
                machine.save()
                change.rosters = roster.versions(roster.rebuild())

    assert together(ingest, build) == []


@pytest.mark.postgresql
def test_two_changes_in_one_transaction_and_ingest_do_not_deadlock(env, told):
    machine = Machine.objects.create(name="laser")
    for n in range(1, 4):
        Gate.objects.create(name=f"gate-{n}", machine=machine)
    journals = [Journal(gate=f"gate-{n}") for n in range(1, 4)]

    def ingest() -> None:
        own = Store("lyon")
        for turn in range(40):
            own.store([one.state(state="idle" if turn % 2 else "active") for one in journals], datetime.now(UTC))

    def change_twice() -> None:
        for turn in range(20):
            with transaction.atomic():
                for word in ("Laser", "Big laser"):
                    with audit.change("ada", "machine.updated", machine):
                        machine.title = f"{word} {turn}"
                        machine.save()
                roster.rebuild()

    assert together(ingest, change_twice) == []


@pytest.mark.postgresql
@pytest.mark.usefixtures("database")
def test_lines_of_usage_are_foreseen_as_many_as_there_are_so_that_they_are_added_up_in_memory():
    gates = [Gate.objects.create(name=f"gate-{n}", machine=Machine.objects.create(name=f"m-{n}")) for n in range(20)]
    days = [date(2026, 7, 1) + timedelta(days=n) for n in range(100)]
    sums = dict.fromkeys(("sessions", "counted_ms", "running_ms", "uncertainty_ms", "uncertain", "about"), 1)
    UsageDay.objects.bulk_create(
        UsageDay(day=day, machine_key=one.machine_id, gate=one, used_by=f"m-{n}", category=f"c-{n}", **sums)
        for day in days
        for one in gates
        for n in range(5)
    )
    connection.cursor().execute("ANALYZE collector_usageday")
    lines = UsageDay.objects.values_list("machine_key", "gate", "used_by", "category").annotate(n=Sum("sessions"))
    (plan,) = json.loads(lines.explain(format="json"))
    assert len(lines) == 100
    assert 50 < plan["Plan"]["Plan Rows"] < 200


@pytest.mark.broker
@pytest.mark.postgresql
def test_a_collector_survives_a_database_outage_while_the_broker_restarts(tmp_path, url):
    import psycopg

    name = url.rsplit("/", 1)[1]
    log = tmp_path / "log"
    journal = Journal()
    journal.write("gate.started", version="1")

    def let_in(word: str) -> None:
        with psycopg.connect(f"{postgresql.SERVER}/postgres", autocommit=True) as direct:
            direct.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {word}')
            direct.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    with mosquitto(tmp_path / "broker") as broker, log.open("w") as errors:
        port = free_port()
        env = environment(
            tmp_path / "data",
            FABGATE_DATABASE_URL=url,
            FABGATE_MQTT_PORT=str(broker.port),
            FABGATE_WEB_PORT=str(port),
        )
        running = subprocess.Popen([sys.executable, "-m", "fabgate.collector", "run"], env=env, stderr=errors)
        try:
            until_healthy(port)
            ingest = next(pid for pid, verb in children(running.pid).items() if verb == "ingest")
            let_in("false")
            broker.kill()
            broker.start()
            wait(lambda: "cannot be read" in log.read_text() or running.poll() is not None)
            assert running.poll() is None, log.read_text()
            # One that is started while the database is away comes back too: that is no mistake in its input.
            os.kill(next(pid for pid, verb in children(running.pid).items() if verb == "worker"), signal.SIGKILL)
            wait(lambda: "worker ended with code 1" in log.read_text() or running.poll() is not None)
            let_in("true")
            until_healthy(port)
            assert ingest in children(running.pid)
            with uplink(broker, journal) as gate:
                assert gate.deliver().seq == journal.head
        finally:
            running.terminate()
            assert running.wait(HANGS_S) == 0, log.read_text()
