"""Does the model of power failures detect a journal that breaks its promise?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

from fabgate.gate.journal.writer import Journal
from tests.gate.disk import Disk, Platter
from tests.gate.journal.powerloss import draft, journal_on, look, steps_that_fail

# --- does the model bite? ---------------------------------------------------------------------------------------------


def lost_entries(folder: Path, disk: Disk, journal: Journal) -> int:
    """Append ten entries, each of which returns; cut the power; count those that are gone."""
    drafts = [draft("access.refused", number) for number in range(1, 11)]
    for one in drafts:
        journal.append([one])
    disk.stop()
    journal.close()
    disk.restart()
    journal.open()
    found = set(look(journal)["uids"])
    journal.close()
    disk.close()
    return sum(one.uid not in found for one in drafts)


def test_control_with_full_nothing_is_lost(folder):
    disk = Disk(folder, Random(0))
    assert lost_entries(folder, disk, journal_on(disk)) == 0


def test_control_with_synchronous_normal_the_model_loses_entries_that_returned(folder):
    disk = Disk(folder, Random(0))
    disk.instead = {"PRAGMA synchronous=FULL": "PRAGMA synchronous=NORMAL"}
    assert lost_entries(folder, disk, journal_on(disk)) == 10


def test_control_without_a_synced_directory_the_model_loses_the_database(folder):
    disk = Disk(folder, Random(0))
    assert lost_entries(folder, disk, journal_on(disk, sync_directory=lambda _: None)) == 10


def test_control_without_writing_the_wal_again_a_retry_returns_and_the_entry_is_lost(folder):
    lost = 0
    for life, _, _ in steps_that_fail(folder, "start", for_ever=True, forgetful=True):
        life.disk.heal()
        journal = journal_on(life.disk, write_back=lambda _: None)
        journal.append(*life.interrupted)
        life.disk.stop()
        journal.close()
        life.disk.mode = "drop"
        life.disk.restart()
        journal.open()
        lost += life.interrupted[0][-1].uid not in look(journal)["uids"]
        journal.close()
    assert lost


def test_control_the_model_tears_at_sectors_and_keeps_what_was_synced():
    platter = Platter()
    platter.dirty.append((0, b"s" * 4096))
    platter.sync()
    platter.dirty.append((700, b"n" * 2000))
    platter.lose("torn", Random(3))
    assert not platter.dirty
    borders = [0, 700, 1024, 1536, 2048, 2560, 2700, 4096]
    pieces = [bytes(platter.durable[a:b]) for a, b in pairwise(borders)]
    assert all(len(set(piece)) == 1 for piece in pieces), "torn at sectors only"
    assert {piece[:1] for piece in pieces[1:-1]} == {b"s", b"n"}, "some are old and some are new"
