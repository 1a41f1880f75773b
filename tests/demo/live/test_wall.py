"""The wall of badges, on a real workshop: what a newcomer does on the page, and what becomes of it outside."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.waiting import wait_for
from tests.demo.browser import Browser
from tests.demo.running import Demo


def test_the_link_opens_once_and_for_the_manager_of_the_demo(page: Demo) -> None:
    link = page.wall.link()
    newcomer = Browser()
    first = newcomer.get(link)
    assert first.url.endswith("/wall")
    assert "Demo" in first.text
    assert "Manager" in first.text
    assert newcomer.get(f"{page.workshop.address}/accounts").status == 200
    again = Browser().get(link)
    assert again.status == 404
    assert "Press o in the demo's terminal" in again.text
    assert page.wall.address == page.workshop.address


def test_who_has_no_link_is_asked_to_sign_in_and_a_guess_opens_nothing(page: Demo) -> None:
    assert "/sign-in" in Browser().get(f"{page.workshop.address}/wall").url
    page.wall.link()
    assert Browser().get(f"{page.workshop.address}/enter/guessed").status == 404
    assert Browser().get(page.wall.address).url.endswith("/wall")


def test_the_wall_has_badges_of_every_kind_and_says_that_all_is_simulated(page: Demo) -> None:
    shown = page.browser.get(f"{page.workshop.address}/wall").text
    for words in ("SIMULATED", "Ada", "Supervisor", "Maintainer", "Membership expired", "Card reported lost"):
        assert words in shown
    for size in ("4 bytes", "5 bytes", "7 bytes", "10 bytes", "125 kHz fob"):
        assert size in shown


def test_a_badge_that_is_tapped_powers_the_machine_and_the_audit_agrees_once_it_is_tapped_off(page: Demo) -> None:
    laser = page.gate("laser-1")
    page.tap("laser-1", "ada")
    wait_for("power", lambda: laser.observer.on)
    page.until("laser-1", "In use", "Power on", "Ada", "Hello Ada", "green light")
    wait_for("the display", lambda: page.dots_of("laser-1"))
    before = page.dots_of("laser-1")
    wait_for("its clock to tick", lambda: page.dots_of("laser-1") != before)
    assert page.dots_of("printer-1") == ""
    shown = page.tap("laser-1", "ada")
    assert shown.url.endswith("/wall?card=ada#at-laser-1")
    assert 'value="ada" required checked' in shown.body
    wait_for("the power to go", lambda: not laser.observer.on)
    page.until("laser-1", "Free", "Power off", "Session ended", "agree")


def test_a_125_khz_fob_opens_machines_whose_readers_give_it_whole_or_shorten_it(page: Demo) -> None:
    for gate in ("laser-1", "printer-1"):
        page.tap(gate, "fob")
        page.until(gate, "In use", "Power on", "Bob", "Bonjour Bob")
    whole, short = (_last_started(page.gate(gate))["badge"] for gate in ("laser-1", "printer-1"))
    assert whole != short
    assert "the holder has a reader for 13.56 MHz" in page.tap("saw-1", "fob").text


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("mo", "Mo was refused: membership expired"),
        ("lost", "badge was reported lost"),
        ("stranger", "Refused: unknown badge"),
    ],
)
def test_a_refusal_is_told_with_its_reasons(page: Demo, card: str, words: str) -> None:
    page.tap("printer-1", card)
    page.until("printer-1", words, "red light", "Power off")


def test_a_minor_works_beside_a_supervisor(page: Demo) -> None:
    page.tap("laser-1", "lin")
    page.until("laser-1", "Supervisor needed")
    page.tap("laser-1", "zoe")
    page.until("laser-1", "Power on", "Lin")
    page.tap("laser-1", "lin")
    page.until("laser-1", "Power off")


def test_a_card_is_put_into_its_holder_and_taken_out(page: Demo) -> None:
    page.tap("saw-1", "ada")
    page.until("saw-1", "Power on", "Take the card out")
    wait_for("the display", lambda: page.dots_of("saw-1"))
    page.do("take-out", "saw-1")
    page.until("saw-1", "Power off", "Put the badge in here")


def test_without_network_the_gate_goes_on_and_everything_arrives_afterwards(page: Demo) -> None:
    page.do("pull", "laser-1")
    page.until("laser-1", "unplugged", "Plug it in")
    page.tap("laser-1", "bob")
    page.until("laser-1", "Power on", "wait here for the collector")
    page.tap("laser-1", "bob")
    page.until("laser-1", "Power off")
    page.do("plug", "laser-1")
    text = page.until("laser-1", "connected", "agree")
    assert "wait here" not in text


def test_a_killed_gate_drops_the_power_and_starts_with_it_off(page: Demo) -> None:
    laser, printer = page.gate("laser-1"), page.gate("printer-1")
    page.tap("printer-1", "cleo")
    page.tap("laser-1", "ada")
    wait_for("power", lambda: laser.observer.on and printer.observer.on)
    page.do("kill", "printer-1")
    page.do("kill", "laser-1")
    wait_for("the line to fall", lambda: not laser.observer.on)
    text = page.text_of("laser-1")
    assert "Gate not running" in text
    assert "Power off" in text
    assert printer.observer.on  # on a plug, whose own timer runs; the gate that starts is faster
    for name in ("laser-1", "printer-1"):
        page.do("start", name)
        page.until(name, "Free", "Power off", "agree")


def test_a_clock_that_jumps_changes_no_minute_and_is_on_record(page: Demo) -> None:
    laser = page.gate("laser-1")
    page.tap("laser-1", "ada")
    page.until("laser-1", "Power on")
    page.do("jump", "laser-1", "3600")
    page.until("laser-1", "1:00:00 fast", "Set right")

    def is_recorded() -> bool:
        steps = [json.loads(body)["data"].get("step_ms") for body in laser.entries() if b"clock.synced" in body]
        return any(step is not None and abs(step - 3_600_000) < 1_000 for step in steps)

    wait_for("the step to be recorded", is_recorded)
    page.tap("laser-1", "ada")
    page.until("laser-1", "Power off", "agree")
    page.do("right", "laser-1")
    page.until("laser-1", "Clock right")


def test_after_a_power_cut_nothing_starts_by_itself_and_the_clock_waits_to_be_told(page: Demo) -> None:
    laser = page.gate("laser-1")
    page.tap("laser-1", "ada")
    wait_for("power", lambda: laser.observer.on)
    boot = laser.status()["boot"]
    page.do("cut", "laser-1")
    wait_for("the line to fall", lambda: not laser.observer.on)
    text = page.text_of("laser-1")
    assert "No mains power" in text
    assert "Hello" not in text
    assert page.dots_of("laser-1") == ""
    page.do("restore", "laser-1")
    assert "not set yet" in page.until("laser-1", "Power was cut", "Power off")
    assert laser.status()["boot"] != boot
    assert laser.status()["clock_synced"] is False
    wait_for("the display to be set up again", lambda: page.dots_of("laser-1"))
    page.until("laser-1", "Clock right", "agree")
    wait_for("the gate to be told", lambda: laser.status()["clock_synced"])


def test_what_cannot_be_read_is_told_and_nothing_is_done(page: Demo) -> None:
    address = f"{page.workshop.address}/wall/do"
    for sent in ({"do": "tap laser-1"}, {"do": ""}, {"do": "burn laser-1"}, {"do": "jump laser-1 far"}, {"do": "jump"}):
        answer = page.browser.post(address, **sent)
        assert answer.status == 400, sent
    assert "Take a badge from the wall first" in page.browser.post(address, do="tap laser-1").text
    quiet = {"X-Wall": "1"}
    assert page.browser.post(address, quiet, do="kill lathe-9").status == 409
    assert "wanted one of: laser-1" in page.browser.post(address, quiet, do="kill lathe-9").body
    assert page.browser.post(address, quiet, do="tap laser-1", card="king").status == 409
    assert "a day" in page.browser.post(address, quiet, do="jump laser-1 99999999").body
    assert "Not done" in page.browser.post(address, do="kill lathe-9").text
    assert page.browser.get(address).status == 405
    assert page.text_of("laser-1")


def test_a_form_from_elsewhere_does_nothing(page: Demo) -> None:
    stranger = Browser()
    assert stranger.post(f"{page.workshop.address}/wall/do", do="kill laser-1").status == 403
    assert page.gate("laser-1").process.running


def test_the_socket_is_its_owners_and_tells_what_it_wanted(page: Demo) -> None:
    assert stat.S_IMODE(page.workshop.wall_socket.stat().st_mode) == 0o600
    for line, wanted in (
        (b"hello", "wanted a JSON object"),
        (b"[1]", "wanted a JSON object"),
        (b'{"do": "dance", "gate": "laser-1"}', "wanted one of: look"),
        (b'{"do": "tap", "gate": "laser-1"}', "found no card"),
        (b'{"do": "jump", "gate": "laser-1", "by_s": true}', "wanted a number of seconds"),
        (b'{"do": ["look"], "gate": "laser-1"}', "wanted one of: look"),
        (b"{" * 5000, "wanted a JSON object"),
    ):
        answer = page.ask(line)
        assert not answer["ok"]
        assert wanted in answer["error"]


def test_two_who_open_one_link_do_not_both_get_in(page: Demo) -> None:
    token = page.wall.link().rpartition("/")[2]
    answers = [page.ask(json.dumps({"do": "enter", "token": token}).encode()) for _ in range(2)]
    assert [answer["opens"] for answer in answers] == [True, False]


def test_a_page_that_outlives_the_demo_says_so(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Path(f"{demo.workshop.wall_socket}.gone")
    demo.workshop.wall_socket.rename(moved)
    try:
        shown = demo.browser.get(f"{demo.workshop.address}/wall")
        assert shown.status == 503
        assert "The demo has ended" in shown.text
        assert demo.browser.post(f"{demo.workshop.address}/wall/do", do="kill laser-1").status == 503
    finally:
        moved.rename(demo.workshop.wall_socket)


def test_nobodys_hands_hold_one_gate_twice_at_once(page: Demo) -> None:
    laser = page.gate("laser-1")
    both: list[Callable[[], Any]] = [lambda: page.hands.kill_and_start(laser), lambda: page.hands.kill_and_start(laser)]
    assert [begun().result(40) for begun in both] == ["", ""]
    assert laser.process.running


def _last_started(gate: SimulatedGate) -> dict[str, Any]:
    entries = [json.loads(body) for body in gate.entries()]
    data: dict[str, Any] = [one["data"] for one in entries if one["type"].startswith("fabgate.session.started")][-1]
    return data
