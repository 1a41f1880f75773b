"""What the panel says about money, from a roster's prices to the frames; and that nothing else depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fabgate import wire
from fabgate.drivers.panels import COLUMNS, Notice
from fabgate.drivers.panels.log import LogOptions
from fabgate.drivers.panels.text import transliterate
from fabgate.gate.config.gate_yaml import Driver, Mqtt
from fabgate.gate.panel import messages
from fabgate.gate.panel.costs import Certainty, Cost, Costs, Rate
from fabgate.gate.panel.screen import Screen
from fabgate.gate.roster import directory
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.rules import vocabulary
from fabgate.rules.machine import Session
from fabgate.rules.term import Term
from tests.gate.fakes import NOON
from tests.gate.panel.wall import Wall
from tests.gate.roster.collector import Harness, member, roster
from tests.gate.shell import Bench, digest, gate_config, wait

KIND = vocabulary.SignalKind
MINUTE_MS = 60_000
TEN_CENTS = Decimal("0.10")
#: Half an hour after the noon of these tests.
LUNCH = [wire.PeakPrice(days=list(range(7)), start="12:30", end="22:00", price="0.25")]


def period(price: str = "0.10", *, since: str | None = None, purposes: tuple[str, ...] = ("own",), **more: Any) -> Any:
    return wire.PricePeriod(since=since, tariff=wire.Tariff(price=price, **more), purposes=list(purposes))


def prices(*lists: Any, **more: Any) -> wire.Prices:
    """Return prices of these lists; a period alone is a list."""
    found = [one if isinstance(one, wire.PriceList) else wire.PriceList(periods=[one]) for one in lists]
    return wire.Prices(**{"format": 1, "currency": "EUR", "digits": 2, "tz": "UTC", "lists": found, **more})


class Desk:
    """The prices of a stored roster, and sessions of its member Ada."""

    def __init__(self, folder: Path) -> None:
        self.config = gate_config(folder)
        self.path = self.config.state_dir / "roster.db"
        self.path.parent.mkdir()
        self.in_force = RosterInForce(self.config)
        self.costs = Costs(self.in_force)

    def serve(
        self, found: Any, *, price_list: Any = 0, low_credit: Any = False, ada: str = "m-ada", **changes: Any
    ) -> None:
        who = msgspec.structs.replace(member("ada"), id=ada, price_list=price_list, low_credit=low_credit)
        made = roster(self.in_force.version + 1, members=[who], prices=found, **changes)
        directory.store(wire.decode(wire.encode(made), wire.Roster), self.path)
        self.in_force.reload()
        self.ada = ada

    def rate(self, at: datetime | None = NOON, *, basis: str = "grant") -> Rate | str | None:
        session = Session("s", self.ada, "Ada", "en", digest("ada"), vocabulary.Basis(basis), Term(0, 0, 0))
        return self.costs.of([], session, vocabulary.Now(0, at, at is not None)).rate()

    def line(self, minutes: float, lang: str = "en", *, limit_ms: int = 0, synced: bool = True) -> str:
        """Return the line with the clock of a session that began at noon, after some minutes."""
        badge, basis, now = digest("ada"), vocabulary.Basis("grant"), vocabulary.Now(0, NOON, synced)
        started = vocabulary.Started("s", self.ada, badge, basis, vocabulary.Mode.TAP)
        session = Session("s", self.ada, "Ada", lang, badge, basis, Term(0, 0, 0))
        money = self.costs.of([vocabulary.Record(1, (started,), now)], session, now)
        signal = vocabulary.Signal(KIND.GO, "Ada", lang, ms=limit_ms)
        found = messages.notice(signal, "Laser 1", money=money.rate(), so_far=money.so_far())
        assert found.clock is not None
        return found.lines_at(round(minutes * MINUTE_MS))[found.clock.line]

    def is_low(self, session: str) -> bool:
        """Return whether the panel tells Ada, who has begun a session, that her credit is low."""
        found = Session(session, self.ada, "Ada", "en", digest("ada"), vocabulary.Basis("grant"), Term(0, 0, 0))
        return self.costs.of([], found, vocabulary.Now(0, NOON, synced=True)).is_low()

    def cost(
        self,
        minutes: float,
        at: datetime = NOON,
        *,
        ran: float = 0,
        basis: str = "grant",
        synced: tuple[bool, bool] = (True, True),
    ) -> Cost | None:
        """Return what the panel says after a session that began at a moment."""
        badge, lasts_ms = digest("ada"), round(minutes * MINUTE_MS)
        began = vocabulary.Now(0, at, synced[0])
        ends = vocabulary.Now(lasts_ms, at + timedelta(minutes=minutes), synced[1])
        started = vocabulary.Started("s", self.ada, badge, vocabulary.Basis(basis), vocabulary.Mode.TAP)
        ended = vocabulary.Ended("s", self.ada, badge, vocabulary.EndReason.BADGE, lasts_ms, round(ran * MINUTE_MS))
        assert self.costs.of([vocabulary.Record(1, (started,), began)], None, began).ended == ()
        (found,) = self.costs.of(
            [vocabulary.Record(2, (ended,), ends), vocabulary.Signal(KIND.ENDED)], None, ends
        ).ended
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.in_force.close()


def euros(minor: int, certainty: Certainty = Certainty.EXACT) -> Cost:
    return Cost(minor, 2, "EUR", certainty)


# --- the amount -------------------------------------------------------------------------------------------------------


def test_the_price_is_that_of_now_and_the_cost_that_of_the_whole_session(desk: Desk) -> None:
    desk.serve(prices(period(peaks=LUNCH)))
    assert desk.rate() == Rate(TEN_CENTS, Decimal(0), 2, "EUR")
    assert desk.rate(NOON + timedelta(minutes=30)) == Rate(Decimal("0.25"), Decimal(0), 2, "EUR")
    assert desk.cost(60) == euros(300 + 750)
    assert desk.cost(60, ran=10) == euros(1050)
    desk.serve(prices(period(basis="running", idle_price="0.01")))
    assert desk.rate() == Rate(TEN_CENTS, Decimal(0), 2, "EUR", is_by_running=True)
    assert desk.cost(60, ran=10) == euros(100 + 50)


def test_the_panel_shows_the_price_that_counts_from_the_minute_at_which_a_peak_begins(desk: Desk) -> None:
    desk.serve(prices(period(peaks=LUNCH)))
    wall = Wall()
    screen = Screen(wall, "Laser 1", "en")

    def seen_after(minutes: float, *happened: vocabulary.Signal) -> Notice:
        at = vocabulary.Now(round(minutes * MINUTE_MS), NOON + timedelta(minutes=minutes), synced=True)
        session = Session("s", desk.ada, "Ada", "en", digest("ada"), vocabulary.Basis("grant"), Term(0, 0, 0))
        go = vocabulary.Shown(KIND.GO, "Ada", "en", until_ms=HOURS_MS)
        money = desk.costs.of(happened, session, at)
        screen.show(happened, go, mode=vocabulary.Mode.TAP, lock=None, boot_ms=at.boot_ms, money=money)
        return wall.seen

    assert "€0.10/min" in seen_after(0).lines
    assert "€0.10/min" in seen_after(29.9).lines
    refused = vocabulary.Signal(KIND.REFUSED, reasons=("in-use",))
    assert seen_after(29.95, refused).light == "red"
    assert seen_after(30).light == "red", "a new price must not hide what has just happened"
    assert "€0.25/min" in wall.passes().lines
    assert "€0.25/min" in seen_after(31).lines
    assert wall.heard == ["short", "low low", ""], "a new price makes no sound"


def test_a_price_that_cannot_be_computed_is_logged_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.serve(prices(wire.PriceList(periods=[period()], discount_percent="0.125")))
    assert [desk.cost(10) for _second in range(3)] == [None] * 3
    assert caplog.text.count("the panel shows no price") == 1


def test_each_member_has_the_prices_of_their_own_list(desk: Desk) -> None:
    two = prices(
        period(), wire.PriceList(periods=[period("0.30", session_fee="1")], discount_percent="20"), wire.PriceList()
    )
    desk.serve(two, price_list=1)
    assert desk.rate() == Rate(Decimal("0.24"), Decimal("0.8"), 2, "EUR")
    assert desk.cost(10) == euros(320), "a discount is known exactly"
    desk.serve(two, price_list=2)
    assert (desk.rate(), desk.cost(10)) == (None, None), "somebody else pays"


def test_a_tariff_counts_from_its_day_on_without_a_new_roster(desk: Desk) -> None:
    desk.serve(
        prices(
            wire.PriceList(periods=[period(), period("0.20", since="2026-11-25"), wire.PricePeriod(since="2026-12-01")])
        )
    )
    assert (desk.cost(10), desk.cost(10, NOON + timedelta(days=1))) == (euros(100), euros(200))
    assert desk.cost(10, NOON.replace(hour=23, minute=55)) == euros(200), "the day of the end counts"
    assert (desk.rate(NOON + timedelta(days=30)), desk.cost(10, NOON + timedelta(days=30))) == (None, None)
    desk.serve(prices(period("0.20", since="2026-11-25")))
    assert (desk.rate(), desk.cost(10)) == (None, None), "nothing is billed yet"


def test_days_and_peak_hours_are_those_of_the_prices_zone(desk: Desk) -> None:
    desk.serve(prices(period(peaks=LUNCH), tz="Asia/Kathmandu"))
    assert desk.rate() == Rate(Decimal("0.25"), Decimal(0), 2, "EUR"), "17:45 there"


@pytest.mark.parametrize(
    ("who", "basis", "purpose"),
    [
        ("m-ada", "grant", "own"),
        ("m-ada", "observe", "own"),
        ("m-ada", "maintainer", "maintenance"),
        ("group:3", "grant", "group"),
    ],
)
def test_a_session_costs_something_if_its_purpose_is_billed(desk: Desk, who: str, basis: str, purpose: str) -> None:
    for other in ("own", "group", "maintenance"):
        desk.serve(prices(period(purposes=(other,))), ada=who)
        is_billed = other == purpose
        assert (desk.rate(basis=basis) is not None, desk.cost(10, basis=basis) is not None) == (is_billed, is_billed)


def test_what_free_minutes_or_a_cap_may_still_take_off_is_said(desk: Desk) -> None:
    desk.serve(prices(wire.PriceList(periods=[period(grace_s=60)], has_free_minutes=True)))
    assert (desk.cost(10), desk.cost(1)) == (euros(100, Certainty.MOST), euros(0))
    desk.serve(prices(period(daily_cap="0.50")))
    assert desk.cost(10) == euros(50, Certainty.MOST)


def test_what_is_in_doubt_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.serve(prices(period()))
    assert desk.cost(10, synced=(False, True)) == euros(100), "the start decides nothing here"
    assert desk.cost(10, synced=(True, False)) == euros(100, Certainty.ABOUT)
    desk.serve(prices(period(peaks=LUNCH)))
    assert desk.cost(60, synced=(False, True)) == euros(1050, Certainty.ABOUT)
    monkeypatch.setattr(desk.in_force, "is_stale", lambda _now: True)
    assert desk.cost(10) == euros(100, Certainty.ABOUT)


def test_without_prices_the_text_that_a_manager_typed_is_shown(desk: Desk) -> None:
    hint = wire.MachineRules(price_hint="2 € an hour")
    desk.serve(None, machine=hint)
    assert (desk.rate(), desk.cost(10)) == ("2 € an hour", None)
    desk.serve(prices(wire.PriceList()), machine=hint)
    assert desk.rate() is None


def test_a_start_that_was_cancelled_does_not_lend_its_cost_to_the_session_that_ends_with_it(desk: Desk) -> None:
    desk.serve(prices(period()))
    badge, basis, mode = digest("ada"), vocabulary.Basis("grant"), vocabulary.Mode.TAP
    began, ends = (vocabulary.Now(ms, NOON + timedelta(milliseconds=ms), synced=True) for ms in (0, 10 * MINUTE_MS))
    cancelled = vocabulary.Ended("new", "m-bob", badge, vocabulary.EndReason.CANCELLED, 0, 0)
    ended = vocabulary.Ended("s", "m-ada", badge, vocabulary.EndReason.FAULT, 10 * MINUTE_MS, 0)
    money = desk.costs.of(
        [
            vocabulary.Record(1, (vocabulary.Started("s", "m-ada", badge, basis, mode),), began),
            vocabulary.Record(2, (vocabulary.Started("new", "m-bob", badge, basis, mode),), ends),
            vocabulary.Record(3, (cancelled,), ends),
            vocabulary.Record(4, (ended,), ends),
            vocabulary.Signal(KIND.ENDED),
        ],
        None,
        ends,
    )
    assert money.ended == (euros(100),)


# --- nonsense ---------------------------------------------------------------------------------------------------------

ONE = msgspec.to_builtins(prices(period()))
BAD_TARIFFS = [
    {"price": "-1"},
    {"price": "NaN"},
    {"price": "much"},
    {"step_s": 0},
    {"basis": "moon"},
    {"daily_cap": ""},
]


@pytest.mark.parametrize(
    "found",
    [
        7,
        "0.20",
        [],
        {},
        {**ONE, "format": 2},
        {**ONE, "tz": "Mars/Olympus"},
        {**ONE, "tz": "../../etc/passwd"},
        {**ONE, "digits": -1},
        {**ONE, "currency": 5},
        {**ONE, "lists": [{"periods": [{"since": "soon"}]}]},
        {**ONE, "lists": [{"periods": [{"tariff": 5}]}]},
        {**ONE, "lists": [{"periods": [], "discount_percent": "120"}]},
        *(msgspec.to_builtins(prices(period(**{"price": "1", **tariff}))) for tariff in BAD_TARIFFS),
    ],
)
def test_with_nonsense_in_the_place_of_prices_a_roster_is_stored_and_no_price_shown(desk: Desk, found: Any) -> None:
    desk.serve(found)
    assert desk.in_force.look_up(digest("ada")) is not None
    assert (desk.rate(), desk.cost(10)) == (None, None)


@pytest.mark.parametrize("number", [-1, 1, 10**30, "0", 0.0, True, None, [0], {"a": 1}])
def test_a_member_with_a_wrong_list_sees_no_price_and_can_work(desk: Desk, number: Any) -> None:
    desk.serve(prices(period()), price_list=number)
    assert desk.in_force.look_up(digest("ada")) is not None
    assert (desk.rate(), desk.cost(10)) == (None, None)


def test_a_member_whose_credit_is_low_is_told_once_in_a_session(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (False, 1, "yes", [True], None):
        desk.serve(None, low_credit=wrong)
        assert (desk.is_low(f"s-{wrong}"), desk.in_force.look_up(digest("ada")) is not None) == (False, True)
    desk.serve(None, low_credit=True)
    assert [desk.is_low(session) for session in ("s-1", "s-1", "s-2")] == [True, False, True]
    monkeypatch.setattr(desk.in_force, "is_stale", lambda _now: True)
    assert not desk.is_low("s-3"), "credit may have been added since"
    monkeypatch.undo()
    desk.in_force.close()
    assert not desk.is_low("s-4"), "the roster is damaged"


def test_what_a_session_costs_so_far_stands_next_to_its_clock(desk: Desk) -> None:
    desk.serve(prices(period(peaks=LUNCH, grace_s=60)))
    found = [desk.line(minutes, "fr", limit_ms=HOURS_MS) for minutes in (0, 1, 12.5, 60)]
    assert found == ["0:00        0,00 €", "1:00        0,00 €", "12:30       1,25 €", "1:00:00    10,50 €"]
    assert desk.cost(60) == euros(1050), "the same when it ends"
    assert desk.line(5, synced=False) == "5:00   about €0.50"
    desk.serve(prices(period(daily_cap="3")))
    assert (desk.line(9), desk.line(60)) == ("9:00   up to €0.90", "up to €3.00"), "the amount says more than the time"
    desk.serve(prices(wire.PriceList(periods=[period("1"), period("3", since="2026-11-25")])))
    assert (desk.line(10), desk.line(24 * 60)) == ("10:00       €10.00", "24:00:00 €4,320.00"), (
        "the day of the end counts"
    )
    # Without a cost that follows the time alone there is the limit.
    for unknown in (period(basis="running"), period("0", session_fee="2")):
        desk.serve(prices(unknown))
        assert desk.line(30, limit_ms=HOURS_MS) == "30:00 of 120 min"
    desk.serve(prices(period(minimum="2")))
    assert desk.line(30, limit_ms=HOURS_MS) == "30:00    €0.10/min", "the minimum needs the other line"


def test_a_cost_that_cannot_be_computed_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fails(ms: int) -> Cost | None:
        raise ValueError(ms)

    found = messages.notice(vocabulary.Signal(KIND.GO, "Ada", ms=HOURS_MS), "Laser 1", money=RATE, so_far=fails)
    assert {found.lines_at(ms)[1] for ms in (0, 500)} == {"0:00 of 120 min"}
    assert caplog.text.count("the panel shows no cost") == 1


def test_a_damaged_roster_costs_only_the_price(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.serve(prices(period()))
    desk.in_force.close()
    assert (desk.rate(), desk.cost(10)) == (None, None)
    assert "the panel shows no price" in caplog.text


def test_an_amount_that_cannot_be_written_costs_only_the_price(caplog: pytest.LogCaptureFixture) -> None:
    assert frame(KIND.GO, RATE._replace(per_minute=Decimal("Infinity")), "en", HOURS_MS)[1] == "Laser 1 is yours"
    assert frame(KIND.ENDED, euros(10**40), "en", 24 * MINUTE_MS)[1] == "24 min"
    assert caplog.text.count("the panel shows no price") == 2


# --- the frames -------------------------------------------------------------------------------------------------------


def frame(kind: vocabulary.SignalKind, money: Any, lang: str, ms: int, **more: Any) -> tuple[str, ...]:
    found = messages.notice(vocabulary.Signal(kind, "Ada", lang, ms=ms, **more), "Laser 1", money=money)
    for line in found.lines:
        assert max(len(line), len(transliterate(line, 99))) <= COLUMNS, line
    return found.lines


RATE = Rate(TEN_CENTS, Decimal(0), 2, "EUR")
HOURS_MS = 120 * MINUTE_MS


@pytest.mark.parametrize(
    ("rate", "english", "french"),
    [
        (RATE, "€0.10/min", "0,10 €/min"),
        (RATE._replace(per_minute=Decimal("0.125")), "€0.125/min", "0,125 €/min"),
        (RATE._replace(per_minute=Decimal("0.2500000000")), "€0.25/min", "0,25 €/min"),
        (RATE._replace(per_minute=Decimal("0.123456789")), "€0.123457/min", "0,123457 €/min"),
        (RATE._replace(is_by_running=True), "€0.10/min running", "0,10 €/min marche"),
        (RATE._replace(is_by_running=True, per_minute=Decimal("0.125")), "€0.125/min running", "0,125 €/min marche"),
        (RATE._replace(fixed=Decimal(1)), "€1.00 + 0.10/min", "1,00 + 0,10 €/min"),
        (RATE._replace(fixed=Decimal(100), is_by_running=True), "€0.10/min running", "0,10 €/min marche"),
        (RATE._replace(per_minute=None, fixed=Decimal("1.5")), "€1.50 per use", "1,50 € par usage"),
        (RATE._replace(per_minute=None), "Free of charge", "Gratuit"),
        (Rate(Decimal(5), Decimal(0), 0, "JPY"), "JPY 5/min", "5 JPY/min"),
        (Rate(Decimal("0.125"), Decimal(0), 3, "TND"), "TND 0.125/min", "0,125 TND/min"),
        (RATE._replace(currency="GBP"), "£0.10/min", "0,10 £/min"),
        ("0.20 € a minute", "0.20 € a minute", "0.20 € a minute"),
    ],
)
def test_the_greeting_says_what_the_time_costs(rate, english, french):
    assert frame(KIND.GO, rate, "en", HOURS_MS) == ("Hello Ada", "0:00 of 120 min", english, "To stop: tap again")
    assert frame(KIND.GO, rate, "fr", HOURS_MS) == (
        "Bonjour Ada",
        "0:00 / 120 min",
        french,
        "Fin : repassez badge",
    )


def test_a_minimum_is_said_instead_of_the_limit(desk: Desk) -> None:
    desk.serve(prices(wire.PriceList(periods=[period(minimum="2", session_fee="0.50")], discount_percent="50")))
    rate = desk.rate()
    assert frame(KIND.GO, rate, "en", HOURS_MS)[1:3] == ("€0.25 + 0.05/min", "At least €1.00")
    assert frame(KIND.GO, rate, "fr", HOURS_MS)[1:3] == ("0,25 + 0,05 €/min", "Au moins 1,00 €")
    desk.serve(prices(period(minimum="2")))
    assert frame(KIND.GO, desk.rate(), "en", HOURS_MS)[1:3] == ("0:00     €0.10/min", "At least €2.00")
    desk.serve(prices(period(minimum="2", session_fee="2")))
    assert frame(KIND.GO, desk.rate(), "en", HOURS_MS)[1] == "0:00 of 120 min"
    desk.serve(prices(wire.PriceList(periods=[period(minimum="2")], has_free_minutes=True)))
    assert frame(KIND.GO, desk.rate(), "en", HOURS_MS)[1] == "0:00 of 120 min"


def turns(rate: Rate, lang: str = "en") -> set[tuple[str, ...]]:
    """Return each different greeting that the panel shows within half a minute, without the line of the clock."""
    signal = vocabulary.Signal(KIND.GO, "Ada", lang, ms=HOURS_MS)
    found = messages.notice(signal, "Laser 1", money=rate, so_far=lambda _ms: None)
    seen = {found.lines_at(ms) for ms in range(0, 30_000, 1_000)}
    assert all(transliterate(line, 99) == transliterate(line, COLUMNS) for lines in seen for line in lines)
    return {lines[2:3] for lines in seen}


def test_a_fee_and_a_price_that_do_not_fit_on_one_line_take_turns():
    dear = RATE._replace(per_minute=Decimal("0.123456"), fixed=Decimal("12.5"))
    assert turns(dear) == {("€0.123456/min",), ("+ €12.50 per use",)}
    assert turns(dear, "fr") == {("0,123456 €/min",), ("+ 12,50 €",)}
    assert turns(dear._replace(minimum=Decimal(20))) == {
        ("€0.123456/min",),
        ("+ €12.50 per use",),
        ("At least €20.00",),
    }
    running = RATE._replace(fixed=Decimal(100), is_by_running=True)
    assert turns(running, "fr") == {("0,10 €/min marche",), ("+ 100,00 €",)}


def test_a_price_that_does_not_fit_is_left_out_and_never_cut():
    found = frame(KIND.GO, RATE._replace(per_minute=Decimal("9999999.123456"), fixed=Decimal(1)), "en", HOURS_MS)
    assert found == ("Hello Ada", "Laser 1 is yours", "0:00 of 120 min", "To stop: tap again")


@pytest.mark.parametrize(
    ("cost", "english", "french"),
    [
        (euros(240), ("24 min       €2.40",), ("24 min      2,40 €",)),
        (euros(0), ("24 min       €0.00",), ("24 min      0,00 €",)),
        (euros(240, Certainty.ABOUT), ("24 min about €2.40",), ("24 min env. 2,40 €",)),
        (euros(240, Certainty.MOST), ("24 min up to €2.40",), ("24 min max. 2,40 €",)),
        (euros(12_345, Certainty.MOST), ("24 min", "up to €123.45"), ("24 min", "max. 123,45 €")),
        (Cost(38, 0, "JPY"), ("24 min        JPY 38",), ("24 min        38 JPY",)),
        (euros(10**11), ("24 min", "€1,000,000,000.00"), ("24 min", "1 000 000 000,00 €")),
        (euros(10**14, Certainty.ABOUT), ("24 min",), ("24 min",)),
        (None, ("24 min",), ("24 min",)),
    ],
)
def test_the_end_says_what_the_session_cost(cost, english, french):
    found = {lang: frame(KIND.ENDED, cost, lang, 24 * MINUTE_MS, reasons=("badge",)) for lang in ("en", "fr")}
    assert found["en"] == ("Session ended", *english, "Please clean up")
    assert found["fr"] == ("Session terminée", *french, "Nettoyez le poste")


def test_a_reason_comes_in_the_place_of_the_title_if_four_lines_are_not_enough():
    found = frame(KIND.ENDED, euros(240), "en", 24 * MINUTE_MS, reasons=("limit",))
    assert found == ("Session ended", "24 min       €2.40", "Time limit reached", "Please clean up")
    found = frame(KIND.ENDED, euros(12_345, Certainty.ABOUT), "en", 24 * MINUTE_MS, reasons=("limit",))
    assert found == ("Time limit reached", "24 min", "about €123.45", "Please clean up")


# --- a whole gate -----------------------------------------------------------------------------------------------------


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    found = Harness(tmp_path)
    yield found
    found.close()


def test_a_gate_shows_the_price_when_it_greets_and_the_cost_when_a_session_ends(
    harness: Harness, tmp_path: Path
) -> None:
    shown = tmp_path / "panel"
    panel = Driver(driver="log", options=LogOptions(file=shown))
    harness.collector.current = roster(prices=prices(period()))
    bench = Bench(tmp_path, panel=[panel], roster=harness.config(3_600).roster, mqtt=Mqtt(host="127.0.0.1", port=1))
    try:
        bench.start()
        wait(lambda: bench.daemon._in_force.version == 100, "the roster")
        bench.settle()
        bench.use("ada")
        wait(lambda: "€0.10/min" in shown.read_text(), "the price")
        bench.advance(10 * MINUTE_MS)
        bench.tap("ada")
        wait(lambda: "10 min" in shown.read_text(), "the end")
        assert "10 min       €1.00" in shown.read_text()
    finally:
        bench.close()
