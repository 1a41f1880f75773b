"""Can a member contest what they pay, is it seen and answered by who may, and does it settle to the cent?"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F

from fabgate.collector.ground.models import (
    Change,
    Charge,
    Contest,
    Group,
    ManualLine,
    Member,
    PrepaidEntry,
    Review,
    UsageSession,
)
from fabgate.collector.money.billing import closing, contests, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import balances, ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.statements import read
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH, NOON
from tests.collector.faces.pages.racing import at_once, sent
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("env", "told")
NEXT = terms.next_month(FIRST)
NOW = NOON + timedelta(days=60)


@pytest.fixture
def charged_shop(shop: Used) -> Used:
    """m-1 has a session of €3.00, pays for one of m-2 of €4.50, and has a line of €12.50."""
    billing.start()
    billing.rule("price=0.10")
    Member.objects.filter(pk="m-2").update(payer=_payer("m-1"))
    shop.session("s-1", "m-1", NOON, 30)
    shop.session("s-2", "m-2", NOON + timedelta(hours=1), 45)
    shop.session("s-3", "m-3", NOON + timedelta(hours=2), 10)
    decisions.add_line("m-1", "Plywood", 1_250, day=FIRST, author="maya", vat_code="V20")
    refresh.refresh_all()
    return shop


@pytest.fixture
def mine(browse, account, charged_shop) -> Any:
    return browse(account("member", "zoe", member_id="m-1"))


def _payer(pk: str) -> Any:
    from fabgate.collector.money.billing.paying import payers

    return payers.ensure(payers.of_member(Member.objects.get(pk=pk)), actor="maya")


def close() -> None:
    closing.close(FIRST, NOW, actor="maya", reason="a test")
    refresh.refresh_all()


def words(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text(response)).split())


def amount(month: Any, payer: str = "m-1") -> int:
    return read.of(month, payer).amount_minor


def answer(client: Any, decision: str, typed: str = "We looked at it", pk: int = 0) -> Any:
    pk = pk or Contest.waiting()[0].pk
    return client.post(f"/month/contests/{pk}", {"sure": "1", "decision": decision, "answer": typed})


def test_a_line_of_an_open_month_is_contested_seen_and_removed_with_the_answer(mine, browse):
    line = ManualLine.objects.get()
    statement = text(mine.get(f"/my-minutes/statements/{MONTH}"))
    assert f'href="/my-minutes/contest/line/{line.pk}"' in statement
    page = f"/my-minutes/contest/line/{line.pk}"
    assert "€12.50" in words(mine.get(page))
    assert "Describe in a few words" in words(mine.post(page, {"words": " "}))
    assert mine.post(page, {"words": "I took one sheet, not two"}).status_code == 303
    assert mine.post(page, {"words": "again"}).status_code == 409
    assert "Waiting for an answer" in words(mine.get(page))
    assert "What I contested" in words(mine.get("/my-minutes"))
    accountant = browse("accountant")
    review = text(accountant.get("/use/review"))
    assert "I took one sheet, not two" in review
    assert "Nothing to review" not in review
    for shown in (f"/month?month={MONTH}", f"/month/close?month={MONTH}"):
        assert "1 contest without an answer" in words(accountant.get(shown))
    with pytest.raises(UsageError, match="1 contest waits for an answer"):
        closing.close(FIRST, NOW, actor="maya")
    (pk,) = re.findall(r'href="/month/contests/(\d+)"', review)
    assert "Contested" in words(accountant.get(f"/month/payer/m-1?month={MONTH}"))
    assert "I took one sheet" in words(accountant.get(f"/month/contests/{pk}"))
    assert "This field is required" in words(answer(accountant, "reversed", " "))
    assert answer(accountant, "reversed", "You are right").status_code == 303
    assert not ManualLine.objects.exists()
    assert amount(FIRST) == 750
    assert answer(accountant, "kept", pk=int(pk)).status_code == 409
    for shown in (page, "/my-minutes"):
        assert "You are right" in words(mine.get(shown))
    assert "contest" not in words(accountant.get(f"/month?month={MONTH}"))


def test_after_closing_lines_stay_marked_and_are_reversed_in_the_open_month(mine, browse):
    Member.objects.filter(pk="m-1").update(lang="fr")
    close()
    before, line = mine.get(f"/my-minutes/statements/{MONTH}/pdf").content, ManualLine.objects.get()
    assert mine.post(f"/my-minutes/contest/line/{line.pk}", {"words": "pas à moi"}).status_code == 303
    assert mine.post("/my-minutes/sessions/s-1", {"words": "pas moi"}).status_code == 303
    assert not Review.objects.exists()
    assert (amount(FIRST), amount(NEXT)) == (2_000, 0)
    statement = words(mine.get(f"/my-minutes/statements/{MONTH}"))
    assert statement.count("Contestation en cours") == 2
    accountant = browse("accountant")
    first, second = Contest.waiting()
    assert (first.kind, second.kind) == ("line", "session")
    answer(accountant, "reversed", "Pour un autre membre", pk=first.pk)
    assert amount(NEXT) == -1_250
    answer(accountant, "reversed", "Le badge était prêté", pk=second.pk)
    assert amount(NEXT) == -1_550
    added = ManualLine.objects.get(month=NEXT)
    assert (added.text, added.vat_code, added.author) == ("Plywood (annulation)", "V20", "accountant")
    (reversal,) = Charge.objects.filter(month=NEXT).exclude(reverses="")
    assert (reversal.session, reversal.amount_minor) == ("s-1", -300)
    assert amount(FIRST) == 2_000
    assert mine.get(f"/my-minutes/statements/{MONTH}/pdf").content == before
    assert "Le badge était prêté" in words(mine.get("/my-minutes/sessions/s-1"))
    assert words(mine.get(f"/my-minutes/statements/{MONTH}")).count("Contestation : montant annulé") == 2
    assert not [found for _month, _sha, problems in closing.verify() for found in problems]
    assert list(Change.objects.filter(kind="contest").order_by("pk").values_list("verb", flat=True)) == [
        *("contest.opened", "contest.opened", "contest.answered", "contest.answered")
    ]
    # It can be contested again, and is not reversed a second time.
    assert mine.post(f"/my-minutes/contest/line/{line.pk}", {"words": "encore"}).status_code == 303
    again = Contest.waiting().get()
    with pytest.raises(UsageError, match="nothing left to take back"):
        contests.answer(again.pk, Contest.REVERSED, "Oui", author="maya")
    assert (amount(NEXT), Contest.waiting().count()) == (-1_550, 1)
    # Words can be erased: the log has digests of them, by which `verify` finds words that were emptied in another way.
    assert contests.erase_words(FIRST, actor="maya", at=NOW) == 0
    assert contests.erase_words(NEXT, actor="maya", at=NOW) == 2
    assert [(one.words, one.answer) for one in Contest.objects.order_by("pk")] == [("", ""), ("", ""), ("encore", "")]
    log = json.dumps([(row.before, row.after, row.reason) for row in Change.objects.filter(kind="contest")])
    assert not [said for said in ("pas", "encore", "membre", "badge") if said in log]
    assert "words and the answer were erased" in words(accountant.get(f"/month/contests/{first.pk}"))
    for altered, count in ({}, 0), ({"words": "oui"}, 3):
        Contest.objects.update(**{"at": F("at"), **altered})
        report = Report()
        logged.compare(report, Contest)
        assert len(report.findings) == count


def test_a_session_goes_to_review_before_closing_and_its_answer_is_in_writing(mine, browse):
    accountant = browse("accountant")
    # who pays contests what another used
    statement = text(mine.get(f"/my-minutes/statements/{MONTH}"))
    assert 'href="/my-minutes/sessions/s-2"' in statement
    assert "Bjørn Sørensen" in words(mine.get("/my-minutes/sessions/s-2"))
    mine.post("/my-minutes/sessions/s-2", {"words": "He was ill"})
    review = Review.objects.get()
    assert (review.session_id, review.is_contested, Contest.objects.exists()) == ("s-2", True, False)
    sent = {"decision": "accepted", "review": review.pk}
    unanswered = accountant.post("/use/review", sent)
    assert unanswered.status_code == 400
    assert "Answer the member who contests this session" in words(unanswered)
    assert accountant.post("/use/review", {**sent, "note": "He tapped"}).status_code == 303
    assert "He tapped" in words(mine.get("/my-minutes/sessions/s-2"))


def test_a_correction_or_a_waiver_answers_the_contest_that_its_page_showed(mine, browse, account):
    close()
    mine.post("/my-minutes/sessions/s-1", {"words": "20 minutes, not 30"})
    accountant, first = browse("accountant"), Contest.waiting().get()
    page = text(accountant.get("/use/s-1"))
    assert "20 minutes, not 30" in page
    typed = dict(re.findall(r'name="(member|payer|contest)"[^>]*value="([^"]*)"', page)) | {"purpose": "own"}
    assert typed["contest"] == str(first.pk)
    accountant.post("/use/s-1", {**typed, "time": "20", "reason": "Stopped early"})
    first.refresh_from_db()
    assert (first.decision, first.answer, first.answered_by) == ("otherwise", "Stopped early", "accountant")
    refresh.refresh_all()
    assert amount(NEXT) == -100
    assert "Stopped early" in words(mine.get("/my-minutes/sessions/s-1"))
    # This page was opened before the session was contested: its reader does not know what they would answer.
    mine.post("/my-minutes/sessions/s-2", {"words": "It was broken"})
    accountant.post("/use/s-2", {**typed, "member": "m-2", "time": "40", "reason": "Stopped early, too"})
    second = Contest.waiting().get()
    page, sent = "/month/waive/s-2", {"sure": "1", "waiver": "", "reason": "Broken, sorry", "contest": second.pk}
    assert "It was broken" in words(accountant.get(page))
    # It was theirs when they contested it, and is no longer.
    UsageSession.objects.filter(pk="s-2").update(payer="m-3")
    own = browse(account("accountant", "ada", member_id="m-1"))
    assert "This answers the contest" not in words(own.get(page))
    assert own.post(page, sent).status_code == 303
    assert Contest.waiting().get() == second
    decisions.withdraw("s-2", author="maya", reason="not by them")
    accountant.post(page, sent)
    second.refresh_from_db()
    assert (second.decision, second.answer) == ("reversed", "Broken, sorry")


def test_the_evidence_has_taps_running_the_end_doubts_and_the_price_in_words(mine, browse, charged_shop):
    charged_shop.begin("s-4", "m-1", NOON + timedelta(hours=5))
    charged_shop.write(
        "saw-1",
        "session.progress",
        NOON + timedelta(hours=5, minutes=15),
        session="s-4",
        member="m-1",
        badge="badge-m-1",
        energised_ms=900_000,
        running_ms=60_000,
    )
    charged_shop.end(
        "s-4", "m-1", NOON + timedelta(hours=5, minutes=20), 1_200_000, reason="power-loss", uncertainty_ms=45_000
    )
    refresh.refresh_all()
    pages = [mine.get("/my-minutes/sessions/s-4"), browse("auditor").get("/month/session/s-4")]
    for page in map(words, pages):
        for wanted in (
            "Badge accepted, power on",
            "1 report during the session",
            "0:15:00",
            "0:01:00",
            "power was cut",
            "0:20:00",
            "the machine may have stopped up to 0:00:45 later",
        ):
            assert wanted.casefold() in page.casefold(), wanted
        assert "step by step" in page
    certain = words(mine.get("/my-minutes/sessions/s-1"))
    assert "Everything about this session is certain" in certain
    assert mine.get("/my-minutes/sessions/s-3").status_code == 404


def test_a_credit_is_reversed_with_the_answer(mine, browse):
    modes.set_mode("m-1", FIRST, prepays=True, actor="maya")
    wrong = ledger.credit("m-1", 5_000, Paid("cash", "4711"), author="kim", now=datetime.now(UTC)).entry
    credit = text(mine.get("/my-minutes/credit"))
    assert f'href="/my-minutes/contest/entry/{wrong.pk}"' in credit
    mine.post(f"/my-minutes/contest/entry/{wrong.pk}", {"words": "I paid 20"})
    assert "Contested" in words(mine.get("/my-minutes/credit"))
    assert "Contested" in words(browse("desk").get("/credit/m-1"))
    accountant = browse("accountant")
    assert "reverse this credit" in words(accountant.get(f"/month/contests/{Contest.objects.get().pk}"))
    assert answer(accountant, "reversed", "Typed 50 instead of 20").status_code == 303
    taken = PrepaidEntry.objects.get(kind="taken-back")
    assert (taken.takes_back_id, taken.reason, balances.of("m-1")) == (wrong.pk, "Typed 50 instead of 20", -2_000)
    # contested a second time, nothing is left to reverse
    mine.post(f"/my-minutes/contest/entry/{wrong.pk}", {"words": "and the 20?"})
    assert "reverse this credit" not in words(accountant.get(f"/month/contests/{Contest.waiting()[0].pk}"))
    assert answer(accountant, "reversed").status_code == 400
    assert answer(accountant, "otherwise", "Credited 20 today").status_code == 303
    assert balances.of("m-1") == -2_000


def test_only_who_may_answers_and_nobody_about_their_own_money(mine, browse, account, monkeypatch):
    line, other = ManualLine.objects.get(), decisions.add_line("m-3", "Glue", 300, day=FIRST, author="maya")
    Group.objects.create(name="4b").members.add("m-1")
    for address in (f"line/{other.pk}", f"entry/{line.pk}", f"session/{line.pk}", "line/99"):
        assert mine.get(f"/my-minutes/contest/{address}").status_code == 404
        assert mine.post(f"/my-minutes/contest/{address}", {"words": "x"}).status_code == 404
    assert not Contest.objects.exists()
    contests.contest("line", str(line.pk), "no", Member.objects.get(pk="m-1"), author="zoe")
    own = browse(account("accountant", "ada", member_id="m-1"))
    refused = answer(own, "reversed")
    assert refused.status_code == 403
    page = f"/month/contests/{Contest.objects.get().pk}"
    assert "Someone else must do this" in words(own.get(page))
    auditor = browse("auditor")
    assert "<form" not in auditor.get(page).content.decode().split("<main")[1]
    assert answer(auditor, "kept").status_code == 403
    assert browse("desk").get(page).status_code == 403
    assert Contest.objects.get().is_open
    assert answer(browse("manager"), "rubbish").status_code == 400
    assert ManualLine.objects.filter(pk=line.pk).exists()


def test_of_two_clicks_at_the_same_moment_one_counts(mine, browse):
    page = f"/my-minutes/contest/line/{ManualLine.objects.get().pk}"
    close()
    answers = at_once(*[sent(mine, page, {"words": "not mine"})] * 2)
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    one, typed = Contest.objects.get(), {"sure": "1", "decision": "reversed", "answer": "Sorry"}
    answers = at_once(*(sent(browse(name), f"/month/contests/{one.pk}", typed) for name in ("accountant", "manager")))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert amount(NEXT) == -1_250


def test_a_session_that_is_contested_while_its_month_closes_is_not_taken_back_before_the_answer(mine):
    outcomes = at_once(close, sent(mine, "/my-minutes/sessions/s-1", {"words": "not me"}))
    assert outcomes[1].status_code == 303
    refresh.refresh_all()
    is_in_review = Review.objects.filter(session="s-1", settled_at=None).exists()
    assert is_in_review != Contest.waiting().filter(kind="session", key="s-1").exists()
    # In review, it had no price when the month was closed; with its price in there, it is marked and stays as it is.
    assert amount(FIRST) == (1_700 if is_in_review else 2_000)
    assert amount(NEXT) == 0


def test_of_two_contests_and_of_two_answers_one_counts(charged_shop):
    line, member = ManualLine.objects.get(), Member.objects.get(pk="m-1")
    one = contests.contest("line", str(line.pk), "no", member, author="zoe")
    with pytest.raises(UsageError, match="already contested"):
        contests.contest("line", str(line.pk), "no", member, author="zoe")
    decisions.remove_line(line.pk, author="maya", reason="twice")
    with pytest.raises(UsageError, match="nothing left to take back"):
        contests.answer(one.pk, Contest.REVERSED, "Sorry", author="maya")
    assert Contest.objects.get().is_open
    contests.answer(one.pk, Contest.OTHERWISE, "Removed", author="maya")
    with pytest.raises(contests.AnsweredError):
        contests.answer(one.pk, Contest.KEPT, "No", author="kim")
    assert Contest.objects.get().answer == "Removed"
    for decision, typed, wrong in (("x", "y", "decision: found 'x'"), ("kept", "", "answer: found 0 characters")):
        with pytest.raises(UsageError, match=wrong):
            contests.answer(one.pk, decision, typed, author="kim")
