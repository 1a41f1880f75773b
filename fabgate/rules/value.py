"""How is a word made? As a frozen dataclass with slots, but cheaply: a gate starts after each power cut, on a slow card.

``@dataclass(frozen=True, slots=True)`` compiles six functions for each class; forty classes are a tenth of the start.
Here one is compiled, ``__init__``, because making values is what a decision does most. The others are written once and
shared. To a reader, to mypy, to ``match`` and to ``dataclasses.replace`` the result is that same dataclass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, FrozenInstanceError, dataclass
from operator import attrgetter
from typing import Any, ClassVar, TypeVar, dataclass_transform

T = TypeVar("T")


class _Value:
    """What all values share. Two are equal when their class and all their fields are."""

    __slots__ = ()

    __match_args__: ClassVar[tuple[str, ...]]
    _key: ClassVar[Any]

    def __eq__(self, other: object) -> bool:
        return self._key(self) == self._key(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key(self))

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__qualname__}({told})"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:  # for copy and pickle, which would set the fields
        return type(self), tuple([getattr(self, name) for name in self.__match_args__])

    def __setattr__(self, name: str, _: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """Return `cls` as a frozen dataclass with slots. Raises TypeError where it has a parent or a ``field()``."""
    if cls.__bases__ != (object,) or any(isinstance(found, Field) for found in vars(cls).values()):
        raise TypeError(f"{cls.__qualname__}: found a parent or a field(), wanted plain fields with plain defaults")
    dataclass(init=False, repr=False, eq=False)(cls)  # compiles nothing: it notes the fields, for `replace` and `match`
    names: tuple[str, ...] = cls.__match_args__  # type: ignore[attr-defined]
    body = {name: found for name, found in vars(cls).items() if name not in {"__dict__", "__weakref__", *names}}
    defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}
    body |= {"__slots__": names, "__init__": _init(names, defaults), "_key": attrgetter("__class__", *names)}
    made: Any = type(cls.__name__, (_Value,), {**body, "__qualname__": cls.__qualname__})
    return made  # type: ignore[no-any-return]


def _init(names: tuple[str, ...], defaults: dict[str, object]) -> Callable[..., None]:
    """Return the ``__init__`` that sets these fields."""
    arguments = "".join(f", {name}=defaults[{name!r}]" if name in defaults else f", {name}" for name in names)
    lines = [f"set_field(self, {name!r}, {name})" for name in names] or ["pass"]
    scope: dict[str, Any] = {"defaults": defaults, "set_field": object.__setattr__}
    exec(f"def __init__(self{arguments}):\n " + "\n ".join(lines), scope)  # noqa: S102 - our own field names
    return scope["__init__"]  # type: ignore[no-any-return]
