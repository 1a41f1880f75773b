"""Do the pages show what each program got, and do people decide about the rest?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Change, Charge, Collector, Member, Sink, SinkLetter
from fabgate.collector.money.billing import closing
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.sinks import config, engine
from fabgate.collector.money.paper.figures import NOTHING
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH, NOON
from tests.collector.faces.pages.tables import rows
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("database")
LATER = datetime.now(UTC) + timedelta(days=90)


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A closed month with two sessions, and a sink that has one of them; the other one was refused."""
    shop = Used()
    billing.start()
    billing.rule("price=0.10")
    Collector.get(settings.ENVIRONMENT.site)
    shop.session("s-1", "m-1", NOON, 30)
    shop.session("s-2", "m-2", NOON + timedelta(hours=1), 20)
    refresh.refresh_all()
    closing.close(FIRST, LATER, actor="maya", reason="a test")
    monkeypatch.setattr(config, "path", lambda: tmp_path / "sinks.yaml")
    config.path().write_text(f"books: {{driver: files, from: {MONTH}, folder: books}}\n")
    row = Sink.objects.create(name="books", cursor=f"{FIRST}/m", sent_at=LATER)
    for charge in Charge.objects.order_by("session"):
        state = SinkLetter.SENT if charge.session == "s-1" else SinkLetter.DEAD
        row.letters.create(
            key=charge.pk,
            month=FIRST,
            payer=charge.payer,
            amount=charge.amount_minor,
            state=state,
            why="422 no",
            at=LATER,
        )
    return tmp_path / "books"


def decide(client, act: str, reason: str = "by hand", **more: object) -> object:
    return client.post("/month/sinks/books", {"act": act, "reason": reason, **more})


def test_the_list_says_how_each_program_is(manager, books):
    page = text(manager.get("/month/sinks"))
    assert [row[:5] for row in rows(page, "Programs")] == [["books", "Not everything was sent", "0", "0", "1"]]
    assert "files · charges of closed months" in page


def test_mistakes_in_the_file_are_shown_and_what_was_sent_stays_visible(manager, books):
    config.path().write_text("books: {driver: fles, from: 2027}\n")
    page = text(manager.get("/month/sinks"))
    assert "Nothing is sent: sinks.yaml has mistakes." in page
    assert "found the driver &#x27;fles&#x27;, wanted a known one; did you mean files?" in page
    assert "No longer in sinks.yaml" in page
    assert manager.get("/month/sinks/books").status_code == 200


def test_without_sinks_the_page_says_where_to_name_one(manager):
    billing.start()
    assert "No program yet" in text(manager.get("/month/sinks"))
    assert manager.get("/month/sinks/none").status_code == 404


def test_a_program_shows_what_it_got_beside_what_was_charged_and_the_rest(manager, books):
    page = text(manager.get("/month/sinks/books"))
    assert rows(page, "Closed months") == [[f"{FIRST:%B %Y}", "€5.00", "€3.00", "1", "€2.00", NOTHING]]
    ((_box, who, month, amount, state),) = rows(page, "Not sent")
    assert (who, month, amount, state) == ("Bjørn Sørensen", f"{FIRST:%B %Y}", "€2.00", "Refused")
    assert "422 no" in page


def test_refused_items_are_sent_again_or_left_out_with_a_reason(manager, books):
    key = SinkLetter.objects.get(state=SinkLetter.DEAD).key
    assert decide(manager, "retry", chosen=key).status_code == 303
    assert SinkLetter.objects.get(key=key).state == SinkLetter.DUE
    SinkLetter.objects.filter(key=key).update(state=SinkLetter.DEAD)
    assert decide(manager, "skip", chosen=key).status_code == 303
    letter = SinkLetter.objects.get(key=key)
    assert (letter.state, letter.why) == (SinkLetter.SKIPPED, "by hand")
    change = Change.objects.filter(verb="sink.skipped").get()
    assert (change.key, change.reason, change.after["keys"], change.after["amount"]) == ("books", "by hand", [key], 200)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"act": "retry", "reason": "x"}, "chosen"),
        ({"act": "retry", "reason": "x", "chosen": "other"}, "chosen"),
        ({"act": "skip", "reason": ""}, "reason"),
        ({"act": "burn", "reason": "x"}, "act"),
        ({"act": "reconcile", "reason": "x"}, "chosen"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_at_its_field(manager, books, typed, field):
    answer = manager.post("/month/sinks/books", typed)
    assert answer.status_code == 400
    assert field in answer.context["form"].errors
    assert SinkLetter.objects.filter(state=SinkLetter.DEAD).exists()


def test_an_item_without_a_reference_is_not_sent_by_hand(manager, books):
    SinkLetter.objects.filter(state=SinkLetter.DEAD).update(state=SinkLetter.HELD, why=engine.NO_REFERENCE)
    answer = decide(manager, "retry", chosen=SinkLetter.objects.get(state=SinkLetter.HELD).key)
    assert answer.status_code == 400
    assert "Add a reference to the payer" in text(answer)
    assert 'href="/people/payers/m-2' in text(manager.get("/month/sinks/books"))


def test_after_a_restore_a_person_lets_the_program_go_on(manager, books):
    audit.record(audit.START, audit.RESTORED, Collector.objects.get())
    assert "Paused after a restore" in text(manager.get("/month/sinks"))
    assert "Resume" in text(manager.get("/month/sinks/books"))
    assert decide(manager, "reconcile").status_code == 303
    assert not engine.awaits_reconciling(Sink.objects.get())
    assert "Paused after a restore" not in text(manager.get("/month/sinks/books"))


def test_nobody_leaves_out_what_they_pay_and_others_decide_nothing(browse, account, books):
    key = SinkLetter.objects.get(state=SinkLetter.DEAD).key
    own = browse(account("accountant", name="bo", member=Member.objects.get(pk="m-2")))
    assert decide(own, "skip", chosen=key).status_code == 403
    for role in ("auditor", "desk", "member"):
        assert decide(browse(role), "skip", chosen=key).status_code == 403
    assert SinkLetter.objects.get(key=key).state == SinkLetter.DEAD
