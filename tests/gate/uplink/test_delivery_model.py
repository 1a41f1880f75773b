"""Both ends of the wire under everything that happens to them: does every entry arrive, once, or is named as lost?

The gate's end is the real uplink and its real ``Delivery``, turn by turn and without a network, on a journal that is a
list. The collector's end is a second implementation in sixty lines. Between them a broker that loses, doubles and reorders,
forgets what it retained or remembers an older word. Both ends are killed; the collector is restored from a copy, or
emptied; the gate's card is restored from an image, or made anew. Then the faults end, time passes, and the books are
compared. ``tests/collector/recording/intake/test_both_ends.py`` runs the same world with the real collector.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest

from tests.gate.uplink.delivery_world import CARDS, FAULTS, World, compare, compare_older_journals, survives

RUNS = int(os.environ.get("FABGATE_MODEL_RUNS", "160"))
STEPS = 120


@pytest.mark.parametrize("faults", [FAULTS, CARDS], ids=["all", "cards"])
@pytest.mark.parametrize("part", range(4))
def test_after_all_faults_every_entry_has_arrived_once_or_is_named_as_lost(
    tmp_path: Path, part: int, faults: dict[str, float]
) -> None:
    for seed in range(part, RUNS, 4):
        survives(World(tmp_path, seed, faults), seed, STEPS)


@pytest.mark.parametrize("part", range(2))
def test_while_no_card_is_put_back_the_journal_never_forks_and_nothing_is_lost_but_by_an_old_collector(
    tmp_path: Path, part: int
) -> None:
    for seed in range(part, RUNS // 2, 2):
        world = World(tmp_path, 10_000 + seed)
        world.images = []
        before = world.happens

        def happens(world: World = world, before: Any = before) -> None:
            state = copy.copy(world.card), world.card_faults
            before()
            if world.card_faults != state[1]:
                world.card, world.card_faults = state
                world.gate_starts()

        world.happens = happens  # type: ignore[method-assign]
        world.run(STEPS)
        world.comes_to_rest()
        compare(world)
        compare_older_journals(world)
        assert world.forks == 0, f"seed {seed}"
        assert len(world.books.journals) == 1
