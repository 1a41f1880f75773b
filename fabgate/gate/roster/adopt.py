"""Allows a roster that the gate does not accept automatically: ``fabgate roster adopt``.

There are two such rosters: one of another source (``origin``), and one from which too many members are missing
(docs/decisions/0055). This fetches the roster that is offered now, lists what would change, and writes an adoption for
the gate, which is valid for that roster only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.clock import Clock
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.config.keys import badge_key, badge_keys
from fabgate.gate.roster import file, origin
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.origin import Adoption, AdoptionFile, RosterId
from fabgate.gate.roster.source import would_vanish

#: How many of the vanishing members are listed by name.
_NAMED: Final = 3


def adopt(config: Config) -> list[str]:
    """Allow the roster that is offered now to replace the stored one; return the changes as lines of text.

    Raises UsageError where no adoption is needed or possible, SealError or OSError where no roster is offered.
    """
    path = config.state_dir / "roster.db"
    stored = RosterId.stored(path)
    if stored is None:
        raise UsageError(
            f"{path}: no roster is stored yet. The gate accepts the first one automatically; there is nothing to adopt"
        )
    roster, source = _offered(config)
    offered = RosterId.of(roster, source)
    is_same_source = source == stored.source
    if is_same_source and source != origin.FILE and roster.version < stored.version:
        raise UsageError(
            f"found roster version {roster.version} of {origin.describe_source(source)}, but its version {stored.version}"
            " is in force: an older roster never replaces a newer one. Restart the collector to make a newer one"
        )
    gone, _, shrunk = would_vanish(path, roster)
    if is_same_source and not shrunk:
        raise UsageError(
            f"there is nothing to adopt: the gate accepts version {roster.version} of {origin.describe_source(source)}"
            " automatically. Only a roster of another source, or one from which too many members are missing, is adopted"
        )
    AdoptionFile(path).write(Adoption(replaces=stored, takes=offered))
    with closing(Directory(path)) as directory:
        before, members = directory.machine, directory.members
    return [
        f"in force: version {stored.version} of {origin.describe_source(stored.source)}, {_count(members)}",
        f"adopted:  version {roster.version} of {origin.describe_source(source)}, {_count(len(roster.members))}",
        *_missing_members(gone),
        *_changed_rules(before, roster.machine),
    ]


def _offered(config: Config) -> tuple[wire.Roster, str]:
    if config.roster.url is None:
        assert config.roster.file is not None
        roster = file.read(
            config.roster.file,
            key=badge_key(config, make=False),
            topics=config.topics,
            fallback=config.machine.rules(),
        )
        return roster, origin.FILE
    clock = Clock(config.clock.source)
    source = HttpSource(
        config,
        config.state_dir / "roster.db",
        lambda _: None,
        boot=clock.boot,
        now=clock.now,
        badge_keys=badge_keys(config),
    )
    return source.offered()


def _count(members: int) -> str:
    return f"{members} {'member' if members == 1 else 'members'}"


def _missing_members(gone: set[str]) -> Iterator[str]:
    if gone:
        more = "" if len(gone) <= _NAMED else "…"
        yield f"no longer members: {len(gone)} ({', '.join(sorted(gone)[:_NAMED])}{more})"


def _changed_rules(before: wire.MachineRules, after: wire.MachineRules) -> Iterator[str]:
    for name in before.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if old != new and name not in ("lock", "lifted"):
            yield f"machine.{name}: {old} becomes {new}"
