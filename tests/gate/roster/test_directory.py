"""The stored roster: swapped whole, looked up fast, never broken in silence, and no badge in clear."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate import badge, wire
from fabgate.errors import UsageError
from fabgate.gate.roster import directory as roster
from fabgate.gate.roster.directory import Directory, store
from fabgate.rules import vocabulary
from tests.gate.roster.members import KEY, alter, digest, of, people
from tests.support.work import steps

# --- what is stored ---------------------------------------------------------------------------------------------------


def test_members_and_refusals_are_found_by_their_badges_and_nobody_else_is(path, opened):
    barred = wire.Barred(badges=[digest(7), digest(8)], reasons=["training-missing", "suspended"], id="m-7", lang="fr")
    store(
        of([*people(2), msgspec.structs.replace(people(1, start=5)[0], badges=[digest(5), digest(6)])], [barred]), path
    )
    directory = opened()
    assert directory.find(digest(0)) == vocabulary.Member(id="m-0", name="N0")
    assert directory.find(digest(5)) == directory.find(digest(6))
    assert directory.find(digest(8)) == vocabulary.Barred(("training-missing", "suspended"), "m-7", "fr")
    assert directory.find(digest(99)) is None


def test_machine_zone_age_and_version_are_stored_with_the_people(path, opened):
    machine = wire.MachineRules(mode="hold", limit_s=60, lock=wire.Lock(id="l", when="now", reason="belt"))
    store(of(people(3), version=17, tz="Europe/Paris", fresh_for_s=60, machine=machine), path)
    directory = opened()
    assert (directory.version, directory.members, directory.tz, directory.fresh_for_s) == (17, 3, "Europe/Paris", 60)
    assert directory.machine == machine


def test_all_members_come_back_with_their_badges_and_without_those_refused(path, opened):
    members = [*people(3), wire.Member(id="m-9", badges=[])]
    store(of(members, [wire.Barred(badges=[digest(7)], reasons=["x"])]), path)
    assert opened().all_members() == members


def test_the_file_is_for_its_owner_alone_and_nothing_lies_beside_it(path, opened):
    before = os.umask(0)
    try:
        store(of(people(3)), path)
    finally:
        os.umask(before)
    opened()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["roster.db"]


def test_a_path_with_signs_that_mean_something_in_an_address_is_only_a_path(tmp_path):
    path = tmp_path / "a?b#c%20d" / "roster.db"
    path.parent.mkdir()
    store(of(people(1)), path)
    directory = Directory(path)
    assert directory.find(digest(0)) is not None
    directory.close()


# A UID of zeros is in any file; one of mixed bytes is not there by chance.
mixed = st.binary(min_size=7, max_size=7).filter(lambda uid: len(set(uid)) > 4)


@settings(max_examples=30)
@given(st.lists(mixed, min_size=1, max_size=20, unique=True))
def test_no_badge_stands_in_clear_anywhere_in_the_file(tmp_path_factory, uids):
    path = tmp_path_factory.mktemp("roster") / "roster.db"
    badges = [badge.Badge(badge.Kind.ISO14443A, uid) for uid in uids]
    members = [wire.Member(id=f"m-{n}", badges=[badge.digest(one, KEY)]) for n, one in enumerate(badges)]
    store(of(members[1:], [wire.Barred(badges=members[0].badges, reasons=["x"])]), path)
    stored = path.read_bytes()
    for one in badges:
        assert one.raw not in stored
        assert one.raw[::-1] not in stored
        for name, spelling in badge.spellings(one).items():
            text = spelling if name == "hex with colons" else spelling.rpartition(":")[2]
            assert text.encode() not in stored
            assert text.lower().encode() not in stored
            assert text.lstrip("0").encode() not in stored


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tz": "Lyon"}, "found the time zone 'Lyon', wanted one such as Europe/Paris"),
        ({"tz": "Europe"}, "found the time zone 'Europe'"),
        ({"tz": "../../etc/passwd"}, "found the time zone"),
        ({"version": -1}, "the roster has the version -1"),
        ({"version": 1 << 63}, "the roster has the version 9223372036854775808, wanted 0 to 9223372036854775807"),
        ({"fresh_for_s": 0}, "the roster has fresh_for_s 0, wanted 1 or more seconds"),
        ({"fresh_for_s": 1 << 63}, "the roster has fresh_for_s"),
        ({"machine": wire.MachineRules(mode="x")}, "machine.mode: found 'x'"),
        ({"members": [wire.Member(id="m", badges=[], level="x")]}, "member m: level: found 'x'"),
        (
            {"members": [wire.Member(id="m", badges=["04A1"])]},
            "the roster has the badge '04A1'…, wanted a digest of 64",
        ),
        ({"members": [wire.Member(id="m", badges=["zz" * 32])]}, "wanted a digest of 64 hex digits"),
        (
            {"members": [*people(2), wire.Member(id="m-9", badges=[digest(1)])]},
            r"gives one badge to two people: m-1 and m-9 \(badge …[0-9a-f]{6}\)",
        ),
        (
            {"members": people(1), "refusals": [wire.Barred(badges=[digest(0).upper()], reasons=[])]},
            r"gives one badge to two people: m-0 and \? \(badge",
        ),
    ],
)
def test_a_roster_that_means_nothing_replaces_nothing(path, opened, changes, expected):
    store(of(people(1), version=5), path)
    with pytest.raises(UsageError, match=expected):
        store(msgspec.structs.replace(of([]), **changes), path)
    assert opened().version == 5
    assert [file.name for file in path.parent.iterdir()] == ["roster.db"]


def test_a_crash_between_writing_and_renaming_leaves_the_old_one_whole(path, opened, monkeypatch):
    store(of(people(1), version=5), path)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            store(of(people(2), version=6), path)
    assert path.with_suffix(".new").exists()
    assert opened().version == 5
    store(of(people(2), version=6), path)  # what the crash left is in nobody's way
    assert opened().version == 6
    assert not path.with_suffix(".new").exists()


def test_the_new_file_is_on_disk_before_it_takes_the_place_of_the_old_one(path, monkeypatch):
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def fsync_(fd):
        done.append(f"fsync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        fsync(fd)

    def replace_(self, target):
        done.append(f"rename {self.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync_)
    monkeypatch.setattr(Path, "replace", replace_)
    store(of(people(1)), path)
    assert done == ["fsync roster.new", "rename roster.new", f"fsync {path.parent.name}"]


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("database or disk is full"), OSError(30, "Read-only file system")]
)
def test_a_disk_that_is_full_or_read_only_leaves_the_last_one_and_says_so(path, opened, monkeypatch, error):
    store(of(people(1), version=5), path)

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(roster, "_fill", fail)
        with pytest.raises(UsageError, match=r"could not be stored .*; the last one stays in force"):
            store(of(people(2), version=6), path)
    assert opened().version == 5
    assert not path.with_suffix(".new").exists()


def test_a_state_directory_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match="could not be stored"):
        store(of(people(1)), tmp_path / "nowhere" / "roster.db")


def test_a_roster_that_is_open_answers_from_the_old_one_while_it_is_replaced(path, opened):
    store(of(people(1), version=5), path)
    old = opened()
    store(of(people(2), version=6), path)
    assert old.find(digest(1)) is None
    assert old.find(digest(0)).id == "m-0"
    assert opened().find(digest(1)).id == "m-1"


# --- a damaged file ---------------------------------------------------------------------------------------------------


def test_no_stored_roster_is_a_usage_error(path):
    with pytest.raises(UsageError, match=r"roster\.db: no usable roster \(there is none yet\)"):
        Directory(path)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"\0" * 4096, b"\xff" * 8192])
def test_a_file_that_is_no_roster_is_a_usage_error(path, content):
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"roster\.db: no usable roster"):
        Directory(path)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM meta WHERE key = 'tz'",
        "UPDATE meta SET value = 'x' WHERE key = 'version'",
        "UPDATE meta SET value = NULL WHERE key = 'members'",
        "UPDATE meta SET value = 'Nowhere/Town' WHERE key = 'tz'",
        "UPDATE meta SET value = x'7b' WHERE key = 'machine'",
        "UPDATE meta SET value = 12345678901234 WHERE key = 'machine'",
        "UPDATE meta SET value = CAST('{\"mode\":\"x\"}' AS BLOB) WHERE key = 'machine'",
        "DROP TABLE meta",
    ],
)
def test_a_roster_without_sense_in_its_head_is_a_usage_error(path, change):
    store(of(people(1)), path)
    alter(path, change)
    with pytest.raises(UsageError, match=r"roster\.db: no usable roster"):
        Directory(path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE person SET body = x'7b'",
        "UPDATE person SET body = NULL",
        "UPDATE person SET body = 5",
        "UPDATE person SET body = x'ff'",
        'UPDATE person SET body = CAST(\'{"member":{"id":"m","badges":[],"level":"x"}}\' AS BLOB)',
        "DROP TABLE person",
    ],
)
def test_a_damaged_row_admits_nobody_and_is_a_usage_error(path, opened, change):
    store(of(people(1)), path)
    alter(path, change)
    with pytest.raises(UsageError, match=r"roster\.db: the stored roster is damaged \(.*\); fetch or save it again"):
        opened().find(digest(0))


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE person SET body = CAST(\'{"memver":{"id":"m","badges":[]}}\' AS BLOB)',
        "UPDATE badge SET digest = 1000000000000",
        "UPDATE badge SET digest = 'text'",
        "UPDATE badge SET digest = 1.5",
    ],
)
def test_a_damaged_row_is_a_usage_error_for_the_guard_too(path, opened, change):
    store(of(people(1)), path)
    alter(path, change)
    with pytest.raises(UsageError, match="the stored roster is damaged"):
        opened().all_members()


@pytest.mark.parametrize("key", ["version", "members", "fresh_for_s"])
def test_a_number_without_end_is_no_roster(path, key):
    store(of(people(1)), path)
    alter(path, f"UPDATE meta SET value = 9e999 WHERE key = '{key}'")
    with pytest.raises(UsageError, match="no usable roster"):
        Directory(path)


def test_damage_below_sqlite_is_a_usage_error_for_the_guard_too(path, opened):
    store(of(people(500)), path)
    directory = opened()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 8192))
    with pytest.raises(UsageError, match="the stored roster is damaged"):
        directory.all_members()


@given(st.data())
def test_whatever_bytes_are_damaged_only_a_usage_error_or_a_true_answer_comes_out(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("roster") / "roster.db"
    store(of(people(20)), path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        directory = Directory(path)
    except UsageError:
        return
    try:
        for n in range(25):
            directory.find(digest(n))
        directory.all_members()
    except UsageError:
        pass
    finally:
        directory.close()


# --- a hundred thousand -----------------------------------------------------------------------------------------------


def most_steps_of_a_look_up(path: Path, count: int) -> int:
    """Return the most steps that SQLite does for one of many look-ups."""
    directory = Directory(path)
    digests = [digest(n * 7919 % count) for n in range(200)]
    found = [steps(directory._db, lambda one=one: directory.find(one)) for one in digests]
    directory.close()
    return max(found)


def test_a_look_up_among_a_hundred_thousand_is_as_much_work_as_among_a_thousand(tmp_path):
    small, large = tmp_path / "small.db", tmp_path / "large.db"
    store(of(people(1_000)), small)
    store(of(people(100_000)), large)
    assert 0 < most_steps_of_a_look_up(large, 100_000) <= most_steps_of_a_look_up(small, 1_000)


def test_hours_that_do_not_exist_are_no_roster(path):
    hours = [wire.Window(days=[8], start="08:00", to="26:00")]
    with pytest.raises(UsageError, match="hours: windows: found the days"):
        store(of(people(1), hours=hours), path)


@pytest.mark.parametrize("part", ["badge_key_mark", "content", "hours", "machine", "prices", "source"])
def test_a_roster_of_another_version_is_refused_and_not_read_without_what_it_lacks(path, part):
    """Commits before the release of 0.1.0 stored some without hours, prices or source. Half a roster must admit no one."""
    machine = wire.MachineRules(lock=wire.Lock(id="l-1", when="now", reason="belt"))
    store(of(people(1), machine=machine), path)
    alter(path, f"DELETE FROM meta WHERE key = '{part}'")
    with pytest.raises(
        UsageError, match=rf"no usable roster \(it has no '{part}': another version of fabgate stored it"
    ):
        Directory(path)
