"""Does what an admin types after a crash heal each package, wherever apt was killed?"""

from __future__ import annotations

import random

from tests.install import kills
from tests.install.computer import BOTH

_OPERATIONS = (kills.UPDATE, kills.REMOVE, kills.INSTALL, kills.BACK, kills.PURGE)


def test_apt_is_killed_and_heals(systems, seen, request, number_of_kill):
    chance = random.Random(f"{request.config.option.seed}/{number_of_kill}")
    kills.one(systems.installed(*BOTH), _OPERATIONS[number_of_kill % len(_OPERATIONS)], chance, seen)
