"""How does a roster speak to the rules? Its members and machine part, as the rules' own words."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import TypeVar

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.rules import words as w

_MINUTES_OF_DAY = 24 * 60


def member(found: wire.Member) -> w.Member:
    """Return the rules' member. Raises UsageError naming every level, date, window and number that does not exist."""
    wrong: list[str] = []
    made = w.Member(
        id=found.id,
        name=found.name,
        lang=found.lang,
        level=_word(w.Level, found.level, "level", wrong),
        grant=found.basis,
        valid_until=None if found.valid_until is None else _date(found.valid_until, wrong),
        grace_days=_whole(found.grace_days, "grace_days", "days", wrong),
        windows=tuple(_window(window, wrong) for window in found.windows),
        limit_ms=None if found.limit_s is None else _ms(found.limit_s, "limit_s", wrong, least=1),
        supervised=found.supervised,
    )
    if not found.id or found.id.startswith("emergency:"):
        wrong.append(f"id: found {found.id!r}, wanted text that does not start with 'emergency:'")
    if wrong:
        raise UsageError(f"member {found.id}: {'; '.join(wrong)}")
    return made


def barred(found: wire.Refusal) -> w.Barred:
    """Return the rules' word for a badge that is known and refused."""
    return w.Barred(reasons=tuple(found.reasons) or ("no-access",), id=found.id, lang=found.lang)


def machine_rules(found: wire.MachineRules) -> w.MachineRules:
    """Return the rules' machine. Raises UsageError naming each value that does not exist."""
    wrong: list[str] = []
    lock = found.lock
    if lock is not None and lock.when not in ("now", "idle"):
        wrong.append(f"lock.when: found {lock.when!r}, wanted now or idle")
    if found.finish not in ("wait", "cut"):
        wrong.append(f"finish: found {found.finish!r}, wanted wait or cut")
    if found.on_stale not in ("allow", "deny"):
        wrong.append(f"on_stale: found {found.on_stale!r}, wanted allow or deny")
    if found.max_s < found.limit_s:
        wrong.append(f"max_s: found {found.max_s}, wanted {found.limit_s} (limit_s) or more")
    made = w.MachineRules(
        mode=_word(w.Mode, found.mode, "mode", wrong),
        limit_ms=_ms(found.limit_s, "limit_s", wrong, least=1),  # power always has a deadline
        max_ms=_ms(found.max_s, "max_s", wrong, least=1),
        idle_off_ms=None if found.idle_off_s is None else _ms(found.idle_off_s, "idle_off_s", wrong, least=1),
        warn_ms=_ms(found.warn_s, "warn_s", wrong),
        grace_ms=_ms(found.grace_s, "grace_s", wrong),
        finish_wait=found.finish == "wait",
        finish_max_ms=_ms(found.finish_max_s, "finish_max_s", wrong),
        run_on_ms=_ms(found.run_on_s, "run_on_s", wrong),
        warm_up_ms=_ms(found.warm_up_s, "warm_up_s", wrong),
        handover=found.handover,
        supervision=_word(w.Supervision, found.supervisor, "supervisor", wrong),
        sponsor=found.sponsor,
        deny_when_stale=found.on_stale == "deny",
        observe_until=found.observe_until,
        lock=None if lock is None else w.Lock(lock.id, lock.when == "now", lock.reason, lock.back),
    )
    if wrong:
        raise UsageError("; ".join(f"machine.{mistake}" for mistake in wrong))
    return made


def holder(blob: bytes) -> w.Holder:
    """Return the holder that a row of the stored roster describes."""
    found = _STORED.decode(blob)
    return (
        member(found.member)
        if found.member is not None
        else barred(found.refusal or wire.Refusal(badges=[], reasons=[]))
    )


class Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of the stored roster: a member, or a refusal."""

    member: wire.Member | None = None
    refusal: wire.Refusal | None = None


_STORED = msgspec.json.Decoder(Stored)


W = TypeVar("W", bound=StrEnum)


# Each of these notes what is wrong and returns something in its place: all mistakes of a person are told at once.


def _word(kind: type[W], text: str, key: str, wrong: list[str]) -> W:
    try:
        return kind(text)
    except ValueError:
        *others, last = kind
        wrong.append(f"{key}: found {text!r}, wanted {', '.join(others)} or {last}")
        return last


def _whole(number: int, key: str, unit: str, wrong: list[str], least: int = 0) -> int:
    if number < least:
        wrong.append(f"{key}: found {number}, wanted {least} or more {unit}")
    return number


def _ms(seconds: int, key: str, wrong: list[str], least: int = 0) -> int:
    return _whole(seconds, key, "seconds", wrong, least) * 1000


def _date(text: str, wrong: list[str]) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        wrong.append(f"valid_until: found {text!r}, wanted a date such as 2027-03-01")
        return None


def _window(window: wire.Window, wrong: list[str]) -> w.Window:
    days = frozenset(window.days)
    if not days or not days <= frozenset(range(1, 8)):
        wrong.append(f"windows: found the days {window.days}, wanted ISO weekdays, 1 (Monday) to 7")
    return w.Window(days, _minute(window.start, wrong), _minute(window.to, wrong))


def _minute(text: str, wrong: list[str]) -> int:
    hours, colon, minutes = text.partition(":")
    if colon and text.isascii() and hours.isdecimal() and minutes.isdecimal() and len(minutes) == len("00"):
        found = int(hours[:3]) * 60 + int(minutes)
        if int(minutes) < 60 and found <= _MINUTES_OF_DAY:
            return found
    wrong.append(f"windows: found the time {text!r}, wanted HH:MM")
    return 0
