"""The floor shows who was refused and who is here; the list at closing time."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime

from fabgate import wire
from fabgate.collector.faces.pages.floor import presence, recent_refusals, stations
from fabgate.collector.ground.models import (
    Badge,
    Gate,
    Grant,
    Journal,
    Machine,
    Member,
    Pulse,
    Quarantine,
    Refusal,
    Training,
    UsageSession,
)
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from tests.collector.faces.pages.floor.orders import a_gate, order  # noqa: F401 (fixture)

pytestmark = pytest.mark.usefixtures("fresh_now")

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


def in_use(**more: object) -> None:
    said = {"state": "active", "session": "s", "session_member": "m-1", "state_since": NOW - 30 * MINUTE}
    Gate.objects.update(**{**said, **more})


def refuse(minutes_ago: float, reasons: list[str], *, member: str = "", badge: str = "f" * 64) -> Refusal:
    at = NOW - minutes_ago * MINUTE
    more = {"member": member, "badge": badge, "reasons": reasons, "at": at, "seen_at": at}
    return Refusal.objects.create(
        gate=Gate.objects.get(),
        machine=Machine.objects.get(),
        journal=Journal.objects.get(),
        seq=Refusal.objects.count() + 1,
        **more,
    )


def session(name: str, member: str, ended: datetime | None, **more: object) -> None:
    row = {"gate": Gate.objects.get(), "machine": Machine.objects.get(), "opened_in": Journal.objects.get()}
    UsageSession.objects.create(id=name, member=member, used_by=member, ended_at=ended, **row, **more)


# --- who was refused ----------------------------------------------------------------------------------------------


def test_a_refusal_is_told_with_all_its_reasons_in_words_and_the_newest_first():
    refuse(9, ["expired", "training-missing"], member="m-1")
    refuse(2, ["unknown-badge"])
    first, second = recent_refusals.recent(NOW)
    assert (first.who, first.reasons) == (None, ["unknown badge"])
    assert (str(second.who), second.machine) == ("Zoé Müller-Østergård", "Bandsaw")
    assert second.reasons == ["membership expired", "training missing"]


def test_refusals_of_yesterday_are_no_news():
    refuse(60 * 24, ["unknown-badge"])
    assert recent_refusals.recent(NOW) == []


def test_an_unknown_badge_leads_to_the_page_that_asks_whose_it_is(browse):
    badge = "a" * 64
    refuse(2, ["unknown-badge"], badge=badge)
    desk = browse("desk").get("/floor").content.decode()
    assert f"/people/enrol?badge={badge}" in desk
    assert f"/people/new?badge={badge}" in desk
    page = browse("maintainer").get("/floor").content.decode()
    assert "Unknown badge" in page
    assert "Assign to someone" not in page
    assert "New person" not in page


def test_a_badge_that_has_an_owner_by_now_asks_no_more_whose_it_is(browse):
    refuse(2, ["unknown-badge"], badge="a" * 64)
    refuse(3, ["unknown-badge"], badge="b" * 64)
    Badge.objects.create(digest="a" * 64, member_id="m-1")
    Badge.objects.create(digest="b" * 64, member_id="m-1", ended_at=NOW)
    newer, older = recent_refusals.recent(NOW)
    assert (newer.is_unassigned, older.is_unassigned) == (False, True)
    page = browse("desk").get("/floor").content.decode()
    assert f"badge={'a' * 64}" not in page
    assert f"badge={'b' * 64}" in page
    assert "This is now the badge of Zoé Müller-Østergård" in page


def lost(badge: str, reason: str = "lost") -> None:
    row = Badge.objects.create(digest=badge, member_id="m-1", since=NOW - 600 * MINUTE)
    row.end(reason, "desk", NOW - 60 * MINUTE)


@pytest.mark.parametrize(
    ("reason", "said", "title"),
    [
        ("badge-lost", "lost", "Lost badge"),
        ("unknown-badge", "lost", "Lost badge"),
        ("unknown-badge", "returned", "Unknown badge"),
    ],
)
def test_a_badge_that_turns_up_says_who_had_it_and_why_no_longer(browse, reason, said, title):
    refuse(2, [reason], badge="a" * 64)
    lost("a" * 64, said)
    page = browse("desk").get("/floor").content.decode()
    assert f"<strong>{title}</strong>" in page
    why = {"lost": "reported lost", "returned": "returned"}[said]
    day = date_format(localtime(NOW - 60 * MINUTE), "SHORT_DATE_FORMAT")
    assert f"Zoé Müller-Østergård had this badge until {day} ({why})" in page
    assert ("state-warn" in page) == (said == "lost")
    assert 'class="why"' not in page  # which the title says
    assert f"badge={'a' * 64}" in page


def test_a_badge_that_was_lost_when_it_was_refused_says_so_and_who_got_it_since():
    refuse(2, ["unknown-badge"], badge="a" * 64)
    lost("a" * 64)
    Badge.objects.create(digest="a" * 64, member_id="m-2", since=NOW - MINUTE)
    (found,) = recent_refusals.recent(NOW)
    assert (found.name, found.holder.who.name, found.is_unassigned) == ("Lost badge", "Zoé Müller-Østergård", False)
    assert found.owner.whose == "This is now the badge of Léa Fournier"


def test_a_badge_that_was_lost_after_it_was_refused_is_not_called_lost():
    refuse(90, ["unknown-badge"], badge="a" * 64)
    lost("a" * 64)
    (found,) = recent_refusals.recent(NOW)
    assert (found.name, found.holder.whose) == (
        "Unknown badge",
        "At that time it was the badge of Zoé Müller-Østergård",
    )
    assert found.is_unassigned


def test_a_loan_whose_evening_has_passed_is_nobodys_badge():
    refuse(2, ["unknown-badge"], badge="a" * 64)
    Badge.objects.create(digest="a" * 64, member_id="m-2", since=NOW - 600 * MINUTE, until=NOW - 3 * MINUTE)
    (found,) = recent_refusals.recent(NOW)
    assert found.is_unassigned
    assert "(loan ended)" in found.holder.whose


# --- who is here --------------------------------------------------------------------------------------------------


def people() -> list[tuple[str, bool, bool]]:
    """Who is here: (name, is it now, may they supervise)."""
    return [(str(one.who), one.at is None, one.is_supervisor) for one in presence.now(NOW)]


def test_whoever_uses_a_machine_and_whoever_did_a_while_ago_is_here_each_of_them_once():
    in_use()
    session("s-1", "m-1", NOW - 40 * MINUTE)
    session("s-2", "m-2", NOW - 20 * MINUTE)
    session("s-3", "m-2", NOW - 50 * MINUTE)
    session("s-4", "m-3", NOW - presence.RECENT - MINUTE)
    assert people() == [("Zoé Müller-Østergård", True, False), ("Léa Fournier", False, True)]


@pytest.mark.parametrize("more", [{"online": False}, {"seen_at": NOW - 20 * MINUTE}])
def test_whoever_used_a_machine_when_its_gate_fell_silent_is_here_as_of_then(browse, more):
    in_use(**more)
    (found,) = presence.now(NOW)
    assert (str(found.who), found.machine, found.is_offline) == ("Zoé Müller-Østergård", "Bandsaw", True)
    assert found.at == Gate.objects.get().seen_at
    assert "Bandsaw · offline since" in browse("desk").get("/floor").content.decode()
    Gate.objects.update(seen_at=NOW - presence.RECENT - MINUTE)
    assert presence.now(NOW) == []


def test_the_supervisor_of_a_session_that_runs_is_here():
    in_use()
    session("s", "m-1", None, supervisor="m-2")
    assert people() == [("Zoé Müller-Østergård", True, False), ("Léa Fournier", True, True)]


@pytest.mark.parametrize(("minor", "ended", "expected"), [(False, None, True), (True, None, False), (False, 1, False)])
def test_an_instructor_may_supervise_unless_they_are_a_minor_or_it_is_over(minor, ended, expected):
    Member.objects.filter(pk="m-1").update(minor=minor)
    day = NOW.date() - timedelta(days=9)
    until = None if ended is None else NOW.date() - timedelta(days=ended + 1)
    training = Training.objects.create(name="saws")
    Grant.objects.create(member_id="m-1", training=training, stage=Grant.INSTRUCTOR, since=day, until=until)
    in_use()
    assert people() == [("Zoé Müller-Østergård", True, expected)]


@pytest.mark.parametrize(
    ("stage", "until", "expected"),
    [("supervised", None, True), ("autonomous", -1, False), ("suspended", None, False), (None, None, False)],
)
def test_an_instructor_without_what_the_training_wants_first_supervises_nobody(stage, until, expected):
    day = NOW.date() - timedelta(days=9)
    tour = Training.objects.create(name="tour")
    saws = Training.objects.create(name="saws", prerequisite=tour)
    Grant.objects.create(member_id="m-1", training=saws, stage=Grant.INSTRUCTOR, since=day)
    if stage is not None:
        last = None if until is None else NOW.date() + timedelta(days=until)
        Grant.objects.create(member_id="m-1", training=tour, stage=stage, since=day, until=last)
    in_use()
    assert people() == [("Zoé Müller-Østergård", True, expected)]


def test_who_is_blocked_or_has_left_is_here_and_supervises_nobody():
    session("s", "m-2", NOW - MINUTE)
    assert people() == [("Léa Fournier", False, True)]
    block = Member.objects.get(pk="m-2").blocks.create(reason="suspended", actor="maya", at=NOW)
    assert people() == [("Léa Fournier", False, False)]
    block.delete()
    Member.objects.filter(pk="m-2").update(left_on=NOW.date())
    assert people() == [("Léa Fournier", False, False)]


def test_who_was_refused_by_a_wrong_clock_is_named_by_when_it_was_received(browse):
    row = refuse(1, ["expired"], member="m-1")
    for jump in (-1, 1):
        Refusal.objects.filter(pk=row.pk).update(at=NOW + jump * timedelta(days=40), clock_off_ms=jump)
        assert [one.row.pk for one in recent_refusals.recent(NOW)] == [row.pk]
        assert recent_refusals.recent(NOW + timedelta(days=39)) == []
    assert "wrong clock; received" in browse("manager").get("/floor").content.decode()


# --- the page -----------------------------------------------------------------------------------------------------


def test_a_region_is_the_same_when_nothing_has_changed_so_that_nothing_flickers(browse):
    in_use()
    refuse(1, ["expired"], member="m-1")
    order(NOW, 1)
    client = browse("manager")
    first, second = (client.get("/floor").content.decode() for _ in range(2))
    cut = re.compile(r'<div class="stations".*', re.DOTALL)
    assert cut.search(first)[0] == cut.search(second)[0]


@pytest.mark.parametrize("address", ["/floor", "/floor/closing", "/gates", "/gates/saw-1"])
def test_every_live_region_has_an_id_and_listens_to_something_that_is_told(browse, address):
    tags = re.findall(r"<[^>]*\bdata-live=[^>]*>", browse("manager").get(address).content.decode())
    assert tags
    for tag in tags:
        assert re.search(r'\bid="[^"]+"', tag), tag
        topics = re.search(r'data-live="([^"]*)"', tag)[1].split()
        assert topics
        told = {Pulse.FLOOR, Pulse.REFUSAL, Pulse.SESSION, Pulse.ORDER, Pulse.ROSTER, Pulse.LOCK, Pulse.CHANGE}
        assert set(topics) <= told | {"time"}, tag  # which no pulse tells: it is asked for each minute


def test_an_empty_workshop_is_told_what_comes_next(browse):
    Journal.objects.all().delete()
    Gate.objects.all().delete()
    Machine.objects.all().delete()
    assert "No machine yet" in browse("manager").get("/floor").content.decode()


def test_when_no_gate_at_all_is_heard_the_collector_suspects_itself(browse):
    assert "No gate has been online since" not in browse("manager").get("/floor").content.decode()
    Gate.objects.update(seen_at=NOW - 10 * MINUTE)
    assert "No gate has been online since" in browse("desk").get("/floor").content.decode()


# --- closing time -------------------------------------------------------------------------------------------------


def test_at_closing_time_every_machine_that_is_still_on_is_listed_with_whom_to_write(browse):
    in_use()
    page = browse("desk").get("/floor/closing").content.decode()
    assert "Zoé Müller-Østergård" in page
    (mail,) = set(re.findall(r'href="(mailto:[^"]+)"', page))
    assert mail.startswith("mailto:zo%C3%A9+x@example.org?")
    assert "La machine «\xa0Bandsaw\xa0» est encore allumée" in unquote(mail)  # in their language, not in ours
    assert "\n" not in mail


def test_nobody_is_written_to_who_has_no_address(browse):
    in_use(session_member="m-2")
    page = browse("desk").get("/floor/closing").content.decode()
    assert "Léa Fournier" in page
    assert "mailto:" not in page


def test_at_closing_time_silent_gates_are_looked_at_on_foot(browse):
    in_use(online=False)
    page = browse("desk").get("/floor/closing").content.decode()
    assert "Every machine with an online gate is off." in page
    assert "Zoé Müller-Østergård was using the machine then" in page
    Gate.objects.update(online=True, state="idle")
    page = browse("manager").get("/floor/closing").content.decode()
    assert "Every machine is off. Good night!" in page
    assert "All gates are online." in page


def test_who_only_reads_is_offered_nothing_to_stop(browse):
    in_use()
    assert "floor/gates/saw-1/order" in browse("desk").get("/floor/closing").content.decode()
    assert "floor/gates/saw-1/order" not in browse("auditor").get("/floor/closing").content.decode()


def test_a_card_that_is_kept_is_never_shown_to_another_role_in_another_language_or_after_a_change(browse, account):
    in_use()
    order = "floor/gates/saw-1/order"
    assert order in browse("desk").get("/floor").content.decode()
    assert order not in browse("trainer").get("/floor").content.decode()
    french = browse(account("manager", name="chef", lang="fr")).get("/floor").content.decode()
    assert "Verrouiller…" in french
    desk = browse(account("desk", name="dee"))
    assert "Bandsaw" in desk.get("/floor").content.decode()
    Machine.objects.update(title="Band saw", category="wood shop")
    Member.objects.filter(pk="m-1").update(name="Zoé M.")
    page = desk.get("/floor").content.decode()
    assert "Band saw" in page
    assert "<small>wood shop</small>" in page
    assert "Bandsaw" not in page
    assert "Zoé M." in page


@pytest.mark.parametrize("said", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00"])
def test_a_gate_that_names_a_moment_beyond_the_calendar_takes_no_page_from_anybody(browse, said):
    client = browse("manager")
    topics = wire.GateTopics("lyon", "saw-1")
    state = {"state": "active", "session": "s", "member": "m-1", "since": said, "energised_ms": 60_000}
    heard = Received(topics.topic("state"), json.dumps(state).encode())
    Gate.objects.update(online=True)
    Store("lyon").store([heard], datetime.now(UTC))
    assert not Quarantine.objects.exists()
    for zone in ("Europe/Paris", "America/New_York"):
        with timezone.override(ZoneInfo(zone)):
            for page in ("/floor", "/floor/closing", "/floor/machines/saw/lock"):
                assert client.get(page).status_code == 200, page


@pytest.mark.parametrize(("hour", "which"), [(0, "(UTC+02:00)"), (1, "(UTC+01:00)")])
def test_in_the_night_in_which_the_clocks_go_back_the_floor_says_which_hour_it_was(browse, hour, which):
    at = datetime(2025, 10, 26, hour, 30, tzinfo=UTC)
    client = browse("manager")
    in_use(state_since=at)
    refuse(5, ["training-missing"], member="m-1")
    Refusal.objects.update(at=at, clock_off_ms=-86_400_000)  # its gate's clock is a day slow: it still stands there
    with timezone.override(ZoneInfo("Europe/Paris")):
        pages = {page: client.get(page).content.decode() for page in ("/floor", "/floor/closing")}
        lock = client.get("/floor/machines/saw/lock").content.decode()
        person = client.get("/people/m-1").content.decode()
        assert stations.moment(at) == f"26 Oct 2025, 02:30 {which}"
        assert stations.moment(at + timedelta(hours=2)).endswith(":30")
    assert f"since 02:30 {which}</time>" in pages["/floor"]
    assert f">02:30 {which}</time>" in pages["/floor"]
    assert f">26 Oct 2025, 02:30 {which}</time>" in pages["/floor/closing"]
    assert f"has been using it since 02:30 {which}." in lock
    assert f"26 Oct 2025, 02:30 {which}</time>" in person
