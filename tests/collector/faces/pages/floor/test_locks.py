"""A machine is locked and unlocked from the floor, and what the page says about it is true."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from fabgate import wire
from fabgate.collector.ground.models import Change, Gate, Machine, Order
from fabgate.collector.members.people.blocks import today
from fabgate.collector.recording.broker import announcing
from tests.collector.faces.pages.counter import said
from tests.collector.faces.pages.floor.saw import BROKEN, LOCK, UNLOCK, a_gate  # noqa: F401 (fixture)


def on() -> dict[str, str]:
    """What the button to unlock sends of the lock that is on now."""
    return {"lock": Machine.objects.get().lock_id}


@pytest.fixture
def maintainer(browse) -> Any:
    return browse("maintainer")


def test_a_lock_waits_for_the_job_by_default_and_its_gate_is_told_at_once(desk, broker):
    response = desk.post(LOCK, {**BROKEN, "back": (today() + timedelta(days=3)).isoformat()})
    assert (response.status_code, response.headers["Location"]) == (303, "/floor")
    assert said(response) == "Bandsaw is locked. Its gate has been notified."
    machine, gate = Machine.objects.get(), Gate.objects.get()
    assert machine.lock is not None
    assert (machine.lock.when, machine.lock.reason, machine.locked_by) == ("idle", "Something is broken", "desk")
    (command,) = broker.commands()
    assert (command.verb, command.lock, command.boot, command.actor) == ("lock", machine.lock, "boot-7", "desk")
    assert command.roster == gate.roster_version
    served = wire.decode(bytes(gate.roster), wire.Roster)
    assert served.machine.lock == machine.lock
    change = Change.objects.get(verb="machine.locked")
    assert (change.actor, change.reason, change.rosters) == (
        "desk",
        "Something is broken",
        {"saw-1": gate.roster_version},
    )


@pytest.mark.parametrize(
    ("when", "more", "is_said"),
    [
        ("idle", {}, "Bandsaw will lock when idle. Its gate has been notified."),
        ("now", {}, "Bandsaw is locked. Its gate has been notified."),
        ("idle", {"online": False}, "Bandsaw will lock when idle. The gate of Bandsaw has been offline since"),
    ],
)
def test_a_lock_that_waits_for_whoever_uses_the_machine_is_not_said_to_hold_yet(desk, when, more, is_said):
    Gate.objects.update(state="active", session="s", state_since=datetime.now(UTC), **more)
    assert said(desk.post(LOCK, {**BROKEN, "when": when})).startswith(is_said)


def test_one_of_our_reasons_is_kept_in_english_and_read_in_the_language_of_the_page(browse, account, desk):
    french = browse(account("manager", name="fr", lang="fr"))
    french.post(LOCK, BROKEN)
    assert Machine.objects.get().lock_reason == "Something is broken"
    for page in ("/floor", "/machines", "/log", LOCK):
        shown = french.get(page).content.decode()
        assert "En panne" in shown, page
        assert "Something is broken" not in shown, page
    assert "Something is broken" in desk.get("/floor").content.decode()


def test_the_form_chooses_idle_unless_somebody_chooses_otherwise(desk):
    assert desk.get(LOCK).context["form"]["when"].value() == "idle"


def test_own_words_and_at_once_are_what_members_and_gate_get(desk):
    desk.post(LOCK, {"why": "own", "words": "  Blade   is bent ", "when": "now", "back": ""})
    lock = Machine.objects.get().lock
    assert lock is not None
    assert (lock.when, lock.reason, lock.back) == ("now", "Blade is bent", None)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"why": ""}, "why"),
        ({"why": "17"}, "why"),
        ({"why": "own", "words": " "}, "words"),
        ({"why": "own", "words": "bell\x07"}, "words"),
        ({"why": "own", "words": "x" * 201}, "words"),
        ({"when": "soon"}, "when"),
        ({"back": "soon"}, "back"),
        ({"back": "2020-01-01"}, "back"),
    ],
)
def test_what_tells_members_nothing_locks_nothing(desk, broker, typed, field):
    response = desk.post(LOCK, {**BROKEN, **typed})
    assert response.status_code == 400
    assert list(response.context["form"].errors) == [field]
    assert Machine.objects.get().lock is None
    assert not broker.taken


@pytest.mark.parametrize(("page", "back"), [("/floor", "/floor"), ("/machines/saw", "/machines/saw")])
def test_a_lock_leads_back_to_whence_somebody_came(manager, page, back):
    # The other one first: what is kept of a card must not lead to where somebody else came from.
    for look in ("/machines/saw", "/floor", page):
        shown = manager.get(look).content.decode()
    (link,) = re.findall(r'href="(/floor/machines/saw/lock[^"]*)"', shown)
    form = manager.get(link)
    assert form.context["back"] == back
    assert manager.post(LOCK, {**BROKEN, "next": form.context["back"]}).headers["Location"] == back


def test_a_lock_is_shown_as_the_display_will_cut_it_before_it_is_given(desk):
    words = "The blade guard is bent and the new one is on order"
    response = desk.post(LOCK, {**BROKEN, "why": "own", "words": words, "look": "1"})
    assert response.status_code == 200
    assert response.context["form"].shown() == [
        ("On the display, in English", ("Out of service", "The blade guard is", "bent and the new…", "Do not use")),
        (
            "On the display, in French",
            ("Verrouillée", "The blade guard is", "bent and the new…", "Ne pas utiliser"),
        ),
    ]
    assert "The text does not fit the display." in response.content.decode()
    assert Machine.objects.get().lock is None
    short = desk.post(LOCK, {**BROKEN, "why": "own", "words": "Blade bent", "back": "2059-03-01", "look": "1"})
    assert short.context["form"].shown()[0][1] == ("Out of service", "Blade bent", "Do not use", "Back: 1 March")
    assert "no room" not in short.content.decode()


def test_while_a_lock_is_typed_the_page_asks_and_half_a_word_is_no_mistake(desk):
    typed = {**BROKEN, "why": "own", "words": " ", "look": "1"}
    assert desk.post(LOCK, typed).status_code == 400
    response = desk.post(LOCK, typed, headers={"X-Live": "1"})
    assert response.status_code == 200
    assert response.context["form"].shown() == [
        ("On the display, in English", ("",) * 4),
        ("On the display, in French", ("",) * 4),
    ]
    desk.post(LOCK, {**typed, "words": "Blade bent"}, headers={"X-Live": "1"})
    assert Machine.objects.get().lock is None
    assert desk.post(LOCK, {**typed, "look": "", "when": "idle"}, headers={"X-Live": "1"}).status_code == 200
    assert Machine.objects.get().lock is None


def test_a_machine_that_is_not_there_is_not_locked(desk):
    assert desk.post("/floor/machines/none/lock", BROKEN).status_code == 404
    Machine.objects.update(retired_at=datetime.now(UTC))
    assert desk.post(LOCK, BROKEN).status_code == 404


def test_while_the_broker_is_away_the_lock_stands_and_the_page_does_not_wait_long(desk, broker):
    broker.is_away = True
    response = desk.post(LOCK, BROKEN)
    assert (
        said(response)
        == "Bandsaw is locked. The message broker is offline; the gate will be updated when the broker is back."
    )
    assert Machine.objects.get().lock is not None
    assert broker.patience_s == [announcing.PAGE_S]
    assert Order.objects.get().outcome == "not-sent"


def test_a_gate_that_is_silent_gets_no_order_and_hears_of_the_lock_when_it_is_back(desk, broker):
    Gate.objects.update(online=False)
    response = desk.post(LOCK, BROKEN)
    assert "The gate of Bandsaw has been offline since" in said(response)
    assert broker.commands() == []
    order = Order.objects.get()
    assert (order.command, order.reason, order.outcome) == ("lock", "Something is broken", "waits")
    page = desk.get("/floor").content.decode()
    assert re.search("Its gate has been offline since [^<]*[0-9:]+; it will be updated when it is back", page)
    assert [one.retain for one in broker.taken] == [True]


def test_a_gate_that_only_stopped_speaking_is_sent_the_order_all_the_same_and_nothing_is_promised(desk, broker):
    Gate.objects.update(seen_at=datetime.now(UTC) - timedelta(minutes=10))
    response = desk.post(LOCK, {**BROKEN, "when": "now"})
    assert "The gate of Bandsaw has been offline since" in said(response)
    (command,) = broker.commands()
    assert command.verb == "lock"
    page = desk.get("/floor").content.decode()
    assert re.search("Its gate has been offline since [^<]*[0-9:]+; it will be updated when it is back", page)


def test_the_form_warns_that_somebody_may_be_on_a_machine_whose_gate_fell_silent(desk):
    Gate.objects.update(state="active", online=False, session_member="m-1")
    shown = desk.get(LOCK).content.decode()
    assert "Its gate is offline: someone may be using the machine." in shown
    assert "m-1 was using the machine then" in shown
    Gate.objects.update(state="idle")
    assert "someone may be using" not in desk.get(LOCK).content.decode()


def test_a_machine_without_a_gate_is_locked_all_the_same(desk):
    Gate.objects.all().delete()
    assert "The machine has no gate." in said(desk.post(LOCK, BROKEN))
    assert Machine.objects.get().lock is not None


def test_a_gate_whose_keys_are_missing_is_named_and_the_lock_stands(desk):
    (settings.ENVIRONMENT.gate_directory("saw-1") / "seal.keys").unlink()
    response = desk.post(LOCK, BROKEN)
    assert response.status_code == 303
    assert "seal.keys" in said(response)
    assert Machine.objects.get().lock is not None


def test_a_maintainer_takes_off_what_somebody_else_locked(desk, maintainer, broker):
    desk.post(LOCK, BROKEN)
    lock = Machine.objects.get().lock
    response = maintainer.post(UNLOCK, {**on(), "next": "/gates"})
    assert (response.status_code, response.headers["Location"]) == (303, "/gates")
    assert Machine.objects.get().lock is None
    command = broker.commands()[-1]
    assert (command.verb, command.lock) == ("unlock", lock)


def test_a_page_that_lay_open_takes_off_no_lock_that_was_set_meanwhile(desk, maintainer, broker):
    desk.post(LOCK, BROKEN)
    (button,) = re.findall(r'name="lock" value="([^"]*)"', maintainer.get("/floor").content.decode())
    assert button == Machine.objects.get().lock_id
    maintainer.post(UNLOCK, {"lock": button})
    desk.post(LOCK, {"why": "own", "words": "Blade is bent", "when": "now", "back": ""})
    lock, orders = Machine.objects.get().lock, len(broker.taken)
    for stale in ({"lock": button}, {}):
        response = maintainer.post(UNLOCK, stale)
        assert response.status_code == 409
        page = " ".join(response.content.decode().split())
        assert "The lock has changed. Bandsaw has been locked since" in page
        assert "by desk: “Blade is bent”" in page
    assert (Machine.objects.get().lock, len(broker.taken)) == (lock, orders)


def test_the_desk_takes_off_its_own_lock_and_nobody_elses(desk, maintainer):
    maintainer.post(LOCK, BROKEN)
    response = desk.post(UNLOCK, on())
    assert response.status_code == 403
    assert "maintainer locked this machine" in response.content.decode()
    assert Machine.objects.get().lock is not None
    assert UNLOCK not in desk.get("/floor").content.decode()
    maintainer.post(UNLOCK, on())
    desk.post(LOCK, BROKEN)
    assert UNLOCK in desk.get("/floor").content.decode()
    assert desk.post(UNLOCK, on()).status_code == 303
    assert Machine.objects.get().lock is None


def test_the_desk_puts_no_lock_of_its_own_in_place_of_somebody_elses(desk, maintainer):
    maintainer.post(LOCK, BROKEN)
    lock = Machine.objects.get().lock
    assert desk.get(LOCK).status_code == 403
    assert desk.post(LOCK, BROKEN).status_code == 403
    assert (Machine.objects.get().lock, Machine.objects.get().locked_by) == (lock, "maintainer")


def test_a_retired_machine_stays_locked_whoever_locked_it(desk):
    desk.post(LOCK, BROKEN)
    Machine.objects.update(retired_at=datetime.now(UTC))
    assert desk.post(UNLOCK, on()).status_code == 409
    assert Machine.objects.get().lock is not None


FORGOTTEN = "5f1c" * 8


def gate_keeps(lock_id: str = FORGOTTEN) -> None:
    text = f"lock: the roster does not know of {lock_id} (Belt, new (again)); a lock falls only when its id is named"
    Gate.objects.update(problems=[text], causes=["lock-idle"])


def test_a_lock_that_a_restored_database_forgot_is_taken_off_from_its_gates_page(maintainer, broker):
    gate_keeps()
    assert f'name="lock" value="{FORGOTTEN}"' in maintainer.get("/gates/saw-1").content.decode()
    response = maintainer.post(UNLOCK, {"lock": FORGOTTEN, "next": "/gates/saw-1"})
    assert (response.status_code, response.headers["Location"]) == (303, "/gates/saw-1")
    (command,) = broker.commands()
    assert (command.verb, command.lock and command.lock.id) == ("unlock", FORGOTTEN)
    assert Machine.objects.get().lifted == [FORGOTTEN]


def test_a_forgotten_lock_is_offered_on_its_card_to_whoever_may_take_it_off(maintainer, desk, broker):
    button = f'name="lock" value="{FORGOTTEN}"'
    assert button not in maintainer.get("/floor").content.decode()
    gate_keeps()
    for page in ("/floor", "/machines/saw", "/gates/saw-1"):
        assert button in maintainer.get(page).content.decode(), page
    for page in ("/floor", "/machines/saw"):
        shown = desk.get(page).content.decode()
        assert "Its gate still applies a lock that was removed here" in shown
        assert button not in shown, page
    assert maintainer.post(UNLOCK, {"lock": FORGOTTEN}).headers["Location"] == "/floor"
    assert broker.commands()[0].lock.id == FORGOTTEN
    Gate.objects.update(problems=[], causes=[])
    assert button not in maintainer.get("/floor").content.decode()


def test_a_forgotten_lock_stands_beside_one_that_is_known_and_is_not_the_desks(maintainer, desk):
    desk.post(LOCK, BROKEN)
    gate_keeps()
    known, forgotten = (f'name="lock" value="{one}"' for one in (Machine.objects.get().lock_id, FORGOTTEN))
    shown = desk.get("/floor").content.decode()
    assert known in shown
    assert forgotten not in shown
    shown = maintainer.get("/floor").content.decode()
    assert known in shown
    assert forgotten in shown
    assert "its gate applies a lock that the collector does not know" in shown


def test_a_lock_that_no_gate_keeps_and_one_that_is_not_the_desks_stay_as_they_are(maintainer, desk):
    gate_keeps()
    assert maintainer.post(UNLOCK, {"lock": "0" * 32}).status_code == 409
    assert desk.post(UNLOCK, {"lock": FORGOTTEN}).status_code == 403
    desk.post(LOCK, BROKEN)
    assert desk.post(UNLOCK, {"lock": FORGOTTEN}).status_code == 403
    assert FORGOTTEN not in Machine.objects.get().lifted


def test_a_lock_that_somebody_else_took_off_meanwhile_is_a_conflict(maintainer):
    assert maintainer.post(UNLOCK, on()).status_code == 409
