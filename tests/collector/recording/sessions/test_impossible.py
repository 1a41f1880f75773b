"""Is each session that cannot be marked, in whatever order its entries come, and nothing that can be?"""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate import wire
from fabgate.collector.cli import sessions as listing
from fabgate.collector.faces.api.programs import sessions
from fabgate.collector.faces.pages.use.exports import tables
from fabgate.collector.ground.models import Gate, LedgerLine, Machine, Member, Review, RosterLimit, UsageSession
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import overlaps
from fabgate.collector.recording.sessions import rows as session_rows
from tests.collector.gates import BOOTED_MS, NOON, Journal
from tests.collector.postgresql import EXAMPLES
from tests.support.work import instructions, steps

pytestmark = pytest.mark.usefixtures("database")

LATER = NOON + timedelta(days=2)


@pytest.fixture
def journal() -> Journal:
    journal = Journal()
    journal.write("gate.started", version="1")
    return journal


def store(*messages) -> None:
    Store("lyon").store(list(messages), LATER)


def reviews() -> dict[str, str | None]:
    return dict(UsageSession.objects.values_list("id", "review"))


def overlapping(journal: Journal) -> None:
    """Two sessions of which the second begins while the first goes on, and a third one after both."""
    journal.start("s-1")
    journal.start("s-2", "m-2")
    journal.end("s-1", 1_000)
    journal.end("s-2", 1_000, "m-2")
    journal.start("s-3")
    journal.end("s-3", 1_000)


def test_sessions_of_one_gate_that_overlap_are_marked_and_others_are_not(journal):
    overlapping(journal)
    store(*journal.messages())
    assert reviews() == {"s-1": "overlap", "s-2": "overlap", "s-3": None}
    other = Journal(gate="saw-1")
    other.start("t-1")
    other.end("t-1", 1_000)
    store(*other.messages())
    assert reviews()["t-1"] is None  # another gate's, at the same time


def test_one_that_was_stored_and_settled_before_is_marked_when_the_other_one_comes(journal):
    overlapping(journal)
    second = [message for message in journal.messages() if b'"s-2"' in message.body]
    store(*(message for message in journal.messages() if message not in second))
    assert reviews() == {"s-1": None, "s-3": None}
    store(*second)
    assert reviews() == {"s-1": "overlap", "s-2": "overlap", "s-3": None}
    kinds = LedgerLine.objects.filter(session="s-1").order_by("pk").values_list("kind", "review")
    assert list(kinds) == [("ended", ""), ("changed", "overlap")]


def spans(first: int, count: int, *, apart_ms: int = 0) -> list[overlaps.Span]:
    """Sessions of one boot that all were in the same hour by the wall clock; the boot clock says `apart_ms` apart."""
    hour = NOON + timedelta(hours=1)
    return [
        overlaps.Span(f"s-{n:05}", 1, "b", n * apart_ms, "b", n * apart_ms + 1_000, NOON, hour, None)
        for n in range(first, first + count)
    ]


def test_looking_at_sessions_that_all_overlap_takes_work_by_their_number_and_not_by_their_pairs():
    # One gate's account, in other hands, stored 10,000 of them; each further batch compared all with all, for minutes.
    def work(count: int) -> int:
        return instructions(lambda: overlaps._overlapping(spans(0, 50), spans(50, count)))

    assert work(2_000) < 3 * work(1_000)


def test_a_clock_that_was_set_back_a_few_times_lets_nothing_overlap():
    few = overlaps.MOST_AT_ONCE
    assert overlaps._overlapping(spans(0, few, apart_ms=5_000), []) == set()


def test_more_sessions_at_one_time_than_any_machine_has_are_all_in_doubt():
    most = overlaps.MOST_AT_ONCE
    found = overlaps._overlapping(spans(0, 5, apart_ms=5_000), spans(5, 2 * most, apart_ms=5_000))
    assert found >= {span.id for span in spans(0, 5)}


@pytest.mark.parametrize("minutes", [1, 600])
def test_sessions_that_are_marked_are_not_asked_again_for_each_further_one(journal, minutes):
    journal.start("s-0")
    for number in range(1, 4):
        journal.start(f"s-{number}")
    for number in range(4):
        journal.end(f"s-{number}", minutes * 60_000)
    store(*journal.messages())
    marked = reviews()
    assert None not in marked.values()
    journal.start("s-9")
    journal.end("s-9", 1_000)
    store(*journal.messages(journal.head - 1))
    rows = session_rows.load_sessions(["s-9"])
    assert overlaps.find(rows.values(), {})[1] == set()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite counts its steps")
def test_gates_without_a_machine_are_looked_at_together():
    # Each gate of a batch read the sessions of all of them: 500 new gates held up everyone's acknowledgements.
    for number in range(32):
        journal = Journal(gate=f"gate-{number}")
        for session in range(8):
            journal.start(f"s-{number}-{session}")
            journal.end(f"s-{number}-{session}", 1_000)
        store(*journal.messages())

    def work(gates: range) -> int:
        rows = session_rows.load_sessions([f"s-{number}-0" for number in gates]).values()
        return steps(connection.connection, lambda: overlaps.find(rows, {}))

    assert work(range(32)) < sum(work(range(number, number + 1)) for number in range(32)) / 2


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_order_entries_come_in_the_same_sessions_are_marked(data):
    """Random spells of use, some of which overlap, some of which end in another boot."""
    journal = Journal()
    journal.write("gate.started", version="1")
    begun: list[str] = []
    for number in range(data.draw(st.integers(2, 7))):
        if begun and data.draw(st.booleans()):
            session = begun.pop(data.draw(st.integers(0, len(begun) - 1)))
            journal.end(session, data.draw(st.integers(0, 3)) * 500)
        elif data.draw(st.integers(0, 5)) == 0:
            journal.boot, journal.boottime_ms = f"boot-{number}", journal.boottime_ms + 600_000
            journal.write("gate.started", version="1")
        else:
            begun.append(f"s-{number}")
            journal.start(begun[-1])
    for session in begun:
        journal.end(session, 700)
    found = []
    for order in (journal.messages(), data.draw(st.permutations(journal.messages()))):
        size = data.draw(st.integers(1, 6))
        with transaction.atomic():
            for first in range(0, len(order), size):
                store(*order[first : first + size])
            found.append(list(UsageSession.objects.order_by("id").values_list("id", "doubt", "review", "uncertain")))
            transaction.set_rollback(True)
    assert found[0] == found[1]


def test_a_handover_what_goes_on_after_one_and_what_was_cancelled_overlap_nothing(journal):
    journal.start("s-1")
    journal.end("s-1", 1_000, reason="handover")
    journal.boottime_ms -= 1000  # one transaction of the gate's journal: the same millisecond
    journal.start("s-2", "m-2")
    journal.start("s-3")  # the disk was late, so that the first one goes on
    journal.end("s-2", 0, "m-2", reason="start-timeout")
    journal.end("s-3", 2_000)
    store(*journal.messages())
    assert reviews() == {"s-1": None, "s-2": None, "s-3": None}


def test_an_end_whose_start_is_lost_is_marked_once_it_cannot_come_any_more(journal):
    start = journal.start("s-1")
    end = journal.end("s-1", 1_000)
    store(journal.message(1), end)
    assert reviews() == {"s-1": None}  # the start is on its way
    store(journal.status(floor=3))
    assert reviews() == {"s-1": "no-start"}
    store(start)
    assert reviews() == {"s-1": None}
    assert Review.objects.get().decision == "resolved"


def test_an_end_without_a_start_in_a_journal_without_gaps_is_marked_at_once(journal):
    journal.end("s-1", 1_000)
    store(*journal.messages())
    assert reviews() == {"s-1": "no-start"}


def test_an_end_that_came_beyond_a_gap_is_looked_at_again_when_the_gap_is_filled_without_its_start(journal):
    journal.write("gate.stopping", reason="x")
    journal.end("s-1", 1_000)
    store(journal.message(1), journal.message(3))
    assert reviews() == {"s-1": None}
    store(journal.message(2))
    assert reviews() == {"s-1": "no-start"}


@pytest.mark.parametrize(
    "said",
    [
        {"member": "somebody-from-a-file"},
        {"member": "emergency:key", "basis": wire.Basis(kind="emergency")},
        {"member": "m-1", "basis": wire.Basis(kind="sponsor"), "supervisor": "m-2"},
    ],
)
def test_what_is_no_impossibility_is_not_marked(journal, said):
    who = {"session": "s-1", "badge": "d1", "basis": wire.Basis(kind="grant"), **said}
    journal.write("session.started", mode="tap", **who)
    journal.boottime_ms += 5_000
    journal.end("s-1", 5_000, said["member"])
    store(*journal.messages())
    assert reviews() == {"s-1": None}


HOUR_MS = 3_600_000


def long(journal: Journal, session: str, versions: tuple[int, int], hours: float, **more: object) -> None:
    """A session that begins by one roster and ends by another, and lasts so many hours."""
    who = {"session": session, "member": "m-1", "badge": "d1"}
    journal.write("session.started", mode="tap", basis=wire.Basis(kind="grant"), roster=versions[0], **who)
    journal.boottime_ms += round(hours * HOUR_MS)
    said = {"energised_ms": round(hours * HOUR_MS), "running_ms": 0, "reason": "limit", **more}
    journal.write("session.ended", roster=versions[1], **who, **said)


@pytest.mark.parametrize(
    ("first", "last", "hours", "review"),
    [
        (100, 100, 3, None),
        (100, 100, 3 + 60 / 3600, None),  # a limit is looked at now and then
        (100, 100, 3 + 60.001 / 3600, "longer-than-allowed"),
        (200, 200, 9, None),  # by the rules that came later it may
        (100, 200, 9, None),  # and those came into force meanwhile
        (200, 100, 9, None),  # it began by rules that allowed it
        (200, 200, 11, "longer-than-allowed"),
        (7, 7, 700, None),  # a roster of another source may allow anything
        (0, 0, 700, None),
    ],
)
def test_a_session_longer_than_its_own_roster_allowed_is_marked(journal, first, last, hours, review):
    gate = Gate.objects.create(name="laser-1", machine=Machine.objects.create(name="laser"))
    for version, longest_s in ((100, 3 * 3600), (200, 10 * 3600)):
        RosterLimit.objects.create(gate=gate, version=version, longest_s=longest_s)
    RosterLimit.objects.create(gate=Gate.objects.create(name="saw-1"), version=7, longest_s=1)
    long(journal, "s-1", (first, last), hours)
    Store("lyon").store(journal.messages(), LATER + timedelta(days=60))
    assert reviews() == {"s-1": review}


@pytest.fixture
def limited(journal) -> int:
    """Return the version of a roster by which a session lasts three hours at most."""
    gate = Gate.objects.create(name="laser-1", machine=Machine.objects.create(name="laser"))
    return RosterLimit.objects.create(gate=gate, version=100, longest_s=3 * 3600).version


def test_what_may_have_been_longer_than_allowed_was_not_for_certain(journal, limited):
    long(journal, "s-1", (limited, limited), 3, reason="power-loss", uncertainty_ms=HOUR_MS)
    store(*journal.messages())
    assert reviews() == {"s-1": "uncertain"}


def test_of_a_session_that_began_before_limits_were_kept_none_is_known(journal, limited):
    long(journal, "s-1", (limited, limited), 9)
    *begin, end = journal.messages()
    store(*begin)
    UsageSession.objects.update(allowed_ms=None)
    store(end)
    assert reviews() == {"s-1": None}


def test_a_boot_that_never_synchronised_is_undated_and_nothing_else(journal):
    journal.boot, journal.synced = "boot-2", False
    overlapping(journal)
    store(*journal.messages())
    assert set(reviews().values()) == {"undated"}


def test_what_cannot_be_is_uncertain_in_files_in_lists_and_for_whoever_bills(journal):
    Member.objects.create(id="m-1", name="Ada")
    overlapping(journal)
    store(*journal.messages())
    form = tables._UnlimitedSessions(QueryDict("period=all"))
    assert form.is_valid()
    table = tables._sessions(form)
    heads = [column.head for column in table.columns]
    rows = {row[0]: dict(zip(heads, row, strict=True)) for row in table.rows}
    assert {pk: (row["Uncertain"], row["To review"], row["Powered on (ms)"]) for pk, row in rows.items()} == {
        "s-1": ("yes", "Overlapping sessions", 1_000),
        "s-2": ("yes", "Overlapping sessions", 1_000),
        "s-3": ("", "", 1_000),
    }
    told = sessions.sessions(None, after="0", limit=10)["sessions"]  # type: ignore[arg-type]  # it looks at no request
    assert {row["session"]: row["review"] for row in told} == {"s-1": "overlap", "s-2": "overlap", "s-3": ""}
    out = io.StringIO()
    listing.write_csv(listing.lines(NOON, LATER, NOON.tzinfo), out)
    out.seek(0)
    assert {row["session"]: row["review"] for row in csv.DictReader(out)}["s-1"] == "overlap"


def test_an_end_that_a_gap_hid_is_looked_at_when_a_batch_fills_the_gap_and_opens_another_one(journal):
    journal.end("s-1", 1_000)
    journal.write("gate.stopping", reason="x")
    later = journal.write("gate.stopping", reason="x")
    store(journal.message(2))
    assert reviews() == {"s-1": None}
    store(journal.message(1), later)
    assert reviews() == {"s-1": "no-start"}


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_of_two_starts_of_a_session_the_same_one_counts_in_whatever_order_they_come(journal, order):
    journal.start("s-1", "m-1")
    journal.boottime_ms += 60_000
    journal.start("s-1", "m-2")
    journal.end("s-1", 30_000, "m-2")
    messages = journal.messages()[1:]
    store(journal.message(1))
    for number in order:
        store(messages[number])
    row = UsageSession.objects.get()
    assert (row.member, row.start_boottime_ms) == ("m-1", BOOTED_MS + 2_000)
    assert reviews() == {"s-1": None}


@pytest.mark.parametrize("is_long_one_first", [True, False])
@pytest.mark.parametrize(("days", "marked"), [(93, ("overlap", "overlap")), (94, ("longer-than-allowed", None))])
def test_a_session_of_months_is_judged_with_what_is_in_it_whichever_of_them_comes_first(
    journal, days, marked, is_long_one_first
):
    started = journal.start("s-1")
    short = [journal.start("s-2"), journal.end("s-2", 1_000)]
    journal.boottime_ms += days * 24 * HOUR_MS - 3_000
    long_one = [started, journal.end("s-1", 1_000)]
    for some in (long_one, short) if is_long_one_first else (short, long_one):
        Store("lyon").store(some, LATER + timedelta(days=200))
    assert reviews() == dict(zip(("s-1", "s-2"), marked, strict=True))


def test_an_end_that_was_written_down_months_later_is_not_too_long(journal):
    journal.start("s-1")
    journal.boottime_ms += 200 * 24 * HOUR_MS
    journal.write("gate.started", version="1")
    journal.end("s-1", 1_000, reason="power-loss", uncertainty_ms=59_000)
    Store("lyon").store(journal.messages(), LATER + timedelta(days=300))
    assert reviews() == {"s-1": None}


def test_of_two_journals_that_begin_anew_in_one_batch_the_one_that_was_heard_first_has_ended(journal):
    """The collector was away while a gate's card was replaced, and nothing ties the two journals together."""
    journal.start("s-1")
    new = Journal(boot="boot-2")
    new.write("gate.started", version="1")
    new.start("s-2")
    store(*journal.messages(), *new.messages())
    assert reviews() == {"s-1": "journal-lost", "s-2": None}


@pytest.mark.parametrize("is_set_one_first", [True, False])
def test_a_session_whose_clock_was_set_accuses_no_other_one_whichever_of_them_comes_first(journal, is_set_one_first):
    started = journal.start("s-1")
    journal.off = timedelta(hours=1)
    ended = journal.end("s-1", 10**9 * 2)
    journal.boot, journal.off, journal.boottime_ms = "boot-2", timedelta(), 600_000
    later = [journal.start("s-2", "m-2"), journal.end("s-2", 1_000, "m-2")]
    for some in ([started, ended], later) if is_set_one_first else (later, [started, ended]):
        store(journal.message(1), *some)
    assert reviews() == {"s-1": "time-above-clock", "s-2": None}
