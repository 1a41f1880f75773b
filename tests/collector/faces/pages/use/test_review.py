"""Does one power cut make one chore, and is each decision kept with who made it?"""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.faces.pages.use.review import cases
from fabgate.collector.ground.models import Change, LedgerLine, Review, UsageSession
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector.faces.pages.used import MINUTE, NOON, Used, text
from tests.collector.gates import Journal
from tests.collector.ground.db.together import together

pytestmark = pytest.mark.usefixtures("database")
CUT = {"reason": "power-loss", "uncertainty_ms": 900_000}


@pytest.fixture
def used(database) -> Used:
    used = Used()
    used.session("s-1", "m-1", NOON, 30, **CUT)
    used.session("s-2", "m-2", NOON + MINUTE, 30, gate="lathe-1", **CUT)
    used.session("s-3", "m-3", NOON + timedelta(hours=5), 30, **CUT)
    return used


def rows(*sessions: str) -> list[int]:
    return [Review.objects.get(session=session).pk for session in sessions]


def test_what_ended_in_one_power_cut_is_one_case(used):
    found = [[one.session_id for one in case.reviews] for case in cases(Review.waiting())]
    assert found == [["s-1", "s-2"], ["s-3"]]


def test_a_case_whose_date_nobody_knows_is_not_headed_by_one(used, browse):
    used.journals["lathe-1"] = Journal(gate="lathe-1", name="new", boot="new", synced=False)
    used.session("s-4", "m-1", used.now, 30, gate="lathe-1")
    heads = {
        "s-4" in case: "≈ </span>" in case.partition("</h3>")[0]
        for case in text(browse("accountant").get("/use/review")).split("<h3>")[1:]
    }
    assert heads == {True: True, False: False}


def plain(client: Any, page: str) -> str:
    """Return what a page says, in plain apostrophes and spaces."""
    found = unescape(text(client.get(page))).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return " ".join(found.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ").split())


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "What to do: let the gate's clock synchronise. On the gate, “timedatectl” shows whether"),
        ("fr", "Que faire : laissez l'horloge de la borne se synchroniser. Sur la borne, « timedatectl » montre"),
    ],
)
def test_sessions_of_a_clock_that_was_never_right_say_what_to_do(used, browse, account, lang, said):
    client = browse(account("accountant", lang=lang))
    assert said not in plain(client, "/use/review") + plain(client, "/use/s-1")
    used.journals["lathe-1"] = journal = Journal(gate="lathe-1", name="new", boot="new", synced=False)
    used.begin("s-4", "m-1", used.now, "lathe-1")
    journal.boottime_ms += 1_800_000
    used.end("s-4", "m-1", used.now, 1_800_000, "lathe-1")
    assert plain(client, "/use/review").count(said) == 1
    assert said in plain(client, "/use/s-4")


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        (
            "en",
            "What to do: compare the gate's clock with a correct one. On the gate, “timedatectl” shows the time",
        ),
        ("fr", "Que faire : comparez l'horloge de la borne à une horloge juste. Sur la borne, « timedatectl » montre"),
    ],
)
def test_sessions_of_a_clock_that_was_wrong_say_what_to_do(used, browse, account, lang, said):
    client = browse(account("accountant", lang=lang))
    assert said not in plain(client, "/use/review") + plain(client, "/use/s-1")
    used.session("s-4", "m-1", used.now + timedelta(hours=2), 30, gate="lathe-1")
    assert UsageSession.objects.get(pk="s-4").review == "clock"
    assert plain(client, "/use/review").count(said) == 1
    assert said in plain(client, "/use/s-4")
    UsageSession.objects.filter(pk="s-1").update(review="before-first")
    assert said in plain(client, "/use/s-1")


def test_many_cases_ask_the_database_no_more_often_than_few(used, browse):
    client = browse("accountant")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get("/use/review")
        return len(queries)

    asked()  # whatever is looked up only once
    few = asked()
    for number in range(6, 12):
        used.session(f"s-{number}", f"m-{number % 3 + 1}", NOON + timedelta(hours=number), 30, **CUT)
    assert len(cases(Review.waiting())) == 8
    assert asked() == few


def test_a_doubt_of_up_to_a_minute_is_not_asked_about(used, browse):
    used.session("session-4", "m-3", NOON + timedelta(hours=7), 30, reason="power-loss", uncertainty_ms=60_000)
    assert "session-4" not in text(browse("accountant").get("/use/review"))


def test_several_are_settled_at_once_with_author_and_note(used, browse):
    client = browse("accountant")
    response = client.post(
        "/use/review", {"decision": "accepted", "review": rows("s-1", "s-2"), "note": "the storm of that evening"}
    )
    assert response.status_code == 303
    settled = Review.objects.exclude(settled_at=None).order_by("pk")
    told = settled.values_list("session", "decision", "settled_by", "note")
    assert list(told) == [(s, "accepted", "accountant", "the storm of that evening") for s in ("s-1", "s-2")]
    assert Change.objects.filter(verb="review.accepted").count() == 2
    shown = text(client.get("/use/review"))
    assert "2 sessions are settled." in shown
    assert "1 more to review." in shown


def given_away(used: Used) -> list[int]:
    """A session whose gate showed more than the end that it wrote."""
    used.begin("s-4", "m-1", NOON + timedelta(hours=8))
    used.write(
        "saw-1",
        "session.progress",
        NOON + timedelta(hours=8, minutes=15),
        session="s-4",
        member="m-1",
        badge="b",
        energised_ms=900_000,
        running_ms=0,
    )
    used.end("s-4", "m-1", NOON + timedelta(hours=8, minutes=16), 600_000, reason="restart")
    return rows("s-4")


def test_in_the_members_favour_counts_no_more_than_the_end_says(used, browse):
    given_away(used)
    session = UsageSession.objects.get(pk="s-4")
    assert (session.counted_ms, session.review) == (900_000, "counter-above-end")
    browse("accountant").post("/use/review", {"decision": "favour", "review": rows("s-4", "s-3")})
    assert UsageSession.objects.get(pk="s-4").counted_ms == 600_000
    assert UsageSession.objects.get(pk="s-3").counted_ms == 1_800_000
    assert set(Review.objects.filter(session__in=["s-3", "s-4"]).values_list("decision", flat=True)) == {"favour"}
    told = LedgerLine.objects.filter(session="s-4").order_by("pk").values_list("kind", "counted_ms", "review")
    assert list(told) == [("ended", 900_000, "counter-above-end"), ("corrected", 600_000, "")]


def test_what_is_decided_in_the_members_favour_is_one_row_of_the_log_in_the_language_of_who_decides(
    used, browse, account
):
    browse(account("accountant", lang="fr")).post("/use/review", {"decision": "favour", "review": given_away(used)})
    kept = Change.objects.filter(verb__in=["session.corrected", "review.corrected", "review.favour"])
    assert sorted(kept.values_list("verb", "reason")) == [
        ("review.favour", ""),
        ("session.corrected", "en faveur du membre"),
    ]


def test_another_doubt_that_arrives_later_opens_it_again(used, browse):
    browse("accountant").post("/use/review", {"decision": "accepted", "review": rows("s-3")})
    used.write(
        "saw-1",
        "session.progress",
        NOON + timedelta(hours=5, minutes=29),
        session="s-3",
        member="m-3",
        badge="b",
        energised_ms=9_000_000,
        running_ms=0,
    )
    review = Review.objects.get(session="s-3")
    assert (review.why, review.settled_at, review.decision) == ("counter-above-end", None, "")


def test_what_somebody_else_settled_meanwhile_stays_and_the_rest_is_settled(used, browse):
    chosen = rows("s-1", "s-2")
    browse("manager").post("/use/review", {"decision": "accepted", "review": chosen[:1]})
    client = browse("accountant")
    client.post("/use/review", {"decision": "favour", "review": chosen})
    by = dict(Review.objects.filter(pk__in=chosen).values_list("session", "settled_by"))
    assert by == {"s-1": "manager", "s-2": "accountant"}
    assert "1 session was already settled or contested by someone else, and is unchanged." in text(
        client.get("/use/review")
    )


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"decision": "accepted"}, "Choose at least one session."),
        ({"decision": "accepted", "review": ["999"]}, "Select a valid choice"),
        ({"decision": "accepted", "review": ["x"]}, "is not a valid value"),
        ({"decision": "delete"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_decided_is_said(used, browse, sent, told):
    response = browse("accountant").post("/use/review", sent)
    assert response.status_code == 400
    assert told in text(response)
    assert not Review.objects.exclude(settled_at=None).exists()


def test_an_auditor_reads_the_queue_and_decides_nothing(used, browse):
    client = browse("auditor")
    shown = text(client.get("/use/review"))
    assert "Zoé Müller" in shown
    assert "Accept as counted" not in shown
    assert client.post("/use/review", {"decision": "accepted", "review": rows("s-1")}).status_code == 403


# --- one's own ----------------------------------------------------------------------------------------------------------


def test_nobody_settles_what_is_about_them_and_nothing_else_is_settled_with_it(used, browse, account):
    client = browse(account("accountant", member_id="m-1"))
    response = client.post("/use/review", {"decision": "favour", "review": rows("s-2", "s-1")})
    assert response.status_code == 400
    assert "Zoé Müller: someone else at the desk must do this for you." in text(response)
    assert not Review.objects.exclude(settled_at=None).exists()
    assert client.post("/use/review", {"decision": "favour", "review": rows("s-2")}).status_code == 303


def test_what_somebody_pays_for_is_about_them_too(used, browse, account):
    UsageSession.objects.filter(pk="s-3").update(payer="m-1")
    client = browse(account("accountant", member_id="m-1"))
    assert client.post("/use/review", {"decision": "favour", "review": rows("s-3")}).status_code == 400


def test_what_is_about_who_looks_has_nothing_to_tick(used, browse, account):
    first, second = rows("s-1", "s-2")
    page = text(browse(account("accountant", member_id="m-1")).get("/use/review"))
    assert f'value="{first}"' not in page
    assert f'value="{second}"' in page
    Review.objects.filter(session="s-2").delete()
    page = text(browse(account("accountant", "other", member_id="m-1")).get("/use/review"))
    assert "Someone else at the desk must do this for you." in page
    assert 'href="/use/s-1#correct"' not in page
    assert 'href="/use/s-3#correct"' in page


def test_a_manager_settles_their_own(used, browse, account):
    client = browse(account("manager", member_id="m-1"))
    assert client.post("/use/review", {"decision": "accepted", "review": rows("s-1")}).status_code == 303


@pytest.fixture
def contested(used) -> Review:
    used.session("s-4", "m-3", NOON + timedelta(hours=7), 30)
    return corrections.contest(UsageSession.objects.get(pk="s-4"), "I was at the other saw", author="zoe")


def test_a_contested_session_shows_the_members_words(contested, browse):
    assert "“I was at the other saw”" in text(browse("accountant").get("/use/review"))
    page = text(browse("manager").get("/use/s-4"))
    assert "Contested" in page
    assert "“I was at the other saw”" in page


def test_a_contest_has_no_doubt_to_give_away(contested, browse):
    client = browse("accountant")
    Review.objects.exclude(pk=contested.pk).delete()
    page = text(client.get("/use/review"))
    assert 'value="favour"' not in page
    response = client.post("/use/review", {"decision": "favour", "review": [contested.pk]})
    assert response.status_code == 400
    assert "keep its time, or correct it" in text(response)
    with pytest.raises(UsageError, match="contested session"):
        corrections.favour(contested, author="eve")
    contested.refresh_from_db()
    assert contested.settled_at is None


@pytest.mark.parametrize(
    ("lang", "keep", "correct"), [("en", "Keep 0:30:00", "Correct…"), ("fr", "Garder 0:30:00", "Corriger…")]
)
def test_the_answers_to_a_complaint_are_two_equal_buttons(contested, browse, account, lang, keep, correct):
    """Of a complaint, to accept as counted is to reject it: the button says what stays, and the other answer is beside it."""
    Review.objects.exclude(pk=contested.pk).delete()
    page = browse(account("accountant", lang=lang)).get("/use/review").content.decode()
    decide = page.partition('<div class="decide">')[2].partition("</div>")[0]
    found = re.findall(r'<(button|a role="button") class="([^"]*)"[^>]*>(?:<svg.*?</svg>)?([^<]+)<', decide, re.DOTALL)
    assert [(look, words) for _tag, look, words in found] == [("small", keep), ("small", correct)]
    assert 'href="/use/s-4#correct"' in decide
    assert page.count('href="/use/s-4#correct"') == 1
    assert "Accept as counted" not in page


@pytest.mark.postgresql
def test_many_that_are_settled_and_what_arrives_for_them_do_not_wait_for_each_other(browse):
    journal, store = Journal(), Store("lyon")
    sessions = [f"s-{number:02}" for number in range(40)]
    for session in sessions:
        journal.start(session)
        journal.end(session, 60_000, reason="power-loss", uncertainty_ms=61_000)
    store.store(journal.messages(), NOON)
    later = [journal.progress(session, 500_000) for session in reversed(sessions)]
    client = browse("accountant")
    wanted = {"decision": "accepted", "review": [review.pk for review in Review.objects.all()]}
    ways = (lambda: client.post("/use/review", wanted), lambda: [store.store([one], NOON) for one in later])
    assert together(*ways) == []
    waiting = UsageSession.objects.exclude(review=None).values_list("id", "review")
    assert set(waiting) == set(Review.waiting().values_list("session", "why"))
    assert LedgerLine.objects.filter(kind="reviewed").exists()


def test_an_empty_queue_says_so(browse):
    assert "Nothing to review" in text(browse("accountant").get("/use/review"))
