"""The roster in force: who is looked up where, what changed, and how old it is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.gate.config.gate_yaml import EmergencyBadge, MachineSection
from fabgate.gate.roster.directory import store
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.gate.roster.locks import Locks
from fabgate.rules import vocabulary
from tests.gate.fakes import NOON
from tests.gate.roster.collector import roster
from tests.gate.shell import digest, gate_config
from tests.support import patience

AT = vocabulary.Now(1_000, NOON, synced=True)


def in_force(
    folder: Path,
    stored: wire.Roster | None = None,
    *,
    age_ms: Callable[[vocabulary.Now], int | None] = lambda _: None,
    in_background: Callable[[Callable[[], None]], None] | None = None,
    **changes: object,
) -> RosterInForce:
    config = gate_config(folder, **changes)
    config.state_dir.mkdir(exist_ok=True)
    if stored is not None:
        store(stored, config.state_dir / "roster.db")
    options = {} if in_background is None else {"in_background": in_background}
    return RosterInForce(config, age_ms=age_ms, **options)


def test_without_a_roster_the_configuration_rules_and_nobody_is_known(tmp_path: Path) -> None:
    found = in_force(tmp_path, machine=MachineSection(limit_s=77))
    assert found.version == 0
    assert found.zone.key == "UTC"
    assert found.look_up(digest("ada")) is None
    assert found.rules().limit_ms == 77_000
    assert not found.is_stale(AT)
    assert found.info(AT) is None
    found.close()


def test_a_roster_rules_and_its_members_are_known(tmp_path: Path) -> None:
    found = in_force(tmp_path, roster(7, tz="Europe/Paris", machine=wire.MachineRules(limit_s=5)))
    assert (found.version, found.zone.key, found.rules().limit_ms) == (7, "Europe/Paris", 5_000)
    assert found.look_up(digest("ada")) == vocabulary.Member("m-ada")
    found.close()


def test_an_emergency_badge_comes_before_the_roster(tmp_path: Path) -> None:
    badges = [EmergencyBadge(digest=digest("ada"), label="desk")]
    found = in_force(tmp_path, roster(), emergency_badges=badges)
    assert found.look_up(digest("ada")) == vocabulary.Emergency("desk")
    found.close()


def test_only_what_is_new_is_told(tmp_path: Path) -> None:
    found = in_force(tmp_path, roster())
    assert found.changed(AT) == [vocabulary.RosterChanged(found.rules(), stale=False)]
    assert found.changed(AT) == []
    assert len(found.changed(AT, members=True)) == 1
    found.locks = Locks((wire.Lock(id="l", when="idle", reason="r"),), 9)
    assert len(found.changed(AT)) == 1
    found.close()


def test_it_is_stale_once_its_age_is_above_what_the_site_trusts(tmp_path: Path) -> None:
    age_ms: int | None = None
    found = in_force(tmp_path, roster(fresh_for_s=60), age_ms=lambda _: age_ms)
    for age_ms, stale in ((None, False), (0, False), (60_000, False), (60_001, True)):
        assert found.is_stale(AT) is stale
        info = found.info(AT)
        assert info is not None
        assert info.age_s == (None if age_ms is None else age_ms // 60_000 * 60)
    found.close()


def test_another_roster_takes_its_place_and_a_missing_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = in_force(tmp_path, roster(7))
    path = gate_config(tmp_path).state_dir / "roster.db"
    store(roster(8, ("bob",)), path)
    found.reload()
    assert found.version == 8
    assert found.look_up(digest("ada")) is None
    path.unlink()
    found.reload()
    assert found.version == 8
    assert found.look_up(digest("bob")) is not None
    found.close()


def test_the_loop_does_not_wait_until_a_replaced_roster_is_freed(tmp_path: Path) -> None:
    later: list[Callable[[], None]] = []
    found = in_force(tmp_path, roster(7), in_background=later.append)
    path = gate_config(tmp_path).state_dir / "roster.db"
    store(roster(8, ("bob",)), path)
    found.reload()
    assert found.look_up(digest("bob")) is not None
    assert open_files(path) == ["roster.db", "roster.db (deleted)"]  # the last close frees its blocks
    for work in later:
        work()
    assert open_files(path) == ["roster.db"]
    found.close()


def test_a_replaced_roster_is_freed_while_the_gate_runs(tmp_path: Path) -> None:
    found = in_force(tmp_path, roster(7))
    path = gate_config(tmp_path).state_dir / "roster.db"
    store(roster(8, ("bob",)), path)
    found.reload()
    patience.wait(lambda: open_files(path) == ["roster.db"], "the end of the replaced roster")
    assert found.look_up(digest("bob")) is not None
    found.close()


def test_a_roster_is_also_replaced_where_no_thread_can_start(tmp_path: Path) -> None:
    found = in_force(tmp_path, roster(7))
    path = gate_config(tmp_path).state_dir / "roster.db"
    store(roster(8, ("bob",)), path)
    before = threading.stack_size(1 << 50)  # more than any computer has
    try:
        found.reload()
    finally:
        threading.stack_size(before)
    assert open_files(path) == ["roster.db"]
    assert found.look_up(digest("bob")) is not None
    found.close()


def open_files(path: Path) -> list[str]:
    """Return the names of the files in the folder of `path` that this process has open; a replaced one is "(deleted)"."""
    names = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            names.append(str(link.readlink()))
    return sorted(name.removeprefix(f"{path.parent}/") for name in names if name.startswith(f"{path.parent}/"))
