"""Does the journal keep its word when the power fails, or when any single write or sync does?"""

from __future__ import annotations

import os
from random import Random

import pytest

from fabgate.errors import JournalError
from tests.gate.disk import Disk
from tests.gate.journal.powerloss import ACTS, Life, look, steps_that_fail

CUTS_A_LIFE = 25
LIVES = 4_000 if os.environ.get("FABGATE_SOAK") else 40


@pytest.mark.chance
@pytest.mark.parametrize("seed", range(LIVES))
def test_nothing_that_was_promised_is_lost_however_the_power_fails(seed, folder):
    random = Random(seed)
    disk = Disk(folder, random, mode=("drop", "subset", "torn")[seed % 3], forgetful=seed % 2 == 1)
    life = Life(disk, random)
    for _ in range(CUTS_A_LIFE):
        # Sometimes the process is killed first: then what it wrote is seen again and may not be on the platter.
        while random.random() < 0.3:
            disk.stop_at(random.randint(1, random.choice((12, 60))))
            life.run_until_stopped()
            disk.revive()
        # And sometimes the disk is sick for a while.
        if random.random() < 0.3:
            disk.fail_at(random.randint(1, 30), random.choice(("EIO", "ENOSPC")), for_ever=random.random() < 0.5)
        disk.stop_at(random.randint(1, random.choice((12, 60, 250))))
        life.run_until_stopped()
        disk.restart()
    disk.stop_at(400)
    life.run_until_stopped()
    disk.close()


@pytest.mark.parametrize("forgetful", [False, True], ids=["dirty", "forgotten"])
@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("act", ACTS)
def test_each_write_and_sync_may_fail_and_what_returned_is_there_and_what_did_not_can_be_said_again(
    act, error, for_ever, forgetful, folder
):
    how = {"error": error, "for_ever": for_ever, "forgetful": forgetful}
    for life, journal, returned in steps_that_fail(folder, act, **how):
        disk = life.disk
        if for_ever and not returned and life.interrupted:
            with pytest.raises(JournalError):
                journal.append(*life.interrupted)
        disk.heal()
        journal.close()
        # At once a power cut, or first the same drafts again, more work, and then the cut.
        if life.random.random() < 0.7:
            disk.stop_at(life.random.choice((20, 60)))
            life.run_until_stopped(journal)
        disk.stop()
        disk.restart()
        disk.stop_at(60)
        life.run_until_stopped()


def test_a_commit_that_raised_may_be_there_all_the_same_and_is_not_written_twice(folder):
    phantoms = 0
    for life, journal, returned in steps_that_fail(folder, "start", for_ever=True):
        assert not returned
        life.disk.heal()
        journal.open()
        wanted = life.interrupted
        phantoms += look(journal)["uids"][-2:] == [draft.uid for draft in wanted[0]]
        journal.append(*wanted)
        assert look(journal)["uids"][-2:] == [draft.uid for draft in wanted[0]]
    assert phantoms, "the model should know commits that raised and are durable"


def test_after_a_sync_that_failed_what_is_only_in_memory_is_not_believed(folder):
    """Linux counts pages as written once it has reported the error: then a later sync that succeeds proves nothing."""
    for life, journal, _ in steps_that_fail(folder, "end", for_ever=True, forgetful=True):
        life.disk.heal()
        journal.append(*life.interrupted)
        life.disk.stop()
        journal.close()
        life.disk.mode = "drop"
        life.disk.restart()
        journal.open()
        assert look(journal)["uids"][-1] == life.interrupted[0][-1].uid
