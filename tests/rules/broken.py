"""Sessions on a machine whose meter is broken."""

from __future__ import annotations

from tests.rules.world import World


def broken(**rules: object) -> World:
    """A session on a machine whose meter has just failed."""
    world = World(run_sense=True, **rules).start()  # type: ignore[arg-type]
    world.lift("ada")
    world.running(False, "meter")
    world.breaks()
    return world


def beside(**rules: object) -> World:
    """A session on a machine whose input reports work, and whose meter is broken."""
    world = broken(**rules)
    world.running(True)
    return world
