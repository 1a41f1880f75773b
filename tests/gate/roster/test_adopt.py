"""A roster of another source, or one that lost many members: refused until a person on the gate adopts it, once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Config, RosterSource
from fabgate.gate.roster import http_source
from fabgate.gate.roster.adopt import adopt
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.source import FileSource, RosterConfirmed, RosterRefused, RosterStored
from tests.gate.fakes import Time
from tests.gate.roster.collector import Collector, Server, everybody, many, roster
from tests.gate.shell import BADGE_KEY, Bench, gate_config, wait, write_roster

#: A roster's version is a time in milliseconds; the file of a bench is a few minutes younger than the collector's first.
EARLY = 1_764_000_000_000
LATE_S = 1_764_000_300


class Site:
    """One gate that has a members file and may follow a collector: its files, and what its sources posted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collector = Collector(current=roster(EARLY, collector="c-new"))
        self.server = Server(self.collector)
        self.time = Time()
        self.posted: list[object] = []
        self.token = folder / "token"
        self.token.write_text("the-token\n")
        self.file = folder / "members.json"
        self.write()
        self.by_file = gate_config(folder, roster=RosterSource(file=self.file))
        url = f"http://127.0.0.1:{self.collector.port}/"
        self.by_url = gate_config(folder, roster=RosterSource(url=url, token_file=self.token, fetch_every_s=3600))
        self.state = self.by_file.state_dir
        self.state.mkdir()
        self.stored = self.state / "roster.db"

    def write(self, *, people: tuple[str, ...] = ("ada", "bob"), **machine: Any) -> None:
        write_roster(self.file, people=people, **machine)
        os.utime(self.file, (LATE_S, LATE_S))

    def http(self) -> HttpSource:
        """Return a source that follows the collector, as a start makes it."""
        clock = self.time.clock()
        return HttpSource(
            self.by_url, self.stored, self.posted.append, boot=self.time.boot, now=clock.now, timeout_s=20.0
        )

    def fetch(self, source: HttpSource | None = None) -> list[object]:
        self.posted.clear()
        (source or self.http()).fetch()
        return list(self.posted)

    def files(self) -> FileSource:
        return FileSource(
            self.file,
            self.stored,
            self.posted.append,
            badge_key=BADGE_KEY,
            topics=self.by_file.topics,
            fallback=self.by_file.machine.rules(),
        )

    def read(self, source: FileSource | None = None) -> list[object]:
        self.posted.clear()
        source = source or self.files()
        source.poll()
        source.poll()
        return list(self.posted)

    def adopt(self, config: Config | None = None) -> list[str]:
        return adopt(config or self.by_url)

    def members(self) -> set[str]:
        with contextlib.closing(Directory(self.stored)) as directory:
            return {member.id for member in directory.all_members()}

    @property
    def source(self) -> str:
        with contextlib.closing(Directory(self.stored)) as directory:
            return directory.source


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.server.close()


def reason(posted: list[object]) -> str:
    (found,) = posted
    assert isinstance(found, RosterRefused), posted
    return found.reason


# --- from a members file to a collector -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [EARLY, LATE_S * 1000, LATE_S * 1000 + 1, 2 * EARLY])
def test_a_collector_after_a_members_file_waits_for_a_person_whichever_clock_is_ahead(site: Site, version: int) -> None:
    site.read()
    site.collector.current = roster(version, collector="c-new")
    source = site.http()
    found = reason(site.fetch(source))
    assert "a roster of the collector c-new, but the one in force is of the members file" in found
    assert "run 'fabgate roster adopt' on this gate" in found
    assert site.fetch(source) == [], "it is one entry, not one for each try"
    assert site.members() == {"m-ada", "m-bob"}, "people go on working"
    site.adopt()
    assert site.fetch(source) == [RosterStored(version, 5, adopted=True)]
    assert len(site.members()) == 5
    assert site.fetch(source) == [RosterConfirmed()]
    site.collector.current = roster(version + 1, collector="c-new")
    assert site.fetch(source) == [RosterStored(version + 1, 5)], "from then on by itself"


def test_the_adopted_roster_is_taken_whole_without_those_of_the_file(site: Site) -> None:
    people = [{"id": f"b-{number}", "badges": [f"04A1B2{number:02X}"]} for number in range(20)]
    site.file.write_text(json.dumps({"members": people}))
    site.read()
    told = site.adopt()
    assert "no longer members: 20 (b-0, b-1, b-10…)" in told
    assert site.fetch() == [RosterStored(EARLY, 5, adopted=True)], "nothing is kept, and nothing is refused"
    assert not any(id_.startswith("b-") for id_ in site.members())


def test_it_says_what_changes_also_in_the_rules_of_the_machine(site: Site) -> None:
    site.write(limit_s=7200)
    site.read()
    told = site.adopt()
    assert told[0].startswith("in force: version 1764000300000 of the members file, 2 members")
    assert told[1] == "adopted:  version 1764000000000 of the collector c-new, 5 members"
    assert "machine.limit_s: 7200 becomes 43200" in told


def test_a_gate_without_any_roster_takes_the_first_one_by_itself(site: Site) -> None:
    with pytest.raises(UsageError, match=r"no roster is stored yet\. The gate accepts the first one automatically"):
        site.adopt()
    assert site.fetch() == [RosterStored(EARLY, 5)]


@pytest.mark.parametrize("name", [None, ""])
@pytest.mark.parametrize("before", ["nothing", "file", "collector"])
def test_a_roster_that_does_not_name_its_collector_is_refused_and_cannot_be_adopted(
    site: Site, before: str, name: str | None
) -> None:
    if before == "file":
        site.read()
    if before == "collector":
        site.fetch()
    members = site.members() if before != "nothing" else None
    site.collector.current = roster(EARLY + 1, collector=name)
    assert "found a roster that does not name its collector" in reason(site.fetch())
    if members is None:
        assert not site.stored.exists()
        return
    with pytest.raises(UsageError, match="does not name its collector"):
        site.adopt()
    assert site.members() == members


# --- back, and to another collector -----------------------------------------------------------------------------------


def test_a_members_file_after_a_collector_waits_for_a_person(site: Site) -> None:
    site.fetch()
    source = site.files()
    assert "a roster of the members file, but the one in force is of the collector c-new" in reason(site.read(source))
    assert site.read(source) == [], "it is not read again each second"
    site.adopt(site.by_file)
    (stored,) = site.read(source)
    assert stored == RosterStored(LATE_S * 1000, 2, adopted=True)
    assert site.members() == {"m-ada", "m-bob"}
    assert not (site.state / "roster.adopt").exists()


@pytest.mark.parametrize("version", [EARLY - 1, EARLY + 1])
def test_another_collector_waits_for_a_person_and_its_address_does_not_matter(site: Site, version: int) -> None:
    site.fetch()
    site.collector.current = roster(version, collector="c-other")
    assert "the collector c-other" in reason(site.fetch())
    site.adopt()
    assert site.fetch() == [RosterStored(version, 5, adopted=True)]
    site.collector.current = roster(version + 1, collector="c-new")
    assert "the collector c-new" in reason(site.fetch()), "the first one is another source now"


# --- no way back ------------------------------------------------------------------------------------------------------


def test_an_older_roster_of_the_same_collector_cannot_be_adopted(site: Site) -> None:
    site.fetch()
    site.collector.current = roster(EARLY - 1, collector="c-new")
    with pytest.raises(UsageError, match="an older roster never replaces a newer one"):
        site.adopt()
    assert not (site.state / "roster.adopt").exists()


def test_an_adoption_does_not_let_an_older_roster_of_the_same_collector_in(site: Site) -> None:
    """Not even one that somebody wrote by hand, which is what a mistake in the verb would amount to."""
    site.fetch()
    stored = roster_origin_which(site)
    old = roster(EARLY - 1, ("ada",), collector="c-new")
    from fabgate.gate.roster.origin import Adoption, AdoptionFile, RosterId

    AdoptionFile(site.stored).write(Adoption(replaces=stored, takes=RosterId.of(old, "collector:c-new")))
    site.collector.current = old
    assert "an older roster never replaces a newer one" in reason(site.fetch())
    assert len(site.members()) == 5


def roster_origin_which(site: Site) -> Any:
    from fabgate.gate.roster.origin import RosterId

    found = RosterId.stored(site.stored)
    assert found is not None
    return found


def test_what_needs_no_adoption_is_refused_and_leaves_nothing_behind(site: Site) -> None:
    site.fetch()
    for version in (EARLY, EARLY + 1):
        site.collector.current = roster(version, collector="c-new")
        with pytest.raises(
            UsageError, match=r"there is nothing to adopt: the gate accepts version \d+ .* automatically"
        ):
            site.adopt()
    site.read()
    assert not (site.state / "roster.adopt").exists()


def test_it_holds_for_the_roster_that_was_looked_at_and_no_other(site: Site) -> None:
    site.read()
    site.adopt()
    site.collector.current = roster(EARLY + 1, ("eve",), collector="c-new")
    assert "run 'fabgate roster adopt'" in reason(site.fetch())
    assert site.members() == {"m-ada", "m-bob"}
    site.collector.current = roster(EARLY, collector="c-new")
    assert "run 'fabgate roster adopt'" in reason(site.fetch()), "it is used up by then"
    assert not (site.state / "roster.adopt").exists()


def test_it_survives_a_restart_and_a_collector_that_is_away(site: Site) -> None:
    site.read()
    site.adopt()
    site.collector.tamper = lambda *_: (503, b"", {})
    assert "found HTTP 503" in reason(site.fetch())
    site.collector.tamper = lambda s, b, h: (s, b[:-2] + b"  ", h)
    assert "seal" in reason(site.fetch())
    site.collector.tamper = None
    assert site.fetch() == [RosterStored(EARLY, 5, adopted=True)]


def test_a_word_that_a_crash_left_behind_lets_nothing_in(site: Site) -> None:
    """The power fails after the adopted roster is in place and before the word is deleted."""
    site.read()
    site.adopt()
    word = site.state / "roster.adopt"
    shutil.copy(word, site.folder / "left")
    site.fetch()
    shutil.copy(site.folder / "left", word)
    assert site.fetch() == [RosterConfirmed()]
    assert not word.exists()
    # Not even where it is put back after a change of source in between.
    site.adopt(site.by_file)
    site.read()
    site.write(people=("ada", "bob", "sue"))
    site.read()
    shutil.copy(site.folder / "left", word)
    assert "run 'fabgate roster adopt'" in reason(site.fetch())
    assert site.members() == {"m-ada", "m-bob", "m-sue"}


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 5000, b'{"replaces":1,"takes":2}'])
def test_a_damaged_word_is_no_word(site: Site, content: bytes) -> None:
    site.read()
    (site.state / "roster.adopt").write_bytes(content)
    assert "run 'fabgate roster adopt'" in reason(site.fetch())
    assert not (site.state / "roster.adopt").exists()
    assert site.members() == {"m-ada", "m-bob"}


def test_adopting_before_the_restart_with_the_new_configuration_is_as_good(site: Site) -> None:
    running = site.files()
    site.read(running)
    site.adopt()  # gate.yaml names the collector already, and the process still follows the file
    assert site.read(running) == [RosterConfirmed()]
    assert site.fetch() == [RosterStored(EARLY, 5, adopted=True)]


def test_a_damaged_roster_of_another_source_is_not_kept(site: Site) -> None:
    site.read()
    source = site.http()
    source.replace_damaged()  # the stored roster cannot be read, so the gate knows no member
    assert site.fetch(source) == [RosterStored(EARLY, 5)]


# --- the guard --------------------------------------------------------------------------------------------------------


def test_a_collectors_roster_that_lost_many_members_is_adopted_on_the_gate(site: Site) -> None:
    site.collector.current = roster(EARLY, members=[*everybody(), *many()], collector="c-new")
    source = site.http()
    site.fetch(source)
    site.collector.current = roster(EARLY + 1, ("ada",), collector="c-new")
    stored, refused = site.fetch(source)
    assert stored == RosterStored(EARLY + 1, 1)
    assert isinstance(refused, RosterRefused)
    assert len(site.members()) == 8
    told = site.adopt()
    assert "no longer members: 7 (m-a, m-b, m-bob…)" in told
    assert site.fetch(source) == [RosterStored(EARLY + 1, 1, adopted=True)]
    assert site.members() == {"m-ada"}
    with pytest.raises(UsageError, match="nothing to adopt"):
        site.adopt()


def test_a_members_file_that_lost_many_members_is_adopted_on_the_gate(site: Site) -> None:
    people = [{"id": f"b-{number}", "badges": [f"04A1B2{number:02X}"]} for number in range(20)]
    site.file.write_text(json.dumps({"members": people}))
    source = site.files()
    site.read(source)
    site.file.write_text(json.dumps({"members": people[:3]}))
    assert len(site.read(source)) == 2
    assert len(site.members()) == 20
    site.adopt(site.by_file)
    (stored,) = site.read(source)
    assert isinstance(stored, RosterStored)
    assert stored.adopted
    assert site.members() == {"b-0", "b-1", "b-2"}


# --- through the whole gate -------------------------------------------------------------------------------------------


def test_a_gate_goes_from_its_bench_to_a_collector_that_let_it_in_before(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector built its roster, with a lock, before the members file of the bench was last written."""
    monkeypatch.setattr(http_source, "ADOPTION_EVERY_S", 0.05)
    lock = wire.Lock(id="l-1", when="now", reason="no guard yet")
    site.collector.current = roster(EARLY, machine=wire.MachineRules(lock=lock), collector="c-new")
    bench = Bench(site.folder, roster=site.by_file.roster)
    bench.start()
    bench.use("ada")
    bench.stop()
    bench.config = site.by_url
    bench.start()
    found = bench.wait_for_status(lambda status: any("fabgate roster adopt" in line for line in status["problems"]))
    assert found["roster"]["source"] == "file"
    bench.use("ada")
    site.adopt()
    wait(lambda: bench.daemon._in_force.version == EARLY, "the adopted roster")
    bench.settle()
    assert bench.causes == ["lock-now"], "a lock of the new source is not older than what the file said"
    found = bench.wait_for_status(lambda status: not status["problems"])
    assert found["roster"]["source"] == "collector:c-new"
    assert [entry.adopted for entry in bench.wait_for_entries("roster.replaced", 2)] == [False, True]
    bench.stop()
    bench.start()
    assert bench.causes == ["lock-now"]
    bench.close()


def test_a_word_does_not_make_a_gate_ask_without_pause(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_source, "ADOPTION_EVERY_S", 0.001)
    monkeypatch.setattr(http_source, "RETRY_FIRST_S", 3600.0)
    site.read()
    site.adopt()
    site.collector.tamper = lambda *_: (503, b"", {})
    source = site.http()
    asked = len(site.collector.asked)
    looks = threading.Semaphore(0)
    arrived = source._adoptions.arrived

    def counted() -> bool:
        looks.release()
        return arrived()

    monkeypatch.setattr(source._adoptions, "arrived", counted)
    thread = threading.Thread(target=source.run)
    thread.start()
    for _ in range(50):
        assert looks.acquire(timeout=20)
    source.stop()
    thread.join()
    assert len(site.collector.asked) - asked <= 3
