"""Does every page that answers a moment, or shows a session, agree with what a naive reading of the same story says?"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from fabgate import wire
from fabgate.collector.faces.pages.use.moment import answer
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Gate, Hole, Machine, Review, UsageSession
from fabgate.collector.money.paper.figures import duration
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.used import BOOTED, MINUTE, NOON, Used, text
from tests.collector.gates import Journal as Writer

pytestmark = pytest.mark.usefixtures("database")

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Story:
    """One session as it was, and what a person said of it afterwards."""

    id: str
    start: datetime
    on: timedelta
    uncertain: timedelta = timedelta()
    corrected: timedelta | None = None

    @property
    def until(self) -> datetime:
        return self.start + (self.on if self.corrected is None else self.corrected)

    def covers(self, moment: datetime) -> str | None:
        if moment < self.start:
            return None
        if moment <= self.until:
            return ""
        if moment <= self.start + self.on + self.uncertain:
            return "uncertain" if self.corrected is None else "corrected"
        return None


def writing(*gates: str) -> Used:
    """Gates of a workshop that is there already, each with a new journal."""
    used = Used.__new__(Used)
    used.now, used.journals = NOON + timedelta(days=2), {}
    for gate in gates:
        used.journals[gate] = Writer(gate=gate, name=f"{gate}-new", boot=f"{gate}-b")
    return used


def told(gate: str, pick: random.Random, longest: int) -> tuple[list[Story], Writer]:
    """Let a gate write sessions one after the other, some of which a power cut ends."""
    stories: list[Story] = []
    journal = Writer(gate=gate, name=f"journal-{gate}-two", boot=f"boot-{gate}-1")
    at, booted = NOON - timedelta(days=1), BOOTED

    def write(kind: str, when: datetime, **data) -> None:
        journal.boottime_ms = (when - booted) // MS - 1000
        journal.write(kind, time=when, **data)

    write("gate.started", at, version="1")
    for number in range(pick.randrange(8, 25)):
        at += pick.randrange(1, 90) * SECOND
        on = pick.randrange(5, longest) * SECOND
        who = {"session": f"{gate}-{number}", "member": f"m-{number % 3 + 1}", "badge": "d"}
        ran = {"energised_ms": on // MS, "running_ms": on // MS * 2 // 3}
        write("session.started", at, basis=wire.Basis(kind="grant"), mode="tap", **who)
        story = Story(f"{gate}-{number}", at, on)
        at += on
        if pick.random() < 0.2:  # the gate comes back later, and writes down then how it ended
            story = replace(story, uncertain=pick.randrange(1, 300) * SECOND)
            at += story.uncertain + pick.randrange(1, 600) * SECOND
            booted, journal.boot = at - SECOND, f"boot-{gate}-{number}-again"
            write("session.ended", at, reason="power-loss", uncertainty_ms=story.uncertain // MS, **who, **ran)
        else:
            write("session.ended", at, reason="badge", **who, **ran)
        stories.append(story)
    write("gate.stopping", at + timedelta(days=1), reason="x")
    return stories, journal


def put_right(story: Story, pick: random.Random) -> Story:
    if pick.random() < 0.3:
        corrections.correct(story.id, "member", "m-4", author="eve", reason="asked")
    if pick.random() < 0.6:
        return story
    most = (story.on + story.uncertain) // SECOND
    seconds = pick.randrange(0, most) if most else 0
    if seconds * SECOND == story.on:
        return story
    corrections.correct(story.id, "time", str(seconds * 1000), author="eve", reason="asked")
    return replace(story, corrected=seconds * SECOND)


def moments(stories: list[Story], pick: random.Random) -> list[datetime]:
    edges = [edge for one in stories for edge in (one.start, one.until, one.start + one.on, one.until + one.uncertain)]
    near = [edge + pick.choice([-1, 0, 1]) * SECOND for edge in pick.sample(edges, 25)]
    return near + [edges[0] + pick.randrange(0, 40_000) * SECOND for _ in range(10)]


@pytest.fixture
def bandsaw(database) -> Machine:
    Used()
    machine = Machine.objects.get(name="bandsaw")
    Gate.objects.create(name="saw-2", machine=machine)
    return machine


@pytest.mark.parametrize("seed", range(3))
def test_the_page_of_a_moment_answers_as_a_naive_reading_of_all_sessions_does(bandsaw, browse, seed):
    pick = random.Random(seed)
    stories: list[Story] = []
    for gate, longest in (("saw-1", 7_200), ("saw-2", 120)):
        some, journal = told(gate, pick, longest)
        messages = journal.messages()
        pick.shuffle(messages)
        Store("lyon").store(messages, NOON + timedelta(days=2))
        stories += some
    assert UsageSession.objects.filter(reason__isnull=False).count() == len(stories)
    stories = [put_right(story, pick) for story in stories]
    client = browse("auditor")
    for number, moment in enumerate(moments(stories, pick)):
        wanted = {one.id: why for one in stories if (why := one.covers(moment)) is not None}
        found = answer.answer(bandsaw, moment)
        assert {cover.session.pk: cover.perhaps for cover in found["covers"]} == wanted, moment
        assert found["hidden"] == 0
        beside = [one for one in stories if one.id not in wanted]
        before = max((one.until for one in beside if one.until < moment), default=None)
        after = min((one.start for one in beside if one.start > moment), default=None)
        assert (found["before"] and found["before"]["session"].counted_until) == before, moment
        assert (found["after"] and found["after"]["session"].started_at) == after, moment
        if number % 7 == 0:
            page = text(client.get(f"/use/moment?machine={bandsaw.pk}&day={moment:%Y-%m-%d}&time={moment:%H:%M:%S}"))
            assert ("<h2>Nobody" in page) == (not wanted)
            assert page.count("Was using it") == sum(why == "" for why in wanted.values())
            assert page.count("No, according to the correction") == sum(why == "corrected" for why in wanted.values())


def test_nobody_is_not_said_because_many_ended_between_the_moment_and_the_end_of_who_used_it(bandsaw, browse):
    """The second gate's sessions all end before the long one does."""
    used = writing("saw-1", "saw-2")
    used.session("long", "m-1", NOON, 240)
    for number in range(30):
        used.session(f"short-{number}", "m-2", NOON + (60 + 5 * number) * MINUTE, 3, gate="saw-2")
    moment = NOON + 30 * MINUTE
    assert [cover.session.pk for cover in answer.answer(bandsaw, moment)["covers"]] == ["long"]
    page = text(browse("auditor").get(f"/use/moment?machine={bandsaw.pk}&day={moment:%Y-%m-%d}&time={moment:%H:%M}"))
    assert "Zoé Müller" in page
    assert "<h2>Nobody" not in page


@pytest.fixture
def corrected(database) -> Used:
    """An hour from noon, forty minutes of it running, of which a person left ten."""
    used = Used()
    used.begin("s-1", "m-1", NOON)
    used.end("s-1", "m-1", NOON + 60 * MINUTE, 3_600_000, running_ms=2_400_000, uncertainty_ms=30_000)
    used.write("saw-1", "gate.stopping", NOON + 200 * MINUTE, reason="x")
    corrections.correct("s-1", "time", "600000", author="eve", reason="they left at ten past")
    return used


@pytest.mark.parametrize(
    ("minutes", "who", "said"),
    [
        (5, "Zoé Müller", "Was using it"),
        (30, "Zoé Müller", "No, according to the correction"),
        (90, "Nobody", "nothing is missing"),
    ],
)
def test_a_moment_that_a_correction_took_away_is_not_said_to_be_used(corrected, browse, minutes, who, said):
    moment = NOON + minutes * MINUTE
    machine = Machine.objects.get(name="bandsaw")
    page = text(browse("auditor").get(f"/use/moment?machine={machine.pk}&day={moment:%Y-%m-%d}&time={moment:%H:%M}"))
    assert f"<h2>{who}</h2>" in page
    assert said in page
    assert ("Was using it" in page) == (said == "Was using it")


def test_a_correction_of_the_time_carries_every_figure_on_every_page(corrected, browse, account):
    on, all_of_it = duration(600_000), duration(2_400_000)
    client = browse("manager")
    for page in ("/use/s-1", "/use?period=all&machine=" + str(Machine.objects.get(name="bandsaw").pk)):
        shown = text(client.get(page))
        assert on in shown
        assert "corrected: Powered on" in shown
        assert f"{NOON + 10 * MINUTE:%H:%M}" in shown
        assert "up to" not in shown
    assert f"(recorded: {all_of_it})" in text(client.get("/use/s-1"))
    row = UsageSession.objects.get()
    assert (row.counted_running_ms, row.counted_uncertainty_ms, row.uncertain) == (600_000, 0, False)
    assert row.counted_until == NOON + 10 * MINUTE
    mine = text(browse(account("member", member_id="m-1")).get("/my-minutes/sessions/s-1"))
    mine, recorded = mine.split("<h2>What the gate recorded</h2>")
    assert all_of_it not in mine
    assert all_of_it in recorded
    assert "Approximate" not in mine
    assert f"{NOON + 10 * MINUTE:%H:%M}" in mine
    lately = text(client.get("/people/m-1"))
    assert 'title="corrected"' in lately


def test_a_correction_that_is_corrected_gives_the_recorded_figures_back(corrected):
    corrections.correct("s-1", "time", "3000000", author="eve", reason="fifty minutes")
    row = UsageSession.objects.get()
    assert (row.counted_running_ms, row.counted_until) == (2_400_000, NOON + 50 * MINUTE)


def complete(machine: Machine, moment: datetime) -> tuple[bool, list[tuple[str, int]]]:
    found = answer.answer(machine, moment)
    return found["is_proven"], [(row.gate.name, row.missing) for row in found["gates"]]


def test_nobody_is_proven_only_where_each_gate_that_stood_there_has_told_everything(bandsaw, browse):
    """The second gate has never written anything."""
    moment = NOON - 100 * MINUTE
    used = writing("saw-1")
    used.write("saw-1", "gate.started", NOON - 200 * MINUTE, version="1")
    used.write("saw-1", "gate.stopping", NOON, reason="x")
    assert complete(bandsaw, moment) == (False, [("saw-1", 0), ("saw-2", 0)])
    used.journals["saw-2"] = Writer(gate="saw-2", name="j2", boot="b2")
    used.write("saw-2", "gate.started", NOON - 200 * MINUTE, version="1")
    assert complete(bandsaw, moment)[0] is False
    used.journals["saw-2"].write("gate.stopping", reason="x", time=NOON - 90 * MINUTE)
    used.write("saw-2", "gate.stopping", NOON, reason="x")
    assert complete(bandsaw, moment) == (False, [("saw-1", 0), ("saw-2", 1)])  # the second one is on its way
    client = browse("auditor")
    address = f"/use/moment?machine={bandsaw.pk}&day={moment:%Y-%m-%d}&time={moment:%H:%M}"
    page = text(client.get(address))
    assert "<h2>No one on record</h2>" in page
    assert "1 entry that may be from this moment is missing" in page
    Store("lyon").store([used.journals["saw-2"].status(floor=3)], NOON)
    assert complete(bandsaw, moment) == (False, [("saw-1", 0), ("saw-2", 1)])  # and now it is lost
    Hole.objects.update(state=Hole.COPIED)
    assert complete(bandsaw, moment) == (True, [("saw-1", 0), ("saw-2", 0)])
    page = text(client.get(address))
    assert "<h2>Nobody</h2>" in page
    assert f"complete until {NOON:%-d %b %Y}" in page


def test_a_gate_that_was_moved_since_still_answers_for_the_machine_at_which_it_stood(bandsaw):
    gate = Gate.objects.get(name="saw-2")
    with audit.change("eve", "gate.moved", gate):
        gate.machine = Machine.objects.get(name="lathe")
        gate.save()
    names = [row.gate.name for row in answer.answer(bandsaw, NOON)["gates"]]
    assert names == ["saw-1", "saw-2"]


def test_a_session_whose_start_never_arrived_covers_no_more_than_it_lasted(bandsaw):
    used = writing("saw-1")
    used.end("s-1", "m-1", NOON + 60 * MINUTE, 1_800_000)
    covers = {
        minutes: [cover.perhaps for cover in answer.answer(bandsaw, NOON + minutes * MINUTE)["covers"]]
        for minutes in (-1_000, 20, 40, 70)
    }
    assert covers == {-1_000: [], 20: [], 40: [""], 70: []}


@pytest.mark.parametrize(("minutes", "perhaps"), [(-70, []), (-50, ["clock"]), (10, ["clock"]), (70, [])])
def test_a_session_whose_gate_had_a_wrong_clock_may_cover_moments_beside_its_dates(bandsaw, minutes, perhaps):
    used = writing("saw-1")
    used.session("s-1", "m-1", NOON, 30)
    UsageSession.objects.update(clock_off_ms=3_600_000, doubt="clock")
    Review.objects.create(session_id="s-1", why="clock", opened_at=NOON, settled_at=NOON)
    found = answer.answer(bandsaw, NOON + minutes * MINUTE)["covers"]
    assert [cover.perhaps for cover in found] == perhaps


def test_a_block_that_began_long_ago_still_held(bandsaw):
    used = writing("saw-1")
    used.write("saw-1", "machine.blocked", NOON - 40 * MINUTE, cause="estop", level="cut")
    journal = used.journals["saw-1"]
    journal.boottime_ms = (NOON - BOOTED) // MS
    messages = [journal.write("access.refused", time=NOON, badge="d", reasons=["in-use"]) for _ in range(20_500)]
    for first in range(0, len(messages), 1_000):
        Store("lyon").store(messages[first : first + 1_000], used.now)
    found = answer.answer(bandsaw, NOON + MINUTE)["gates"]
    assert found[0].causes == ["Emergency stop pressed"]
