"""Is a value the frozen dataclass with slots that it stands for? Each is compared with one that dataclasses made."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from fabgate.rules import words as w
from fabgate.rules.value import value


class Plain:
    """What both are made from."""

    badge: str
    used_ms: int = 0
    why: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        return self.badge[:2]


class Bare:
    """One without fields."""


def both(plain: type) -> list[Any]:
    """Return a value and a dataclass of the same name and body."""
    bodies = [{**vars(plain), "__qualname__": plain.__qualname__} for _ in range(2)]
    for body in bodies:
        body.pop("__dict__"), body.pop("__weakref__")
    first, second = (type(plain.__name__, (), body) for body in bodies)
    return [value(first), dataclass(frozen=True, slots=True)(second)]


def outcome(act: Any) -> Any:
    """Return what an act gives, or the class of what it raises."""
    try:
        return act()
    except Exception as error:  # noqa: BLE001 - both must fail alike, whatever it is
        return type(error)


def told(made: Any) -> Any:
    """Return what can be seen of an object of either class, without its class."""
    return repr(made), dataclasses.asdict(made), made.__match_args__, made.__slots__, type(made).__doc__


MADE = [
    lambda kind: kind("a1b2"),
    lambda kind: kind("a1b2", 3, why=("x",)),
    lambda kind: kind(used_ms=1, badge="b"),
    lambda kind: dataclasses.replace(kind("a", 1), used_ms=2),
    lambda kind: copy.copy(kind("a", 1)),
    lambda kind: copy.deepcopy(kind("a", 1)),
]


@pytest.mark.parametrize("make", MADE)
def test_it_is_made_shown_and_changed_as_a_dataclass_is(make: Any) -> None:
    ours, theirs = both(Plain)
    assert told(make(ours)) == told(make(theirs))
    assert [field.name for field in dataclasses.fields(ours)] == [field.name for field in dataclasses.fields(theirs)]


REFUSED = [
    lambda kind: kind(),
    lambda kind: kind("a", 1, (), 4),
    lambda kind: kind("a", other=1),
    lambda kind: kind("a", badge="b"),
    lambda kind: setattr(kind("a"), "badge", "b"),
    lambda kind: delattr(kind("a"), "badge"),
    lambda kind: dataclasses.replace(kind("a"), other=1),
    lambda kind: hash(kind("a", 0, [])),
    lambda kind: kind("a") < kind("b"),
    lambda kind: kind("a").__dict__,
]


@pytest.mark.parametrize("act", REFUSED)
def test_it_refuses_what_a_dataclass_refuses(act: Any) -> None:
    ours, theirs = (outcome(lambda kind=kind: act(kind)) for kind in both(Plain))
    assert ours is theirs
    assert isinstance(ours, type)
    assert issubclass(ours, Exception)


def test_equal_are_two_of_one_class_with_the_same_fields() -> None:
    for kind in both(Plain):
        assert kind("a", 1) == kind("a", 1)
        assert hash(kind("a", 1)) == hash(kind("a", 1))
        assert kind("a", 1) != kind("a", 2)
        assert kind("a", 1) != ("a", 1, ())
    assert w.Presented("a") != w.Lying("a")  # the same fields, and not the same thing
    for kind in both(Bare):
        assert kind() == kind()
        assert repr(kind()) == "Bare()"
    assert w.Tick() != w.Stopping()


def test_a_field_that_does_not_exist_cannot_be_set_either() -> None:
    ours, _ = both(Plain)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'other'"):
        ours("a").other = 1


def test_methods_and_patterns_work() -> None:
    for kind in both(Plain):
        assert kind("a1b2").short == "a1"
        match kind("a", 7):
            case kind(badge, used_ms, why):
                assert (badge, used_ms, why) == ("a", 7, ())


def test_a_word_travels() -> None:
    record = w.Record(3, (w.Flagged(w.FlagKind.DANGER, "m-1", "b"),), w.Now(5))
    assert pickle.loads(pickle.dumps(record)) == record


def test_what_it_cannot_do_is_an_error_and_not_a_surprise() -> None:
    class Child(Plain):
        more: int = 0

    class Listed:
        found: list[int] = dataclasses.field(default_factory=list)

    class Mutable:
        found: list[int] = []  # noqa: RUF012 - this is the mistake

    for kind, error in ((Child, TypeError), (Listed, TypeError), (Mutable, ValueError)):
        with pytest.raises(error):
            value(kind)
