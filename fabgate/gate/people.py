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
    """Return the rules' member. Raises UsageError for a level, date or window that does not exist."""
    where = f"member {found.id}"
    return w.Member(
        id=found.id,
        name=found.name,
        lang=found.lang,
        level=_word(w.Level, found.level, f"{where}: level"),
        grant=found.basis,
        valid_until=None if found.valid_until is None else _date(found.valid_until, f"{where}: valid_until"),
        grace_days=found.grace_days,
        windows=tuple(_window(window, where) for window in found.windows),
        limit_ms=None if found.limit_s is None else _ms(found.limit_s, f"{where}: limit_s"),
        supervised=found.supervised,
    )


def barred(found: wire.Refusal) -> w.Barred:
    """Return the rules' word for a badge that is known and refused."""
    return w.Barred(reasons=tuple(found.reasons) or ("no-access",), id=found.id, lang=found.lang)


def machine_rules(found: wire.MachineRules) -> w.MachineRules:
    """Return the rules' machine. Raises UsageError naming each value that does not exist."""
    lock = found.lock
    if lock is not None and lock.when not in ("now", "idle"):
        raise UsageError(f"machine.lock.when: found {lock.when!r}, wanted now or idle")
    if found.finish not in ("wait", "cut"):
        raise UsageError(f"machine.finish: found {found.finish!r}, wanted wait or cut")
    if found.on_stale not in ("allow", "deny"):
        raise UsageError(f"machine.on_stale: found {found.on_stale!r}, wanted allow or deny")
    if found.limit_s <= 0 or found.max_s < found.limit_s:
        raise UsageError(
            f"machine: found limit_s {found.limit_s} and max_s {found.max_s}, wanted 0 < limit_s <= max_s:"
            " power always has a deadline"
        )
    return w.MachineRules(
        mode=_word(w.Mode, found.mode, "machine.mode"),
        limit_ms=_ms(found.limit_s, "machine.limit_s"),
        max_ms=_ms(found.max_s, "machine.max_s"),
        idle_off_ms=None if found.idle_off_s is None else _ms(found.idle_off_s, "machine.idle_off_s"),
        warn_ms=_ms(found.warn_s, "machine.warn_s"),
        grace_ms=_ms(found.grace_s, "machine.grace_s"),
        finish_wait=found.finish == "wait",
        finish_max_ms=_ms(found.finish_max_s, "machine.finish_max_s"),
        run_on_ms=_ms(found.run_on_s, "machine.run_on_s"),
        warm_up_ms=_ms(found.warm_up_s, "machine.warm_up_s"),
        handover=found.handover,
        supervision=_word(w.Supervision, found.supervisor, "machine.supervisor"),
        sponsor=found.sponsor,
        deny_when_stale=found.on_stale == "deny",
        observe_until=found.observe_until,
        lock=None if lock is None else w.Lock(lock.id, lock.when == "now", lock.reason, lock.back),
    )


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


def _word(kind: type[W], text: str, where: str) -> W:
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{where}: found {text!r}, wanted {' or '.join(kind)}") from None


def _ms(seconds: int, where: str) -> int:
    if seconds < 0:
        raise UsageError(f"{where}: found {seconds}, wanted 0 or more seconds")
    return seconds * 1000


def _date(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{where}: found {text!r}, wanted a date such as 2027-03-01") from None


def _window(window: wire.Window, where: str) -> w.Window:
    days = frozenset(window.days)
    if not days or not days <= frozenset(range(1, 8)):
        raise UsageError(f"{where}: found the days {window.days}, wanted ISO weekdays, 1 (Monday) to 7")
    return w.Window(days, _minute(window.start, where), _minute(window.to, where))


def _minute(text: str, where: str) -> int:
    hours, colon, minutes = text.partition(":")
    if colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2:
        found = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and found <= _MINUTES_OF_DAY:
            return found
    raise UsageError(f"{where}: found the time {text!r}, wanted HH:MM")
