"""A copy of the collector in one file, and the collector of a copy."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import pwd
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fabgate.collector.cli import verbs
from fabgate.collector.ground.base import data_folder
from tests.collector.running import environment
from tests.collector.running import run as process
from tests.support import disk
from tests.support.patience import HANGS_S, wait


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A collector that knows one gate; each test has a copy of its folder."""
    made = tmp_path_factory.mktemp("collector") / "data"
    assert process(environment(made), "gate-add", "laser-1", "--machine", "laser").returncode == 0
    return made


@pytest.fixture
def home(made, tmp_path) -> Path:
    return shutil.copytree(made, tmp_path / "data")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a verb on a folder, in this process: it needs no Django. Returns what a process would."""

    def run(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("FABGATE_")]:
                patch.delenv(name)
            for name, value in {"FABGATE_SITE": "lyon", "FABGATE_DATA": str(home), **more}.items():
                patch.setenv(name, value)
            capsys.readouterr()
            code = verbs.main([*arguments])
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture
def copy(home, tmp_path, run) -> Path:
    copy = tmp_path / "monday.tar.gz"
    done = run(home, "backup", str(copy))
    assert done.returncode == 0, done.stderr
    return copy


def query(home: Path, statement: str, *values: object) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(home / "collector.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def secrets(home: Path) -> dict[str, bytes]:
    """Return the keys and tokens of a collector."""
    names = ("secret.key", "badge.keys", *(f"gates/laser-1/{name}" for name in ("token", "seal.keys", "badge.keys")))
    return {name: (home / name).read_bytes() for name in names}


def rewritten(copy: Path, **changed: bytes | None) -> Path:
    """Return the copy with other files in it; None leaves one out. A name with / is written with __."""
    out = copy.with_name("changed.tar.gz")
    with tarfile.open(copy) as old, tarfile.open(out, "w:gz") as new:
        files = {member.name: old.extractfile(member).read() for member in old}
        files |= {name.replace("__", "/").replace("_", "."): body for name, body in changed.items()}
        for name, body in files.items():
            if body is not None:
                info = tarfile.TarInfo(name)
                info.size = len(body)
                new.addfile(info, io.BytesIO(body))
    return out


# --- backup -----------------------------------------------------------------------------------------------------------


def test_a_copy_holds_all_of_it_and_only_its_owner_reads_it(home, copy, run):
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with tarfile.open(copy) as archive:
        told = json.load(archive.extractfile("list.json"))
        assert told["site"] == "lyon"
        assert set(archive.getnames()) == {"list.json", "collector.db", *secrets(home)} == {"list.json", *told["files"]}
    assert sorted(path.name for path in copy.parent.iterdir()) == ["data", "monday.tar.gz"]


def test_a_copy_without_the_keys_of_a_known_gate_is_none_and_names_them(home, tmp_path, run):
    """Root made them, and the account that copies cannot look into the folder: here they are gone, which it cannot tell."""
    (home / "gates/laser-1/seal.keys").unlink()
    done = run(home, "backup", str(tmp_path / "a.tar.gz"))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        f"which cannot be read: {home}/gates/laser-1/seal.keys (No such file or directory); if root made" in done.stderr
    )
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert data_folder.last_copied(home) is None
    query(home, "UPDATE collector_gate SET token_hash = ''")  # a gate that never had any
    assert run(home, "backup", str(tmp_path / "a.tar.gz")).returncode == 0
    assert datetime.now(UTC) - data_folder.last_copied(home) < timedelta(minutes=5)


def test_sinks_are_in_a_copy_and_a_restore_without_any_leaves_those_that_are_there(home, tmp_path, run):
    assert run(home, "backup", str(tmp_path / "none.tar.gz")).returncode == 0
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("books: {driver: files}\n")
    done = run(home, "backup", str(tmp_path / "a.tar.gz"), FABGATE_SINKS=str(elsewhere))
    assert done.returncode == 0, done.stderr
    assert run(tmp_path / "other", "restore", str(tmp_path / "a.tar.gz")).returncode == 0
    assert (tmp_path / "other/sinks.yaml").read_text() == elsewhere.read_text()
    assert run(tmp_path / "other", "restore", str(tmp_path / "none.tar.gz"), "--replace").returncode == 0
    assert (tmp_path / "other/sinks.yaml").read_text() == elsewhere.read_text()
    (tmp_path / "other/sinks.yaml").write_text("others: {driver: files}\n")
    assert run(tmp_path / "other", "restore", str(tmp_path / "a.tar.gz"), "--replace").returncode == 0
    assert (tmp_path / "other/sinks.yaml").read_text() == elsewhere.read_text()
    assert [path.read_text() for path in (tmp_path / "other").glob("before-restore-*/sinks.yaml")] == [
        "others: {driver: files}\n"
    ]


#: Copies a collector as root, with all that it needs imported before: this Python may be where only root can read.
_AS_ROOT = """
import gzip, os, sys, tarfile, tempfile
from fabgate.collector.ground.base import disk_full
from fabgate.collector.cli import verbs
from fabgate.collector.cli.upkeep import backup
from fabgate.collector.processes import start
os.umask(0o077)
code = verbs.main(["backup", sys.argv[1]])
print(os.getuid(), os.getgid(), 0 in os.getgroups())
sys.exit(code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_a_verb_as_root_becomes_the_account_whose_data_it_is(home):
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as name:  # not below the folders of pytest, which only root can enter
        data = Path(name) / "data"
        shutil.copytree(home, data)
        for path in (Path(name), data, *data.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        command = [sys.executable, "-c", _AS_ROOT, f"{name}/a.tar.gz"]
        env = environment(data) | {"PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=name)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{nobody.pw_uid} {nobody.pw_gid} False"
        assert (Path(name) / "a.tar.gz").stat().st_uid == nobody.pw_uid
        os.chown(data / "gates/laser-1", 0, 0)  # what root made before
        again = subprocess.run(
            [*command[:-1], f"{name}/b.tar.gz"], env=env, capture_output=True, text=True, check=False
        )
        assert again.returncode == 1
        assert "gates/laser-1/seal.keys (Permission denied)" in again.stderr
        assert f"chown -R {nobody.pw_uid}:{nobody.pw_gid} {data}/gates" in again.stderr


def test_a_copy_says_its_checksum(home, tmp_path, run):
    done = run(home, "backup", str(tmp_path / "a.tar.gz"))
    sums = subprocess.run(["sha256sum", tmp_path / "a.tar.gz"], capture_output=True, text=True, check=True)
    assert f"SHA-256 {sums.stdout.split()[0]}\n" in done.stdout


def test_a_copy_never_replaces_a_file(home, copy, run):
    before = copy.read_bytes()
    done = run(home, "backup", str(copy))
    assert (done.returncode, done.stderr) == (
        2,
        f"error: found {copy}, wanted a new file, since a copy never replaces one; choose another name\n",
    )
    assert copy.read_bytes() == before


def test_a_name_that_is_no_folder_and_does_not_look_like_a_copy_is_refused(home, tmp_path, run):
    done = run(home, "backup", str(tmp_path / "copies"))
    assert (done.returncode, done.stdout) == (2, "")
    folder = tmp_path / "copies"
    assert done.stderr == (
        f"error: {folder} is not a folder, and its name does not end in .tar.gz; make the folder first"
        f" (mkdir -p {folder}), or choose a name such as copies.tar.gz\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    folder.mkdir()
    assert run(home, "backup", str(folder)).returncode == 0, "as it was told to do"


def test_one_copy_that_is_kept_is_one(home, tmp_path, run):
    (tmp_path / "fabgate-lyon-20251101-020000.tar.gz").touch()
    done = run(home, "backup", str(tmp_path), "--keep", "1")
    assert done.stdout.endswith("20251101-020000.tar.gz: deleted, 1 newer one is there\n")


def test_in_a_folder_a_copy_names_itself_and_the_newest_are_kept(home, tmp_path, run):
    folder = tmp_path / "copies"
    folder.mkdir()
    others = {"fabgate-paris-1.tar.gz", "fabgate-lyon-2-20251101-020000.tar.gz", "fabgate-lyon-before-the-move.tar.gz"}
    for name in (
        "fabgate-lyon-20251101-020000.tar.gz",
        "fabgate-lyon-20251102-020000.tar.gz",
        *others,
    ):
        (folder / name).touch()
    done = run(home, "backup", str(folder), "--keep", "2")
    assert done.returncode == 0, done.stderr
    made = {path.name for path in folder.iterdir()} - {"fabgate-lyon-20251102-020000.tar.gz", *others}
    (name,) = made
    assert re.fullmatch(r"fabgate-lyon-\d{8}-\d{6}\.tar\.gz", name)
    assert "20251101-020000.tar.gz: deleted, 2 newer ones are there" in done.stdout


def test_a_copy_in_a_second_that_has_one_is_named_after_the_next_second_that_has_none(home, tmp_path, run):
    now = datetime.now(UTC)
    taken = {data_folder.copy_name("lyon", now + timedelta(seconds=n)) for n in range(60)}
    for name in taken:
        (tmp_path / name).touch()
    done = run(home, "backup", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (made,) = {path.name for path in data_folder.copies("lyon", tmp_path)} - taken
    assert made == data_folder.copy_name("lyon", now + timedelta(seconds=60))
    assert all((tmp_path / name).stat().st_size == 0 for name in taken)


@pytest.mark.parametrize("arguments", [("copies", "--keep", "0"), ("a.tar.gz", "--keep", "3")])
def test_keeping_none_or_beside_a_file_is_refused(home, tmp_path, run, arguments):
    (tmp_path / "copies").mkdir()
    name, *more = arguments
    done = run(home, "backup", str(tmp_path / name), *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --keep: found ")


def test_a_broker_that_is_set_up_wrongly_keeps_no_copy_from_being_taken(home, tmp_path, run):
    assert run(home, "backup", str(tmp_path / "a.tar.gz"), FABGATE_MQTT_CA="/none").returncode == 0


def test_a_slip_of_the_pen_in_what_names_the_database_keeps_another_one_from_being_copied(home, tmp_path, run):
    done = run(home, "backup", str(tmp_path / "a.tar.gz"), FABGATE_DATABASE_UR="postgresql://db/fabgate")
    assert done.returncode == 2
    assert done.stderr == (
        "error: FABGATE_DATABASE_UR: found an unknown variable, wanted FABGATE_DATABASE_URL or"
        " FABGATE_DATABASE_URL_FILE; rename it, or unset it\n"
    )
    assert not (tmp_path / "a.tar.gz").exists()
    assert run(home, "backup", str(tmp_path / "a.tar.gz"), FABGATE_MQTT_HOTS="x").returncode == 0


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk with room for a few pages, and no more."""
    with disk.small_disk(tmp_path / "small", 64) as folder:
        yield folder


def test_a_full_disk_is_called_full_and_no_sound_database_damaged(home, copy, small_disk, run):
    full = f"error: the disk of {small_disk}"
    for arguments, data in ((("backup", str(small_disk / "a.tar.gz")), home), (("restore", str(copy)), small_disk)):
        done = run(data, *arguments)
        assert (done.returncode, done.stderr[: len(full)], "damaged" in done.stderr) == (2, full, False)
    assert not (small_disk / "a.tar.gz").exists()


@pytest.fixture
def no_links(monkeypatch) -> list[Path]:
    """A disk without links; what is named here is made by somebody else at the moment when one is tried."""
    faster: list[Path] = []

    def refuse(_self: Path, _target: Path) -> None:
        for path in faster:
            path.write_text("theirs")
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    return faster


def test_where_a_disk_knows_no_links_a_copy_is_made_all_the_same(home, tmp_path, run, no_links):
    copy = tmp_path / "a.tar.gz"
    done = run(home, "backup", str(copy))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert run(tmp_path / "other", "restore", str(copy)).returncode == 0


def test_where_a_disk_knows_no_links_whoever_was_faster_keeps_the_file(home, tmp_path, run, no_links):
    copy = tmp_path / "a.tar.gz"
    no_links.append(copy)
    done = run(home, "backup", str(copy))
    assert (done.returncode, done.stderr) == (2, f"error: {copy} cannot be written (File exists)\n")
    assert copy.read_text() == "theirs"


def test_a_copy_in_a_folder_that_is_not_there_says_how_to_make_it(home, tmp_path, run):
    done = run(home, "backup", str(tmp_path / "none" / "a.tar.gz"))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path / 'none'}: the folder for the copy does not exist; make it first: mkdir -p" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_copy_of_no_collector_is_refused_and_makes_none(tmp_path, run):
    done = run(tmp_path / "data", "backup", str(tmp_path / "a.tar.gz"))
    assert done.returncode == 2
    assert "found no collector database at" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_committed_while_others_write_is_in_the_copy_and_what_is_not_is_not(home, tmp_path, run):
    with contextlib.closing(sqlite3.connect(home / "collector.db")) as writer:
        writer.execute("INSERT INTO collector_pulse (topic, gate, at) VALUES ('floor', '', '2026-11-25')")
        writer.commit()  # it lies in the write-ahead log
        writer.execute("INSERT INTO collector_pulse (topic, gate, at) VALUES ('roster', '', '2026-11-25')")
        assert run(home, "backup", str(tmp_path / "a.tar.gz")).returncode == 0
        writer.rollback()
    assert run(tmp_path / "other", "restore", str(tmp_path / "a.tar.gz")).returncode == 0
    topics = query(tmp_path / "other", "SELECT topic FROM collector_pulse WHERE at = '2026-11-25'")
    assert topics == [("floor",)]


@pytest.mark.parametrize("page", [0, 3], ids=["head", "inside"])
def test_a_damaged_database_is_not_copied_as_if_it_were_whole(home, tmp_path, run, page):
    query(home, "PRAGMA wal_checkpoint(TRUNCATE)")
    body = bytearray((home / "collector.db").read_bytes())
    body[4096 * page : 4096 * page + 200] = b"\xff" * 200
    (home / "collector.db").write_bytes(body)
    done = run(home, "backup", str(tmp_path / "a.tar.gz"))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{home}/collector.db is damaged (" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


# --- restore ----------------------------------------------------------------------------------------------------------


def test_a_copy_becomes_the_same_collector_in_an_empty_folder(home, copy, tmp_path, run):
    other = tmp_path / "other"
    done = run(other, "restore", str(copy))
    assert done.returncode == 0, done.stderr
    assert "The collector is as it was on 20" in done.stdout
    assert secrets(other) == secrets(home)
    kept = [path for path in other.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert query(other, "SELECT name FROM collector_gate") == [("laser-1",)]
    identity = "SELECT collector FROM collector_collector"
    assert query(other, identity) == query(home, identity)


def test_what_is_there_is_put_aside_only_when_it_is_asked_for(home, copy, run):
    query(home, "UPDATE collector_gate SET name = 'saw-1'")
    (home / "gates" / "laser-1").rename(home / "gates" / "saw-1")
    refused = run(home, "restore", str(copy))
    assert refused.returncode == 2
    assert "wanted an empty folder; --replace moves it aside" in refused.stderr
    done = run(home, "restore", str(copy), "--replace")
    assert done.returncode == 0, done.stderr
    (aside,) = home.glob("before-restore-*")
    assert str(aside) in done.stdout
    assert query(home, "SELECT name FROM collector_gate") == [("laser-1",)]
    assert query(aside, "SELECT name FROM collector_gate") == [("saw-1",)]
    assert (aside / "gates" / "saw-1" / "token").exists()


def test_a_running_collector_is_not_replaced_under_its_feet(home, copy, run):
    running = subprocess.Popen(
        [sys.executable, "-m", "fabgate.collector", "worker"], env=environment(home), stderr=subprocess.DEVNULL
    )
    try:
        wait(lambda: is_held(home))
        done = run(home, "restore", str(copy), "--replace")
        assert done.returncode == 2
        assert "a collector is running on" in done.stderr
        assert list(home.glob("before-restore-*")) == []
    finally:
        running.kill()
        running.wait()
    assert run(home, "restore", str(copy), "--replace").returncode == 0


def is_held(home: Path) -> bool:
    handle = data_folder.lock_out(home)
    if handle is not None:
        os.close(handle)
    return handle is None


def test_a_restore_that_was_cut_off_lets_nothing_start_until_it_is_done_again(home, copy, run):
    (home / data_folder.RESTORING).mkdir()
    (home / data_folder.RESTORING / "collector.db").write_text("half")
    refused = process(environment(home), "gates")
    assert refused.returncode == 2
    assert "interrupted" in refused.stderr
    assert run(home, "restore", str(copy), "--replace").returncode == 0
    (row,) = json.loads(process(environment(home), "gates", "--json").stdout)
    assert row["gate"] == "laser-1"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"badge_keys": b"b1:other\n"}, "damaged (badge.keys: missing, added or changed"),
        ({"badge_keys": None}, "damaged (badge.keys: missing, added or changed"),
        ({"gates__x__token": b"t\n"}, "damaged (gates/x/token: missing, added or changed"),
        ({"list_json": b"[]"}, "not a complete copy"),
        ({"__etc__passwd": b"x"}, "'/etc/passwd' does not belong in a copy"),
        ({"gates__..__..__x": b"x"}, "does not belong in a copy"),
        ({"notes_txt": b"x"}, "'notes.txt' does not belong in a copy"),
    ],
    ids=["changed", "missing", "added", "list", "absolute", "above", "foreign"],
)
def test_a_copy_that_was_changed_is_refused_and_nothing_is_touched(copy, tmp_path, changed, told, run):
    other = tmp_path / "other"
    done = run(other, "restore", str(rewritten(copy, **changed)))
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert {path.name for path in other.iterdir()} == {data_folder.STARTING, data_folder.RUNNING}


@pytest.mark.parametrize("broken", ["short", "flipped", "text", "none", "folder"])
def test_what_is_no_copy_is_refused_with_a_line(copy, tmp_path, broken, run):
    body = bytearray(copy.read_bytes())
    file = tmp_path / "broken"
    if broken == "short":
        file.write_bytes(body[: len(body) // 2])
    elif broken == "flipped":
        body[len(body) // 2] ^= 255
        file.write_bytes(body)
    elif broken == "text":
        file.write_bytes(gzip.compress(b"hello"))
    elif broken == "folder":
        file.mkdir()
    done = run(tmp_path / "other", "restore", str(file))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"error: {'there is no copy at ' if broken == 'none' else ''}{file}")


def listed(copy: Path, **changed: object) -> bytes:
    """Return the list of a copy with other words in it; None leaves one out."""
    with tarfile.open(copy) as archive:
        told = json.load(archive.extractfile("list.json")) | changed
    return json.dumps({name: value for name, value in told.items() if value is not None}).encode()


def with_database(copy: Path, body: bytes) -> dict[str, bytes]:
    """Return a database, and the list of a copy that has its checksum."""
    with tarfile.open(copy) as archive:
        files = json.load(archive.extractfile("list.json"))["files"]
    files |= {"collector.db": hashlib.sha256(body).hexdigest()}
    return {"collector_db": body, "list_json": listed(copy, files=files)}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda copy: with_database(copy, b"no database" * 99), "not a collector's database (file is not a database)"),
        (lambda copy: with_database(copy, b""), "not a collector's database (no such table: django_migrations)"),
        (lambda copy: {"list_json": listed(copy, fabgate=None)}, "not a complete copy"),
        (lambda copy: {"list_json": listed(copy, at="0001-01-01T00:00:00")}, "not a complete copy"),
        (lambda copy: {"list_json": listed(copy, at="9999-12-31T23:59:59-14:00")}, "not a complete copy"),
        (lambda copy: {"list_json": listed(copy, files=["a"])}, "not a complete copy"),
        (lambda copy: {"list_json": b"[" * 100_000}, "not a complete copy"),
        (lambda copy: {"list_json": listed(copy)[:-1] + b',"more":' + b"[" * 100_000}, "not a complete copy"),
        (lambda copy: {"__": b"x"}, "does not belong in a copy"),
        (lambda copy: {"": b"x"}, "does not belong in a copy"),
        (lambda copy: {"_": b"x"}, "does not belong in a copy"),
        (lambda copy: {"gates": b"x"}, "does not belong in a copy"),
        (lambda copy: {"badge_keys__x": b"x"}, "does not belong in a copy"),
    ],
    ids=[
        *("rubbish for a database", "empty database", "no version", "year 1", "year 9999", "files in a list"),
        *("deep list", "deep word", "root", "no name", "dot", "gates as a file", "keys as a folder"),
    ],
)
def test_a_copy_with_fitting_checksums_that_is_wrong_inside_is_refused_with_a_line(copy, tmp_path, changed, told, run):
    done = run(tmp_path / "other", "restore", str(rewritten(copy, **changed(copy))))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert told in done.stderr
    assert not (tmp_path / "other" / "collector.db").exists()


def test_a_copy_of_another_site_is_refused(copy, tmp_path, run):
    done = run(tmp_path / "other", "restore", str(copy), FABGATE_SITE="paris")
    assert done.returncode == 2
    assert done.stderr.startswith("error: FABGATE_SITE: found 'paris'")


def test_a_copy_of_a_newer_collector_is_refused(home, tmp_path, run):
    query(home, "INSERT INTO django_migrations (app, name, applied) VALUES ('collector', '0999_later', '2030-01-01')")
    copy = tmp_path / "newer.tar.gz"
    assert run(home, "backup", str(copy)).returncode == 0
    done = run(tmp_path / "other", "restore", str(copy))
    assert done.returncode == 2
    assert "(0999_later); install that version first" in done.stderr


def test_a_copy_from_before_the_first_release_is_refused_and_changes_nothing(home, tmp_path, run):
    query(home, "UPDATE django_migrations SET name = '0001_initial' WHERE app = 'collector'")
    copy, other = tmp_path / "old.tar.gz", tmp_path / "other"
    assert run(home, "backup", str(copy)).returncode == 0
    done = run(other, "restore", str(copy))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"found {copy}, a copy from before fabgate 0.1.0; wanted one of 0.1.0 or later" in done.stderr
    assert not [path for path in other.rglob("*") if path.is_file() and path.stat().st_size]


def let_somebody_in(home: Path) -> None:
    """Leave a browser that is signed in, an invitation and a key of a program."""
    later = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S")
    query(home, "INSERT INTO django_session VALUES ('k', 'd', ?)", later)
    account = "INSERT INTO collector_account (password, name, display_name, email, role, lang, is_active, created_at)"
    query(home, account + " VALUES ('', 'ada', '', '', 'manager', '', 1, '2026-11-01 00:00:00')")
    sign_in = "INSERT INTO collector_signin (account_id, at, seen_at, address, user_agent)"
    now = datetime.now(UTC).strftime(
        "%Y-%m-%d %H:%M:%S"
    )  # the worker deletes what was not seen for as long as it lasts
    query(home, sign_in + " SELECT id, ?, ?, '', '' FROM collector_account", now, now)
    link = "INSERT INTO collector_onetimelink (token_hash, purpose, made_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
    query(home, link, "h", "invite", "x", "2026-11-01 00:00:00", later)
    key = "INSERT INTO collector_apikey (name, prefix, token_hash, scopes, created_at)"
    query(home, key + " VALUES ('Invoices', 'fg_', 'h', '[]', '2026-11-01 00:00:00')")


def who_gets_in(home: Path) -> tuple[int, ...]:
    """Return how many browsers, as pages count them and as their owner sees them, links and keys open something."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    opens = "SELECT count(*) FROM collector_onetimelink WHERE used_at IS NULL AND expires_at > ?"
    ((links,),) = query(home, opens, now)
    tables = (
        "django_session",
        "collector_signin WHERE revoked_at IS NULL",
        "collector_apikey WHERE revoked_at IS NULL",
    )
    sessions, sign_ins, keys = (query(home, f"SELECT count(*) FROM {table}")[0][0] for table in tables)
    return sessions, sign_ins, links, keys


def test_what_let_somebody_in_when_the_copy_was_taken_lets_nobody_in_now(home, tmp_path, run):
    copy = tmp_path / "a.tar.gz"
    let_somebody_in(home)
    assert run(home, "backup", str(copy)).returncode == 0
    query(home, "UPDATE collector_apikey SET revoked_at = '2026-11-02 00:00:00'")
    told = run(home, "restore", str(copy), "--replace").stdout
    assert "Everybody has to sign in again, programs need new keys, and big displays new links." in told
    assert who_gets_in(home) == (1, 1, 1, 1)
    assert process(environment(home), "gates").returncode == 0
    assert who_gets_in(home) == (0, 0, 0, 0)
    log = query(home, "SELECT actor, verb, reason FROM collector_change ORDER BY id DESC LIMIT 2")
    assert log == [("start", "collector.restored", ""), ("start", "key.revoked", "collector.restored")]
    assert process(environment(home), "gates").returncode == 0
    assert query(home, "SELECT count(*) FROM collector_change WHERE verb = 'collector.restored'") == [(1,)]


def counted(home: Path) -> None:
    """Start something that goes on for longer than a verb, and end it."""
    started = "from fabgate.collector.processes import start; start.prepare(owns=True)"
    assert subprocess.run([sys.executable, "-c", started], env=environment(home), check=False).returncode == 0


def test_a_database_that_was_put_back_by_other_tools_lets_nobody_in_either(home, tmp_path):
    let_somebody_in(home)
    counted(home)
    copy = shutil.copyfile(home / "collector.db", tmp_path / "yesterday")
    assert process(environment(home), "gates").returncode == 0
    assert who_gets_in(home) == (1, 1, 1, 1)  # a start alone shuts nobody out
    counted(home)
    shutil.copyfile(copy, home / "collector.db")
    lost = add(home)
    shutil.copyfile(copy, home / "collector.db")
    done = process(environment(home), "gates")
    assert "the database was restored, or moved: everybody has to sign in again" in done.stderr
    assert (done.returncode, who_gets_in(home)) == (0, (0, 0, 0, 0))
    assert add(home) > lost
    assert "restored" not in process(environment(home), "gates").stderr


def test_a_worker_that_runs_notices_a_database_that_is_put_back_under_it(home):
    def place() -> int:
        return int(query(home, "SELECT place FROM collector_collector")[0][0] or 0)

    let_somebody_in(home)
    quick = "from fabgate.collector.processes import start; start.prepare(owns=True); from fabgate.collector.processes import worker"
    quick += "; worker.EVERY_S = 0.05; worker.run()"
    with (
        contextlib.closing(sqlite3.connect(home / "collector.db")) as living,
        contextlib.closing(sqlite3.connect(":memory:")) as yesterday,
    ):
        worker = subprocess.Popen([sys.executable, "-c", quick], env=environment(home))
        try:
            wait(lambda: place() > 1)  # beyond what it counted at its start
            living.backup(yesterday)
            copied = place()
            wait(lambda: place() > copied + 1)
            assert who_gets_in(home) == (1, 1, 1, 1)  # minutes alone shut nobody out
            yesterday.backup(living)
            wait(lambda: who_gets_in(home) == (0, 0, 0, 0))
            restored = place()
            wait(lambda: place() > restored)  # and it goes on
        finally:
            worker.terminate()
            code = worker.wait(HANGS_S)
    assert code == 0
    log = "SELECT actor FROM collector_change WHERE verb = 'collector.restored'"
    assert query(home, log) == [("start",)]


def test_a_collector_that_is_moved_or_whose_counting_was_lost_shuts_nobody_out(home, tmp_path):
    let_somebody_in(home)
    counted(home)
    moved = shutil.copytree(home, tmp_path / "moved")
    (home / data_folder.COUNTED).write_text("")  # as a power cut leaves it
    for place in (home, moved):
        counted(place)
        assert who_gets_in(place) == (1, 1, 1, 1)


def test_a_copy_holds_no_counting_of_its_own(home, copy):
    counted(home)
    with tarfile.open(copy) as archive:
        assert data_folder.COUNTED not in archive.getnames()


def add(home: Path) -> tuple[int, int]:
    """Write down a grant and a group as pages do, by the numbers that come next; return these."""
    member = (
        "INSERT OR IGNORE INTO collector_member (id, name, lang, level, grace_days, supervised, email, note, category,"
    )
    member += " minor, folded) VALUES ('m-1', '', 'en', 'user', 0, 0, '', '', '', 0, 'm-1')"
    training = "INSERT OR IGNORE INTO collector_training (id, name, title) VALUES (1, 'saws', '')"
    grant = (
        "INSERT INTO collector_grant (member_id, training_id, stage, since, trainer, revoked_by, reason, created_at)"
    )
    grant += " VALUES ('m-1', 1, 'autonomous', '2026-11-01', '', '', '', '2026-11-01 00:00:00')"
    group = "INSERT INTO collector_group (name, kind, note, folded) VALUES (hex(randomblob(8)), 'class', '', '')"
    for statement in (member, training, grant, group):
        query(home, statement)
    return tuple(query(home, f"SELECT MAX(id) FROM collector_{table}")[0][0] for table in ("grant", "group"))


@pytest.mark.parametrize("is_empty", [True, False])
def test_ids_made_after_a_restore_are_new(home, tmp_path, run, is_empty):
    if not is_empty:
        add(home)
    copy = tmp_path / "a.tar.gz"
    assert run(home, "backup", str(copy)).returncode == 0
    for _ in range(3):
        lost = [add(home) for _ in range(5)]
        assert run(home, "restore", str(copy), "--replace").returncode == 0
        assert process(environment(home), "gates").returncode == 0
        grant, group = add(home)
        assert grant > max(grant for grant, _ in lost)
        assert group > max(group for _, group in lost)
        again, _ = add(home)
        assert process(environment(home), "gates").returncode == 0
        assert add(home)[0] == again + 1  # it jumps once


@pytest.mark.parametrize(("verb", "tool"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_postgresql_is_copied_with_its_own_tools(tmp_path, verb, tool, run):
    url = "postgresql://ada:secret@db/fabgate"
    done = run(tmp_path / "data", verb, str(tmp_path / "a.tar.gz"), FABGATE_DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert tool in done.stderr
    assert "secret" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_restore_from_a_file_that_does_not_exist_makes_no_folder(tmp_path):
    home = tmp_path / "data"
    done = process(environment(home), "restore", str(tmp_path / "copy.tar.gz"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no copy at ")
    assert not home.exists()
