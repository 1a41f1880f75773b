"""Does the page of a session show the evidence, and take corrections as new rows?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate import wire
from fabgate.collector.ground.models import (
    Badge,
    Change,
    Correction,
    Grant,
    Group,
    Machine,
    Member,
    Review,
    Training,
    UsageDay,
    UsageSession,
)
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.tabs import sent_by
from tests.collector.faces.pages.used import MINUTE, NOON, Used, machine, text
from tests.collector.paying import organisation

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def used(database) -> Used:
    used = Used()
    used.session("s-1", "m-1", NOON, 30)
    return used


def corrected(**changed: str) -> dict[str, str]:
    shown = {"time": "0:30:00", "member": "Zoé Müller", "payer": "Zoé Müller", "purpose": "own"}
    return {**shown, "reason": "she said so", **changed}


def test_the_evidence_names_person_machine_gate_minutes_and_why_it_ended(used, browse):
    shown = text(browse("auditor").get("/use/s-1"))
    for word in ("Zoé Müller", "Band saw", "gate saw-1", "0:30:00", "0:15:00", "Badge tapped", "Own project"):
        assert word in shown


def test_the_evidence_says_on_what_ground_with_trainer_and_what_became_of_it(used, browse, account):
    account("trainer", name="eve", display_name="Eve Petit")
    training = Training.objects.create(name="saws", title="Saws")
    grant = Grant.objects.create(
        member_id="m-1",
        training=training,
        stage="supervised",
        since=NOON.date(),
        trainer="Maya",
        revoked_on=NOON.date() + timedelta(days=1),
        revoked_by="eve",
        reason="an accident",
        created_at=NOON - 90 * MINUTE,
    )
    version = int((NOON - 60 * MINUTE).timestamp() * 1000)
    basis = wire.Basis(kind="grant", grant=str(grant.pk), stale_roster=True)
    used.begin("s-2", "m-1", NOON + 60 * MINUTE, basis=basis, supervisor="m-2", roster=version)
    used.end("s-2", "m-1", NOON + 70 * MINUTE, 600_000)
    shown = text(browse("auditor").get("/use/s-2"))
    for word in ("Saws", "with a supervisor", "trainer Maya", "Bjørn Sørensen", "11:00", "outdated"):
        assert word in shown
    assert "by Eve Petit: an accident" in shown


@pytest.mark.parametrize(
    ("member", "given", "roster"),
    [
        ("m-2", -90, NOON - 60 * MINUTE),  # somebody else's
        ("m-1", -30, NOON - 60 * MINUTE),  # not given yet when the roster was made
        ("m-1", 62, None),  # nor when the session began, of whose roster nobody knows when it was made
    ],
)
def test_a_training_that_had_this_number_only_after_a_restore_is_not_the_evidence(used, browse, member, given, roster):
    saws = Training.objects.create(name="saws", title="Saws")
    grant = Grant.objects.create(
        member_id=member, training=saws, stage="autonomous", since=NOON.date(), created_at=NOON + given * MINUTE
    )
    basis = wire.Basis(kind="grant", grant=str(grant.pk))
    version = int(roster.timestamp() * 1000) if roster else 7
    used.begin("s-2", "m-1", NOON + 60 * MINUTE, basis=basis, roster=version)
    used.end("s-2", "m-1", NOON + 70 * MINUTE, 600_000)
    client = browse("auditor")
    for address in ("/use/s-2", f"/use/moment?machine={machine()}&day={NOON:%Y-%m-%d}&time=13:05:00"):
        shown = text(client.get(address))
        assert "the recorded training is no longer in this database" in shown
        assert "<strong>Saws</strong>" not in shown


@pytest.mark.parametrize("roster", [True, False])
def test_a_gate_whose_clock_is_a_little_behind_still_names_its_training(used, browse, roster):
    saws = Training.objects.create(name="saws", title="Saws")
    began = NOON + 60 * MINUTE
    grant = Grant.objects.create(
        member_id="m-1", training=saws, stage="autonomous", since=NOON.date(), created_at=began + timedelta(seconds=40)
    )
    version = int((began + timedelta(seconds=41)).timestamp() * 1000) if roster else 7
    used.begin("s-2", "m-1", began, basis=wire.Basis(kind="grant", grant=str(grant.pk)), roster=version)
    used.end("s-2", "m-1", NOON + 70 * MINUTE, 600_000)
    assert "<strong>Saws</strong>" in text(browse("auditor").get("/use/s-2"))


def test_the_entries_are_shown_by_number_and_hash(used, browse):
    used.begin("s-2", "m-2", NOON + 60 * MINUTE)
    used.write(
        "saw-1",
        "session.progress",
        NOON + 75 * MINUTE,
        session="s-2",
        member="m-2",
        badge="b",
        energised_ms=900_000,
        running_ms=0,
    )
    used.end("s-2", "m-2", NOON + 80 * MINUTE, 1_200_000)
    shown = text(browse("auditor").get("/use/s-2"))
    assert [f"entry {number}," in shown for number in (3, 4, 5, 6)] == [False, True, True, True]
    assert "1200000 ms" in shown
    assert "was synchronised at the start and at the end" in shown


def test_a_correction_is_a_new_row_that_counts_in_the_sums_and_in_the_log(used, browse):
    response = browse("accountant").post("/use/s-1", corrected(time="0:20:00", purpose="maintenance"))
    assert (response.status_code, response["Location"]) == (303, "/use/s-1#main")
    rows = Correction.objects.order_by("field").values_list("field", "old", "new", "author", "reason")
    assert list(rows) == [
        ("purpose", "own", "maintenance", "accountant", "she said so"),
        ("time", "1800000", "1200000", "accountant", "she said so"),
    ]
    session = UsageSession.objects.get()
    assert (session.counted_ms, session.energised_ms, session.purpose) == (1_200_000, 1_800_000, "maintenance")
    assert UsageDay.objects.get(sessions=1).counted_ms == 1_200_000
    assert Change.objects.filter(verb="session.corrected", actor="accountant").count() == 2
    shown = text(browse("auditor").get("/use/s-1"))
    assert "(recorded: 0:30:00)" in shown
    assert "she said so" in shown


def test_another_person_may_have_used_it_and_pays_then(used, browse):
    browse("accountant").post("/use/s-1", corrected(member="bjorn sorensen"))
    session = UsageSession.objects.get()
    assert (session.used_by, session.payer, session.member) == ("m-2", "m-2", "m-1")
    assert "(recorded: Zoé Müller)" in text(browse("auditor").get("/use/s-1"))


def test_another_person_may_have_used_it_and_who_pays_is_said_too(used, browse):
    sent = corrected(member="bjorn sorensen", payer="bjorn sorensen", purpose="training")
    assert browse("accountant").post("/use/s-1", sent).status_code == 303
    session = UsageSession.objects.get()
    assert (session.used_by, session.payer, session.purpose) == ("m-2", "m-2", "training")
    assert set(session.corrected.split()) == {"member", "payer", "purpose"}


def test_an_organisation_may_pay_for_it_and_use_nothing(used, browse):
    organisation()
    client = browse("accountant")
    assert client.post("/use/s-1", corrected(payer="universite lumiere")).status_code == 303
    assert UsageSession.objects.get().payer == "payer:1"
    assert "Université Lumière" in text(client.get("/use/s-1"))
    wrong = client.post("/use/s-1", corrected(payer="payer:1", member="Université Lumière"))
    assert wrong.status_code == 400
    assert "No one is called “Université Lumière”." in text(wrong)


def test_a_purpose_that_follows_from_the_badge_of_a_group_can_be_said_too(used, browse):
    group = Group.objects.create(name="Club")
    Badge.objects.create(digest="badge-m-1", group=group, since=NOON - MINUTE)
    sent = corrected(member="bjorn sorensen", purpose="group")
    assert browse("accountant").post("/use/s-1", sent).status_code == 303
    session = UsageSession.objects.get()
    assert (session.used_by, session.purpose) == ("m-2", "group")


def test_the_time_can_be_put_right_of_whoever_has_the_longest_name(used, browse):
    zoe = Member.objects.get(pk="m-1")
    zoe.name = "Z" * 120
    zoe.save()
    Member.objects.create(id="m-5", name=zoe.name)
    client = browse("accountant")
    shown = client.get("/use/s-1").context["form"]["member"].value()
    assert client.post("/use/s-1", corrected(member=shown, payer=shown, time="0:20:00")).status_code == 303


def test_two_of_one_name_are_told_apart_in_the_choice_in_the_history_and_in_the_log(used, browse):
    Member.objects.create(id="m-5", name="zoe MULLER")
    client = browse("accountant")
    form = client.get("/use/s-1").context["form"]
    assert (form["member"].value(), form["payer"].value()) == ("Zoé Müller (m-1)", "Zoé Müller (m-1)")
    unchanged = {"member": "Zoé Müller (m-1)", "payer": "Zoé Müller (m-1)"}
    assert "Nothing has changed." in text(client.post("/use/s-1", corrected(**unchanged)))
    told = text(client.post("/use/s-1", corrected(**unchanged | {"member": "zoé müller"})))
    assert "Several people match: Zoé Müller (m-1), zoe MULLER (m-5)." in told
    assert client.post("/use/s-1", corrected(**unchanged | {"member": "zoe MULLER (m-5)"})).status_code == 303
    assert UsageSession.objects.get().used_by == "m-5"
    auditor = browse("auditor")
    page = text(auditor.get("/use/s-1"))
    assert "<del>Zoé Müller (m-1)</del>" in page
    assert "<ins>zoe MULLER (m-5)</ins>" in page
    log = text(auditor.get("/log"))
    assert "Zoé Müller (m-1)" in log
    assert "zoe MULLER (m-5)" in log


def test_the_milliseconds_stay_when_nobody_changes_the_time(used, browse):
    used.begin("s-2", "m-1", NOON + 60 * MINUTE)
    used.end("s-2", "m-1", NOON + 61 * MINUTE, 60_999)
    browse("accountant").post("/use/s-2", corrected(time="0:01:00", purpose="training"))
    assert UsageSession.objects.get(pk="s-2").counted_ms == 60_999


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "Nothing has changed."),
        ({"time": "soon"}, "Enter minutes (90 or 1.5)"),
        ({"time": "-1"}, "Enter minutes (90 or 1.5)"),
        ({"time": "500:00:00"}, "Enter at most 0:30:00: from start to end"),
        ({"time": "0:30:01"}, "Enter at most 0:30:00"),
        ({"time": "31"}, "Enter at most 0:30:00"),
        ({"time": ""}, "This field is required."),
        ({"member": "nobody"}, "No one is called “nobody”."),
        ({"member": "zoe"}, "Several people match: Zoé Müller (m-1), Zoé Petit (m-3)."),
        ({"purpose": "fun"}, "Select a valid choice"),
        ({"time": "1", "reason": " "}, "This field is required."),
        ({"time": "1", "reason": "x" * 201}, "at most 200 characters"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_half_done(used, browse, changed, told):
    response = browse("accountant").post("/use/s-1", corrected(**changed))
    assert response.status_code == 400
    assert told in text(response)
    assert not Correction.objects.exists()


def test_what_was_uncertain_can_have_been(used, browse):
    used.begin("s-2", "m-1", NOON + 60 * MINUTE)
    used.end("s-2", "m-1", NOON + 61 * MINUTE, 45_000, reason="power-loss", uncertainty_ms=60_000)
    client = browse("accountant")
    told = text(client.post("/use/s-2", corrected(time="0:02:01")))
    assert "Enter at most 0:02:00: from start to end, uncertainty included" in told
    assert client.post("/use/s-2", corrected(time="0:02:00")).status_code == 303


def test_what_the_gate_counted_itself_can_have_been_whatever_became_of_its_clock(used, browse):
    used.begin("s-2", "m-1", NOON + 60 * MINUTE)
    used.end("s-2", "m-1", NOON + 61 * MINUTE, 600_000)
    client = browse("accountant")
    client.post("/use/s-2", corrected(time="0:01:00"))
    assert client.post("/use/s-2", corrected(time="0:10:00")).status_code == 303
    assert "Enter at most 0:10:00" in text(client.post("/use/s-2", corrected(time="0:10:01")))


@pytest.mark.parametrize(("rules", "most"), [({"max_s": 7200}, "2:00:00"), ({}, "24:00:00")])
def test_of_a_session_without_dates_no_more_counts_than_its_machine_stays_on(used, browse, rules, most):
    Machine.objects.filter(name="bandsaw").update(rules=rules)
    UsageSession.objects.update(not_before=NOON - 90 * MINUTE, not_after=NOON + 3000 * MINUTE)
    client = browse("accountant")
    assert f"enter at most {most}" in text(client.post("/use/s-1", corrected(time="24:00:01")))
    assert client.post("/use/s-1", corrected(time=most)).status_code == 303


def test_a_time_that_is_put_right_is_said_before_and_after(used, browse):
    used.begin("s-2", "m-1", NOON + 60 * MINUTE)
    used.end("s-2", "m-1", NOON + 91 * MINUTE, 45_000)
    client = browse("accountant")
    assert "hours and minutes (1:25)" in text(client.get("/use/s-2"))
    said = text(client.post("/use/s-2", corrected(time="0:30"), follow=True))
    assert "the duration was 0:00:45 and is now 0:30:00" in said


def test_an_open_session_has_no_form_and_takes_no_correction(used, browse):
    used.begin("s-2", "m-1", NOON + 60 * MINUTE)
    client = browse("accountant")
    assert "Correct this session" not in text(client.get("/use/s-2"))
    response = client.post("/use/s-2", corrected(time="0:01:00"))
    assert response.status_code == 400
    assert not Correction.objects.exists()


def test_an_auditor_sees_no_form_and_may_not_correct(used, browse):
    client = browse("auditor")
    assert "Correct this session" not in text(client.get("/use/s-1"))
    assert client.post("/use/s-1", corrected(time="0:01:00")).status_code == 403


def test_what_was_to_be_looked_at_says_so_until_it_is_settled(used, browse):
    used.session("s-2", "m-1", NOON + 60 * MINUTE, 5, reason="power-loss", uncertainty_ms=900_000)
    client = browse("accountant")
    assert "End uncertain." in text(client.get("/use/s-2"))
    client.post("/use/s-2", corrected(time="0:06:00"))
    assert Review.objects.get().decision == Review.CORRECTED
    assert "settled on" in text(client.get("/use/s-2"))


def test_a_member_without_a_name_is_called_by_their_number(used, browse):
    Member.objects.filter(pk="m-1").update(name="")
    assert "<h1>m-1 · Band saw</h1>" in text(browse("auditor").get("/use/s-1"))


@pytest.mark.parametrize("member", ["m-77", "m/77", ""])
def test_a_person_who_is_not_known_here_has_no_page_to_go_to(used, browse, member):
    used.session("s-2", member, NOON + 60 * MINUTE, 5)
    client = browse("manager")
    page = text(client.get("/use/s-2"))
    assert f'<dd>{member or NOTHING} <span class="soft">· not in the list of people</span></dd>' in page
    assert "/people/m-77" not in page
    known = text(client.get("/use/s-1"))
    assert 'href="/people/m-1"' in known
    assert "not in the list of people" not in known


def test_a_session_that_nobody_knows_is_not_found(used, browse):
    assert browse("auditor").get("/use/s-9").status_code == 404


def test_nobody_corrects_their_own_session_nor_one_that_they_pay_for(used, browse, account):
    client = browse(account("accountant", member_id="m-1"))
    response = client.post("/use/s-1", corrected(time="0:01:00"))
    assert response.status_code == 403
    assert not Correction.objects.exists()
    page = client.get("/use/s-1")
    assert page.context["form"] is None
    assert "Someone else at the desk must do this for you." in text(page)
    used.session("s-2", "m-2", NOON + 60 * MINUTE, 30)
    UsageSession.objects.filter(pk="s-2").update(payer="m-1")
    assert client.post("/use/s-2", corrected(member="Bjørn Sørensen")).status_code == 403
    used.session("s-3", "m-3", NOON + 120 * MINUTE, 30)
    sent = corrected(time="0:01:00", member="Zoé Petit", payer="Zoé Petit")
    assert client.post("/use/s-3", sent).status_code == 303


def test_a_manager_corrects_their_own_session(used, browse, account):
    client = browse(account("manager", member_id="m-1"))
    assert client.post("/use/s-1", corrected(time="0:01:00")).status_code == 303


@pytest.mark.parametrize(
    ("off_ms", "said"),
    [(3_600_000, "was at least 1 h ahead of"), (-90_000_000, "was at least 25 h behind")],
)
def test_a_clock_that_was_wrong_is_told_with_how_much_and_never_as_synchronised(used, browse, off_ms, said):
    UsageSession.objects.update(clock_off_ms=off_ms, review="clock")
    Review.objects.create(session_id="s-1", why="clock", opened_at=NOON)
    moment = f"/use/moment?machine={machine()}&day={NOON:%Y-%m-%d}&time=12:10"
    auditor = browse("auditor")
    for shown in (text(auditor.get("/use/s-1")), text(auditor.get(moment))):
        assert f"{said} the collector" in shown
        assert "was synchronised at the start and at the end" not in shown
    assert "Clock wrong" in text(auditor.get("/use/review"))


def test_a_clock_that_was_set_in_the_session_is_told(used, browse):
    used.begin("s-2", "m-1", NOON + 60 * MINUTE)
    journal = used.journals["saw-1"]
    journal.off = -60 * MINUTE
    ended = journal.end("s-2", 1000, time=NOON + MINUTE)
    Store("lyon").store([ended], used.now)
    assert UsageSession.objects.get(id="s-2").review == "clock"
    assert "was set during the session" in text(browse("auditor").get("/use/s-2"))


def test_a_correction_does_not_undo_one_that_its_form_did_not_show(used, browse):
    auditor = browse("manager")
    older = sent_by(auditor.get("/use/s-1"), "purpose")
    corrections.correct("s-1", Correction.PAYER, "m-2", author="eve", reason="her school pays")
    typed = {"purpose": "maintenance", "reason": "he mended it"}
    again = auditor.post("/use/s-1", older | typed)
    assert again.status_code == 409
    assert "<strong>Bjørn Sørensen</strong>" in again.content.decode()
    assert UsageSession.objects.get().purpose == "own"
    assert auditor.post("/use/s-1", sent_by(again, "purpose")).status_code == 303
    found = UsageSession.objects.get()
    assert (found.payer, found.purpose) == ("m-2", "maintenance")
