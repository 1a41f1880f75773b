"""The test of the contract of sinks (``fabgate/collector/money/billing/sinks/contract.py``). The author of a sink subclasses it:

::

    class TestMySink(SinkContract):
        sink = MySink

        def options(self):
            return MySink.Options(since="2027-01", url=my_program.url)

        def stored(self):
            return [(line.key, line.amount_minor) for line in my_program.lines]

        def stop(self): ...
        def start(self): ...

It needs neither Django nor a database: the items are made here, and go to the driver as the engine sends them. pytest is
imported only when the tests run. A method that raises NotImplementedError skips the tests that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec

from fabgate.collector.money.billing.prepaid.words import PREPAID
from fabgate.collector.money.billing.sinks.contract import (
    CHARGES,
    LINE,
    METERED,
    USAGE,
    Charge,
    Item,
    Later,
    Month,
    Options,
    Refused,
    Site,
    Usage,
    UsageMonth,
)

_MONTHS: Final = (date(2027, 1, 1), date(2027, 2, 1))
_CLOSED: Final = datetime(2027, 3, 2, 8, tzinfo=UTC)
_MINUTE_MS: Final = 60_000


class SinkContract:
    """What every sink must do. A subclass makes a sink, and has a program for it that keeps its state during a test."""

    #: The class of the driver.
    sink: Any
    site: ClassVar[Site] = Site("lyon", "c-1", ZoneInfo("Europe/Paris"), "EUR", 2)
    #: The references of three payers in the program, for a sink with `needs_reference`.
    references: ClassVar[tuple[str, str, str]] = ("sub-1", "sub-2", "sub-3")

    def options(self) -> Options:
        """Return the options of a sink for the program."""
        raise NotImplementedError

    def stored(self) -> Sequence[tuple[str, int]]:
        """Return everything that the program has, in its order: the key, and the amount in minor units or milliseconds."""
        raise NotImplementedError

    def expected(self, items: Sequence[Any]) -> list[tuple[str, int]]:
        """Return what `stored` has to return after these items. By default: each charge, or each change of usage."""
        return [(one.key, one.amount) for item in items for one in _parts(item)]

    def stop(self) -> None:
        """Let the program be away: it stores nothing, and answers nothing or an error of its own (5xx)."""
        raise NotImplementedError

    def start(self) -> None:
        """Undo `stop`, `lock_out`, `lose_answers` and `redirect`."""
        raise NotImplementedError

    def lock_out(self) -> None:
        """Let the program no longer accept the key or the password of the sink."""
        raise NotImplementedError

    def lose_answers(self) -> None:
        """Let the program store what it gets, but let no answer arrive."""
        raise NotImplementedError

    def redirect(self) -> None:
        """Let the program answer each request with a redirect (307) to another path."""
        raise NotImplementedError

    def refuse(self, key: str) -> None:
        """Let the program refuse the item with this key for good, and store nothing of it."""
        raise NotImplementedError

    def requests(self) -> int:
        """Return how many requests the program has got."""
        raise NotImplementedError

    def test_it_has_the_shape_of_a_sink(self) -> None:
        """Its class names its options, and says how the engine has to treat it."""
        driver = self.sink
        assert issubclass(driver.Options, Options)
        assert driver.most is None or driver.most >= 1
        for name in ("searches", "needs_reference", "only_money", "only_receivables"):
            assert isinstance(getattr(driver, name), bool), f"found no {name}, wanted True or False"
        assert self._options().feed in {CHARGES, USAGE, METERED}

    def test_the_constructor_opens_nothing(self) -> None:
        """It works while the program is away, and asks nothing. `fabgate check` and each page with sinks call it."""
        self._try(self.stop)
        self._make()
        self._try(self.start)
        assert self._requests() in (0, None)

    def test_everything_arrives_once_and_in_order(self) -> None:
        """Also reversals and credits, whose amounts are negative."""
        items = self._items()
        self._deliver(items)
        assert self._stored() == self.expected(items)

    def test_what_is_sent_again_has_one_effect(self) -> None:
        """As after a restore: by another process, which knows nothing of the first time."""
        items = self._items()
        self._deliver(items)
        before = self._stored()
        self._deliver(items, is_doubtful=True)
        assert self._stored() == before

    def test_it_finds_what_the_program_has_and_nothing_else(self) -> None:
        """Only a sink that `searches` is asked. An item that it wrongly finds would never be sent."""
        if not self.sink.searches:
            _pytest().skip("the program recognises keys")
        items = self._items()
        assert set(self._make().find(items)) == set()
        self._deliver(items[:2])
        assert set(self._make().find(items)) == {item.key for item in items[:2]}

    def test_a_program_that_is_away_gets_everything_later(self) -> None:
        """The sink does not try again on its own: the engine does."""
        self._fails_for_now(self.stop)

    def test_a_wrong_key_is_the_fault_of_no_item(self) -> None:
        """Refused would make a dead letter of each item in turn."""
        self._fails_for_now(self.lock_out)

    def test_a_redirect_is_not_followed(self) -> None:
        """It would take a secret, and the names of people, to another program."""
        self._fails_for_now(self.redirect)

    def test_an_answer_that_is_lost_has_one_effect(self) -> None:
        """It is not known whether the items arrived, so they are sent again."""
        items = self._items()
        self._try(self.lose_answers)
        with _pytest().raises(Later):
            self._make().send(self._first(items))
        self._try(self.start)
        self._deliver(items, is_doubtful=True)
        assert self._stored() == self.expected(items)

    def test_it_sends_nothing_again_by_itself(self) -> None:
        """The engine does, after a pause that grows: a sink that repeats would keep a program busy that is failing."""
        first, second = self._items()[:2]
        before: int = self._try(self.requests)
        self._make().send([first])
        once = self.requests()
        self._try(self.lose_answers)
        with _pytest().raises(Later):
            self._make().send([second])
        sent = self.requests() - once
        assert sent <= once - before, (
            f"found {sent} requests for one item whose answer is lost, wanted those of one attempt"
        )

    def test_a_refused_item_holds_up_no_other(self) -> None:
        """The cause is for people. The engine halves a refused batch until the item is alone."""
        items = self._items()
        bad = items[1]
        self._try(self.refuse, bad.key)
        with _pytest().raises(Refused) as error:
            self._make().send([bad])
        assert str(error.value)
        self._deliver(items, refused={bad.key})
        assert sorted(self._stored()) == sorted(self.expected([item for item in items if item is not bad]))

    def _fails_for_now(self, act: Callable[[], None]) -> None:
        items = self._items()
        asked = self._requests()
        self._try(act)
        with _pytest().raises(Later) as error:
            self._make().send(self._first(items))
        assert str(error.value)
        if asked is not None:
            assert self.requests() == asked + 1
        self._try(self.start)
        assert self._stored() == []
        self._deliver(items)
        assert self._stored() == self.expected(items)

    def _deliver(
        self, items: Sequence[Any], *, is_doubtful: bool = False, refused: frozenset[str] | set[str] = frozenset()
    ) -> None:
        """Send items as the engine does: what may have arrived is searched first, if the program knows no keys."""
        driver = self._make()
        if is_doubtful and driver.searches:
            known = set(driver.find(items))
            items = [item for item in items if item.key not in known]
        most = driver.most or 1
        for start in range(0, len(items), most):
            self._halve(driver, items[start : start + most], refused)

    def _halve(self, driver: Any, items: Sequence[Any], refused: frozenset[str] | set[str]) -> None:
        try:
            driver.send(items)
        except Refused:
            assert {item.key for item in items} & refused, "refused, though each of these items can be stored"
            if len(items) > 1:
                half = len(items) // 2
                self._halve(driver, items[:half], refused)
                self._halve(driver, items[half:], refused)

    def _first(self, items: Sequence[Any]) -> Sequence[Any]:
        return items[: self.sink.most or 1]

    def _items(self) -> list[Any]:
        """Return two months of charges, or of usage, as the feed of the sink has them."""
        driver, feed = self.sink, self._options().feed
        if feed == CHARGES:
            charges = [
                msgspec.structs.replace(one, reference=self._reference(one.payer))
                for one in _charges()
                if (one.amount or not driver.only_money) and not (driver.only_receivables and one.settlement == PREPAID)
            ]
            return charges if driver.most else [_month(first, charges) for first in _MONTHS]
        if feed == USAGE and driver.most is None:
            return [_usage_month(first) for first in _MONTHS]
        return [
            msgspec.structs.replace(one, reference=self._reference(one.payer))
            for one in (_metered() if feed == METERED else _usage())
        ]

    def _reference(self, payer: str) -> str:
        return self.references[int(payer[-1]) - 1] if self.sink.needs_reference else ""

    def _options(self) -> Options:
        found = self._try(self.options)
        assert isinstance(found, Options)
        return found

    def _make(self) -> Any:
        return self.sink(self._options(), self.site)

    def _stored(self) -> list[tuple[str, int]]:
        return list(self._try(self.stored))

    def _requests(self) -> int | None:
        try:
            return self.requests()
        except NotImplementedError:
            return None

    def _try(self, act: Callable[..., Any], *values: object) -> Any:
        try:
            return act(*values)
        except NotImplementedError:
            _pytest().skip(f"this bench does not define {act.__name__}()")


def _parts(item: Item) -> Iterator[Charge | Usage]:
    if isinstance(item, Month):
        yield from item
    elif isinstance(item, UsageMonth):
        yield from item.rows
    else:
        yield item


def _key(number: int) -> str:
    return f"01975c3e-7a2f-7cc0-8000-{number:012x}"


def _charge(number: int, payer: str, amount_minor: int, **more: Any) -> Charge:
    values: dict[str, Any] = {
        "key": _key(number),
        "place": f"{more.get('month', _MONTHS[0])}/{number:019d}",
        "month": _MONTHS[0],
        "of_month": _MONTHS[0],
        "payer": payer,
        "payer_name": f"Member {payer[-1]}",
        "amount_minor": amount_minor,
        "kind": "billed" if amount_minor else "free",
        "vat_code": "",
    }
    return Charge(**values | more)


def _of_session(number: int) -> dict[str, Any]:
    start = datetime(2027, 1, 10 + number, 9, tzinfo=UTC)
    return {
        "session": f"s-{number}",
        "used_by": "m-1",
        "machine": "laser-1",
        "machine_category": "laser",
        "purpose": "own",
        "started_at": start,
        "ended_at": start + timedelta(minutes=10 * number),
        "counted_ms": 10 * number * _MINUTE_MS,
        "running_ms": 8 * number * _MINUTE_MS,
    }


def _charges() -> list[Charge]:
    later = {"month": _MONTHS[1]}
    back = _of_session(1) | {"counted_ms": -10 * _MINUTE_MS, "running_ms": -8 * _MINUTE_MS}
    return [
        _charge(1, "m-1", 100, **_of_session(1)),
        _charge(2, "m-2", 200, **_of_session(2)),
        _charge(3, "m-2", 0, **_of_session(3)),
        _charge(4, "m-3", 400, settlement=PREPAID, **_of_session(4)),
        _charge(5, "m-1", 1_250, kind=LINE, text="Plywood", day=date(2027, 1, 20)),
        _charge(6, "m-1", -100, reverses=_key(1), **back, **later),
        _charge(7, "m-3", 100, of_month=_MONTHS[0], **_of_session(1), **later),
        _charge(8, "m-2", -500, kind=LINE, text="A credit", day=date(2027, 2, 3), of_month=_MONTHS[1], **later),
    ]


def _month(first: date, charges: Sequence[Charge]) -> Month:
    own = [one for one in charges if one.month == first]
    return Month(
        key=f"{first:%Y-%m}",
        place=f"{first}/0",
        month=first,
        closed_at=_CLOSED,
        sha256=f"{first.month:064x}",
        amount=sum(one.amount for one in own),
        read=lambda: iter(own),
        payers={one.payer: (one.payer_name, one.reference) for one in own},
    )


def _change(number: int, session: int, kind: str, **more: Any) -> Usage:
    values = _of_session(session) | {
        "key": f"{number}.{number:016d}",
        "place": f"{number:019d}",
        "kind": kind,
        "at": datetime(2027, 2, number, 8, tzinfo=UTC),
        "payer": f"m-{session}",
        "payer_name": f"Member {session}",
        "gate": "laser-1",
        "category": "",
        "uncertainty_ms": 0,
        "reason": "badge",
        "review": "",
    }
    return Usage(**values | more)


def _usage() -> list[Usage]:
    return [
        _change(1, 1, "ended"),
        _change(2, 2, "ended"),
        _change(3, 1, "corrected", counted_ms=5 * _MINUTE_MS),
        _change(4, 3, "ended"),
        _change(5, 3, "withdrawn", counted_ms=0, running_ms=0),
    ]


def _metered() -> list[Usage]:
    """Return events of two sessions, and of a correction: the reversal of the first event, and another event."""
    one, two = _change(1, 1, "ended", key=_key(1)), _change(2, 2, "ended", key=_key(2))
    changed = {"kind": "corrected", "at": datetime(2027, 2, 3, 8, tzinfo=UTC), "place": f"{3:019d}", "first": one.key}
    back = msgspec.structs.replace(
        one, key=_key(3), reverses=one.key, counted_ms=-one.counted_ms, running_ms=-one.running_ms, **changed
    )
    return [one, two, back, msgspec.structs.replace(one, key=_key(4), counted_ms=5 * _MINUTE_MS, **changed)]


def _usage_month(first: date) -> UsageMonth:
    one, two = _metered()[:2]
    rows = [one, two] if first == _MONTHS[0] else _metered()[2:]
    rows = [msgspec.structs.replace(row, key=f"{first:%Y-%m}/{number}") for number, row in enumerate(rows)]
    return UsageMonth(
        key=f"{first:%Y-%m}",
        place=str(first),
        month=first,
        settled_at=_CLOSED,
        amount=sum(row.counted_ms for row in rows),
        rows=rows,
        payers={row.payer: (row.payer_name, "") for row in rows},
    )


def _pytest() -> Any:
    import pytest  # noqa: PLC0415 - a module that imports this one by mistake needs no pytest

    return pytest
